"""The table of losses: as a plain loop would make it, however it is cut, and in bounded memory."""

import math
import tempfile
import tracemalloc
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.operators.trained import table
from thresher.operators.trained.visits import Visits
from thresher.schemas.samples import SAMPLES


def visit(id_, step, ce=None, mse=(), t=(), tokens=8, stage="one"):
    told = {"id": id_, "source": "s", "stage": stage, "step": step, "slot": step, "ce": ce}
    return told | {"ce_tokens": tokens if ce is not None else 0, "mse": list(mse), "t": list(t)}


def write(run: Path, end: int, rows, rank=0):
    (run / "samples").mkdir(parents=True, exist_ok=True)
    file = run / "samples" / f"step-{end:08}-{rank}.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SAMPLES), file)


def built(run: Path, held=table.HELD):
    visits = Visits(run)
    file = run / f"columns-{held}.npy"
    table.build(visits, None, file, held)
    return np.load(file)


def looked_up(rows, ids):
    found = table.look_up(rows, np.array([bytes.fromhex(i) for i in ids], "S16"))
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


def by_hand(visits):
    """The same numbers by a loop over plain rows."""
    levels = defaultdict(list)
    for v in visits:
        for loss, t in zip(v["mse"], v["t"], strict=True):
            levels[v["stage"], min(int(t * 10), 9)].append(loss)
    told = defaultdict(lambda: {"text": [], "image": []})
    for v in sorted(visits, key=lambda v: v["step"]):
        if v["ce"] is not None:
            told[v["id"]]["text"].append((v["ce"], v["ce_tokens"]))
        standard = []
        for loss, t in zip(v["mse"], v["t"], strict=True):
            of = levels[v["stage"], min(int(t * 10), 9)]
            spread = np.std(of)
            standard.append((loss - np.mean(of)) / spread if spread > 1e-3 else 0.0)
        if standard:
            told[v["id"]]["image"].append((np.mean(standard), len(standard)))
    found = {}
    for id_, kinds in told.items():
        values = []
        for seen in kinds.values():
            third = math.ceil(len(seen) / 3)
            if not seen:
                values += [math.nan, math.nan]
                continue
            last, first = (np.average(*np.array(s).T[:1], weights=np.array(s).T[1]) for s in
                           (seen[-third:], seen[:third]))  # fmt: skip
            values += [last, first - last if len(seen) > 1 else math.nan]
        found[id_] = values
    return found


losses = st.integers(0, 160).map(lambda n: n / 8)
ids = st.integers(0, 9).map(lambda i: f"{i * 28:02x}" + "5a" * 14 + "00")


@st.composite
def runs(draw):
    """Visits of rising steps, some of a text, some of images, some of both or neither."""
    visits = []
    for step in range(draw(st.integers(1, 40))):
        images = draw(st.integers(0, 2))
        mse, t = (
            [draw(losses) for _ in range(images)],
            [draw(st.floats(0, 1, width=32)) for _ in range(images)],
        )
        ce = draw(st.none() | losses)
        stage = "one" if step < 20 else "two"
        visits.append(visit(draw(ids), step, ce, mse, t, draw(st.integers(1, 9)), stage))
    return visits


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs(), st.integers(1, 40), st.sampled_from([2, 7, 1 << 20]))
def test_values_are_those_of_a_plain_loop_however_it_is_cut(visits, cut, held):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        write(run, cut, visits[:cut])
        write(run, 100, visits[cut:])
        wanted = by_hand(visits)
        found = looked_up(built(run, held), [*wanted, "ff" * 16, "00" * 16])
        for got, (id_, values) in zip(found, wanted.items(), strict=False):
            np.testing.assert_allclose([*got.values()], values, rtol=1e-4, atol=2e-3, err_msg=id_)
        assert all(np.isnan([*unseen.values()]).all() for unseen in found[len(wanted) :])


def test_steps_that_a_killed_run_made_again_count_once(tmp_path):
    lost = [visit("11" * 16, step, 9.0) for step in range(3, 5)]
    write(tmp_path, 3, [visit("11" * 16, step, 1.0) for step in range(3)])
    write(tmp_path, 5, lost)  # stopped here, before the checkpoint was whole; then by another rhythm
    write(tmp_path, 6, [visit("11" * 16, step, 2.0) for step in range(3, 6)])
    (told,) = looked_up(built(tmp_path), ["11" * 16])
    assert told["trainer.loss"] == 2.0 and told["trainer.loss_drop"] == -1.0


def test_memory_does_not_grow_with_the_run(tmp_path):
    def peak(n):
        run, random = tmp_path / str(n), np.random.default_rng(n)
        for end in range(1, n + 1):
            at = range(10_000 * (end - 1), 10_000 * end)
            write(run, at.stop, [visit(random.bytes(16).hex(), step, 1.0) for step in at])
        tracemalloc.start()
        rows = len(built(run, 10_000))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows == 10_000 * n
        return most

    first = peak(2)
    assert peak(8) - 60_000 * 32 < 1.5 * first  # the table itself, which `built` reads whole
