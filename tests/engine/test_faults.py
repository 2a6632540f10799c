"""Poison, kills, full disks, signals, locks: real ones."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

POISON = """
import ctypes
import pyarrow as pa
from thresher.operators.base import Measure, Values, View
from thresher.schemas import Column

class Probe(Measure):
    "A codec with a fault: some files kill it, some hang it."
    views = (View("bytes"),)

    def writes(self):
        return [Column("first", pa.int32(), "byte", "first byte", 0, 255)]

    def measure(self, batch):
        for record in batch.records:
            if record.key.startswith("segfault"):
                ctypes.string_at(0)
            if record.key.startswith("spin"):
                import re
                re.match(r"(a+)+$", "a" * 64 + "b")
            if record.key.startswith("sleep"):
                ctypes.PyDLL(None).pause()
        return Values({"first": [data[0] for data in batch.view(View("bytes"))]})
"""

PROFILE = "workers: 2\nrecord_cpu_s: 1.5\nrecord_wall_s: 4\nobject_store_mb: 100\n"


@pytest.mark.acceptance("C7")
@pytest.mark.parametrize("where", ["local", "ray"])
def test_a_poisonous_record_costs_one_record(cli, pool, recipe, plugin, ledger_of, tmp_path, where):
    plugin("probe", POISON)
    for name, source in (("segfault", "coffee-01"), ("spin", "coffee-02"), ("sleep", "coffee-03")):
        shutil.move(pool / f"{source}.jpg", pool / f"{name}.jpg")
    (tmp_path / "profile.yaml").write_text(PROFILE)
    path = recipe(
        ("      - quality\n", "      - quality\n      - probe\n"), ("seed: 7", "seed: 7\npart_size: 60")
    )
    more = ["--local"] if where == "local" else []
    done = cli.run(path, "--run", "r", "--profile", "profile.yaml", *more)
    funnel = {c["label"]: c for c in done["tables"]["images"]["funnel"]}
    rows = {r["key"]: r for r in ledger_of(tmp_path / "r")}
    assert rows["segfault.jpg"]["reason"] == "killed_worker"
    assert rows["spin.jpg"]["reason"] == "timeout" and "processor" in rows["spin.jpg"]["message"]
    assert rows["sleep.jpg"]["reason"] == "timeout" and "wall" in rows["sleep.jpg"]["message"]
    failed = [r for r in rows.values() if r["status"] == "failed"]
    assert len(failed) == 5, "three poisonous and two broken files; every other record went on"
    assert sum(funnel[s]["failed"] for s in ("quality", "probe")) == 5
    again = cli.run(path, "--run", "r", "--profile", "profile.yaml", *more)
    assert again["tables"]["images"]["computed"] == [], (
        "a failed state is sticky: the poison is not met again"
    )


def _wait_for_fragments(run: Path, count: int, process: subprocess.Popen, limit: float = 120) -> int:
    end = time.monotonic() + limit
    while time.monotonic() < end and process.poll() is None:
        found = len(list((run / "columns").rglob("part-*.parquet")))
        if found >= count:
            return found
        time.sleep(0.005)
    return len(list((run / "columns").rglob("part-*.parquet")))


def _kill_trials(cli, path, tmp_path, tree_digest, moments, ray: bool) -> list[int]:
    """Kill at each moment (a number of fragments), run again; returns fragments at each kill."""
    more = [] if ray else ["--local"]
    cli.run(path, "--run", "whole", *more)
    whole = tree_digest((tmp_path / "whole/export/images/latest").resolve())
    seen = []
    for i, moment in enumerate(moments):
        run = tmp_path / f"killed-{i}"
        process = cli.popen("run", str(path), "--run", str(run), *more, start_new_session=True)
        if moment == 0:
            time.sleep(1.0)
        seen.append(_wait_for_fragments(run, moment, process))
        target = ("driver", "group", "worker")[i % 3]
        _kill(process, target)
        if target != "worker":
            process.wait(60)
        process.communicate(timeout=300)
        before = len(list((run / "columns").rglob("part-*.parquet")))
        done = cli.run(path, "--run", str(run), *more)
        assert tree_digest((run / "export/images/latest").resolve()) == whole, (target, moment)
        computed = dict(done["tables"]["images"]["computed"]).get("quality + hash.exact + hash.near", 0)
        assert computed <= 100 - 5 * max(0, before - 1), "re-does at most the parts in flight"
    return seen


def _kill(process: subprocess.Popen, target: str) -> None:
    if target == "driver":
        os.kill(process.pid, signal.SIGKILL)
    elif target == "group":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        import psutil

        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        workers = [c for c in children if _is_worker(c)]
        if workers:
            random.Random(0).choice(workers).kill()


def _is_worker(process) -> bool:
    try:
        line = " ".join(process.cmdline())
    except Exception:
        return False
    return "ray::run_pass" in line or "execute.child" in line


@pytest.mark.acceptance("C5")
def test_sigkill_anywhere_leaves_a_resumable_run(cli, pool, recipe, tmp_path, tree_digest, capsys):
    path = recipe(("seed: 7", "seed: 7\npart_size: 5"))
    moments = [1, 3, 5, 8, 10, 12, 14, 16, 18, 19]
    seen = _kill_trials(cli, path, tmp_path, tree_digest, moments, ray=False)
    print("fragments at each kill:", seen)
    assert sum(0 < n < 20 for n in seen) >= 8, seen


@pytest.mark.slow
@pytest.mark.acceptance("C5")
def test_sigkill_under_ray(cli, pool, recipe, tmp_path, tree_digest):
    path = recipe(("seed: 7", "seed: 7\npart_size: 5"))
    moments = [1, 3, 5, 8, 10, 12, 14, 16, 18, 19]
    seen = _kill_trials(cli, path, tmp_path, tree_digest, moments, ray=True)
    assert sum(0 < n < 20 for n in seen) >= 8, seen


@pytest.mark.acceptance("C11")
@pytest.mark.parametrize("free_kb", [60, 330])
def test_a_full_disk_stops_the_run_and_room_mends_it(cli, pool, recipe, tmp_path, tree_digest, free_kb):
    """60 kB fill up during a pass, 330 kB during export."""
    path = recipe(
        ("seed: 7", "seed: 7\npart_size: 10"), ('blurry: "sharpness < 60"', 'blurry: "sharpness < 1"')
    )
    cli.run(path, "--run", "whole", "--local")
    whole = tree_digest((tmp_path / "whole/export/images/latest").resolve())
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={free_kb}k", "tmpfs", str(disk)], check=True)
    try:
        cli("run", str(path), "--run", str(disk / "r"), "--local", code=1)
        assert "disk is full" in cli.err and str(disk) in cli.err and "bytes" in cli.err, cli.err
        assert not list(disk.rglob("dataset.json"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        cli.run(path, "--run", str(disk / "r"), "--local")
        assert tree_digest((disk / "r/export/images/latest").resolve()) == whole
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


SLOW = """
import time
import pyarrow as pa
from thresher.operators.base import Measure, Values
from thresher.schemas import Column

