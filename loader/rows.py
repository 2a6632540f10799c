"""A row of a plan as arrays: what each sample's segments become, in the places that the plan gave them."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresher.loader.images import pixels
from thresher.loader.plan.keys import key, uniform
from thresher.loader.plan.pattern import Kind, Part, Pattern, Realised, grouped
from thresher.loader.plan.plan import Plan, Slot, Stage
from thresher.loader.read import members
from thresher.loader.row import Picture, Row, Written, blank
from thresher.loader.tokens import BEGIN, END, Tokenizer
from thresher.schemas.segments import segments_of, texts_of


class Planned(NamedTuple):
    """One sample of a row, before its bytes are there."""

    slot: Slot
    pattern: Pattern
    made: Realised
    """Of this sample alone."""


def planned(plan: Plan, slots: Sequence[Slot]) -> list[Planned]:
    """What the samples in `slots` become; those of one pattern are decided together."""
    alike: dict[tuple[int, int], list[int]] = {}
    for i, slot in enumerate(slots):
        alike.setdefault((slot.source, int(plan.sources[slot.source].pattern[slot.sample])), []).append(i)
    out: dict[int, Planned] = {}
    for (s, p), held in alike.items():
        source, stage = plan.sources[s], plan.stage
        samples, places = (np.array([getattr(slots[i], what) for i in held]) for what in ("sample", "slot"))
        told = source.patterns[p].realised(source.numbers(samples), places, plan.how, stage.seed, stage.name)
        for n, i in enumerate(held):
            out[i] = Planned(slots[i], source.patterns[p], told.only(n))
    return [out[i] for i in range(len(slots))]


@dataclass(frozen=True)
class Builder:
    """Makes rows of one stage. Picklable: every decoding process holds one."""

    stage: Stage
    tokenizer: Tokenizer

    def row(self, samples: Sequence[Planned], records: Sequence[Any]) -> tuple[Row, dict[int, str]]:
        """The row of those samples, and for each of its holes the reason.

        A record is the bytes of a sample, or the reason why there are none.
        """
        out, reasons, at, seg = blank(self.stage.row), dict[int, str](), 0, 0
        for doc, (sample, record) in enumerate(zip(samples, records, strict=True)):
            out.slots.append(sample.slot)
            span = slice(at, at + int(sample.made.tokens.sum()))
            try:
                if isinstance(record, str):
                    raise ValueError(record)
                part = self.sample(sample, memoryview(record))
            except Exception as error:  # whatever a decoder raises of a broken file costs its sample alone
                out.holes.append(doc)
                reasons[doc] = f"{type(error).__name__}: {error}"
            else:
                for name in _ARRAYS:
                    getattr(out, name)[span] = getattr(part, name)
                out.doc[span], out.seg[span] = doc, part.seg + seg
                out.pictures += [replace(picture, at=at + picture.at) for picture in part.pictures]
            at, seg = span.stop, seg + len(sample.made.parts)
        return out, reasons

    def sample(self, planned: Planned, record: memoryview) -> Row:
        """One sample alone, as a row of its own length. Raises an exception if it is not what was planned."""
        held = members(record)
        segments = segments_of(list(held), held.__getitem__)
        parts, tokens, grids, variant, weight = planned.made
        written = Written(int(tokens.sum()))
        out, last, draw = written.row, -1, _Draw(self.stage, planned.slot.slot)
        seg_of = {p: seg for seg, same in enumerate(grouped(parts)) for p in same}
        for p, part in enumerate(parts):
            if not (n := int(tokens[0, p])):
                continue
            shape = (n,) if part.kind is Kind.TEXT else tuple(grids[0, p].tolist())
            span = written.put(part.kind, seg_of[p], shape, copy=part.segment == last)
            out.weight[span], last = weight[0, p], part.segment
            if part.kind is Kind.TEXT:
                name = planned.pattern.segments[part.segment].variants[variant[0, part.segment]]
                text = self.tokenizer.encode(texts_of(segments[part.segment])[name])
                if len(text) != n - 1:
                    raise ValueError(f"the text {name!r} has {len(text)} tokens; {n - 1} were counted")
                out.token[span] = [BEGIN, *text]
                if weight[0, p]:
                    out.target[span] = [*text, END]
            else:
                grid = down, across = shape
                how = self.stage.how.understanding if part.kind is Kind.VIT else self.stage.how.image
                assert how is not None
                ref, noisy = segments[part.segment]["ref"], part.kind is Kind.NOISY
                data = None if part.kind is Kind.VIT else _stored(held, ref, "latents", grid)
                if data is None:
                    data = pixels(held[ref], down * how.stride, across * how.stride)
                picture = Picture(span.start, part.kind, grid, data)
                if noisy:
                    picture.time, picture.noise = draw.time(part), draw.noise(part)
                    picture.features = _stored(held, ref, "features", grid)
                out.pictures.append(picture)
        return out


def _stored(
    held: Mapping[str, memoryview], ref: str, what: str, grid: tuple[int, int]
) -> NDArray[Any] | None:
    """What a sidecar holds of an image, (down, across, ...)."""
    if (data := held.get(f"{ref}.{what}.npy")) is None:
        return None
    value = np.load(io.BytesIO(data), allow_pickle=False)
    if value.shape[:2] != grid:
        raise ValueError(f"the stored {what} of {ref} are {value.shape[:2]}, not {grid}: of another size")
    return value


_ARRAYS = ("token", "kind", "position", "target", "weight")


class _Draw(NamedTuple):
    """The random numbers of one slot's images, wherever it is read."""

    stage: Stage
    slot: int

    def time(self, part: Part) -> float:
        """One for all images of a group."""
        which = ("image", part.segment) if part.group is None else ("group", part.group)
        u = uniform(key("time", self.stage.seed, self.stage.name, *which), np.array([self.slot]))[0]
        return _level(u, self.stage.shift)

    def noise(self, part: Part) -> int:
        """The key of an image's noise."""
        return key("noise", self.stage.seed, self.stage.name, self.slot, part.segment)


def set_levels(row: Row, ids: Sequence[str], t_bin: int, bins: int, shift: float) -> None:
    """Give noisy images what every measured model meets: noise and a level that follow from the sample.

    `ids`: of each document; `t_bin` of `bins` equally likely ranges of levels, rising.
    """
    for picture in row.pictures:
        if picture.kind is Kind.NOISY:
            doc = int(row.doc[picture.at])
            place = picture.at - int(np.argmax(row.doc == doc))
            picture.noise = key("noise", "held", ids[doc], place)
            within = uniform(key("time", "held", ids[doc]), np.array([t_bin]))[0]
            picture.time = _level((t_bin + within) / bins, shift)


def _level(u: float, shift: float) -> float:
    """The noise level below which a share `u` lies: logit-normal, then shifted (SD3, arXiv 2403.03206)."""
    t = 1 / (1 + exp(-NormalDist().inv_cdf(max(u, 2**-54))))
    return shift * t / (1 + (shift - 1) * t)
