"""Pictures and captions from checkpoints."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thresher.loader.images import pixels, sheet
from thresher.loader.index import HELD
from thresher.loader.prompts import fixed
from thresher.schemas import ThresherError, UsageError
from thresher.trainer.config import restored
from thresher.trainer.run import checkpoint
from thresher.trainer.run.setup import Coding

_FIXED = 8
"""Prompts of a run's own."""
_ACROSS = 4


def drawn(
    run: Path, prompts: Sequence[str], out: Path, over_steps: bool, seed: int, steps: int, guidance: float
) -> Iterator[str]:
    """Write a PNG for each prompt in `out`, and their list in `samples.json`; yields what is made.

    `steps`: of Euler's method; `guidance`: by the text, if texts were left out at times in training. Without
    prompts, captions of the run's own samples are drawn, and shown together in `grid.png`. With
    `over_steps`, every kept checkpoint draws from the same noise one row of `steps.png`. Raises UsageError.
    """
    from PIL import Image

    checkpoints = checkpoint.kept(run) if over_steps else [checkpoint.found(run)]
    coding = _coding(checkpoints[-1])
    asked, stage = prompts or _prompts(coding), coding.config.stages[-1]
    how: dict[str, Any] = {"seed": seed, "steps": steps, "shift": stage.shift, "drops": vars(stage.drops)}
    how |= {"size": (stage.image, stage.image), "scales": (guidance, 1.0)}
    rows = [coding.sampler(path).draw([[prompt] for prompt in asked], **how) for path in checkpoints]
    files = {f"{i:03}.png": (prompt, rows[-1][i]) for i, prompt in enumerate(asked)}
    samples = [{"prompt": prompt, "image": name} for name, (prompt, _) in files.items()]
    if not prompts:
        files["grid.png"] = (f"{len(asked)} captions", sheet(rows[-1], _ACROSS))
    if over_steps:
        told = f"a row each of {', '.join(path.name for path in checkpoints)}"
        files["steps.png"] = (told, sheet(np.concatenate(rows), len(asked)))
    out.mkdir(parents=True, exist_ok=True)
    (out / "samples.json").write_text(json.dumps(samples, indent=1, ensure_ascii=False))
    for name, (told, picture) in files.items():
        Image.fromarray(picture).save(out / name)
        yield f"{out / name}: {told}"


def described(run: Path, images: Sequence[Path]) -> Iterator[str]:
    """A caption of each image file. Raises UsageError."""
    path = checkpoint.found(run)
    coding = _coding(path)
    stage = coding.config.stages[-1]
    side = stage.image if coding.config.model.und == "none" else stage.see or stage.image
    seen = [pixels(file.read_bytes(), side, side) for file in images]
    for file, caption in zip(images, coding.sampler(path).describe(seen), strict=True):
        yield f"{file}: {caption}"


def _coding(path: Path) -> Coding:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Coding(restored(checkpoint.about(path)["config"]), device)


def _prompts(coding: Coding) -> list[str]:
    """Captions of samples that are held out of training; of a source that holds none, of others."""
    sources = []
    for name in coding.config.sources:
        try:
            sources.append(coding.source(name, HELD))
        except ThresherError:
            sources.append(coding.source(name))
    if found := fixed(sources, _FIXED, coding.config.stages[-1].captions):
        return found
    raise UsageError("no source of this run has captions of images", mend="Give --prompt TEXT")
