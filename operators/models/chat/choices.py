"""Which of the offered words a reply takes, and how probable each was: from its tokens, or from samples."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from thresher.operators.models.chat.replies import Reply, Token

_AROUND = " \t\r\n\"'`*_.,:;!?()[]{}“”‘’「」『』。，、：；！？（）"
"""What may stand around a word."""


def taken(reply: Reply, words: Sequence[str]) -> str | None:
    """The word that a reply begins with, the longest if there are several; whatever its case."""
    said = _plain(reply.text.rpartition("</think>")[2])
    fitting = [word for word in words if _begins(said, _plain(word))]
    return max(fitting, key=len, default=None)


def _begins(said: str, word: str) -> bool:
    """`notable` does not begin with `not`; Han words have no blanks after them."""
    rest = said[len(word) :]
    return said.startswith(word) and not (rest[:1].isalnum() and rest[0].isascii() and word[-1:].isascii())


def from_samples(replies: Sequence[Reply], words: Sequence[str]) -> dict[str, float]:
    """Each word's share of the replies that take one; empty if none does."""
    found = Counter(word for reply in replies if (word := taken(reply, words)) is not None)
    return {word: found[word] / found.total() for word in words} if found else {}


def from_tokens(tokens: Sequence[Token], words: Sequence[str]) -> dict[str, float]:
    """Each word's probability, of the words alone; empty if the tokens lead to none of them.

    A token that begins several words is followed where the model took it; elsewhere it counts for the word
    that it is, or they share it.
    """
    mass = _mass(tokens, "", {_plain(word): word for word in words})
    total = math.fsum(mass.values())
    return {word: mass.get(word, 0.0) / total for word in words} if total > 0 else {}


def _mass(tokens: Sequence[Token], begun: str, words: Mapping[str, str]) -> Counter[str]:
    """Word -> probability at the first of `tokens` that says anything, after `begun`."""
    mass: Counter[str] = Counter()
    place = next((i for i, token in enumerate(tokens) if _plain(token.text) or begun), None)
    if place is None:
        return mass
    token, further = tokens[place], tokens[place + 1 :]
    for text, logprob in token.others:
        p, fitting = math.exp(min(logprob, 0.0)), _fitting(begun + text, list(words))
        if len(fitting) > 1 and text == token.text and further:
            mass.update(_scaled(_mass(further, begun + text, {word: words[word] for word in fitting}), p))
            continue
        exact = [word for word in fitting if word == _plain(begun + text)] or fitting
        mass.update({words[word]: p / len(exact) for word in exact})
    return mass


def _fitting(said: str, words: Sequence[str]) -> list[str]:
    """The words that may be meant by what was said so far: it begins them, or they are in it."""
    plain = _plain(said)
    open_ended = bool(plain) and not said.endswith(tuple(_AROUND))
    return [word for word in words if _begins(plain, word) or (open_ended and word.startswith(plain))]


def _scaled(mass: Mapping[str, float], p: float) -> dict[str, float]:
    total = math.fsum(mass.values())
    return {word: p * part / total for word, part in mass.items()} if total else {}


def _plain(text: str) -> str:
    return text.strip(_AROUND).casefold()
