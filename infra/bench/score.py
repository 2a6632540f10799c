"""Learned scores from JPEG files to written columns, against the bare model on ready tensors.

    pip install -e '.[models]'
    python infra/bench/score.py [--images 128] [--device cpu] [--sides 512 1024]

CLIP ViT-L-14 as it is, but with random weights: the arithmetic is the same. `bare` runs its image tower in
a loop over uint8 squares that are ready in memory, in the batch that was found best for it. The others are
whole runs with aigc (marks in the files), embed, aesthetic, a linear AIGC head and the report. images/s are
from the first record of the model to its last, with reading, decoding, resizing and writing, without starting
Ray and loading weights.
Must reach: 0.85 of the bare loop on a CPU; on a GPU 0.9 of it in bf16, with the device idle under 10 %.
"""

import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, machine, make_pool, print_table, thresher

from thresher.operators.models.aesthetic import WIDTHS
from thresher.operators.models.embed import Embed, ModelParams
from thresher.operators.models.head import HeadFile, Origin
from thresher.operators.models.pictures import CLIP_MEAN, CLIP_STD
from thresher.operators.models.resident import Resident
from thresher.operators.models.torch_setup import levels, setup_torch

MODEL = "ViT-L-14"
RECIPE = """
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./pool}
    steps:
      - aigc
      - embed: EMBED
      - aesthetic: {weights: aesthetic.pth}
      - head: {weights: aigc.json}
"""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sides", type=int, nargs=2, default=(512, 1024))
    options = parser.parse_args()
    print(machine(), end="\n\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        embed = make_models(folder)
        make_pool(folder / "pool", options.images, tuple(options.sides))
        rows = [bare(embed, options.device, options.images)]
        batch = rows[0][2]
        (folder / "profile.yaml").write_text(f"device: {options.device}\nbatch: {batch}\n")
        params = embed.params.model_dump(mode="json")
        (folder / "photos.yaml").write_text(RECIPE.replace("EMBED", json.dumps(params)))
        for title, arguments_ in (("thresher --local", ["--local"]), ("thresher on Ray", [])):
            rows.append(run(folder, title, arguments_, rows[0][1]))
    gpu = options.device != "cpu"
    print_table(("", "images/s", "batch", "of bare", "device idle", "TFLOP/s", "whole run s"), rows)
    if misses := missed(rows, gpu):
        sys.exit("missed: " + "; ".join(misses))


def make_models(folder: Path) -> Embed:
    """Random weights of CLIP, and two heads for its vectors."""
    torch = setup_torch()
    import open_clip
    from safetensors.torch import save_file

    made = open_clip.create_model(MODEL, pretrained=None)
    file = folder / "clip.safetensors"
    save_file({name: value.contiguous() for name, value in made.state_dict().items()}, file)
    dimensions = open_clip.get_model_config(MODEL)["embed_dim"]
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise((dimensions, *WIDTHS))]
    torch.save(torch.nn.Sequential(*layers).state_dict(), folder / "aesthetic.pth")
    embed = Embed(ModelParams(backend="clip", model=MODEL, weights=str(file)))
    column = embed.writes()[0]
    head = HeadFile(
        name="aigc",
        kind="logistic",
        positive="made",
        on=[Origin(column=column.name, backend=column.backend, revision=column.revision)],
        weights=np.random.default_rng(0).normal(size=dimensions).tolist(),
        bias=0.0,
        bound=None,
        labels={},
        metrics={},
    )
    (folder / "aigc.json").write_text(head.model_dump_json())
    return embed


def missed(rows: list[list[Any]], gpu: bool) -> list[str]:
    """Targets that the runs did not reach; one process alone cannot decode for a GPU."""
    found = []
    for title, rate, _, share, idle, *_ in rows[2 if gpu else 1 :]:
        if share < (0.9 if gpu else 0.85):
            found.append(f"{title}: {share:.2f} of the bare loop")
        if gpu and idle >= 0.1:
            found.append(f"{title}: device idle {idle:.0%}")
        if gpu and rate < 112:
            found.append(f"{title}: {rate:.0f} images/s, the gate of NeMo Curator is 112 for each GPU")
    return found


def bare(embed: Embed, device: str, count: int) -> list[Any]:
    """The image tower alone, over squares that are on the device."""
    worker = Resident(embed, device)
    size = embed._encoder.square.size
    squares = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
    worker.run(list(squares[: count // 4]))  # finds the batch, warms up
    torch, model = setup_torch(), worker._model
    tensors = [torch.from_numpy(squares[i : i + worker.batch]) for i in range(0, count, worker.batch)]
    started = time.perf_counter()
    with torch.inference_mode():
        tensors = [tensor.to(device) for tensor in tensors]
        if device != "cpu":
            torch.cuda.synchronize()
            started = time.perf_counter()
        for tensor in tensors:
            found = model.encode_image(levels(model, tensor, CLIP_MEAN, CLIP_STD))
        found.float().cpu()
    rate = count / (time.perf_counter() - started)
    return ["bare loop", rate, worker.batch, 1.0, "", worker.usage.flops * rate / 1e12, ""]


def run(folder: Path, title: str, options: list[str], best: float) -> list[Any]:
    """A whole run in a directory of its own."""
    used = thresher(folder, "--profile", "./profile.yaml", *options)
    lines = map(json.loads, (folder / "run" / "metrics.jsonl").read_text().splitlines())
    found = next(line for line in lines if line["event"] == "model" and line["step"] == "embed")
    (folder / "run").rename(folder / f"run {title}")
    rate = found["records_per_s"]
    tflops = found["tflops"] * rate / found["forward_per_s"]
    return [title, rate, found["batch"], rate / best, found["idle_share"], tflops, used.wall_s]


if __name__ == "__main__":
    main()
