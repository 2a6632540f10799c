"""From a sample's segments to the tokens that train: decided before anything is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresher.loader.plan.buckets import Buckets
from thresher.loader.plan.keys import Ints, key, uniform
from thresher.schemas.segments import kinds_of


class Kind(IntEnum):
    """What a token is. Noisy latents are seen by nothing but themselves; text and codes are causal."""

    TEXT = 0
    VIT = 1
    """Features of an understanding encoder."""
    CLEAN = 2
    """Latents of a condition image."""
    NOISY = 3
    """Latents of an image to be made."""
    VQ = 4
    """Codes of an image to be made, one after another."""


CAUSAL = (Kind.TEXT, Kind.VQ)
"""Kinds whose tokens see only what stands before them; all others see their whole part."""

Role = Literal["cond", "target", "both"]


@dataclass(frozen=True)
class Segment:
    """One entry of `KEY.segments.json`, without what differs from sample to sample."""

    kind: Literal["text", "image"]
    role: Role
    variants: tuple[str, ...]
    """Names of a text's versions, in all samples of the pattern."""
    loss: bool
    drop: str | None
    group: int | None


@dataclass(frozen=True)
class Realising:
    """How a stage turns samples into tokens. Every probability is per slot."""

    image: Buckets
    understanding: Buckets | None = None
    codes: bool = False
    """Images are made as codes, not as latents."""
    describe: float = 0.5
    """Share of plain image and caption samples that go from image to caption."""
    variants: Mapping[str, float] = field(default_factory=dict)
    """Weight of each caption version by name; 1 where none is given, 0 leaves it out."""
    drop_text: float = 0.1
    drop_clean: float = 0.1
    drop_vit: float = 0.5
    """Chances that a condition is left out, for guidance (BAGEL, arXiv 2505.14683 section 4)."""
    weighting: Literal["token", "sample", "sqrt"] = "token"
    """Weight of a learnt text token among n of its sample: 1, 1 / n or 1 / sqrt(n)."""
    code_weight: float = 1.0
    """Weight of an image's code beside that of a text token (Emu3.5, arXiv 2510.26583: 0.5)."""
    most: int | None = None
    """Tokens that a sample may have: those of a row."""
    long: Literal["fail", "drop", "cut_at_segment", "next_bucket"] = "fail"
    """What becomes of a longer sample: none, none silently, its first segments, or images of half the side
    until it fits."""

    def smaller(self) -> "Realising | None":
        """The same with images of half the side, if they can still be cut into tokens."""
        try:
            image = replace(self.image, base=self.image.base // 2)
            und = self.understanding and replace(self.understanding, base=self.understanding.base // 2)
        except ValueError:
            return None
        return replace(self, image=image, understanding=und)


@dataclass(frozen=True)
class Part:
    """Neighbouring tokens of one kind that a segment may give."""

    kind: Kind
    segment: int
    group: int | None = None
    """Neighbouring noisy images of one group share their noise level and see each other."""


def grouped(parts: Sequence[Part]) -> list[list[int]]:
    """Places of parts that are one to the mask: noisy images of one group, else each part alone."""
    out: list[list[int]] = []
    for p, part in enumerate(parts):
        last = parts[out[-1][-1]] if out else None
        if (
            last
            and part.group is not None
            and (last.kind, last.group) == (Kind.NOISY, part.group)
            and part.kind is Kind.NOISY
        ):
            out[-1].append(p)
        else:
            out.append([p])
    return out


class Realised(NamedTuple):
    """What n samples of one pattern become, each in a slot of its own."""

    parts: tuple[Part, ...]
    tokens: Ints
    """(n, parts): 0 where the part is left out."""
    grids: Ints
    """(n, parts, 2): tokens down and across of an image's parts."""
    variant: Ints
    """(n, segments): which version of each text is taken; -1 where there is none."""
    weight: NDArray[np.float64]
    """(n, parts): of each token of a text or code in the cross-entropy, of a noisy image in its loss; 0 for
    what is not learnt."""

    def only(self, n: int) -> "Realised":
        """The same of one sample alone."""
        at = slice(n, n + 1)
        return Realised(self.parts, self.tokens[at], self.grids[at], self.variant[at], self.weight[at])

    @property
    def pairs(self) -> Ints:
        """(n,): query and key tokens of each sample of which one sees the other, as the mask has it."""
        out, before = np.zeros(len(self.tokens), np.int64), np.zeros(len(self.tokens), np.int64)
        for same in grouped(self.parts):
            together = self.tokens[:, same].sum(axis=1)
            if self.parts[same[0]].kind in CAUSAL:
                out += together * (together + 1) // 2
            else:
                out += together**2
            out += together * before
            if self.parts[same[0]].kind is not Kind.NOISY:
                before += together
        return out


@dataclass(frozen=True)
class Pattern:
    """The segments that many samples share. Their numbers, one row for each sample, are for a text the
    tokens of each variant (0: it has none), for an image its width and height in px, segment by segment."""

    segments: tuple[Segment, ...]

    @cached_property
    def plain(self) -> bool:
        """An image and its caption, which may be learnt in either direction."""
        kinds = [(s.kind, s.role, s.loss) for s in self.segments]
        return kinds == [("text", "cond", False), ("image", "target", True)]

    @cached_property
    def letters(self) -> str:
        """Its segments as in the index's `kinds`: `cT` is a text and the image to be made of it."""
        return kinds_of([{"kind": s.kind, "role": s.role} for s in self.segments])

    @cached_property
    def starts(self) -> list[int]:
        """Column of the numbers at which each segment begins, and their count at the end."""
        widths = [len(s.variants) if s.kind == "text" else 2 for s in self.segments]
        return np.concatenate([[0], np.cumsum(widths)]).tolist()

    def realised(self, numbers: Ints, slots: Ints, how: Realising, seed: int, stage: str) -> Realised:
        """The tokens of samples with those numbers, int64 (n, k), in those slots, (n,)."""

        def drawn(role: Literal["caption", "drop"], *what: int | str) -> NDArray[np.float64]:
            return uniform(key(role, seed, stage, *what), slots)

        n, parts = len(slots), self.parts(how)
        describe = drawn("caption", "describe") < (how.describe if self.plain else 0)
        variant = np.zeros((n, len(self.segments)), np.int64)
        tokens, grids = np.zeros((n, len(parts)), np.int64), np.zeros((n, len(parts), 2), np.int64)
        weight = np.zeros((n, len(parts)))
        for p, part in enumerate(parts):
            segment, at = self.segments[part.segment], self.starts[part.segment]
            kept = self._kept(p, part, how, drawn, describe)
            if part.kind is Kind.TEXT:
                counts = numbers[:, at : at + len(segment.variants)]
                chosen = _chosen(counts, segment.variants, how, drawn("caption", part.segment))
                variant[:, part.segment] = chosen
                tokens[:, p] = np.where(kept & (chosen >= 0), counts[np.arange(n), chosen] + 1, 0)
                weight[:, p] = describe if self.plain else segment.loss
            else:
                buckets = how.understanding if part.kind is Kind.VIT else how.image
                assert buckets is not None
                grids[:, p] = buckets.grids(numbers[:, at], numbers[:, at + 1])
                tokens[:, p] = np.where(kept, grids[:, p].prod(axis=1), 0)
                weight[:, p] = self._made(p, part) and segment.loss
        made = Realised(parts, tokens, grids, variant, weight)
        if how.most is not None:
            self._fit(made, numbers, slots, how, seed, stage)
        _weigh(made, how)
        return made

    def _fit(self, made: Realised, numbers: Ints, slots: Ints, how: Realising, seed: int, stage: str) -> None:
        """Make what is longer than `how.most` fit, or leave it as it is where that is a fault."""
        long = made.tokens.sum(axis=1) > how.most
        if not long.any() or how.long == "fail":
            return
        if how.long == "cut_at_segment":
            made.tokens[made.tokens.cumsum(axis=1) > how.most] = 0
            long = ~((made.weight > 0) & (made.tokens > 0)).any(axis=1)
        smaller = how.smaller() if how.long == "next_bucket" else None
        if smaller:
            again = self.realised(numbers[long], slots[long], smaller, seed, stage)
            made.tokens[long], made.grids[long] = again.tokens, again.grids
        else:
            made.tokens[long] = 0

    def parts(self, how: Realising) -> tuple[Part, ...]:
        """Every part that a sample of this pattern may have, in order."""
        made = Kind.VQ if how.codes else Kind.NOISY
        seen = (Kind.VQ if how.codes else Kind.CLEAN, *([Kind.VIT] if how.understanding else []))
        if self.plain:
            return Part(seen[-1], 1), Part(Kind.TEXT, 0), Part(made, 1)
        kinds = {"cond": seen, "target": (made,), "both": (made,) if how.codes else (made, *seen)}
        return tuple(
            Part(kind, i, segment.group)
            for i, segment in enumerate(self.segments)
            for kind in ((Kind.TEXT,) if segment.kind == "text" else kinds[segment.role])
        )

    def _made(self, p: int, part: Part) -> bool:
        """Whether part number `p` is an image to be made; codes stand for conditions too."""
        if self.plain:
            return p == 2
        return part.kind in (Kind.NOISY, Kind.VQ) and self.segments[part.segment].role != "cond"

    def _kept(
        self, p: int, part: Part, how: Realising, drawn: "Drawn", describe: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Which samples have the part: conditions may be dropped, for guidance, where the segment says so."""
        segment = self.segments[part.segment]
        if self.plain and segment.kind == "image":
            return ~describe if self._made(p, part) else describe
        chance = {Kind.TEXT: how.drop_text, Kind.CLEAN: how.drop_clean, Kind.VIT: how.drop_vit}
        if how.codes:
            chance[Kind.VQ] = how.drop_clean
        learnt = segment.loss and segment.kind == "text"
        if segment.drop is None or learnt or part.kind not in chance or self._made(p, part):
            return np.ones(len(describe), bool)
        return describe | (drawn("drop", segment.drop, part.kind.name) >= chance[part.kind])


def _weigh(made: Realised, how: Realising) -> None:
    """Turn weights of 1 and 0 into those of tokens."""
    made.weight[made.tokens == 0] = 0
    kinds = np.array([part.kind for part in made.parts])
    texts, codes = kinds == Kind.TEXT, kinds == Kind.VQ
    if how.weighting != "token":
        learnt = (made.tokens * made.weight)[:, texts].sum(axis=1, keepdims=True).clip(1)
        made.weight[:, texts] /= learnt if how.weighting == "sample" else np.sqrt(learnt)
    made.weight[:, codes] *= how.code_weight


Drawn = Callable[..., NDArray[np.float64]]


def _chosen(counts: Ints, names: Sequence[str], how: Realising, draw: NDArray[np.float64]) -> Ints:
    """The version of a text for each sample, by weight among those it has; -1 where it has none."""
    weights = np.array([how.variants.get(name, 1.0) for name in names]) * (counts > 0)
    sums = weights.cumsum(axis=1)
    chosen = (draw[:, None] * sums[:, -1:] >= sums).sum(axis=1)
    return np.where(sums[:, -1] > 0, chosen, -1)


def read_pattern(segments: Sequence[Mapping[str, Any]]) -> tuple[Segment, ...]:
    """Segments of a `KEY.segments.json`. Raises ValueError for a kind or role that no plan knows."""
    for number, segment in enumerate(segments, 1):
        for name, known in (("kind", ("text", "image")), ("role", ("cond", "target", "both"))):
            if segment.get(name) not in known:
                raise ValueError(
                    f"segment {number} has the {name} {segment.get(name)!r}, not one of {', '.join(known)}"
                )
    return tuple(
        Segment(s["kind"], s["role"], _versions(s), bool(s["loss"]), s.get("drop"), s.get("group"))
        for s in segments
    )


def _versions(segment: Mapping[str, Any]) -> tuple[str, ...]:
    return (*(["text"] if segment.get("ref") else []), *sorted(segment.get("variants") or {}))
