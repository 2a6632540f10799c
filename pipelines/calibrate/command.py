"""What `thresher calibrate` does, and what it prints."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thresher.pipelines.calibrate import head as heads
from thresher.pipelines.calibrate import recipe, records, reencode
from thresher.pipelines.calibrate import statistics as stats
from thresher.pipelines.calibrate.bounds import Bound, Sign, keeping, precise
from thresher.pipelines.calibrate.labels import Labels, read_labels
from thresher.pipelines.calibrate.records import Records
from thresher.pipelines.calibrate.statistics import Estimate
from thresher.pipelines.cli.text import columns as aligned
from thresher.pipelines.cli.text import counted
from thresher.pipelines.store.files import write_json
from thresher.pipelines.view import RunView
from thresher.schemas.errors import ThresherError, UsageError


@dataclass(frozen=True)
class Request:
    """The command line."""

    command: str
    table: str | None
    sign: Sign | None
    sample: int
    precision: float
    positive: str | None
    recipe: Path | None
    reason: str | None


def by_share(view: RunView, column: str, share: float, asked: Request) -> Iterator[str]:
    """The bound that keeps a share of the records that reach it."""
    table = records.table_of(view, [column], asked.table)
    records.described(view, table, column, vector=False)
    sign, before = _use(view, table, column)
    found = records.sampled(view, table, column, asked.sample, before, view.seed)
    if not len(found):
        raise UsageError(f"no record of {table} has a value of {column!r}", str(view.folder))
    values = found.features[:, 0]
    bound = keeping(values, found.groups, share, asked.sign or sign or "<", view.seed)
    kept = int((~bound.drops(values)).sum())
    yield f"{column} of {counted(len(found), 'record')} of {table}, grouped by {found.grouping}"
    yield f"{_interval(bound)}: keeps {kept} of {len(found)} ({kept / len(found):.1%})"
    facts = {"keep": share, "kept": kept, "groups": len(np.unique(found.groups))}
    yield from _ended(column, bound, asked, found, facts)


def by_labels(view: RunView, column: str, file: Path, asked: Request) -> Iterator[str]:
    """The bound whose drops are the positive class with a wanted precision."""
    table = records.table_of(view, [column], asked.table)
    records.described(view, table, column, vector=False)
    labels = read_labels(file, view, table)
    positive = labels.positive(asked.positive)
    found = records.gathered(view, table, [column], labels.of)
    yield from _read(found, labels, positive)
    seed = view.seed
    examples = heads.split(found, labels, positive, seed)
    values, wanted, held = found.features[:, 0], examples.wanted > 0.5, examples.held_out
    sign = asked.sign or _side(values[~held], wanted[~held])
    bound = precise(values[~held], wanted[~held], found.groups[~held], asked.precision, sign, seed)
    weights = stats.replicates(found.groups[held], seed)
    scores = values[held] * (1 if sign == ">" else -1)
    figures = {"ROC-AUC": stats.auc(scores, wanted[held], found.groups[held], weights)}
    figures |= heads.at_bound(values[held], wanted[held], found.groups[held], weights, bound)
    yield f"{_interval(bound)}: chosen on {int((~held).sum())} records for precision {asked.precision:g}"
    yield from _figures(figures, [], int(held.sum()), asked.precision)
    facts = {"precision": asked.precision, "positive": positive, "labels": labels.digest(found.ids)}
    facts |= {"held out": {title: list(figure) for title, figure in figures.items()}}
    yield from _ended(column, bound, asked, found, facts)


def fit_head(
    view: RunView, name: str, on: list[str], file: Path, output: Path, recheck: bool, asked: Request
) -> Iterator[str]:
    """A head from labels, written to `output` unless the re-encode check refuses it."""
    table = records.table_of(view, on, asked.table)
    for column in on:
        records.described(view, table, column)
    labels = read_labels(file, view, table)
    ratings = labels.numbers and asked.positive is None
    positive = None if ratings else labels.positive(asked.positive, name)
    found = records.gathered(view, table, on, labels.of)
    yield from _read(found, labels, positive)
    seed = view.seed
    judged = heads.train(
        view, name, on, heads.split(found, labels, positive, seed), labels, asked.precision, seed
    )
    held = int(judged.examples.held_out.sum())
    yield f"{judged.file.kind} head on {' + '.join(on)}, fitted on {len(found) - held} records"
    yield from _figures(judged.figures, judged.curve, held, asked.precision)
    if judged.file.kind == "logistic" and recheck:
        yield from _rechecked(reencode.check(view, judged, seed))
    output.parent.mkdir(parents=True, exist_ok=True)
    write_json(output, judged.file.model_dump(mode="json"))
    yield f"\nSaved {output}. As a step, with its path from the recipe's folder:\n"
    yield f"  - head: {{weights: {output}}}"
    if judged.bound is None:
        yield f"\nNo bound is proposed: {judged.no_bound}"
        return
    yield "\n" + _interval(judged.bound)
    facts = {"precision": asked.precision, "head": str(output), "labels": labels.digest(found.ids)}
    yield from _ended(judged.file.column, judged.bound, asked, found, facts)


def _use(view: RunView, table: str, column: str) -> tuple[Sign | None, set[str]]:
    """What the recipe's predicate on the column drops, and the steps before the one that asks it (else,
    that writes it): records that these ended never reach the bound."""
    steps = [step["label"] for step in view.plan(table)["steps"]]
    asking = [b for b in view.bounds(table) if b.column == column and b.reason != "keep_anyway"]
    if asking:
        first = min(asking, key=lambda b: steps.index(b.step))
        sign: Sign | None = {"<": "<", ">": ">"}.get(first.operator[0])  # type: ignore[assignment]
        return sign, {"ingest", *steps[: steps.index(first.step)]}
    writes = (s["label"] for s in view.plan(table)["steps"] if column in s["writes"])
    label = next(writes, None)
    return None, {"ingest", *(steps[: steps.index(label)] if label else ())}


def _side(values: Any, positive: Any) -> Sign:
    """Whether positives lie above the others."""
    weights = np.ones((1, len(values)))
    groups = np.arange(len(values), dtype=np.uint64)
    return ">" if stats.auc(values, positive, groups, weights).value >= 0.5 else "<"


def _read(found: Records, labels: Labels, positive: str | None) -> Iterator[str]:
    """What the labels are; raises UsageError where too few have values."""
    classes = ", ".join(f"{label} {n}" for label, n in labels.classes.items())
    repeated = f", {labels.repeated} said twice" if labels.repeated else ""
    yield f"{counted(len(labels.of), 'label')} in {labels.file}{repeated}: {classes}"
    if len(found) < len(labels.of):
        absent = len(labels.of) - len(found)
        yield f"{counted(absent, 'labelled record')} left out: no value (dropped before, or failed)"
    if not len(found):
        raise UsageError("no labelled record has a value", labels.file, "Label records of this run")
    yield f"to be found: {positive}; groups: {found.grouping}" if positive else f"groups: {found.grouping}"


def _figures(figures: dict[str, Estimate], curve: list[stats.Bin], held: int, wanted: float) -> Iterator[str]:
    yield f"held out, {held} records, with 95 % intervals:"
    rows = [[f"  {t}", f"{f.value:.3f}", f"{f.low:.3f} to {f.high:.3f}"] for t, f in figures.items()]
    yield aligned(rows)
    if "recall" in figures and "precision" not in figures:
        yield "  the bound drops none of the held-out records: label more, or ask for less"
    elif "precision" in figures and figures["precision"].value < wanted:
        yield f"  the held-out records do not reach the precision {wanted:g}: label more, or ask for less"
    if "ROC-AUC" in figures and figures["ROC-AUC"].high < 0.5:
        yield "  the wrong way round: what is to be found lies on the other side (--drop above or below)"
    elif "ROC-AUC" in figures and figures["ROC-AUC"].low <= 0.5:
        yield "  this may be chance: the interval of the ROC-AUC holds 0.5"
    if curve:
        head = ["  said", "is", "", "records"]
        yield aligned([head, *(_bin(*one) for one in curve)], right=(3,))


def _bin(said: float, found: Estimate, count: int) -> list[str]:
    return [f"  {said:.2f}", f"{found.value:.2f}", f"{found.low:.2f} to {found.high:.2f}", str(count)]


def _rechecked(found: reencode.Checked) -> Iterator[str]:
    after = found.after
    numbers = f"ROC-AUC {found.before.value:.3f} as they are, {after.value:.3f} encoded anew"
    failed = f"; {found.failed} could not be opened" if found.failed else ""
    yield f"re-encode check: {found.records} held-out pictures as JPEG 75-95, some at half size{failed}:"
    yield f"  {numbers} ({after.low:.3f} to {after.high:.3f})"
    if found.refused:
        mend = "Bring both classes to one format and size before labelling, or fit on another column"
        raise ThresherError(f"the head is refused, it sees the file format: {numbers}", mend=mend)


def _interval(bound: Bound) -> str:
    return f"bound {bound.text}, 95 % interval {bound.estimate.low:.4g} to {bound.estimate.high:.4g}"


def _ended(column: str, bound: Bound, asked: Request, found: Records, facts: dict[str, Any]) -> Iterator[str]:
    """The line to paste; and the recipe, if it is to be written."""
    yield f"\n  {column} {bound.sign} {bound.text}\n"
    if asked.recipe is None:
        return
    facts = {"command": asked.command, "column": column, "bound": bound.text} | facts
    facts["interval"] = [bound.estimate.low, bound.estimate.high]
    listing = recipe.write(asked.recipe, column, bound, asked.reason, asked.command, found.ids, facts)
    yield f"Written into {asked.recipe}; the sample's ids are in {listing}."


def command_line(arguments: list[str]) -> str:
    """As a person would type it again."""
    return shlex.join(["thresher", *(a for a in arguments if a != "--debug")])
