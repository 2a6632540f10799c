"""The command `precompute`. Light to import; torch comes with its work."""

from pathlib import Path
from typing import Annotated

import typer


def precompute(
    export: Annotated[str, typer.Argument(metavar="EXPORT", help="An export's folder or URL.")],
    image: Annotated[int, typer.Option(min=16, help="Side of a square image, px, as a stage's `image`.")],
    latents: Annotated[str, typer.Option(help="pixels, or convae, tiny, vae, dc, vq with :PATH.")],
    stride: Annotated[int, typer.Option(help="Side of a token of pixels, px.")] = 16,
    features: Annotated[
        Path | None, typer.Option(help="Folder of a vision encoder, for `losses.repa`.")
    ] = None,
) -> None:
    """Store the latents of every image of an export beside it, once; the tars stay untouched."""
    import torch

    from thresher.encoders.features import Features
    from thresher.encoders.latents import open_latents
    from thresher.encoders.precompute import precompute

    device = "cuda" if torch.cuda.is_available() else "cpu"
    coder = open_latents({"tokenizer": latents, "stride": stride}, device)
    encoder = Features(str(features), device) if features else None
    folder, failed = precompute(export, coder, image, encoder)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"Stored: {folder}, {size / 1e6:,.1f} MB; {failed} images could not be read, and become holes")
    wide = f", features: {encoder.width}" if encoder else ""
    print(f"To train from them: image: {{stored: {folder.name}{wide}}}")