class Probe(Measure):
    "Takes its time."
    movable = False

    def writes(self):
        return [Column("slow", pa.int32(), "", "one", 0, 1)]

    def measure(self, batch):
        time.sleep(0.05 * len(batch))
        return Values({"slow": [1] * len(batch)})
"""


@pytest.mark.acceptance("C18")
@pytest.mark.parametrize("where, times", [("local", 1), ("ray", 1), ("local", 2)])
def test_sigint_stops_at_the_next_record(cli, pool, recipe, plugin, tmp_path, where, times, ledger_of):
    plugin("probe", SLOW)
    steps = ("      - quality\n", "      - quality\n      - probe\n")
    path = recipe(steps, ("seed: 7", "seed: 7\npart_size: 100"))
    more = ["--local"] if where == "local" else []
    process = cli.popen("run", str(path), "--run", "r", *more)
    pass_folder = None
    for _ in range(2400):
        pass_folder = next((tmp_path / "r/columns/images").glob("probe@*"), None)
        if pass_folder or process.poll() is not None:
            break
        time.sleep(0.02)
    assert pass_folder, process.communicate()
    time.sleep(0.5)
    started = time.monotonic()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - started < 300, "ten times the limit of 30 s"
    deltas = list(pass_folder.glob("part-000000.*parquet"))
    if times == 1:
        assert "run again: thresher run" in err and deltas, err
    done = cli.run(path, "--run", "r", *more)
    redone = dict(done["tables"]["images"]["computed"]).get("probe", 0)
    assert 0 < redone < 98 if times == 1 else redone == 98, "finished rows were kept"
    assert len(ledger_of(tmp_path / "r")) == 100


@pytest.mark.acceptance("C22")
def test_one_run_directory_has_one_driver(cli, pool, recipe, plugin, tmp_path):
    plugin("probe", SLOW)
    path = recipe(("      - quality\n", "      - quality\n      - probe\n"))
    first = cli.popen("run", str(path), "--run", "r", "--local")
    for _ in range(1000):
        if list((tmp_path / "r").glob("columns/images/probe@*")):
            break
        time.sleep(0.02)
    cli("run", str(path), "--run", "r", "--local", code=1)
    assert f"process {first.pid}" in cli.err and "started 20" in cli.err and os.uname().nodename in cli.err
    assert "running" in cli("status", "r")
    first.kill()
    first.communicate()
    cli.run(path, "--run", "r", "--local")


CLUSTER = """
import sys, threading, time
from pathlib import Path
from ray.cluster_utils import Cluster
import ray
from thresher.pipelines.execute import run as running
from thresher.pipelines.recipe import Profile, load

