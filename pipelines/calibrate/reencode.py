"""Does a head see the picture or its file format? The held-out pictures, encoded anew, must be told apart
as well as before. Each is opened in a child process, where a broken file costs itself."""

import io
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from thresher.operators import registry
from thresher.operators.base import Batch, Measure, View
from thresher.operators.values import to_array
from thresher.operators.views import MediaError, open_views
from thresher.pipelines.calibrate import statistics as stats
from thresher.pipelines.calibrate.head import Judged
from thresher.pipelines.calibrate.statistics import Estimate
from thresher.pipelines.execute.pictures import Pictures
from thresher.pipelines.view import RunView
from thresher.schemas import Media, Record, UsageError
from thresher.schemas.errors import ThresherError
from thresher.schemas.ids import keyed_hash

MOST_LOSS = 0.1
"""A head that loses more ROC-AUC is refused."""
QUALITY = 75, 95
_DECODED = View("native")


class Anew(NamedTuple):
    """How to encode a picture anew, and what to measure of it."""

    record: Record
    operators: list[tuple[str, dict[str, Any]]]
    columns: list[str]
    quality: int
    half: bool


class Checked(NamedTuple):
    """ROC-AUC of the same records as they are, and encoded anew."""

    before: Estimate
    after: Estimate
    records: int
    failed: int

    @property
    def refused(self) -> bool:
        """Whether the head saw the format."""
        return self.before.value - self.after.value > MOST_LOSS


def check(view: RunView, judged: Judged, seed: int) -> Checked:
    """Judge the head on its held-out records after JPEG at quality 75 to 95, every other one at half size."""
    examples = judged.examples
    records = examples.records
    places = np.flatnonzero(examples.held_out)
    columns = [origin.column for origin in judged.file.on]
    operators = _operators(view, records.table, columns)
    draws = keyed_hash(
        np.array([int.from_bytes(i[:8], "big") for i in records.ids], np.uint64), "re-encode", seed
    )
    features: dict[int, Any] = {}
    with Pictures(view, records.table) as pictures:
        for place in places.tolist():
            row, draw = records.rows[place], int(draws[place])
            record = Record(row["id"], row["source"], row["key"], tuple(Media(**m) for m in row["media"]))
            quality = QUALITY[0] + (draw >> 1) % (QUALITY[1] - QUALITY[0] + 1)
            anew = Anew(record, operators, columns, quality, bool(draw & 1))
            found = pictures.ask(row, _DECODED, partial(measured_anew, anew))
            if found is not None:
                features[place] = found
    return _compare(judged, places.tolist(), features, seed)


def _compare(judged: Judged, places: Sequence[int], features: dict[int, Any], seed: int) -> Checked:
    examples, known = judged.examples, np.array(sorted(features), np.int64)
    positive = examples.wanted[known] > 0.5
    if positive.all() or not positive.any():
        what = f"only {len(known)} of {len(places)} held-out pictures can be encoded anew, all of one class"
        raise ThresherError(what, "--check-reencode", "Bring the pictures back, or label more")
    groups = examples.records.groups[known]
    weights = stats.replicates(groups, seed)
    anew = judged.file.scores(np.array([features[place] for place in known.tolist()], np.float64))
    before = stats.auc(judged.scores[known], positive, groups, weights)
    after = stats.auc(anew, positive, groups, weights)
    return Checked(before, after, len(known), len(places) - len(known))


def measured_anew(anew: Anew, pixels: np.ndarray) -> list[float] | None:
    """Runs in the child: the columns of the picture encoded anew, beside each other; None if it cannot be."""
    data = encoded(pixels, anew.quality, anew.half)
    values: dict[str, Any] = {}
    try:
        for name, params in anew.operators:
            values |= _measure(name, params, anew.record, data)
    except MediaError:
        return None
    if any(values.get(column) is None for column in anew.columns):
        return None
    return np.hstack([np.asarray(values[column], np.float64) for column in anew.columns]).tolist()


def encoded(pixels: np.ndarray, quality: int, half: bool) -> bytes:
    """uint8 (h, w, 3) as JPEG, at half size if asked."""
    from PIL import Image

    image = Image.fromarray(pixels)
    if half:
        size = max(1, image.width // 2), max(1, image.height // 2)
        image = image.resize(size, Image.Resampling.BICUBIC)
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=quality)
    return sink.getvalue()


def _measure(name: str, params: dict[str, Any], record: Record, data: bytes) -> dict[str, Any]:
    """Column -> value by one Measure, rounded as it is stored; columns that failed are left out."""
    operator = _built(name, params)
    views = {view: [opened] for view, opened in open_views(data, operator.views).items()}
    answer = operator.measure(Batch([record], views))
    if answer.failures:
        return {}
    arrays = {column.name: to_array(answer.columns[column.name], column)[0] for column in operator.writes()}
    return {column: array[0].as_py() for column, array in arrays.items()}


def _built(name: str, params: dict[str, Any]) -> Measure:
    cls = registry.get(name)
    operator = cls(cls.params_model(**params))
    assert isinstance(operator, Measure)
    return operator


def _operators(view: RunView, table: str, columns: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """The Measures that wrote `columns`, which must read nothing but the picture."""
    steps = {
        step["label"]: step for c in columns for step in view.plan(table)["steps"] if c in step["writes"]
    }
    for step in steps.values():
        if step["kind"] != "measure" or step["reads"]:
            what = f"the step {step['label']!r} reads more than the picture, and cannot be asked again alone"
            raise UsageError(
                what, "--check-reencode", "Fit the head on columns such as `clip` or `quality`'s"
            )
    return [(step["operator"], step["params"]) for step in steps.values()]
