"""What only a CUDA device can show. Run by infra/gpu/check.sh."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from thresher.operators.base import Batch
from thresher.operators.models.embed import RGB, Embed, ModelParams
from thresher.operators.models.resident import Resident

pytestmark = pytest.mark.gpu


@pytest.fixture
def embed(clip) -> Embed:
    return Embed(ModelParams(backend="clip", model=str(clip[0]), weights=str(clip[1])))


@pytest.fixture
def inputs(embed, photo_tiles) -> list:
    pictures = [np.asarray(Image.open(path)) for path in photo_tiles]
    return list(embed.prepare(Batch([None] * len(pictures), {RGB: pictures})))


def test_bf16_on_the_device_agrees_with_the_cpu(embed, inputs):
    cpu, gpu = (np.stack(Resident(embed, device, batch=16).run(inputs)["clip"]) for device in ("cpu", "cuda"))
    assert ((cpu * gpu).sum(axis=1) > 0.999).all()


def test_two_lanes_give_the_values_of_one(embed, inputs):
    """Batches on two CUDA streams at once, bit for bit."""
    worker = Resident(embed, "cuda", batch=8)
    chunks = [inputs[i : i + 8] for i in range(0, len(inputs), 8)]
    alone = [np.stack(worker.run(chunk)["clip"]) for chunk in chunks]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(lambda chunk: np.stack(worker.run(chunk)["clip"]), chunks))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_compiled_model_agrees(embed, inputs):
    plain, compiled = (np.stack(Resident(embed, "cuda", 16, c).run(inputs)["clip"]) for c in (False, True))
    assert ((plain * compiled).sum(axis=1) > 0.999).all()


def test_memory_that_runs_out_on_the_device_halves_the_batch(embed, inputs, torch):
    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(int(free * 0.98), dtype=torch.uint8, device="cuda")
    worker = Resident(embed, "cuda", batch=1 << 17)
    found = worker.run([inputs[i % len(inputs)] for i in range(1 << 17)])["clip"]
    del held
    assert len(found) == 1 << 17 and worker.usage.halvings > 0


def test_a_run_gives_the_pass_to_the_device(cli, pool, clip, recipe):
    params = json.dumps({"backend": "clip", "model": str(clip[0]), "weights": str(clip[1])})
    path = recipe(("      - quality\n", f"      - quality\n      - embed: {params}\n"))
    cli.run(path, "--run", "r")
    lines = map(json.loads, (cli.cwd / "r/metrics.jsonl").read_text().splitlines())
    (used,) = [line for line in lines if line["event"] == "model"]
    assert "NVIDIA" in used["device"] or "cpu" not in used["device"]
