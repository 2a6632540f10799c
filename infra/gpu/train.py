"""Whether training is right and fast on a CUDA device: one table, and the exit status.

    python infra/gpu/train.py                  # minutes; called by infra/gpu/check.sh
    python infra/gpu/train.py --tiny           # on a CPU: whether the script itself works

Everything is made in a temporary folder: exports of images with captions, of edits and of texts, with stored
latents of a small autoencoder; then, for the demo, a pool of squares. First FlexAttention against dense
attention, outputs and gradients; then a model of about 0.7 B parameters a token on rows of 16,384 tokens;
then whether the demo learns. Fails if attention differs, if something is compiled after step 20, or if one of
the demo's losses does not halve.
Must reach: MFU 0.4 (aim 0.5), waiting for data under 1 %, nothing compiled after step 20.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch._dynamo.utils import counters

from tests.trainer.shards import Sample, plain, png, words, write_export
from thresher.encoders.latents import open_latents, train_convae
from thresher.encoders.precompute import precompute
from thresher.schemas.segments import image_segment, text_segment
from thresher.trainer.config import load
from thresher.trainer.run.train import main as train

SETTLED = 20
"""Steps after which nothing is compiled any more."""
LARGE = {"row": 16_384, "rows": 8, "image": 512}, {"width": 1536, "depth": 28, "heads": 12, "kv_heads": 4}
TINY = {"row": 512, "rows": 2, "image": 64}, {"width": 32, "depth": 2, "heads": 2, "kv_heads": 1}
SHARES = {"t2i": 0.6, "edit": 0.2, "text": 0.2}
Row = tuple[str, Any, str]


def exports(folder: Path, side: int, longest: int, count: int) -> dict[str, Path]:
    """Exports of the mixture: images of one colour, of any shape about a square of `side` px."""
    random = np.random.default_rng(0)

    def picture() -> tuple[bytes, int, int]:
        width, height = (int(n) for n in random.integers(side * 3 // 4, side * 3 // 2, 2))
        return png(width, height, random.integers(0, 256, 3).tolist()), width, height

    def edit(number: int) -> Sample:
        (before, *size), (after, *new) = picture(), picture()
        segments = [
            image_segment(".0.png", "cond", *size, drop="img"),
            text_segment("give it another colour " * (1 + number % 4), "cond", drop="text"),
            image_segment(".1.png", "target", *new),
        ]
        return Sample(segments, {".0.png": before, ".1.png": after}, name=f"edit{number}", task="edit")

    lengths = np.clip(np.exp(random.normal(6, 1.2, count)), 8, longest).astype(int).tolist()
    made = {
        "t2i": [plain(f"an image of one colour, number {i} " * 5, picture()[0]) for i in range(count)],
        "edit": [edit(i) for i in range(count // 4)],
        "text": [words(("so it goes " * n)[:n], name=f"text{i}") for i, n in enumerate(lengths)],
    }
    return {name: write_export(folder / name, held, name=name) for name, held in made.items()}


def configured(folder: Path, tiny: bool, steps: int) -> Path:
    """The config of the large run, its exports and stored latents beside it."""
    stage, model = TINY if tiny else LARGE
    held = exports(folder, stage["image"], stage["row"] // 2, 32 if tiny else 512)
    colours = torch.rand(64, 3, 1, 1).expand(-1, -1, 64, 64) * 2 - 1
    train_convae(colours, folder / "ae.pt", steps=20)
    image = {"tokenizer": f"convae:{folder / 'ae.pt'}"}
    latents = open_latents(image, "cuda" if torch.cuda.is_available() else "cpu")
    stored = {precompute(str(export), latents, stage["image"])[0].name for export in held.values()}
    config = {
        "name": "large",
        "image": image | {"stored": stored.pop()},
        "model": model,
        "sources": {name: {"export": str(held[name]), "share": share} for name, share in SHARES.items()},
        "stages": [stage | {"name": "one", "steps": steps, "lr": 1e-4, "warmup": 20, "describe": 0.2}],
        "workers": 0 if tiny else 4,
        "save": 10 * steps,
        "hold": 0,
    }
    file = folder / "large.yaml"
    file.write_text(json.dumps(config))
    return file


def attention() -> tuple[list[Row], bool]:
    """The test that compares both kinds of attention, which needs a device."""
    what = "flex against dense attention"
    if not torch.cuda.is_available():
        return [(what, "not run: no CUDA device", "equal")], True
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/trainer"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    print(done.stdout, file=sys.stderr)
    return [(what, "differs or failed" if done.returncode else "equal", "equal")], not done.returncode


def large(folder: Path, tiny: bool, steps: int) -> tuple[list[Row], bool]:
    """Speed and memory of a large model, and what was compiled when."""
    graphs: list[int] = []
    lines: list[dict[str, Any]] = []

    def tell(line: dict[str, Any]) -> None:
        lines.append(line)
        graphs.append(counters["stats"]["unique_graphs"])
        if not len(lines) % 10:
            print(f"step {len(lines)}: {line['seconds']:.2f} s, loss {line['loss']:.4f}", file=sys.stderr)

    train(load(configured(folder, tiny, steps)), tell=tell)
    settled = lines[min(SETTLED, steps // 2) :]
    late = graphs[-1] - graphs[min(SETTLED, steps // 2)]
    rates = [line["mfu"] for line in settled if line["mfu"] is not None]
    waited = sum(line["data_wait"] * line["seconds"] for line in settled)
    return [
        ("MFU, median", round(statistics.median(rates), 3) if rates else "device not known", "0.4, aim 0.5"),
        ("tokens/s, median", round(statistics.median(line["tokens_s"] for line in settled)), ""),
        ("waiting for data", f"{waited / sum(line['seconds'] for line in settled):.2%}", "under 1 %"),
        (f"graphs compiled to step {SETTLED}", graphs[-1] - late, ""),
        (f"graphs compiled after step {SETTLED}", late, "0"),
        ("peak memory, GB", round(max(line["memory_gb"] for line in lines), 1), ""),
        ("fill, mean", round(statistics.mean(line["fill"] for line in lines), 3), "0.99"),
        *changed("large", lines),
    ], late == 0


def demo(folder: Path, tiny: bool) -> tuple[list[Row], bool]:
    """The demo's squares, from the pool to the losses."""
    count, steps = (64, 4) if tiny else (2000, 400)
    thresher, folder = str(Path(sys.executable).parent / "thresher"), folder / "demo"
    folder.mkdir()
    for command in (["demo-pool", "squares", "--squares", str(count)], ["run", "squares", "--run", "run"]):
        subprocess.run([thresher, *command], check=True, cwd=folder)
    export = folder / "run/export/images/latest"
    given = [
        f"sources.squares.export={export}",
        f"tokenizer=words:{folder / 'squares/words.txt'}",
        f"stages.0.steps={steps}",
        f"out={folder / 'trained'}",
    ]
    lines: list[dict[str, Any]] = []
    train(load("train_squares", given), tell=lines.append)
    rows = changed("demo", lines)
    return rows, tiny or all(_ends(lines, name)[1] < _ends(lines, name)[0] / 2 for name in ("ce", "mse"))


def changed(name: str, lines: Sequence[dict[str, Any]]) -> list[Row]:
    """Losses at both ends of a run."""
    return [
        (f"{name}, {loss}", "{:.3f} to {:.3f}".format(*_ends(lines, loss)), "falls") for loss in ("ce", "mse")
    ]


def _ends(lines: Sequence[dict[str, Any]], loss: str) -> tuple[float, float]:
    some = max(1, len(lines) // 10)
    values = [line[loss] for line in lines]
    return statistics.mean(values[:some]), statistics.mean(values[-some:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        steps = min(given.steps, 6) if given.tiny else given.steps
        parts = [attention(), large(folder, given.tiny, steps), demo(folder, given.tiny)]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    print(
        f"\n{date.today()}, {device}, torch {torch.__version__}\n\n| | measured | target |\n|---|---:|---:|"
    )
    for rows, _ in parts:
        print("\n".join(f"| {' | '.join(map(str, row))} |" for row in rows))
    if not all(right for _, right in parts):
        sys.exit("missed: see the table")


if __name__ == "__main__":
    main()
