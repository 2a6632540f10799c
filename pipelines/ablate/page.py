"""The page of a comparison: the verdict in words, what it rests on, and what it may not claim."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from thresher.pipelines.ablate import arms
from thresher.pipelines.ablate.arms import Arm
from thresher.pipelines.ablate.exports import open_export
from thresher.pipelines.report import numbers
from thresher.schemas.segments import SEGMENTS, texts_of

WIDTH, LEFT, ROW = 720, 190, 24
"""Of a chart, of its labels, and of one line, in px of its own space."""
PROMPTS = 8
LIMITS = (
    ("understanding", 0.18e12),
    ("generation", 0.68e12),
    ("editing", 2.64e12),
    ("intelligent editing", 3.61e12),
)
"""Tokens after which BAGEL had 85 % of its peak (arXiv 2505.14683, section 6)."""


class Mark(NamedTuple):
    """One line of a chart: an interval with its mean, or seeds alone."""

    label: str
    y: float
    dots: list[float]
    low: float | None = None
    high: float | None = None


class Chart(NamedTuple):
    """Differences of B against A, one line each."""

    height: float
    zero: float
    band: tuple[float, float]
    """Where differences do not matter."""
    marks: list[Mark]
    ticks: list[tuple[float, str]]


class Pair(NamedTuple):
    """What both arms draw for one prompt, as data URLs."""

    prompt: str
    a: str
    b: str


def chart(outcome: Mapping[str, Any], delta: float) -> Chart:
    """Of one outcome: its seeds, the A/A run, the mean with its interval, and the parts."""
    parts = [(p["name"], [p["mean"]], *p["interval"]) for p in outcome["parts"]]
    lines: list[tuple[str, list[float], float | None, float | None]] = [
        ("A against A, each seed", outcome["again"], None, None),
        ("B against A, each seed", outcome["differences"], None, None),
        *parts,
    ]
    far = max(abs(v) for _, dots, low, high in lines for v in (*dots, low or 0, high or 0, 1.5 * delta))

    def place(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT) * (0.5 + 0.48 * value / far), 1)

    marks = [
        Mark(
            label,
            ROW * (i + 1),
            [place(v) for v in dots],
            *(None if v is None else place(v) for v in (low, high)),
        )
        for i, (label, dots, low, high) in enumerate(lines)
    ]
    step = next(s for s in (m * 10.0**e for e in range(-5, 3) for m in (1, 2, 5)) if s * 2.5 >= far)
    ticks = [
        (place(k * step), f"{100 * k * step:+.3g} %" if k else "0")
        for k in range(-2, 3)
        if abs(k * step) <= far
    ]
    return Chart(ROW * (len(lines) + 2), place(0), (place(-delta), place(delta)), marks, ticks)


def render(found: Mapping[str, Any], drawn: Sequence[Pair]) -> str:
    """The page as HTML; `found` is what `ablate.json` holds, `drawn` the arms' pictures."""
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([here, here.parent / "report"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": numbers.number}
    environment.globals |= {"left": LEFT, "width": WIDTH, "row": ROW}
    charts = {kind: chart(outcome, found["delta"]) for kind, outcome in found["outcomes"].items()}
    tokens = max(exposed["tokens"] for exposed in found["exposure"].values())
    return environment.get_template("ablate.html").render(
        found=found, charts=charts, drawn=drawn, tokens=tokens, limits=LIMITS
    )


def pairs(out: Path, names: Sequence[str]) -> list[Pair]:
    """Pictures of seed 0 of both arms for the same held-out captions and noise; none if they draw nothing."""
    prompts = _prompts(out / "held", names)
    if not prompts:
        return []
    runs = [out / "runs" / Arm(name, 0).folder for name in ("a", "b")]
    drawn = [arms.sample(run, prompts, run / "prompts") for run in runs]
    urls = [["data:image/png;base64," + base64.b64encode(f.read_bytes()).decode() for f in d] for d in drawn]
    return [Pair(*row) for row in zip(prompts, *urls, strict=False)]


def _prompts(held: Path, names: Sequence[str]) -> list[str]:
    """The first text of the first held-out samples."""
    prompts: list[str] = []
    for name in names:
        if (held / name).exists() and len(prompts) < PROMPTS:
            export = open_export(name, held / name)
            for members in export.read(np.arange(min(PROMPTS, len(export.rows)))):
                texts = [
                    t
                    for s in json.loads(members[SEGMENTS])
                    if s["kind"] == "text"
                    for t in texts_of(s).values()
                ]
                prompts += [text for text in texts[:1] if text not in prompts]
    return prompts[:PROMPTS]
