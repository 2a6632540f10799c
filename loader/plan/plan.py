"""The plan of a stage: which samples make up which rows of which step."""

import json
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from thresher.loader.plan.keys import PLAN_VERSION, Ints, key, permute
from thresher.loader.plan.mixture import Mixture
from thresher.loader.plan.order import Order
from thresher.loader.plan.pack import packed
from thresher.loader.plan.pattern import CAUSAL, Kind, Pattern, Realised, Realising
from thresher.schemas import ThresherError

_MEASURED = 1 << 17
"""Samples from which a source's mean length is taken, of larger sources."""
_DRAWN = 1 << 12
"""As many times a smaller source is drawn for it: what a sample becomes differs from slot to slot."""


class Samples(Protocol):
    """One source of samples, without a byte of them."""

    name: str
    fingerprint: str
    """Changes with any sample that is added, changed or left out."""
    pattern: NDArray[np.uint16]
    """(n,): which of `patterns` each sample has."""

    @property
    def patterns(self) -> Sequence[Pattern]:
        """The structures that its samples have."""

    def numbers(self, samples: Ints) -> Ints:
        """The numbers of samples of one pattern, int64 (len(samples), k)."""

    def id(self, sample: int) -> str:
        """The sample's key: 32 hex digits."""


@dataclass(frozen=True)
class Stage:
    """What decides a plan beside its sources. Any change of it changes the plan's hash."""

    name: str
    seed: int
    row: int
    """Tokens of a row."""
    rows: int
    """Rows of a step, over all ranks."""
    how: Realising
    window: int = 4096
    """Slots that are packed together."""
    block: int = 1024
    """Slots in which the mixture is exact."""
    chunk: int = 64
    mix_window: int = 65_536
    share: Literal["tokens", "samples"] = "tokens"
    shift: float = 1.0
    """Of noise levels towards noise: 1 at 512 px, 4 at 1,024 px, more for pixel patches."""
    losses: tuple[float, float, float] = (0.25, 1.0, 0.0)
    """Weights of cross-entropy, velocity error and feature alignment (BAGEL: .25 to 1)."""
    encoders: tuple[str, ...] = ()
    """What else turns samples into tokens, by its id: image tokenizer, encoder of features."""


class Slot(NamedTuple):
    """A sample in its place."""

    slot: int
    source: int
    sample: int


@dataclass(frozen=True)
class Window:
    """Slots that are packed together: arrays over its slots, and rows of places in them."""

    first: int
    source: Ints
    sample: Ints
    lengths: Ints
    rows: list[list[int]]
    sums: NDArray[np.float64]
    """(rows, 4): tokens, query and key tokens that see each other, weight of learnt texts, learnt images."""


class Totals(NamedTuple):
    """What the losses of a step are divided by, over all ranks: known before anything is read."""

    texts: float
    images: int


