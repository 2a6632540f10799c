"""One decoder for text and images: pre-norm, grouped queries, qk-norm, SwiGLU, and experts by modality."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask

from thresher.encoders.batch import Batch
from thresher.encoders.features import declare_vision_operators
from thresher.loader.plan.pattern import Kind
from thresher.loader.row import PAD
from thresher.trainer.model.config import ModelConfig
from thresher.trainer.model.mask import attend, mask
from thresher.trainer.model.rope import angles, rotate
from thresher.trainer.model.vision import Vision

_WAVES = 256
LEAST_TIME = 0.05
"""Below it the error of a predicted image is divided by this, not by the noise level."""

Places = tuple[Tensor, Tensor]
"""Tokens of a flat batch that are understood, and that are latents."""


@dataclass
class Output:
    """What a model says of a batch, where there is something to learn."""

    logits: Tensor
    """(targets, vocabulary), in row order."""
    velocity: Tensor
    """(M, channels) of the noisy tokens in row order."""
    aligned: Tensor | None
    """(M, width of the features): what hidden states of the noisy tokens become."""


class Routed(nn.ModuleList):
    """One module for all tokens, or one for those understood and one for latents: hard routing."""

    def __init__(self, make: Callable[[], nn.Module], two: bool) -> None:
        super().__init__([make() for _ in range(1 + two)])

    def forward(self, x: Tensor, places: Places) -> Tensor:
        """(tokens, width) to (tokens, ...)."""
        if len(self) == 1:
            return self[0](x)
        parts = [module(x.index_select(0, at)) for module, at in zip(self, places, strict=True)]
        out = parts[0].new_empty(len(x), *parts[0].shape[1:])
        for at, part in zip(places, parts, strict=True):
            out = out.index_copy(0, at, part)
        return out


class Heads(nn.Module):
    """Queries, keys and values of a token: (tokens, heads + 2 kv_heads, head)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.sizes = (config.heads, config.kv_heads, config.kv_heads)
        self.norm = nn.RMSNorm(config.width, eps=1e-6)
        self.qkv = nn.Linear(config.width, sum(self.sizes) * config.head, bias=False)
        self.q_norm, self.k_norm = (nn.RMSNorm(config.head, eps=1e-6) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, width) to heads."""
        heads = self.qkv(self.norm(x)).unflatten(-1, (sum(self.sizes), -1))
        q, k, v = heads.split(self.sizes, dim=1)
        return torch.cat([self.q_norm(q.float()).to(v.dtype), self.k_norm(k.float()).to(v.dtype), v], dim=1)


class Feed(nn.Module):
    """SwiGLU (arXiv 2002.05202) behind its norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(config.width, eps=1e-6)
        self.gate, self.up = (nn.Linear(config.width, config.hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, width) to the same."""
        x = self.norm(x)
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """Attention that all tokens share, then the feed-forward of their modality."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        mot, two = config.experts == "mot", config.experts != "dense"
        self.sizes = (config.heads, config.kv_heads, config.kv_heads)
        self.heads = Routed(lambda: Heads(config), mot)
        self.out = Routed(lambda: nn.Linear(config.heads * config.head, config.width, bias=False), mot)
        self.feed = Routed(lambda: Feed(config), two)

    def forward(
        self, x: Tensor, turn: tuple[Tensor, Tensor], seen: Tensor | BlockMask, places: Places
    ) -> Tensor:
        """Flat tokens (B L, width) of B rows."""
        rows, length = turn[0].shape[:2]
        heads = self.heads(x, places).unflatten(0, (rows, length))
        q, k, v = heads.split(self.sizes, dim=2)
        q, k = rotate(q, *turn), rotate(k, *turn)
        met = attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), seen)
        x = x + self.out(met.transpose(1, 2).flatten(2).flatten(0, 1), places)
        return x + self.feed(x, places)


