"""`repetition`: sentences, phrases and loops that come again."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import items, quoted, split, words
from thresher.operators.captions.record import Text
from thresher.operators.captions.taxonomy import Lang

DUPLICATES = 0.2
"""Share of sentences that stood before (images.md 6.3)."""
TOP = {2: 0.20, 3: 0.18, 4: 0.16}
"""Share of characters in the most frequent n-gram of words (Gopher, arXiv 2112.11446; from memory). Gopher
measures documents of hundreds of words: in a short list of things these shares are plain grammar."""
LONG: dict[Lang, int] = {"en": 60, "zh": 100}
"""Words, or Han characters, from which n-grams and compression tell anything. Ours."""
SIGNS: dict[Lang, int] = {"en": 1, "zh": 2}
"""Words of UAX #29 to a word of the language: there each Han character is one. Ours."""
PHRASE, PHRASES, PHRASE_SHARE = 6, 3, 0.4
"""Words of a phrase that in a text of any length may not come so often and hold that share of it. Ours."""
ZLIB = 3.0
"""Bytes before and after zlib, of long texts (images.md 6.3: calibrate)."""
LOOP, LOOPS = 12, 4
"""Characters of a cycle, and how often it may not come in a row (images.md 6.3)."""
RUN, CYCLE = 8, 12
"""Fewest characters of words that come in a row, so that 哈哈哈哈 is none, and most words of their cycle."""
LEAST_OFTEN = 4
"""A phrase of `TOP` that comes less often is no loop."""


def repetition(text: Text) -> Finding:
    """The greatest of its measures as a multiple of its bound; more than 1 is too much.

    What a sign says over and over is no fault of the text: a quote counts as one word. Tags are judged by
    items and loops alone.
    """
    shown = _without_quotes(text.text)
    faults = {
        "sentences come again": duplicates(text) / DUPLICATES,
        "it runs in a loop": max(loops(shown), words_in_a_row(shown)) / (LOOPS - 1),
    }
    if text.level != "tags":
        tokens = [word.casefold() for word in words(shown)]
        faults["one phrase comes again and again"] = phrases(tokens, text.lang)
        if len(tokens) >= LONG[text.lang]:
            faults["it says little for its length"] = _squeeze(text.text)
    worst = max(faults, key=lambda fault: faults[fault])
    ok = faults[worst] <= 1
    return Finding("repetition", ok, faults[worst], "" if ok else f"{worst}: say each thing once")


def _without_quotes(text: str) -> str:
    """The text with a made word for each quote, the same for the same quote."""
    names: dict[str, str] = {}
    for quote in reversed(quoted(text)):
        name = names.setdefault(quote.text, f" quote{len(names)} ")
        text = text[: quote.start] + name + text[quote.end :]
    return text


def duplicates(text: Text) -> float:
    """Share of the sentences (items of tags) that stood before."""
    pieces = items(text.text) if text.level == "tags" else split(text.text, text.lang)
    said = ["".join(words(piece)).casefold() for piece in pieces]
    again = len(said) - len(set(said))
    return again / len(said) if said else 0.0


def phrases(tokens: Sequence[str], lang: Lang) -> float:
    """Greatest share of characters in one n-gram, as a multiple of its bound."""
    size = sum(map(len, tokens))
    if not size:
        return 0.0
    long = TOP if len(tokens) >= LONG[lang] else {}
    found = [_top(tokens, n * SIGNS[lang], LEAST_OFTEN) / size / bound for n, bound in long.items()]
    return max([*found, _top(tokens, PHRASE * SIGNS[lang], PHRASES) / size / PHRASE_SHARE])


def _top(tokens: Sequence[str], n: int, least: int) -> int:
    """Characters in the most frequent n-gram that comes `least` times, each place counted once."""
    grams: Counter[tuple[str, ...]] = Counter()
    last: dict[tuple[str, ...], int] = {}
    for place in range(len(tokens) - n + 1):
        gram = tuple(tokens[place : place + n])
        if place >= last.get(gram, -n) + n:
            grams[gram] += 1
            last[gram] = place
    return max((times * sum(map(len, gram)) for gram, times in grams.items() if times >= least), default=0)


def words_in_a_row(text: str) -> float:
    """How often a cycle of at most 12 words comes in a row, at most; 3.5 for `a cat a cat a cat a`."""
    tokens = [word.casefold() for word in words(text)]
    size = sum(map(len, tokens)) / max(1, len(tokens))
    found = [(period, 1 + _longest(tokens, period) / period) for period in range(1, CYCLE + 1)]
    return max(times if times * period * size >= RUN else 1.0 for period, times in found)


def loops(text: str) -> int:
    """How often a stretch of at least 12 characters comes in a row, at most."""
    packed = "".join(text.split()).casefold()
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place in range(len(packed) - LOOP + 1):
        places[packed[place : place + LOOP]].append(place)
    found = (at for at in places.values() if len(at) >= LOOPS)
    periods = {b - a for at in found for a, b in pairwise(at)}
    cycles = {-(-LOOP // p) * p if p < LOOP else p for p in periods}
    return max((1 + _longest(packed, cycle) // cycle for cycle in cycles), default=1)


def _longest(held: Sequence[str], period: int) -> int:
    """Longest stretch, in characters or words, that repeats what stands `period` before it."""
    run = best = 0
    for ahead, behind in zip(held[period:], held, strict=False):
        run = run + 1 if ahead == behind else 0
        best = max(best, run)
    return best


def _squeeze(text: str) -> float:
    held = text.encode()
    return len(held) / len(zlib.compress(held, 9)) / ZLIB
