"""Runs: the same losses however they are started, stopped and gone on with."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from tests.trainer.runs import exports, write_config
from thresher.schemas import ThresherError, UsageError
from thresher.trainer.config import load
from thresher.trainer.run import checkpoint, on_ray
from thresher.trainer.run.train import main

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
ENVIRONMENT = dict(os.environ) | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
TIMED = {"seconds", "data_wait", "read_mb_s", "decode_ms", "tokens_s", "images_s", "memory_gb"}
TIMED |= {"imbalance_timed", "imbalance_planned", "mfu"}


def lines(out):
    told = [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMED} for line in told]


def trained(file, *overrides):
    return main(load(file, overrides))


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pool")
    return folder, exports(folder)


def test_a_config_trains_and_its_losses_fall(pool, tmp_path):
    out = trained(write_config(tmp_path, pool[1], steps=40))
    told = lines(out)
    early, late = (sum(line["ce"] for line in told[part]) / 8 for part in (slice(8), slice(-8, None)))
    assert late < early - 1
    assert len(told) == 40 and (out / "mean.safetensors").exists()


def test_the_error_of_the_mixture_is_of_its_shares(pool, tmp_path):
    three = pool[1] | {"more": pool[1]["images"]}
    told = lines(trained(write_config(tmp_path, three, steps=1, rows=60, micro=10)))
    assert 0 <= told[0]["mix_error"] < 0.1


@pytest.mark.acceptance("T8")
@pytest.mark.acceptance("T6")
def test_a_run_that_is_resumed_is_the_unbroken_run_bit_for_bit(pool, tmp_path):
    whole = trained(write_config(tmp_path, pool[1], "whole", steps=40, tail=0), "save=100")
    file = write_config(tmp_path, pool[1], "broken", steps=40)
    trained(file, "stages.0.steps=20", "save=100")
    broken = trained(file, "save=100")
    assert lines(whole) == lines(broken)
    for of in ("model", "mean", "optimiser"):
        one, two = checkpoint.weights(whole, of), checkpoint.weights(broken, of)
        assert one and one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    taken = [pq.read_table(out / "samples").select(["step", "slot", "id"]) for out in (whole, broken)]
    assert taken[0].sort_by("slot") == taken[1].sort_by("slot")


def torchrun(file, ranks=2):
    spread = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command = [sys.executable, "-W", "ignore", "-m", *spread, "-m", "thresher.trainer.run.train", str(file)]
    subprocess.run(command, env=ENVIRONMENT, check=True, cwd=ROOT, timeout=120)


@pytest.fixture(scope="module")
def alone(pool, tmp_path_factory):
    """Ten steps of rows of texts and of images, five each."""
    return lines(trained(write_config(tmp_path_factory.mktemp("alone"), pool[1], steps=10)))


def alike(one, two):
    for a, b in zip(one, two, strict=True):
        for value in ("loss", "ce", "mse", "grad_norm"):
            assert b[value] == pytest.approx(a[value], rel=1e-5), (a["step"], value)
        assert (a["tokens"], a["texts"], a["images"]) == (b["tokens"], b["texts"], b["images"])


@pytest.mark.acceptance("T15")
@pytest.mark.acceptance("T33")
@pytest.mark.acceptance("T6")
def test_two_ranks_learn_what_one_learns_and_one_goes_on_where_two_stopped(pool, alone, tmp_path):
    file = write_config(tmp_path, pool[1], steps=6)
    torchrun(file)
    out = trained(file, "stages.0.steps=10")
    alike(alone, lines(out))
    taken = [pq.read_table(folder / "samples").select(["step", "slot", "id"]) for folder in (out,)]
    assert taken[0].num_rows == len(set(taken[0]["slot"].to_pylist()))


@pytest.mark.acceptance("T8")
def test_a_run_that_is_killed_anywhere_is_the_unbroken_run(pool, alone, tmp_path):
    file = write_config(tmp_path, pool[1], steps=10)
    command = [sys.executable, "-m", "thresher.trainer.run.train", str(file), "save=2"]
    log = tmp_path / "runs" / "train" / "run" / "metrics.jsonl"
    for seen in (4, 7):
        with subprocess.Popen(command, env=ENVIRONMENT, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
            while not log.exists() or log.read_text().count("\n") < seen:
                time.sleep(0.01)
            process.kill()
        with log.open("a") as torn:
            torn.write('{"step": 9, "lo')
    assert lines(trained(file, "save=2")) == alone
    taken = pq.read_table(log.parent / "samples")["slot"].to_pylist()
    assert len(taken) == len(set(taken))


@pytest.mark.slow
@pytest.mark.acceptance("T33")
def test_ray_train_learns_what_one_process_learns(pool, alone, tmp_path):
    pytest.importorskip("pandas", reason="Ray Train is not here: pip install 'thresher[train]'")
    import ray

    file = write_config(tmp_path, pool[1], steps=10)
    ray.init(
        "local",
        num_cpus=3,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": ENVIRONMENT},
    )
    try:
        on_ray.train(load(file), 2)
    finally:
        ray.shutdown()
    alike(alone, lines(tmp_path / "runs" / "train" / "run"))


@pytest.mark.acceptance("T7")
def test_a_process_that_is_killed_while_it_saves_leaves_a_whole_checkpoint(tmp_path):
    writer = (
        "import sys, torch; from pathlib import Path; from thresher.trainer.run.checkpoint import Saver\n"
        "from thresher.trainer.run.world import World\n"
        "saver = Saver(Path(sys.argv[1]), 2, World(0, 1, torch.device('cpu')))\n"
        "for step in range(10**6):\n"
        "    weights = {str(i): torch.full((100_000,), float(step)) for i in range(8)}\n"
        "    saver.save(step, {'model': weights}, {'step': step}); print(step, flush=True)\n"
        "    [value.fill_(-1) for value in weights.values()]\n"
    )
    for seed in range(4):
        command = [sys.executable, "-W", "ignore", "-c", writer, tmp_path]
        with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE) as process:
            while int(process.stdout.readline()) < 3:
                pass
            time.sleep(random.Random(seed).uniform(0, 0.06))
            process.send_signal(signal.SIGKILL)
        last = checkpoint.latest(tmp_path)
        step = checkpoint.about(last)["step"]
        assert last.name == f"step-{step:08}" and step >= 2
        assert all(bool((value == step).all()) for value in checkpoint.weights(tmp_path, "model").values())


@pytest.mark.acceptance("T27")
def test_a_changed_plan_or_model_is_refused_in_words_and_forked_if_asked(pool, tmp_path):
    file = write_config(tmp_path, pool[1], steps=2)
    trained(file)
    for change in (
        "sources.texts.share=0.5",
        'sources.images.where="n_images > 0"',
        "seed=1",
        "stages.0.row=256",
        "stages.0.window=128",
        "stages.0.losses.ce=0.5",
    ):
        with pytest.raises(UsageError, match=r"the plan of stage 'one' has changed since.*--fork"):
            trained(file, change, "stages.0.steps=4")
    with pytest.raises(UsageError, match="of another tokenizer: bytes, not words-"):
        (tmp_path / "words.txt").write_text("a image")
        trained(file, f"tokenizer=words:{tmp_path / 'words.txt'}")
    with pytest.raises(UsageError, match="of another model"):
        trained(file, "model.width=48")
    out = main(load(file, ["seed=1", "stages.0.steps=4"]), fork=True)
    assert [line["step"] for line in lines(out)] == [0, 1, 2, 3]


@pytest.mark.acceptance("T32")
def test_metrics_tell_every_part_of_a_loss_and_parts_add_to_it(pool, tmp_path):
    out = trained(write_config(tmp_path, pool[1], steps=3))
    told = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    needed = "loss ce mse repa by data_wait read_mb_s decode_ms holes fill rows imbalance_planned"
    needed += " imbalance_timed mix_error tokens_s images_s memory_gb grad_norm grad_norms mfu lr left_out"
    for line in told:
        assert set(needed.split()) <= line.keys()
        ways = {
            "ce": {"source", "kind", "modality", "length"},
            "mse": {"source", "kind", "resolution", "time"},
        }
        for what, count in (("ce", line["texts"]), ("mse", line["images"])):
            assert line["by"][what].keys() == ways[what]
            for groups in line["by"][what].values():
                assert sum(total for total, _ in groups.values()) / count == pytest.approx(
                    line[what], abs=1e-6
                )
                assert sum(weight for _, weight in groups.values()) == pytest.approx(count)
        assert line["loss"] == pytest.approx(0.25 * line["ce"] + line["mse"], abs=1e-6)
    samples = pq.read_table(out / "samples").to_pylist()
    means = [s["mse"][0] for s in samples if s["step"] == 1 and s["mse"]]
    assert sum(means) / len(means) == pytest.approx(told[1]["mse"], abs=1e-5)
    assert len({(s["stage"], s["slot"]) for s in samples}) == len(samples)


def test_sigterm_saves_and_ends_and_the_next_run_goes_on(pool, tmp_path):
    file = write_config(tmp_path, pool[1], steps=400)
    command = [sys.executable, "-m", "thresher.trainer.run.train", str(file), "save=1000"]
    with subprocess.Popen(command, env=ENVIRONMENT, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        log = tmp_path / "runs" / "train" / "run" / "metrics.jsonl"
        while not log.exists() or len(log.read_text().splitlines()) < 3:
            time.sleep(0.05)
        process.terminate()
        said = process.stderr.read()
    done = len(lines(log.parent))
    assert f"stopped by a signal after step {done}, whose checkpoint is whole. Run again to go on." in said
    trained(file, f"stages.0.steps={done + 1}")
    assert [line["step"] for line in lines(log.parent)] == list(range(done + 1))


def test_a_loss_that_is_no_number_stops_the_run_names_the_samples_and_keeps_the_checkpoint(pool, tmp_path):
    file = write_config(tmp_path, pool[1], steps=3)
    out = trained(file)
    with pytest.raises(ThresherError, match=r"has no norm, .* in 5 steps in a row.*samples [0-9a-f]{32}"):
        trained(file, "stages.0.steps=20", "stages.0.lr=1e30", "stages.0.clip=1e30", "save=50")
    assert checkpoint.about(checkpoint.latest(out))["steps"] == 3
    left = [json.loads(line) for line in (out / "left_out.jsonl").read_text().splitlines()]
    assert len(left) >= 5 and all(len(line["ids"]) > 5 for line in left)


def test_a_rank_without_rows_hangs_nobody(pool, tmp_path):
    file = write_config(tmp_path, {"texts": pool[1]["texts"]}, steps=2, rows=1)
    torchrun(file)
    told = lines(tmp_path / "runs" / "train" / "run")
    assert [line["rows"] for line in told] == [1, 1] and all(line["images"] == 0 for line in told)
