"""What is learnt: next tokens, velocities of the rectified flow, and features to agree with.

Every sum is divided by what the whole step holds over all ranks, so that packing, order of rows and cuts into
micro-batches change nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from thresher.encoders.batch import Batch
from thresher.loader.plan.pattern import Kind
from thresher.loader.plan.plan import Totals
from thresher.loader.row import PAD
from thresher.trainer.model.decoder import Output


@dataclass
class Losses:
    """Of one batch. Tensors of the targets (n,) and of the noisy images (I,), in row order, without
    gradient; `row` and `doc` say whose they are: `batch.slots[row][doc]`."""

    total: Tensor
    """To be differentiated; those of all batches and ranks of a step add to the step's loss."""
    ce: Tensor
    """Nats of each target."""
    ce_weight: Tensor
    ce_row: Tensor
    ce_doc: Tensor
    mse: Tensor
    """Mean squared error of each image's velocity."""
    repa: Tensor
    """1 - cosine, mean over an image's tokens; 0 where no features are stored."""
    image_weight: Tensor
    """1, or 0 for what is not learnt."""
    image_row: Tensor
    image_doc: Tensor
    time: Tensor
    """Noise level of each image."""


def losses(output: Output, batch: Batch, totals: Totals, weights: tuple[float, float, float]) -> Losses:
    """Cross-entropy, velocity error and alignment (REPA, arXiv 2410.06940), weighted in that order."""
    length = batch.kind.shape[1]
    doc, weight, target = batch.doc.flatten(), batch.weight.flatten(), batch.target.flatten()
    at = (target != PAD).nonzero()[:, 0]
    ce = F.cross_entropy(output.logits.float(), target[at], reduction="none")

    kind = batch.kind.flatten()
    noisy = (kind == Kind.NOISY).nonzero()[:, 0]
    learnt = kind[(kind == Kind.NOISY) | (kind == Kind.CLEAN)] == Kind.NOISY
    velocity = (batch.noise - batch.latents)[learnt]
    errors = (output.velocity.float() - velocity).square().mean(dim=1)
    apart = torch.zeros_like(errors)
    if output.aligned is not None:
        known = torch.zeros_like(output.aligned) if batch.features is None else batch.features
        apart = (known.any(dim=1)) * (1 - F.cosine_similarity(output.aligned.float(), known, dim=1))
    _, image, tokens = torch.unique_consecutive(batch.image[learnt], return_inverse=True, return_counts=True)
    mse, repa, kept = (
        errors.new_zeros(len(tokens)).index_add(0, image, values) / tokens
        for values in (errors, apart, weight[noisy])
    )
    first = noisy[tokens.cumsum(0) - tokens]
    texts, images = totals.texts or 1, totals.images or 1
    total = weights[0] * (weight[at] * ce).sum() / texts
    total = total + (kept * (weights[1] * mse + weights[2] * repa)).sum() / images
    return Losses(
        total=total,
        ce=ce.detach(),
        ce_weight=weight[at],
        ce_row=at // length,
        ce_doc=doc[at],
        mse=mse.detach(),
        repa=repa.detach(),
        image_weight=kept,
        image_row=first // length,
        image_doc=doc[first],
        time=batch.time[learnt][tokens.cumsum(0) - tokens],
    )
