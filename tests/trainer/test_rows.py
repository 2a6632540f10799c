"""What a sample becomes: exactly what was planned, in its place, with random numbers of its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainer.kinds import samples
from tests.trainer.shards import write_export
from thresher.encoders.batch import collate
from thresher.loader.index import open_source
from thresher.loader.plan.buckets import Buckets
from thresher.loader.plan.pattern import Kind, Realising
from thresher.loader.plan.plan import Plan, Slot, Stage
from thresher.loader.read import Reader
from thresher.loader.row import PAD
from thresher.loader.rows import Builder, planned
from thresher.loader.tokens import BEGIN, END, IMAGE, Bytes

HOW = Realising(Buckets(32, 16), Buckets(16, 8), drop_text=0.3, drop_clean=0.3, drop_vit=0.3)
STAGE = Stage("one", 0, 512, 4, HOW, window=64, block=16)
KINDS = list(samples(0))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A source of each kind."""
    made, out = [samples(i) for i in range(25)], {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp("export") / "e"
        out[kind] = open_source(kind, write_export(folder, [s[kind] for s in made]), Bytes())
    return out


def built(plan, slots):
    """(planned, row) of samples in slots, each alone."""
    source, made = plan.sources[0], planned(plan, slots)
    records = Reader(2).read(source.place(np.array([slot.sample for slot in slots])))
    builder = Builder(plan.stage, Bytes())
    return [(sample, builder.sample(sample, record)) for sample, record in zip(made, records, strict=True)]


@pytest.mark.acceptance("T10")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codes", [False, True])
def test_a_sample_is_as_long_as_it_was_planned(sources, kind, codes):
    plan = Plan([sources[kind]], [1], replace(STAGE, how=replace(HOW, codes=codes)))
    slots = [Slot(i, 0, i % 25) for i in range(417)]
    lengths = [int(plan.realised(*(slot[1:]), slot.slot).tokens.sum()) for slot in slots[::40]]
    found = built(plan, slots)
    assert [len(row.kind) for _, row in found[::40]] == lengths
    for sample, row in found:
        shown = sum(p.grid[0] * p.grid[1] for p in row.pictures)
        assert (row.kind != PAD).all()
        assert len(row.kind) == sample.made.tokens.sum() == shown + (row.kind == Kind.TEXT).sum()
        assert ((row.target != PAD) <= (row.weight > 0)).all()
        for p in row.pictures:
            stride = 8 if p.kind is Kind.VIT else 16
            assert p.data.shape == (p.grid[0] * stride, p.grid[1] * stride, 3)


class Codes:
    """Every token of an image is code 5."""

    id, stride, channels, codes = "codes", 16, 0, 8

    def encode(self, pixels):
        return torch.full((len(pixels), pixels.shape[2] // 16, pixels.shape[3] // 16), 5)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_stand_for_conditions_too_and_those_are_not_learnt(sources, kind):
    plan = Plan([sources[kind]], [1], replace(STAGE, how=replace(HOW, codes=True)))
    for _, row in built(plan, [Slot(i, 0, i % 25) for i in range(20)]):
        batch = collate([row], Codes(), 300, IMAGE)
        assert not (row.kind == Kind.CLEAN).any()
        code = row.kind == Kind.VQ
        assert ((batch.target[0].numpy() == 305) == (code & (row.weight > 0))).all()
        assert set(batch.token[0].numpy()[code].tolist()) <= {IMAGE, 305}


def test_texts_predict_their_next_token_and_their_end(sources):
    plan = Plan([sources["reasoning"]], [1], STAGE)
    (_, row), *_ = built(plan, [Slot(2, 0, 3)])
    learnt = row.target != PAD
    assert row.token[learnt][0] == BEGIN and row.target[learnt][-1] == END
    assert (row.token[learnt][1:] == row.target[learnt][:-1]).all()
    assert Bytes().decode(row.target[learnt].tolist()).endswith(".")


def test_copies_of_an_image_share_a_position_and_what_follows_stands_behind_the_largest(sources):
    how = replace(HOW, drop_text=0, drop_clean=0, drop_vit=0)
    plan = Plan([sources["interleaved"]], [1], replace(STAGE, how=how))
    (_, row), *_ = built(plan, [Slot(0, 0, 0)])
    noisy, clean, seen = row.pictures[:3]
    assert [p.kind for p in (noisy, clean, seen)] == [Kind.NOISY, Kind.CLEAN, Kind.VIT]
    text = int((row.seg == 0).sum())
    starts = [row.position[p.at].tolist() for p in (noisy, clean, seen)]
    assert starts == [[text] * 3] * 3
    assert (row.position[:text] == np.arange(text)[:, None]).all()
    across = noisy.grid[1]
    assert row.position[noisy.at + across].tolist() == [text, text + 1, text]
    end = seen.at + seen.grid[0] * seen.grid[1]
    assert row.position[end].tolist() == [text + max(*noisy.grid, *seen.grid)] * 3


def test_frames_of_a_clip_share_their_time_and_segment_but_not_their_noise(sources):
    plan = Plan([sources["clip"]], [1], STAGE)
    for _, row in built(plan, [Slot(i, 0, i) for i in range(5)]):
        frames = [p for p in row.pictures if p.kind is Kind.NOISY]
        assert len({p.time for p in frames}) == len({int(row.seg[p.at]) for p in frames}) == 1
        assert len({p.noise for p in frames}) == 3


def test_noise_levels_are_logit_normal_and_shifted(sources):
    times = {}
    for shift in (1.0, 4.0):
        plan = Plan([sources["plain"]], [1], replace(STAGE, shift=shift, how=replace(HOW, describe=0)))
        found = built(plan, [Slot(i, 0, i % 25) for i in range(1500)])
        times[shift] = np.array([row.pictures[-1].time for _, row in found])
    normal = np.log(times[1.0] / (1 - times[1.0]))
    assert abs(normal.mean()) < 0.1 and abs(normal.std() - 1) < 0.06
    assert np.allclose(times[4.0], 4 * times[1.0] / (1 + 3 * times[1.0]))


def test_a_caption_is_learnt_from_what_an_encoder_sees_or_else_from_latents(sources):
    for und, kind in ((HOW.understanding, Kind.VIT), (None, Kind.CLEAN)):
        plan = Plan([sources["plain"]], [1], replace(STAGE, how=replace(HOW, describe=1, understanding=und)))
        for _, row in built(plan, [Slot(i, 0, i) for i in range(5)]):
            assert [p.kind for p in row.pictures] == [kind]
            assert (row.target[row.kind == Kind.TEXT] != PAD).all() and row.kind[-1] == Kind.TEXT
