"""The ranks of a run, one process each: found in the environment, as torchrun and Ray Train set it."""

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class World:
    """This process among `size`."""

    rank: int
    size: int
    device: torch.device
    saving: Any = None
    """A group of its own for checkpoints, whose messages must not mix with those of training."""

    @property
    def name(self) -> str:
        """Of the device, as its maker says it."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

    def gathered(self, value: Any) -> list[Any]:
        """What each rank gives, in the order of ranks."""
        if self.size == 1:
            return [value]
        out = [None] * self.size
        dist.all_gather_object(out, value)
        return out


def open_world() -> World:
    """Join the other ranks. NCCL between CUDA devices, gloo between CPUs; a lone process joins nothing."""
    rank, size, local = (int(os.environ.get(n, d)) for n, d in _NAMES.items())
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        return World(0, 1, device)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    return World(rank, size, device, dist.new_group(backend="gloo"))


_NAMES = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