if __name__ == "__main__":
    recipe, folder = sys.argv[1:]
    running.RAY_WORTH_S = 0
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
    doomed = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")

    def kill_one():
        while len(list(Path(folder).glob("columns/images/*/part-*.parquet"))) < 4:
            time.sleep(0.02)
        cluster.remove_node(doomed, allow_graceful=False)
        print("killed", flush=True)

    threading.Thread(target=kill_one, daemon=True).start()
    running.Run(load(recipe), Path(folder), Profile(workers=2), quiet=True).execute()
    for _ in range(600):  # the head notices a silent node after a while
        if sum(n["Alive"] for n in ray.nodes()) == 1:
            break
        time.sleep(0.1)
    print("nodes", sum(n["Alive"] for n in ray.nodes()), flush=True)
"""


@pytest.mark.slow
@pytest.mark.acceptance("C23")
def test_a_killed_node_changes_nothing_full(cli, pool, recipe, tmp_path, tree_digest):
    _lose_a_node(cli, recipe(("seed: 7", "seed: 7\npart_size: 2")), tmp_path, tree_digest)


@pytest.mark.acceptance("C23")
def test_a_killed_node_changes_nothing(cli, pool, recipe, tmp_path, tree_digest):
    _lose_a_node(cli, recipe(("seed: 7", "seed: 7\npart_size: 6")), tmp_path, tree_digest)


def _lose_a_node(cli, path, tmp_path, tree_digest) -> None:
    cli.run(path, "--run", "whole", "--local")
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    command = [sys.executable, str(script), str(path), str(tmp_path / "r")]
    done = subprocess.run(command, env=cli.env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "killed" in done.stdout and "nodes 1" in done.stdout, done.stdout
    both = [(tmp_path / r / "export/images/latest").resolve() for r in ("whole", "r")]
    assert tree_digest(both[0]) == tree_digest(both[1])
