"""How images are understood: own patches, or a vision encoder from a path, behind a connector."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thresher.encoders.features import input_scale, open_encoder
from thresher.trainer.model.config import ModelConfig


class Vision(nn.Module):
    """Views (3, height, width) in [-1, 1] to tokens of the decoder's width, each view's row by row."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stride, self.encoder = config.und_stride, None
        self.inner = 3 * self.stride**2
        if config.und.startswith("hf:"):
            self.encoder = open_encoder(Path(config.und[3:]))
            self.encoder.requires_grad_(not config.und_frozen)
            self.stride, self.inner = self.encoder.config.patch_size, self.encoder.config.hidden_size
            self.register_buffer("scale", torch.stack(input_scale(Path(config.und[3:]))))
            self.scale: Tensor
        first, last = (nn.Linear(n, config.width, bias=False) for n in (self.inner, config.width))
        self.connector = nn.Sequential(first, nn.GELU(), last)

    def forward(self, views: list[Tensor]) -> Tensor:
        """(tokens, width); every weight takes part, views or none."""
        none = next(self.connector.parameters()).new_zeros(0, self.inner)
        if self.encoder is not None:
            none = none + 0 * sum(p.sum() for p in self.encoder.parameters() if p.requires_grad)
        return self.connector(torch.cat([none, *(self._seen(view) for view in views)]))

    def _seen(self, view: Tensor) -> Tensor:
        """(tokens, values) of one view, at its own size."""
        if self.encoder is None:
            return F.unfold(view[None], self.stride, stride=self.stride)[0].T
        view = ((view + 1) / 2 - self.scale[0]) / self.scale[1]
        hidden = self.encoder(view[None], interpolate_pos_encoding=True).last_hidden_state[0]
        tokens = (view.shape[1] // self.stride) * (view.shape[2] // self.stride)
        return hidden[len(hidden) - tokens :]
