"""Prompts: what stands before something that is to be drawn or written, nothing of it learnt."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from thresher.loader.index import Source
from thresher.loader.plan.pattern import Kind
from thresher.loader.read import Reader, members
from thresher.loader.row import Picture, Row, Written
from thresher.loader.tokens import BEGIN, Tokenizer
from thresher.schemas.segments import segments_of, texts_of

Prompt = Sequence[str | NDArray[np.uint8]]
"""Texts, and images as (height, width, 3) in whole tokens."""
Part = list[int] | list[Picture]
"""A text's tokens, or the copies of one image."""


def fixed(sources: Sequence[Source], count: int, weights: Mapping[str, float]) -> list[str]:
    """`count` different captions at most, the same whenever asked; of versions those of most weight."""
    found = {id: text for s in sources for id, text in _captions(s, 4 * count, weights).items()}
    return list(dict.fromkeys(found[id] for id in sorted(found)))[:count]


def _captions(source: Source, count: int, weights: Mapping[str, float]) -> dict[str, str]:
    """Id and caption of those images with the least ids, which are hashes."""
    plain = np.array([pattern.plain for pattern in source.patterns])
    samples = source.least(np.flatnonzero(plain[source.pattern]), count)
    out = {}
    with closing(Reader(1)) as reader:
        for sample, record in zip(samples.tolist(), reader.read(source.place(samples)), strict=True):
            if not isinstance(record, str):  # one that cannot be read is left out
                held = members(record)
                texts = texts_of(segments_of(list(held), held.__getitem__)[0])
                out[source.id(sample)] = texts[max(texts, key=lambda name: weights.get(name, 1.0))]
    return out


def parts(prompt: Prompt, tokenizer: Tokenizer, strides: Mapping[Kind, int]) -> list[Part]:
    """`strides`: side of a token, px, of each kind of copy that an image is seen as."""
    return [
        [BEGIN, *tokenizer.encode(what)]
        if isinstance(what, str)
        else [Picture(0, k, (what.shape[0] // s, what.shape[1] // s), what) for k, s in strides.items()]
        for what in prompt
    ]


def rows(prompts: Sequence[Sequence[Part]]) -> list[Row]:
    """Each as one document, padded to the longest."""
    longest = max(sum(map(_length, prompt)) for prompt in prompts)
    return [_row(prompt, longest) for prompt in prompts]


def _row(prompt: Sequence[Part], long: int) -> Row:
    written, seg = Written(long), count()
    for part in prompt:
        if words := [token for token in part if isinstance(token, int)]:
            written.row.token[written.put(Kind.TEXT, next(seg), (len(words),))] = words
        for i, picture in enumerate(what for what in part if isinstance(what, Picture)):
            span = written.put(picture.kind, next(seg), picture.grid, copy=i > 0)
            written.row.pictures.append(replace(picture, at=span.start))
    written.row.doc[: written.end] = 0
    return written.row


def _length(part: Part) -> int:
    return sum(p.grid[0] * p.grid[1] if isinstance(p, Picture) else 1 for p in part)
