"""The loader: the same rows from any world, processes and start; holes that move nothing."""

import asyncio
import json
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import islice
from threading import Thread

import numpy as np
import pytest
from aiohttp import web

from tests.trainer.kinds import samples
from tests.trainer.shards import write_export
from thresher.loader.index import open_source
from thresher.loader.plan.buckets import Buckets
from thresher.loader.plan.pattern import Realising
from thresher.loader.plan.plan import Plan, Stage
from thresher.loader.steps import Loader
from thresher.loader.tokens import Bytes
from thresher.schemas import ThresherError

HOW = Realising(Buckets(32, 16), Buckets(16, 8))
STAGE = Stage("one", 0, 256, 5, HOW, window=64, block=16, chunk=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    held = [
        s for i in range(40) for name, s in samples(i).items() if name in ("plain", "edit", "text", "clip")
    ]
    return write_export(tmp_path_factory.mktemp("mixed") / "e", held, per_shard=30)


def opened(folder, stage=STAGE):
    source = open_source("mixed", folder, Bytes())
    return Plan([source], [1.0], stage), [source]


def told(row):
    """All of a row, as something that can be compared."""
    arrays = tuple(getattr(row, f.name).tobytes() for f in fields(row)[:7])
    pictures = [(p.at, p.kind, p.grid, p.data.tobytes(), p.time, p.noise) for p in row.pictures]
    return arrays, tuple(pictures), tuple(row.slots), tuple(row.holes)


def loaded(folder, steps, first=0, world=1, **more):
    """Rows of each step over all ranks, as a sorted list."""
    out = [[] for _ in range(steps)]
    for rank in range(world):
        loader = iter(Loader(*opened(folder), Bytes(), rank=rank, world=world, first=first, **more))
        for i in range(steps):
            step = next(loader)
            assert step.step == first + i and step.holes == 0
            out[i] += [told(row) for row in step.rows]
        loader.close()
    return [sorted(rows) for rows in out]


@pytest.fixture(scope="module")
def expected(folder):
    return loaded(folder, 50)


@pytest.mark.acceptance("T5")
@pytest.mark.acceptance("T16")
@pytest.mark.parametrize("world, workers", [(1, 1), (1, 4), (2, 0), (2, 1), (3, 0), (8, 0)])
def test_any_world_and_any_workers_give_the_same_rows(folder, expected, world, workers):
    assert loaded(folder, 50, world=world, workers=workers) == expected


@pytest.mark.acceptance("T6")
@pytest.mark.parametrize("first, world", [(1, 1), (17, 2), (49, 3)])
def test_a_step_is_all_the_state_there_is(folder, expected, first, world):
    assert loaded(folder, 50 - first, first=first, world=world) == expected[first:]


@pytest.mark.acceptance("T16")
def test_what_a_slot_becomes_does_not_change_with_windows(folder):
    def slots(window):
        out = {}
        loader = iter(Loader(*opened(folder, replace(STAGE, window=window)), Bytes()))
        for _ in range(30):
            for row in next(loader).rows:
                for doc, slot in enumerate(row.slots):
                    mine = row.doc == doc
                    start = int(np.flatnonzero(mine)[0])
                    pictures = [(p.at - start, p.time, p.noise) for p in row.pictures if mine[p.at]]
                    out[slot] = (row.token[mine].tobytes(), row.kind[mine].tobytes(), pictures)
        return out

    one, two = slots(64), slots(32)
    assert len(one.keys() & two.keys()) > 100
    assert all(one[slot] == two[slot] for slot in one.keys() & two.keys())


def break_byte(folder, source, sample):
    place = source.place(np.array([sample]))[0]
    with open(place.shard, "r+b") as file:
        file.seek(place.offset + place.size // 2)
        byte = file.read(1)
        file.seek(place.offset + place.size // 2)
        file.write(bytes([byte[0] ^ 1]))
    return place


@pytest.mark.acceptance("T23")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_record_is_a_hole_and_moves_nothing(tmp_path, workers):
    held = [samples(i)["plain"] for i in range(60)]
    folder = write_export(tmp_path / "e", held)
    plan, sources = opened(folder)
    whole = [step.rows for step, _ in zip(Loader(plan, sources, Bytes()), range(3), strict=False)]
    victim = plan.step(1)[2][0]
    place = break_byte(folder, sources[0], victim.sample)
    skips = tmp_path / "skips.jsonl"
    loader = iter(Loader(plan, sources, Bytes(), workers=workers, skips=skips))
    for t in range(3):
        step = next(loader)
        assert step.totals == plan.totals(t)
        for r, (row, sound) in enumerate(zip(step.rows, whole[t], strict=True)):
            lost = [d for d, slot in enumerate(row.slots) if slot.sample == victim.sample]
            assert row.holes == lost and row.slots == sound.slots
            assert (t, r) != (1, 2) or lost
            gone = np.isin(sound.doc, lost)
            assert (row.weight[gone] == 0).all() and (row.target[gone] == -1).all()
            assert (row.kind[gone] == -1).all() and (row.token[~gone] == sound.token[~gone]).all()
            assert (row.kind[~gone] == sound.kind[~gone]).all()
            assert len(row.pictures) == len([p for p in sound.pictures if not gone[p.at]])
    loader.close()
    line = json.loads(skips.read_text().splitlines()[0])
    assert line["id"] == sources[0].id(victim.sample) and "checksum" in line["reason"]
    assert (line["shard"], line["offset"]) == (place.shard, place.offset)


@pytest.mark.acceptance("T23")
def test_too_many_holes_stop_the_run(tmp_path):
    folder = write_export(tmp_path / "e", [samples(i)["plain"] for i in range(60)])
    plan, sources = opened(folder)
    for sample in range(6):
        break_byte(folder, sources[0], sample)
    skips = tmp_path / "skips.jsonl"
    with pytest.raises(
        ThresherError, match=r"samples cannot be read, over 1 %; the last: .*checksum.*verify"
    ):
        for step in Loader(plan, sources, Bytes(), skips=skips):
            assert step.step < 40
    assert 11 <= len(skips.read_text().splitlines()) < 20


def test_a_shard_that_is_gone_is_told_like_a_wrong_checksum(tmp_path):
    folder = write_export(tmp_path / "e", [samples(i)["plain"] for i in range(60)], per_shard=2)
    plan, sources = opened(folder)
    next(folder.glob("*.tar")).unlink()
    step = next(iter(Loader(plan, sources, Bytes(), skips=tmp_path / "skips.jsonl")))
    assert any(row.holes for row in step.rows) and step.holes == sum(len(row.holes) for row in step.rows)
    assert "cannot be read: [Errno 2]" in (tmp_path / "skips.jsonl").read_text()


def test_an_export_is_read_over_http_by_ranges(tmp_path, monkeypatch):
    folder = write_export(tmp_path / "e", [samples(i)["plain"] for i in range(30)], per_shard=7)
    monkeypatch.setenv("THRESHER_CACHE", str(tmp_path / "cache"))
    with served(tmp_path) as (url, asked):
        source = open_source("mixed", f"{url}/e", Bytes())
        asked.clear()
        far = list(islice(Loader(Plan([source], [1.0], STAGE), [source], Bytes()), 2))
        assert len(asked) < sum(len(row.slots) for step in far for row in step.rows)
    near = list(islice(Loader(*opened(folder), Bytes()), 2))
    assert [[told(row) for row in step.rows] for step in far] == [
        [told(r) for r in step.rows] for step in near
    ]
    assert not far[0].holes and (tmp_path / "cache").is_dir()


@contextmanager
def served(folder):
    """A web server of the folder in a thread: its URL, and the ranges that were asked of it."""
    asked = []

    @web.middleware
    async def noted(request, handler):
        asked.append((request.path, request.headers.get("Range")))
        return await handler(request)

    async def start():
        app = web.Application(middlewares=[noted])
        app.router.add_static("/", folder)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner

    loop = asyncio.new_event_loop()
    runner = loop.run_until_complete(start())
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def test_two_loaders_in_one_process_keep_to_their_own_plans(folder, expected):
    other = opened(folder, replace(STAGE, seed=1))
    both = zip(Loader(*opened(folder), Bytes()), Loader(*other, Bytes()), strict=True)
    for rows, (mine, theirs) in zip(expected[:8], both, strict=False):
        assert sorted(told(row) for row in mine.rows) == rows
        assert sorted(told(row) for row in theirs.rows) != rows