class Plan:
    """A pure function of sources, shares and stage: `step(t)` needs no step before it.

    Only the number of rows in each window is kept: eight bytes for four thousand samples.
    """

    def __init__(self, sources: Sequence[Samples], shares: Sequence[float], stage: Stage) -> None:
        self.sources, self.shares, self.stage = sources, shares, stage
        self.how = replace(stage.how, most=stage.row)
        self.orders = [
            Order(s.name, len(s.pattern), stage.seed, stage.name, stage.chunk, stage.mix_window)
            for s in sources
        ]
        self._ends: list[int] = []
        self._file: int | None = None
        self.window = lru_cache(8)(self._window)

    @cached_property
    def mixture(self) -> Mixture:
        """Shares of tokens become shares of slots by the mean length of each source."""
        means = [1.0] * len(self.sources)
        if self.stage.share == "tokens":
            means = [self.mean_length(s) for s in range(len(self.sources))]
        if not min(means):
            self._refuse_empty(self.sources[means.index(0)].name)
        weights = [share / mean for share, mean in zip(self.shares, means, strict=True)]
        return Mixture(weights, self.stage.seed, self.stage.name, self.stage.block)

    def mean_length(self, source: int) -> float:
        """Mean tokens of a source's samples, drops and choices of a first epoch included."""
        count = min(_MEASURED, max(_DRAWN, len(self.sources[source].pattern)))
        ordinals = np.arange(count)
        return float(self._sizes(source, self.orders[source].sample(ordinals), ordinals)[:, 0].mean())

    def step(self, t: int) -> list[list[Slot]]:
        """The rows of step t."""
        rows = range(t * self.stage.rows, (t + 1) * self.stage.rows)
        return [self.row(r) for r in rows]

    def row(self, r: int) -> list[Slot]:
        """The samples of row r, in the order in which they stand in it."""
        window, place = self._placed(r)
        at = window.rows[place]
        found = zip(at, window.source[at].tolist(), window.sample[at].tolist(), strict=True)
        return [Slot(window.first + i, source, sample) for i, source, sample in found]

    def totals(self, t: int) -> Totals:
        """What step t holds to be learnt."""
        texts, images = self._sums(t)[:, 2:].sum(axis=0)
        return Totals(float(texts), int(images))

    def costs(self, t: int, token: float, pair: float) -> list[float]:
        """What each row of step t costs, at so much a token and so much a visible pair."""
        return (self._sums(t)[:, :2] @ (token, pair)).tolist()

    def _refuse_empty(self, name: str) -> None:
        raise ThresherError(
            f"no sample of {name} becomes any tokens",
            mend="Look at `long`, the drops and the weights of captions of this stage",
        )

    def _sums(self, t: int) -> NDArray[np.float64]:
        """(rows, 4) of step t, as `Window.sums`."""
        placed = [self._placed(r) for r in range(t * self.stage.rows, (t + 1) * self.stage.rows)]
        return np.array([window.sums[place] for window, place in placed])

    def _placed(self, r: int) -> tuple[Window, int]:
        """The window of row r, and which of its rows that is."""
        while not self._ends or self._ends[-1] <= r:
            self._count_rows(len(self._ends))
            if len(self._ends) > 8 and not self._ends[-1]:
                self._refuse_empty(", ".join(source.name for source in self.sources))
        w = bisect_right(self._ends, r)
        window = self.window(w)
        return window, r - (self._ends[w - 1] if w else 0)

    def remember(self, folder: Path) -> None:
        """Keep in a file of `folder` how many rows windows have: any step is then found without those before.

        Eight bytes a window, written as windows are met. Processes may share it: all write the same.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / f"{self.hash}.rows", os.O_RDWR | os.O_CREAT, 0o644)
        held = np.frombuffer(os.pread(self._file, os.fstat(self._file).st_size // 8 * 8, 0), "<i8")
        whole = np.flatnonzero(np.diff(held, prepend=0) <= 0)
        self._ends = held[: whole[0] if len(whole) else None].tolist()

    def _count_rows(self, w: int) -> None:
        """Know how many rows stand before the end of window w."""
        while len(self._ends) <= w:
            self._ends.append((self._ends or [0])[-1] + len(self.window(len(self._ends)).rows))
            if self._file is not None:
                os.pwrite(self._file, self._ends[-1].to_bytes(8, "little"), 8 * (len(self._ends) - 1))

    def pattern(self, slot: Slot) -> Pattern:
        """The structure of the sample in a slot."""
        source = self.sources[slot.source]
        return source.patterns[source.pattern[slot.sample]]

    def realised(self, source: int, sample: int, slot: int) -> Realised:
        """What a sample becomes in a slot."""
        samples, stage = self.sources[source], self.stage
        pattern = samples.patterns[samples.pattern[sample]]
        numbers = samples.numbers(np.array([sample]))
        return pattern.realised(numbers, np.array([slot]), self.how, stage.seed, stage.name)

    def _sizes(self, source: int, samples: Ints, slots: Ints) -> NDArray[np.float64]:
        """(n, 4) of samples in slots, as `Window.sums`."""
        of, stage = self.sources[source], self.stage
        out, kinds = np.zeros((len(samples), 4)), of.pattern[samples]
        for p in np.unique(kinds):
            mine = kinds == p
            numbers = of.numbers(samples[mine])
            made = of.patterns[p].realised(numbers, slots[mine], self.how, stage.seed, stage.name)
            causal = np.array([part.kind in CAUSAL for part in made.parts])
            noisy = np.array([part.kind is Kind.NOISY for part in made.parts])
            texts = (made.tokens * made.weight)[:, causal].sum(axis=1)
            images = (made.weight[:, noisy] > 0).sum(axis=1)
            out[mine] = np.stack([made.tokens.sum(axis=1), made.pairs, texts, images], axis=1)
        return out

    def _window(self, w: int) -> Window:
        stage = self.stage
        first = w * stage.window
        source, ordinal = self.mixture.slots(first, stage.window)
        sample, sizes = np.zeros_like(ordinal), np.zeros((len(ordinal), 4))
        for s in np.unique(source).tolist():
            mine = source == s
            sample[mine] = self.orders[s].sample(ordinal[mine])
            sizes[mine] = self._sizes(s, sample[mine], first + np.flatnonzero(mine))
        lengths = sizes[:, 0].astype(np.int64)
        self._refuse_long(source, sample, lengths)
        filled = np.flatnonzero(lengths)
        rows = [filled[row].tolist() for row in packed(lengths[filled].tolist(), stage.row)]
        moved = permute(np.arange(len(rows)), len(rows), key("row", stage.seed, stage.name, w)).tolist()
        rows = [rows[i] for i in moved]
        starts = np.cumsum([0, *map(len, rows)])[:-1]
        flat = [i for row in rows for i in row]
        sums = np.add.reduceat(sizes[flat], starts, axis=0) if rows else np.zeros((0, 4))
        return Window(first, source, sample, lengths, rows, sums)

    def _refuse_long(self, source: Ints, sample: Ints, lengths: Ints) -> None:
        long = np.flatnonzero(lengths > self.stage.row)
        if len(long):
            named = [
                f"{self.sources[source[i]].name} {self.sources[source[i]].id(int(sample[i]))}"
                for i in long[:10]
            ]
            raise ThresherError(
                f"{len(long)} samples are longer than a row of {self.stage.row} tokens, the longest has"
                f" {lengths.max()}: {', '.join(named)}{', ...' if len(long) > 10 else ''}",
                mend="Say `long: drop`, `next_bucket` or `cut_at_segment`, or take longer rows",
            )

    def epochs(self, steps: int) -> int:
        """How many epochs of any source at most have begun when the first `steps` steps are read."""
        self._placed(last := steps * self.stage.rows - 1)
        slots = self.stage.window * (bisect_right(self._ends, last) + 1)
        taken = self.mixture.taken(-(-slots // self.stage.block))  # a block draws its slots in any order
        return max(-(-n // len(s.pattern)) for n, s in zip(taken, self.sources, strict=True))

    def where(self, source: int, sample: int, epochs: int) -> Iterator[tuple[int, int, int, int]]:
        """(epoch, step, row of the step, place in the row) of a sample in each of the first epochs.

        Nothing for an epoch in which it has no tokens, all of them being dropped.
        """
        for epoch in range(epochs):
            ordinal = int(self.orders[source].ordinal(np.array([sample]), epoch)[0])
            slot = self.mixture.slot(source, ordinal)
            w = slot // self.stage.window
            self._count_rows(w)
            first = self._ends[w - 1] if w else 0
            for r, places in enumerate(self.window(w).rows, first):
                if slot - w * self.stage.window in places:
                    step, row = divmod(r, self.stage.rows)
                    yield epoch, step, row, places.index(slot - w * self.stage.window)

    @cached_property
    def hash(self) -> str:
        """32 hex digits that differ where any sample, order, choice or length could."""
        stage = asdict(self.stage)
        told = [PLAN_VERSION, stage, list(self.shares), [[s.name, s.fingerprint] for s in self.sources]]
        return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()
