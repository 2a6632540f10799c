"""`caption.draw`: one of a record's captions for training, and the chance of each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import pyarrow as pa
from pydantic import ValidationError

from thresher.operators.base import Batch, Failure, Measure, Operator, Values
from thresher.operators.captions.draw import candidates as made
from thresher.operators.captions.draw.candidates import Candidate
from thresher.operators.captions.draw.dice import Dice
from thresher.operators.captions.draw.params import (
    RAW,
    WRITTEN,
    CandidateParams,
    DrawParams,
    is_raw,
    raw_bound,
    record_of,
    score_of,
    text_columns,
)
from thresher.operators.captions.draw.synthesis import synthesise
from thresher.operators.captions.draw.weights import Chance, Method, chances, pick
from thresher.operators.captions.facts.evidence import plain
from thresher.operators.captions.record import CaptionRecord
from thresher.operators.captions.taxonomy import Lang, Level
from thresher.operators.registry import operator
from thresher.schemas import Column, FieldError, Reason
from thresher.schemas.columns import require_text

_CANDIDATE = pa.struct(
    {
        "name": pa.string(),
        "lang": pa.string(),
        "level": pa.string(),
        "split": pa.string(),
        "model": pa.string(),
        "text": pa.string(),
        "score": pa.float32(),
        "rank": pa.int32(),
        "softmax": pa.float32(),
        "power": pa.float32(),
        "human": pa.bool_(),
        "depth": pa.int8(),
        "claims": pa.list_(pa.string()),
    }
)


class Drawn(NamedTuple):
    """Candidates of one record, their chances under both rules, and the place of the one that was drawn.

    `unfit`: how many raw texts were turned away; None: none was held to the bound.
    """

    candidates: Sequence[Candidate]
    softmax: Sequence[float | None]
    power: Sequence[float | None]
    chosen: int | None
    unfit: int | None


@operator("caption.draw")
class CaptionDraw(Measure):
    """Draws one of a record's captions, from what captioners and people wrote, by CLIP score if it has one.

    The draw follows from the record's id, `seed` and `epoch` alone. Scores decide between captions that have
    one; a caption without keeps the chance of its weight. A text of the file that scores below `raw_min` is
    turned away: it does not fit its picture. `keep_raw` of the records draw from their raw and fused texts
    only, so that people's words stay in the pool. `fused` is the alt text and a caption, without personal
    data, if it passes the checks and every name in it has evidence beside it.
    """

    params_model = DrawParams
    version = 3
    source = "SANA (arXiv 2410.10629, section 3.1; its code sana_data.py); raw texts: arXiv 2510.01631"
    cost = "1 ms; 3 ms where a caption is synthesised"

    def writes(self) -> list[Column]:
        unfit = "texts of the file turned away: score below `raw_min`; null: none was held to a bound"
        share = "share of the record's texts with no human text in their provenance; null: it has no text"
        synthetic = "whether the drawn caption has no human text in its provenance"
        return [
            Column("caption.drawn", pa.string(), "", "the caption that was drawn; null: the record has none"),
            Column("caption.drawn_from", pa.string(), "", "name of that candidate"),
            Column(
                "caption.drawn_by", pa.string(), "", "the model that wrote it; null: people, or not known"
            ),
            Column("caption.drawn_synthetic", pa.bool_(), "", synthetic),
            Column("caption.drawn_rank", pa.int32(), "", "rank of its score, see `caption.candidates`", 1),
            Column("generation_depth", pa.int8(), "count", _DEPTH, 0),
            Column("caption.raw_unfit", pa.int32(), "count", unfit, 0),
            Column("caption.candidates", pa.list_(_CANDIDATE), "", _MEANING),
            Column("synthetic_text_share", pa.float32(), "share", share, 0, 1),
        ]

    def needs(self) -> tuple[str, ...]:
        columns = [c for one in self._listed() for c in (one.text, one.score, one.record) if c]
        return tuple(dict.fromkeys(columns))

    def settled(self, available: Mapping[str, Column]) -> Operator:
        listed = self.params.candidates
        if listed == "auto":
            texts = text_columns(available)
            if texts == [RAW]:
                mend = "Move it behind the captions, or say `candidates: [{text: text}]`"
                raise FieldError("there are no captions before this step to draw from", (), mend)
            listed = [CandidateParams(text=name, score=score_of(name, available)) for name in texts]
        found = tuple(
            one if one.record else one.model_copy(update={"record": record_of(one.text, available)})
            for one in listed
        )
        least = self.params.raw_min
        if least == "auto":
            least = raw_bound(found, available)
        return type(self)(self.params.model_copy(update={"candidates": found, "raw_min": least}))

    def check(self, available: Mapping[str, Column]) -> None:
        listed = self._listed()
        for i, one in enumerate(listed):
            require_text(available, one.text, ("candidates", i, "text"))
            if one.record:
                require_text(available, one.record, ("candidates", i, "record"))
            if one.score and getattr(available.get(one.score), "hi", None) != 1:
                what = f"the column {one.score!r} holds no cosine of text and picture"
                raise FieldError(what, ("candidates", i, "score"), "Name a column of `clip_score`")
        _check_scores([(i, available[one.score]) for i, one in enumerate(listed) if one.score])
        names = [one.text for one in listed]
        if len({*names}) < len(names):
            raise FieldError("a text stands there twice", ("candidates",), "Name each once")
        if not listed:
            raise FieldError(
                "there is nothing to draw from", ("candidates",), "Name at least one text column"
            )

    def measure(self, batch: Batch) -> Values:
        rows = batch.columns.to_pylist() if batch.columns is not None else [{}] * len(batch)
        columns: dict[str, list[Any]] = {column.name: [None] * len(batch) for column in self.writes()}
        failures: dict[int, Failure] = {}
        for i, (record, row) in enumerate(zip(batch.records, rows, strict=True)):
            try:
                values = _values(self.draw(record.id, row))
            except ValidationError as error:
                what = f"no caption record in {', '.join(self._records())}: {error.errors()[0]['msg']}"
                failures[i] = Failure(Reason.BAD_VALUE, what)
                continue
            for name, value in values.items():
                columns[name][i] = value
        return Values(dict(columns), failures)

    def draw(self, id: bytes, row: Mapping[str, Any]) -> Drawn:
        """The draw of one record from its columns. Raises ValidationError where a caption record is none."""
        params = self.params
        records = {n: CaptionRecord.loads(row[n]) for n in self._records() if row.get(n)}
        offered = list(self._offered(row, records))
        fits = self._fits(offered)
        away = {plain(row[name]) for name, fit in fits.items() if not fit}
        found = made.ranked([one for one in offered if fits.get(one.name, True)])
        for name, record in records.items():
            found += made.fused(name, record, away)
        unfit = [*fits.values()].count(False) if fits else None
        softmax, power = (self._chances(found, method) for method in ("softmax", "power"))
        dice = Dice("caption.draw", params.seed, id, params.epoch)
        people = [i for i, one in enumerate(found) if one.split != "recaption"]
        if people and Dice("caption.draw.keep", params.seed, id).uniform() < params.keep_raw:
            shares = self._chances([found[i] for i in people], params.method)
            return Drawn(found, softmax, power, people[pick(shares, dice.uniform())], unfit)
        if more := self._synthesised(id, records, dice):
            return Drawn([*found, more], [*softmax, None], [*power, None], len(found), unfit)
        shares = softmax if params.method == "softmax" else power
        return Drawn(found, softmax, power, pick(shares, dice.uniform()) if found else None, unfit)

    def _listed(self) -> Sequence[CandidateParams]:
        listed = self.params.candidates
        return [CandidateParams(text=RAW)] if listed == "auto" else listed

    def _records(self) -> list[str]:
        return list(dict.fromkeys(one.record for one in self._listed() if one.record))

    def _fits(self, offered: Sequence[Candidate]) -> dict[str, bool]:
        """Raw texts that are held to the bound, by name, and whether they fit their picture."""
        least = self.params.raw_min
        assert least != "auto", "settled by the plan"
        if least is None:
            return {}
        return {o.name: o.score >= least for o in offered if o.split == "raw" and o.score is not None}

    def _offered(self, row: Mapping[str, Any], records: Mapping[str, CaptionRecord]) -> Iterator[Candidate]:
        for one in self._listed():
            text = (row[one.text] or "").strip()
            if not text:
                continue
            parts = WRITTEN.fullmatch(one.text)
            if is_raw(one.text):
                as_it_came = made.raw(one.text, text)
                if as_it_came is None:
                    continue
                found = as_it_came
            else:
                lang, level = (
                    (cast(Lang, parts["lang"]), cast(Level, parts["level"])) if parts else (None, None)
                )
                found = made.written(one.text, text, records.get(one.record or ""), lang, level)
            score = row[one.score] if one.score else None
            yield found._replace(weight=one.weight, score=None if score is None else 100 * score)

    def _chances(self, found: Sequence[Candidate], method: Method) -> Any:
        given = [Chance(one.score, one.weight) for one in found]
        return chances(given, method, self.params.tau, self.params.clip_thr)

    def _synthesised(self, id: bytes, records: Mapping[str, CaptionRecord], dice: Dice) -> Candidate | None:
        params = self.params
        if not params.synthesis or dice.uniform() >= params.synthesis.share:
            return None
        for name in dice.shuffled(list(records)):
            text = synthesise(records[name], params.seed, id, params.epoch, params.synthesis)
            if text:
                return made.synthesised(f"{name}.{text.lang}.synthesis", text, records[name])
        return None


_DEPTH = (
    "models one after another that the drawn caption is known to come through: 0 a text of the file or "
    "measured facts, 1 a captioner, 2 a captioner of a picture that a model made; null: not known"
)
_MEANING = (
    "the texts that it was drawn from: `score` is the cosine of text and picture times 100, `rank` its "
    "place among those of the record, 1 the best (null: no score, or longer than an encoder reads), "
    "`softmax` and `power` the chances by the rules of SANA's paper and code (null: synthesised), `human` "
    "whether a human text is in the provenance, `depth` as in `generation_depth`, `model` null where people "
    "wrote it or nobody knows"
)


def _check_scores(columns: Sequence[tuple[int, Column]]) -> None:
    """Raise FieldError unless all scores, each with its candidate's place, are by one model."""
    for i, column in columns:
        first = columns[0][1]
        if (column.backend, column.revision) != (first.backend, first.revision):
            what = f"{column.name!r} is by {column.backend}, {first.name!r} by {first.backend}"
            raise FieldError(
                f"scores of two models cannot be compared: {what}",
                ("candidates", i, "score"),
                "Score all with one model, or list the candidates without the scores of the other",
            )


def _values(drawn: Drawn) -> dict[str, Any]:
    """Column -> value."""
    found = drawn.candidates
    kept = {name for name in _CANDIDATE.names} - {"softmax", "power"}
    rows = [
        {name: value for name, value in one._asdict().items() if name in kept}
        | {"softmax": soft, "power": hard}
        for one, soft, hard in zip(found, drawn.softmax, drawn.power, strict=True)
    ]
    one = found[drawn.chosen] if drawn.chosen is not None else None
    return {
        "caption.drawn": one and one.text,
        "caption.drawn_from": one and one.name,
        "caption.drawn_by": one and one.model,
        "caption.drawn_synthetic": one and not one.human,
        "caption.drawn_rank": one and one.rank,
        "generation_depth": one and one.depth,
        "caption.raw_unfit": drawn.unfit,
        "caption.candidates": rows,
        "synthetic_text_share": sum(not c.human for c in found) / len(found) if found else None,
    }
