"""Pictures and captions from a checkpoint."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from thresher.encoders.latents import Latents, open_latents
from thresher.loader.images import pixels
from thresher.loader.tokens import Tokenizer, open_tokenizer
from thresher.schemas import UsageError
from thresher.trainer.config import Config, restored
from thresher.trainer.model.decoder import Decoder
from thresher.trainer.model.sample import describe, draw
from thresher.trainer.run import checkpoint


def opened(run: Path, device: str = "cpu") -> tuple[Config, Decoder, Latents, Tokenizer]:
    """What a checkpoint was trained by, and its model with mean weights. Raises UsageError."""
    last = checkpoint.latest(run)
    if last is None:
        raise UsageError("holds no checkpoint", str(run), "Name the folder of a run, or of one checkpoint")
    config = restored(checkpoint.about(last)["config"])
    tokenizer, latents = open_tokenizer(config.tokenizer), open_latents(vars(config.image), device)
    vocabulary = tokenizer.vocabulary + latents.codes
    model = Decoder(config.model, vocabulary, latents.channels, config.image.features)
    model.load_state_dict(checkpoint.weights(last))
    return config, model.to(device).eval(), latents, tokenizer


def drawn(
    run: Path,
    prompts: Sequence[str],
    images: Sequence[Path],
    out: Path,
    seed: int,
    steps: int,
    guidance: float,
) -> Iterator[str]:
    """Write one PNG for each prompt in `out`; yields a line for each, and a caption for each image file."""
    from PIL import Image

    config, model, latents, tokenizer = opened(run, "cuda" if torch.cuda.is_available() else "cpu")
    stage = config.stages[-1]
    told: dict[str, Any] = {"seed": seed, "steps": steps, "shift": stage.shift, "drops": vars(stage.drops)}
    told |= {"size": (stage.image, stage.image), "scales": (guidance, 1.0)}
    asked = [[prompt] for prompt in prompts]
    made: Any = draw(model, latents, tokenizer, asked, **told) if prompts else []
    out.mkdir(parents=True, exist_ok=True)
    for i, (prompt, picture) in enumerate(zip(prompts, made, strict=True)):
        Image.fromarray(picture).save(out / f"{i:03}.png")
        yield f"{out / f'{i:03}.png'}: {prompt}"
    seen = [pixels(file.read_bytes(), stage.image, stage.image) for file in images]
    for file, caption in zip(images, describe(model, latents, tokenizer, seen) if seen else [], strict=True):
        yield f"{file}: {caption}"