class Decoder(nn.Module):
    """`vocabulary`: tokens of the texts and codes of images; `channels`: values of a latent token;
    `features`: width of the stored features that hidden states are drawn to, 0 for none."""

    def __init__(self, config: ModelConfig, vocabulary: int, channels: int, features: int = 0) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.embed = nn.Embedding(vocabulary, width)
        self.latent = nn.Linear(channels, width, bias=False)
        self.time = _mlp(_WAVES, width, width)
        self.vision = None if config.und == "none" else Vision(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.align = _mlp(width, width, features) if features else None
        self.norm, self.latent_norm = (nn.RMSNorm(width, eps=1e-6) for _ in range(2))
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.latent_head = nn.Linear(width, channels, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1 and not name.startswith("vision.encoder"):
                last = name.endswith(("down.weight", "out.0.weight", "out.1.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.depth) if last else 0.02)
        nn.init.zeros_(self.latent_head.weight)

    def forward(self, batch: Batch, state: Tensor | None = None) -> Output:
        """`state`: noisy latents (N, channels) in place of those on the batch's own path."""
        kind, target = batch.kind.flatten(), batch.target.flatten()
        is_noisy = kind == Kind.NOISY
        is_latent = is_noisy | (kind == Kind.CLEAN)
        places = (~is_latent).nonzero()[:, 0], is_latent.nonzero()[:, 0]
        state = noised(batch) if state is None else state
        x = self.embed(batch.token).flatten(0, 1)
        latent = self.latent(state) + self.time(_waves(batch.time))
        x = x.index_copy(0, places[1], latent.to(x.dtype))
        if self.vision:
            x = x.index_copy(0, (kind == Kind.VIT).nonzero()[:, 0], self.vision(batch.views).to(x.dtype))
        turn = angles(batch.position, self.config.head, self.config.theta)
        seen, middle = mask(batch), x
        for depth, block in enumerate(self.blocks, 1):
            x = block(x, turn, seen, places)
            middle = x if depth == max(1, self.config.depth // 3) else middle
        made = self.latent_head(self.latent_norm(x[is_noisy]))
        learnt = is_noisy[places[1]]
        if self.config.predict == "x":
            time = batch.time[learnt, None].clamp(min=LEAST_TIME)
            made = (state[learnt] - made) / time
        aligned = self.align(middle[is_noisy]) if self.align else None
        return Output(self.head(self.norm(x[target != PAD])), made, aligned)


def noised(batch: Batch) -> Tensor:
    """Where on the straight path from latents (t = 0) to noise (t = 1) each token stands: (N, channels)."""
    time = batch.time[:, None]
    return (1 - time) * batch.latents + time * batch.noise


def expand(dense: dict[str, Tensor], model: Decoder) -> None:
    """Give every expert of a model the weights of a `dense` one: it then says the same."""
    model.load_state_dict({name: dense[_shared(name)] for name in model.state_dict()})


def load_causal(model: Decoder, path: str, special: int) -> None:
    """Begin from a causal language model of Qwen3's kind, whose token 0 is `special` here.

    Raises KeyError or RuntimeError where its parts have other names or shapes.
    """
    declare_vision_operators()
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).state_dict()
    ours = model.state_dict()
    for name, value in ours.items():
        part = _shared(name).replace("blocks.", "model.layers.", 1).removesuffix(".weight")
        for told in _QWEN.items():
            part = part.replace(*told)
        if part in ("embed", "head"):
            known = theirs["model.embed_tokens.weight" if part == "embed" else "lm_head.weight"]
            value[special : special + len(known)] = known[: len(value) - special]
        elif part.endswith("qkv"):
            pieces = [theirs[f"{part.removesuffix('qkv')}{n}_proj.weight"] for n in "qkv"]
            value.copy_(torch.cat(pieces))
        elif part.startswith("model.") or part in ("norm", "latent_norm"):
            value.copy_(theirs[(part if "." in part else "model.norm") + ".weight"])


_QWEN = {
    "heads.0.norm": "input_layernorm",
    "heads.0": "self_attn",
    "out.0": "self_attn.o_proj",
    "feed.0.norm": "post_attention_layernorm",
    "feed.0.gate": "mlp.gate_proj",
    "feed.0.up": "mlp.up_proj",
    "feed.0.down": "mlp.down_proj",
}


def _shared(name: str) -> str:
    return re.sub(r"\.(heads|out|feed)\.1\.", r".\1.0.", name)


def _mlp(into: int, width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(into, width, bias=False), nn.SiLU(), nn.Linear(width, out, bias=False))


def _waves(time: Tensor) -> Tensor:
    """Sinusoids (N, 256) of noise levels in [0, 1]."""
    half = _WAVES // 2
    frequency = torch.exp(-math.log(10_000) / half * torch.arange(half, device=time.device))
    turned = 1000 * time[:, None] * frequency
    return torch.cat([turned.cos(), turned.sin()], dim=-1)
