"""Shape of a model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from thresher.schemas import UsageError

SIZES = {
    "nano": (128, 4, 4, 4),
    "tiny": (384, 8, 6, 2),
    "small": (768, 12, 12, 4),
    "base": (1536, 24, 12, 4),
}
"""Width, blocks, heads of queries, heads of keys and values."""


@dataclass(frozen=True)
class ModelConfig:
    """What a decoder is made of; a number of 0 is that of the size.

    Raises UsageError for a size that is not known, and for heads that do not divide.
    """

    size: str = "nano"
    """One of `SIZES`, or `hf:PATH`: the folder of a causal language model of Qwen3's kind to begin from."""
    width: int = 0
    depth: int = 0
    heads: int = 0
    kv_heads: int = 0
    head: int = 0
    """Values of one head; width / heads by default."""
    hidden: int = 0
    """Of the SwiGLU; 8/3 width in whole 64s by default."""
    theta: float = 10_000.0
    """Longest wavelength of positions is 2 pi theta."""
    experts: Literal["ffn", "mot", "dense"] = "ffn"
    """Which weights latents have of their own: feed-forward, all of a block (Mixture of Transformers, BAGEL
    arXiv 2505.14683), none. Each token meets as many weights in any case."""
    predict: Literal["v", "x"] = "v"
    """What the latent head gives: velocity, or the clean latents, where tokens are wider than the model."""
    und: str = "none"
    """How images are understood: none (their latents), linear (own patches), `hf:PATH` (an encoder)."""
    und_stride: int = 16
    """Side of an own patch, px."""
    und_frozen: bool = True

    def __post_init__(self) -> None:
        path = Path(self.size.removeprefix("hf:"))
        if self.size.startswith("hf:"):
            told = json.loads((path / "config.json").read_text())
            names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
            shape = [told[name] for name in names]
            ropes = told.get("rope_parameters") or told
            more = {"head": told.get("head_dim"), "hidden": told["intermediate_size"]}
            more["theta"] = ropes["rope_theta"]
        elif self.size in SIZES:
            shape, more = list(SIZES[self.size]), {}
        else:
            raise UsageError(
                f"no model size is called {self.size!r}", mend=f"Take one of {', '.join(SIZES)}, or hf:PATH"
            )
        filled = dict(zip(("width", "depth", "heads", "kv_heads"), shape, strict=True)) | more
        for name, value in filled.items():
            if name == "theta" or not getattr(self, name):
                object.__setattr__(self, name, value)
        object.__setattr__(self, "head", self.head or self.width // self.heads)
        object.__setattr__(self, "hidden", self.hidden or max(1, round(self.width / 24)) * 64)
        if self.heads % self.kv_heads or self.head % 2:
            raise UsageError(
                f"{self.heads} heads of {self.head} values do not share {self.kv_heads} of keys evenly",
                mend="Let kv_heads divide heads, and make width / heads even",
            )
