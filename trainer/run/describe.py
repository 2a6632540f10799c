"""What a run would read, told before a byte of it is read."""

from collections.abc import Iterator

import numpy as np

from thresher.loader.plan.plan import Plan
from thresher.trainer.config import Stage
from thresher.trainer.run.setup import Setup

_WINDOWS = 4
"""Windows that shares and fill are taken from, at most."""


def plans(setup: Setup) -> Iterator[str]:
    """A paragraph for each stage."""
    for stage, plan in zip(setup.config.stages, setup.plans, strict=True):
        yield _told(stage, plan)


def _told(stage: Stage, plan: Plan) -> str:
    windows = [plan.window(w) for w in range(_WINDOWS)]
    lengths = np.concatenate([window.lengths for window in windows])
    source = np.concatenate([window.source for window in windows])
    rows = sum(len(window.rows) for window in windows)
    fill = lengths.sum() / rows / stage.row
    slots = stage.steps * stage.rows / rows * len(lengths)
    lines = [
        f"{stage.name}: {stage.steps} steps of {stage.rows} rows of {stage.row} tokens, fill {fill:.3f},"
        f" {stage.steps * stage.rows * stage.row * fill:,.0f} tokens, plan {plan.hash}"
    ]
    for s, held in enumerate(plan.sources):
        mine, n = source == s, len(held.pattern)
        share, taken = lengths[mine].sum() / lengths.sum(), slots * mine.mean()
        texts = np.mean([_versions(plan, s, i) for i in np.linspace(0, n - 1, min(n, 200), dtype=int)])
        step = taken / stage.steps
        pairs = step * (step - 1) / 2 * (min(stage.chunk, n) - 1) / max(1, min(n, plan.stage.mix_window) - 1)
        lines.append(
            f"  {held.name}: {n:,} samples, {share:.1%} of tokens, {taken / n:.2f} epochs,"
            f" {texts:.1f} texts to choose of, {pairs:.2f} pairs of one chunk in a step"
        )
    learnt, images = (sum(window.sums[:, i].sum() for window in windows) / rows * stage.rows for i in (2, 3))
    lines.append(f"  {learnt:,.0f} tokens of text and {images:,.0f} images are learnt in a step")
    return "\n".join(lines)


def _versions(plan: Plan, source: int, sample: int) -> int:
    """Most versions that one of the sample's texts has."""
    held = plan.sources[source]
    pattern, numbers = held.patterns[held.pattern[sample]], held.numbers(np.array([sample]))[0]
    spans = zip(pattern.segments, pattern.starts, strict=False)
    counts = [(numbers[at : at + len(s.variants)] > 0).sum() for s, at in spans if s.kind == "text"]
    return max(counts, default=0)
