"""`repetition`: sentences, phrases and loops that come again."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from thresher.operators.captions.finding import Finding
from thresher.operators.captions.language.words import items, split, words
from thresher.operators.captions.record import Text

DUPLICATES = 0.2
"""Share of sentences that stood before (images.md 6.3)."""
TOP = {2: 0.20, 3: 0.18, 4: 0.16}
"""Share of characters in the most frequent n-gram of words (Gopher, arXiv 2112.11446; from memory)."""
ZLIB, ZLIB_WORDS = 3.0, 60
"""Bytes before and after zlib, of texts from 60 words (images.md 6.3: calibrate)."""
LOOP, LOOPS = 12, 4
"""Characters of a cycle, and how often it may not come in a row (images.md 6.3)."""
LEAST_OFTEN = 4
"""A phrase that comes less often is no loop: in 10 words any pair has a share of 0.2."""


def repetition(text: Text) -> Finding:
    """The greatest of its measures as a multiple of its bound; more than 1 is too much."""
    tokens = [word.casefold() for word in words(text.text)]
    faults = {
        "sentences come again": duplicates(text) / DUPLICATES,
        "one phrase comes again and again": phrases(tokens),
        "it says little for its length": _squeeze(text.text) if len(tokens) >= ZLIB_WORDS else 0.0,
        "it runs in a loop": loops(text.text) / (LOOPS - 1),
    }
    worst = max(faults, key=lambda fault: faults[fault])
    ok = faults[worst] <= 1
    return Finding("repetition", ok, faults[worst], "" if ok else f"{worst}: say each thing once")


def duplicates(text: Text) -> float:
    """Share of the sentences (items of tags) that stood before."""
    pieces = items(text.text) if text.level == "tags" else split(text.text, text.lang)
    said = ["".join(words(piece)).casefold() for piece in pieces]
    again = len(said) - len(set(said))
    return again / len(said) if said else 0.0


def phrases(tokens: Sequence[str]) -> float:
    """Greatest share of characters in one n-gram, as a multiple of its bound."""
    size = sum(map(len, tokens))
    return max((_top(tokens, n) / size / bound for n, bound in TOP.items() if size), default=0.0)


def _top(tokens: Sequence[str], n: int) -> int:
    """Characters in the most frequent n-gram, each place counted once."""
    grams: Counter[tuple[str, ...]] = Counter()
    last: dict[tuple[str, ...], int] = {}
    for place in range(len(tokens) - n + 1):
        gram = tuple(tokens[place : place + n])
        if place >= last.get(gram, -n) + n:
            grams[gram] += 1
            last[gram] = place
    return max(
        (times * sum(map(len, gram)) for gram, times in grams.items() if times >= LEAST_OFTEN), default=0
    )


def loops(text: str) -> int:
    """How often a stretch of at least 12 characters comes in a row, at most."""
    packed = "".join(text.split()).casefold()
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place in range(len(packed) - LOOP + 1):
        places[packed[place : place + LOOP]].append(place)
    found = (at for at in places.values() if len(at) >= LOOPS)
    periods = {b - a for at in found for a, b in pairwise(at)}
    return max((_in_a_row(packed, -(-LOOP // p) * p if p < LOOP else p) for p in periods), default=1)


def _in_a_row(text: str, period: int) -> int:
    """How often a stretch of `period` characters comes in a row, at most."""
    run = best = 0
    for ahead, behind in zip(text[period:], text, strict=False):
        run = run + 1 if ahead == behind else 0
        best = max(best, run)
    return 1 + best // period


def _squeeze(text: str) -> float:
    held = text.encode()
    return len(held) / len(zlib.compress(held, 9)) / ZLIB
