"""The optimiser, its learning rate, and the running mean of the weights."""

import re

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from thresher.trainer.config import Stage


def adamw(model: nn.Module) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101), betas .9 and .95: matrices, which may decay, and vectors, which do not."""
    learnt = [p for p in model.parameters() if p.requires_grad]
    groups = [[p for p in learnt if p.dim() > 1], [p for p in learnt if p.dim() < 2]]
    return torch.optim.AdamW([{"params": g} for g in groups], betas=(0.9, 0.95), weight_decay=0.0)


def rate(stage: Stage, step: int) -> float:
    """Learning rate of a step of the stage: a rise, a constant, and a fall to 0 over the tail."""
    rise = min(1.0, (step + 1) / max(1, stage.warmup))
    return stage.lr * rise * min(1.0, (stage.steps - step) / (stage.tail + 1))


def norms(model: nn.Module) -> dict[str, float]:
    """Norm of the gradients of what understands, of what makes images, and of what both share."""
    names = {name for name, _ in model.named_parameters()}
    held: dict[str, list[Tensor]] = {"und": [], "gen": [], "shared": []}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            held[_expert(name, names)].append(parameter.grad)
    return {expert: _full(nn.utils.get_total_norm(grads)).item() for expert, grads in held.items() if grads}


def follow(optimiser: torch.optim.Optimizer, stage: Stage, step: int, norm: float) -> None:
    """One step, the gradients scaled down to a norm of `stage.clip` in all where it is above."""
    for group, decay in zip(optimiser.param_groups, (stage.decay, 0.0), strict=True):
        group |= {"lr": rate(stage, step), "eps": stage.eps, "weight_decay": decay}
        nn.utils.clip_grads_with_norm_(group["params"], stage.clip, torch.tensor(norm))
    optimiser.step()


def _expert(name: str, names: set[str]) -> str:
    """Experts are numbered: `feed.0` understands if there is a `feed.1`."""
    if re.search(r"\.1\.|^(latent|time|align)", name):
        return "gen"
    routed = re.sub(r"\.0\.", ".1.", name)
    return "shared" if name.startswith("blocks.") and (routed == name or routed not in names) else "und"


def _full(value: Tensor) -> Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value


class Mean:
    """Exponential moving average of the weights, float32; decay min(d, (1 + step) / (10 + step))."""

    def __init__(self, model: nn.Module) -> None:
        self.weights = {name: p.detach().float().clone() for name, p in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, decay: float, step: int) -> None:
        """Take in the weights that the optimiser's step number `step`, from 0, has made."""
        keep = min(decay, (1 + step) / (10 + step))
        new = [p.float() for p in model.state_dict().values()]
        torch._foreach_lerp_(list(self.weights.values()), new, 1 - keep)
