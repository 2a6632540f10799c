"""Draw and describe: images by Euler steps from noise or code by code, texts token by token.

A prompt is what stands before: texts, and images as uint8 (height, width, 3) in whole tokens. Everything is
computed anew at each step, so that nothing but the model itself says what is drawn.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thresher.encoders.batch import Batch, collate
from thresher.encoders.latents import Latents
from thresher.loader.plan.keys import key
from thresher.loader.plan.pattern import Kind
from thresher.loader.prompts import Part, Prompt, parts, rows
from thresher.loader.row import PAD, Picture
from thresher.loader.tokens import BEGIN, END, IMAGE, Tokenizer
from thresher.trainer.model.decoder import Decoder

GUIDED = 0.4
"""Noise level down to which images are guided (BAGEL, arXiv 2505.14683, repository inferencer.py)."""


def shifted(u: Tensor, shift: float) -> Tensor:
    """Noise levels in [0, 1] moved towards noise, as in training (SD3, arXiv 2403.03206)."""
    return shift * u / (1 + (shift - 1) * u)


def euler(velocity: Callable[[Tensor, float], Tensor], noise: Tensor, steps: int, shift: float) -> Tensor:
    """Follow a velocity from noise (t = 1) to latents (t = 0)."""
    x = noise
    for t, after in pairwise(shifted(torch.linspace(1, 0, steps + 1), shift).tolist()):
        x = x + (after - t) * velocity(x, t)
    return x


def guided(both: Tensor, image: Tensor, text: Tensor, scales: tuple[float, float]) -> Tensor:
    """Velocities (n, ...) of n images given image and text, moved away from those given one of them alone.

    `scales` are of text and image; 1 leaves out. No image's velocity becomes longer than it was.
    """
    out = torch.lerp(text, torch.lerp(image, both, scales[0]), scales[1])
    longer = both.flatten(1).norm(dim=1) / out.flatten(1).norm(dim=1).clamp(min=1e-12)
    return out * longer.clamp(max=1).view(-1, *[1] * (out.dim() - 1))


@dataclass(frozen=True)
class Sampler:
    """A model and the tokenizers that its tokens are of."""

    model: Decoder
    latents: Latents
    tokenizer: Tokenizer

    @torch.no_grad()
    def draw(
        self,
        prompts: Sequence[Prompt],
        size: tuple[int, int],
        *,
        seed: int = 0,
        steps: int = 50,
        shift: float = 1.0,
        scales: tuple[float, float] = (4.0, 1.5),
        drops: Mapping[str, float],
    ) -> NDArray[np.uint8]:
        """Images (n, height, width, 3) of that height and width, one for each prompt.

        A condition is guided by only if it was left out at times in training, `drops` of it being above 0.
        """
        latents = self.latents
        grid = (size[0] // latents.stride, size[1] // latents.stride)
        told = {"both": prompts}
        if drops.get("text"):
            told["image"] = [[what for what in p if not isinstance(what, str)] for p in prompts]
        pictured = any(not isinstance(what, str) for p in prompts for what in p)
        if pictured and drops.get("clean") and (self.model.vision is None or drops.get("vit")):
            told["text"] = [[what for what in p if isinstance(what, str)] for p in prompts]
        by = (scales[0] if "image" in told else 1.0, scales[1] if "text" in told else 1.0)
        kind, shape = (Kind.VQ, grid) if latents.codes else (Kind.NOISY, (*grid, latents.channels))
        empty = np.zeros(shape, np.float16)
        own = [[Picture(0, kind, grid, empty, 1.0, key("noise", seed, i))] for i in range(len(prompts))]
        batches = {name: self._batch(given, own) for name, given in told.items()}
        if latents.codes:
            torch.manual_seed(seed)
            first_code = self.tokenizer.vocabulary
            pair = [batches["both"], batches.get("image", batches["both"])]
            codes = self._grown(pair, grid[0] * grid[1], (first_code, first_code + latents.codes), by[0])
            return _pixels(latents.decode(codes.view(-1, *grid)))

        def velocity(x: Tensor, t: float) -> Tensor:
            both = self._velocity(batches["both"], x, t)
            if t <= GUIDED:
                return both
            image, text = (
                self._velocity(batches[name], x, t) if name in batches else both for name in ("image", "text")
            )
            return guided(both, image, text, by)

        first = batches["both"]
        noise = first.noise[first.time > 0].view(len(prompts), *grid, -1)
        return _pixels(latents.decode(euler(velocity, noise, steps, shift)))

    @torch.no_grad()
    def write(
        self, prompts: Sequence[Prompt], *, most: int = 64, temperature: float = 0.0, plain: bool = False
    ) -> list[str]:
        """A text of at most `most` tokens behind each prompt; the likeliest tokens at temperature 0.

        `plain`: images are seen as in a caption's training, by the understanding encoder alone if there is
        one.
        """
        begun = [BEGIN] + [END] * (most - 1)
        batch = self._batch(prompts, [begun] * len(prompts), plain)
        tokens = self._grown([batch], most, (0, self.tokenizer.vocabulary), temperature=temperature).tolist()
        return [self.tokenizer.decode(t[: t.index(END)] if END in t else t) for t in tokens]

    def describe(self, images: Sequence[NDArray[np.uint8]], most: int = 64) -> list[str]:
        """A caption of each image."""
        return self.write([[image] for image in images], most=most, plain=True)

    def _batch(self, prompts: Sequence[Prompt], own: Sequence[Part], plain: bool = False) -> Batch:
        """Each prompt and what is its own to be made, as a row of one document, where the model is."""
        strides = {Kind.CLEAN: self.latents.stride}
        if self.model.vision:
            strides = ({} if plain else strides) | {Kind.VIT: self.model.vision.stride}
        given = [[*parts(p, self.tokenizer, strides), last] for p, last in zip(prompts, own, strict=True)]
        made = collate(rows(given), self.latents, self.tokenizer.vocabulary, IMAGE)
        return made.to(self.model.embed.weight.device)

    def _velocity(self, batch: Batch, x: Tensor, t: float) -> Tensor:
        noisy = batch.time > 0
        state = batch.latents.clone()
        state[noisy] = x.flatten(0, 2)
        now = replace(batch, time=torch.where(noisy, t, batch.time))
        return self.model(now, state).velocity.float().view_as(x)

    def _grown(
        self,
        batches: list[Batch],
        count: int,
        allowed: tuple[int, int],
        scale: float = 1.0,
        temperature: float = 1.0,
    ) -> Tensor:
        """The last `count` tokens of each row, (n, count), counted from the first that is allowed.

        A second batch holds the same without conditions; logits are moved away from its by `scale`.
        """
        lengths = [(batch.doc >= 0).sum(dim=1) - count for batch in batches]
        row = torch.arange(len(batches[0].doc), device=batches[0].doc.device)
        out: list[Tensor] = []
        for i in range(count):
            found = []
            for batch, start in zip(batches, lengths, strict=True):
                if out:
                    batch.token[row, start + i] = out[-1] + allowed[0]
                batch.target.fill_(PAD)[row, start + i] = 0
                found.append(self.model(batch).logits[:, slice(*allowed)].float())
            logits = torch.lerp(found[-1], found[0], scale)
            if temperature:
                out.append(torch.multinomial((logits / temperature).softmax(dim=-1), 1)[:, 0])
            else:
                out.append(logits.argmax(dim=-1))
        return torch.stack(out, dim=1)


def _pixels(values: Tensor) -> NDArray[np.uint8]:
    """(n, 3, height, width) in [-1, 1] as images."""
    return ((values.cpu() + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
