"""What a plan would read, told before a byte of it is read."""

from itertools import pairwise

import numpy as np

from thresher.loader.plan.keys import Ints
from thresher.loader.plan.plan import Plan

_WINDOWS = 4
"""Windows that everything here is taken from."""


def told(plan: Plan, steps: int) -> str:
    """A paragraph on the first `steps` steps: tokens, epochs of each source, what is learnt."""
    stage, windows = plan.stage, [plan.window(w) for w in range(_WINDOWS)]
    lengths, source, sample = (
        np.concatenate([getattr(window, name) for window in windows])
        for name in ("lengths", "source", "sample")
    )
    rows = sum(len(window.rows) for window in windows)
    fill = lengths.sum() / rows / stage.row
    slots = steps * stage.rows / rows * len(lengths)
    lines = [
        f"{stage.name}: {steps} steps of {stage.rows} rows of {stage.row} tokens, fill {fill:.3f},"
        f" {steps * stage.rows * stage.row * fill:,.0f} tokens, plan {plan.hash}"
    ]
    most = []
    for s, held in enumerate(plan.sources):
        mine, n = source == s, len(held.pattern)
        share, taken = lengths[mine].sum() / lengths.sum(), slots * mine.mean()
        versions = _versions(plan, s, np.unique(sample[mine]))
        most.append(versions.max(initial=0))
        step = taken / steps
        pairs = step * (step - 1) / 2 * (min(stage.chunk, n) - 1) / max(1, min(n, stage.mix_window) - 1)
        lines.append(
            f"  {held.name}: {n:,} samples, {share:.1%} of tokens, {taken / n:.2f} epochs,"
            f" {versions.mean():.1f} texts to choose of, {pairs:.2f} pairs of one chunk in a step"
        )
    learnt, images = (sum(window.sums[:, i].sum() for window in windows) / rows * stage.rows for i in (2, 3))
    lines.append(f"  {learnt:,.0f} tokens of text and {images:,.0f} images are learnt in a step")
    captions = all(pattern.plain for held in plan.sources for pattern in held.patterns)
    if learnt and captions and not plan.how.codes and max(most) <= 1:
        lines.append("  floor of CE: 0 if each caption follows from its image: none is drawn among several")
    return "\n".join(lines)


def _versions(plan: Plan, source: int, samples: Ints) -> Ints:
    """(n,): the most versions that a text of each sample may be drawn from."""
    held, out = plan.sources[source], np.zeros(len(samples), np.int64)
    patterns = held.pattern[samples]
    for p in np.unique(patterns):
        mine, pattern = patterns == p, held.patterns[p]
        numbers = held.numbers(samples[mine])
        for segment, (first, end) in zip(pattern.segments, pairwise(pattern.starts), strict=True):
            if segment.kind == "text":
                taken = [plan.how.variants.get(name, 1.0) > 0 for name in segment.variants]
                versions = ((numbers[:, first:end] > 0) & taken).sum(axis=1)
                out[mine] = np.maximum(out[mine], versions)
    return out
