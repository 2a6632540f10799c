"""How probable each of some words is as an answer, from the probabilities of next tokens.

A word counts by as many of its tokens as tell it from the others: by its first where no two words share that.
A word that begins another one counts up to the end of the reply.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from thresher.operators.models.chat.local.engine import Chances
from thresher.schemas.errors import ThresherError

Tokens = tuple[int, ...]


class Place(NamedTuple):
    """Where a next token is asked for: after these first tokens of a reply."""

    after: Tokens
    tokens: Tokens
    """Those of interest."""


class Vocabulary:
    """Words as the tokens of a model. `end`: the token that ends a reply."""

    def __init__(self, words: Sequence[str], encode: Callable[[str], Sequence[int]], end: int) -> None:
        """Raises ThresherError where two words are one to the model."""
        whole = {word: (*encode(word), end) for word in words}
        if len({*whole.values()}) < len(words):
            raise ThresherError(f"two of the words {', '.join(words)} are one to the model")
        self._paths = {word: _told(path, [*whole.values()]) for word, path in whole.items()}

    @property
    def places(self) -> list[Place]:
        """Where next tokens are needed, the beginning first."""
        found: dict[Tokens, list[int]] = {}
        for path in self._paths.values():
            for i, token in enumerate(path):
                found.setdefault(path[:i], []).append(token)
        return [Place(after, tuple(dict.fromkeys(tokens))) for after, tokens in found.items()]

    def chances(self, found: Mapping[Tokens, Mapping[int, float]]) -> dict[str, float]:
        """Word -> probability, together 1. `found`: after -> token -> its natural log-probability."""
        logs = {
            word: sum(found[path[:i]][token] for i, token in enumerate(path))
            for word, path in self._paths.items()
        }
        most = max(logs.values())
        powers = {word: math.exp(log - most) for word, log in logs.items()}
        total = sum(powers.values())
        return {word: power / total for word, power in powers.items()}


class Rows:
    """What several choices need of a model: next tokens after each of `rows`."""

    def __init__(
        self, choices: Sequence[Sequence[str]], encode: Callable[[str], Sequence[int]], end: int
    ) -> None:
        """`choices`: the words of each; see `Vocabulary`."""
        self._words = [Vocabulary(words, encode, end) for words in choices]
        self.rows = [(i, place) for i, words in enumerate(self._words) for place in words.places]
        """The number of a choice, and a place in its words."""

    def chances(self, logs: Sequence[Mapping[int, float]], used: Sequence[int]) -> list[Chances]:
        """For each choice. Of each row `logs`: token -> log-probability, and `used`: tokens of its prompt."""
        found = []
        for i, words in enumerate(self._words):
            mine = [row for row, (owner, _) in enumerate(self.rows) if owner == i]
            p = words.chances({self.rows[row][1].after: logs[row] for row in mine})
            found.append(Chances(p, sum(used[row] for row in mine), len(mine)))
        return found


def _told(path: Tokens, all_paths: Sequence[Tokens]) -> Tokens:
    """The shortest beginning of `path` that no other has."""
    length = 1
    while sum(other[:length] == path[:length] for other in all_paths) > 1:
        length += 1
    return path[:length]
