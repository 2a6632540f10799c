"""Several captioners and a draw: weights, candidates, raw text, shares of synthetic text."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.operators.base import Batch
from thresher.operators.captions.draw.dice import Dice
from thresher.operators.captions.draw.draw import CaptionDraw, DrawParams
from thresher.operators.captions.draw.share import tallies, total, warnings
from thresher.operators.captions.draw.weights import Chance, Method, chances, pick, power, softmax
from thresher.operators.captions.record import (
    CaptionRecord,
    Claim,
    Entity,
    Facts,
    Maker,
    Measured,
    Meta,
    OcrLine,
    Sentence,
    Text,
)
from thresher.operators.models.clip_score import ClipScore, ScoreParams
from thresher.schemas import Column, FieldError, Record

SANA = [Chance(25.0), Chance(30.0)]
scores = st.lists(st.floats(-100, 100), min_size=1, max_size=9)


def ids(n: int) -> list[bytes]:
    return [i.to_bytes(8) + b"\0" * 8 for i in range(n)]


def draw(
    rows: Sequence[dict[str, Any]],
    types: dict[str, pa.DataType] | None = None,
    backends: Sequence[str] = ("siglip",),
    **given: Any,
) -> pa.Table:
    """What `caption.draw` writes for rows with ids 0, 1, ..., their columns being all there are; the
    scores are by `backends` in turn."""
    names = {"text": pa.string()} | (types or {n: pa.string() for row in rows for n in row})
    available = {n: Column(n, t, "", "") for n, t in names.items()}
    scored = [n for n, t in names.items() if t == pa.float32()]
    for i, name in enumerate(scored):
        by = backends[i % len(backends)]
        available[name] = Column(name, pa.float32(), "", "", -1, 1, backend=by)
    operator = CaptionDraw(DrawParams.model_validate(given)).settled(available)
    operator.check(available)
    assert isinstance(operator, CaptionDraw)
    table = pa.table({n: pa.array([row.get(n) for row in rows], names[n]) for n in operator.needs()})
    records = [Record(id, "pool", str(i), ()) for i, id in enumerate(ids(len(rows)))]
    values = operator.measure(Batch(records, {}, table))
    assert not values.failures
    return pa.table({c.name: pa.array(values.columns[c.name], c.dtype) for c in operator.writes()})


def record(writer: str = "vlm-a", alt: str | None = None, **claim: Any) -> CaptionRecord:
    """One medium caption in English, of one claim."""
    said = "A stone tower stands on a hill."
    given = {"provenance": (f"vlm:{writer}",), "verdict": "supported"} | claim
    made = Claim(id="c1", field="primary.noun", text={"en": said}, **given)
    sentence, by = Sentence(end=len(said), claims=("c1",)), Maker(model=writer)
    text = Text(id="t1", lang="en", level="medium", text=said, sentences=(sentence,), by=by)
    meta = (Meta(id="m1", kind="alt_text", text=alt),) if alt else ()
    return CaptionRecord(languages=("en",), facts=Facts(meta=meta), texts=(text,), claims=(made,))


def columns(name: str, held: CaptionRecord) -> dict[str, str]:
    return {name: held.dumps(), f"{name}.en.medium": held.texts[0].text}


@pytest.mark.acceptance("I23")
def test_sana_scores_of_25_and_30() -> None:
    columns = {
        "text": pa.string(),
        "a": pa.string(),
        "b": pa.string(),
        "sa": pa.float32(),
        "sb": pa.float32(),
    }
    of = [{"text": "a", "score": "sa"}, {"text": "b", "score": "sb"}]
    cases: tuple[tuple[Method, float], ...] = (("power", 0.861), ("softmax", 1.0))
    for method, share in cases:
        shares = chances(SANA, method, tau=0.1, clip_thr=25.0)
        places = [pick(shares, Dice("caption.draw", 0, id).uniform()) for id in ids(100_000)]
        assert sum(places) / len(places) == pytest.approx(share, abs=0.01 if share < 1 else 0)
    rows = [{"a": "first", "b": "second", "sa": 0.25, "sb": 0.30}] * 5000
    drawn = draw(rows, columns, candidates=of)["caption.drawn"].to_pylist()
    assert drawn.count("second") / len(drawn) == pytest.approx(0.861, abs=0.02)
    assert {*draw(rows[:500], columns, candidates=of, method="softmax")["caption.drawn"].to_pylist()} == {
        "second"
    }
    low = [{"a": "first", "b": "second", "sa": 0.21, "sb": 0.2}] * 500
    assert {*draw(low, columns, candidates=of)["caption.drawn"].to_pylist()} == {"first"}


@given(scores, st.floats(0.001, 10), st.floats(-10, 100))
def test_chances_are_shares_that_rise_with_the_score(given: list[float], tau: float, least: float) -> None:
    held = np.array(given)
    for found in (power(held, tau, least), softmax(held, tau)):
        assert found.sum() == pytest.approx(1) and (found >= 0).all()
        assert found[held.argmax()] == pytest.approx(found.max())
    fit = (held >= least) & (held > 0)
    assert not fit.any() or (power(held, tau, least)[~fit] == 0).all()


@given(
    st.lists(st.tuples(st.none() | st.floats(1, 99), st.floats(0, 5)), max_size=7),
    st.sampled_from(["power", "softmax"]),
)
def test_an_unscored_caption_keeps_the_chance_of_its_weight(given: list[Any], method: Any) -> None:
    found = chances([Chance(score, weight) for score, weight in given], method, 0.1, 25)
    weight = math.fsum(w for _, w in given)
    assert len(found) == len(given) and (not given or found.sum() == pytest.approx(1))
    for share, (score, own) in zip(found, given, strict=True):
        if weight > 1e-9 and score is None:
            assert share == pytest.approx(own / weight)


def test_a_draw_hangs_on_the_id_alone_and_each_epoch_draws_anew() -> None:
    rows = [{"a": f"a{i}", "b": f"b{i}"} for i in range(400)]
    types = dict.fromkeys(("text", "a", "b"), pa.string())
    of = [{"text": "a"}, {"text": "b"}]
    drawn = draw(rows, types, candidates=of)
    assert drawn == draw(rows, types, candidates=of)
    assert drawn.slice(0, 50) == draw(rows[:50], types, candidates=of)
    others = [draw(rows, types, candidates=of, **{name: 1})["caption.drawn"] for name in ("seed", "epoch")]
    for other in others:
        assert (
            120
            < sum(x != y for x, y in zip(drawn["caption.drawn"].to_pylist(), other.to_pylist(), strict=True))
            < 280
        )


def test_all_captioners_and_the_alt_text_are_found_by_themselves_with_their_scores() -> None:
    held = {"caption": record(), "second": record("vlm-b")}
    row = {"text": "old tower", "caption.en.medium.clip_score": 0.3} | columns("caption", held["caption"])
    row |= columns("second", held["second"])
    types = {n: pa.float32() if n.endswith("score") else pa.string() for n in row}
    types |= {"other.en.medium": pa.string(), "note": pa.string()}  # of no captioner
    found = draw([row], types)["caption.candidates"].to_pylist()[0]
    assert [c["name"] for c in found] == ["text", "caption.en.medium", "second.en.medium"]
    assert [c["model"] for c in found] == [None, "vlm-a", "vlm-b"]
    assert [c["split"] for c in found] == ["raw", "recaption", "recaption"]
    assert [c["score"] for c in found] == [None, pytest.approx(30.0), None]
    assert all(c["power"] == pytest.approx(1 / 3) for c in found) and found[1]["claims"] == ["c1"]


def test_raw_or_fused_text_is_kept_by_a_share_of_the_records_that_have_any() -> None:
    alt, n = "The old keep of Dunmore in spring", 3000
    row = {"text": alt} | columns("caption", record(alt=alt))
    of = [{"text": "text", "weight": 0}, {"text": "caption.en.medium", "weight": 1e9}]
    drawn = draw([row] * n, candidates=of)["caption.drawn_from"].to_pylist()
    assert {"text", "caption.en.medium", "caption.en.fused"} >= {*drawn}
    assert 0.08 * n < n - drawn.count("caption.en.medium") < 0.12 * n
    assert {*draw([row] * 300, candidates=of, keep_raw=0)["caption.drawn_from"].to_pylist()} == {
        "caption.en.medium"
    }
    bare = {k: v for k, v in row.items() if k != "text"} | columns("caption", record())
    assert {*draw([bare] * 50, candidates=of, keep_raw=1)["caption.drawn_from"].to_pylist()} == {
        "caption.en.medium"
    }
    assert draw([{"text": " "}], candidates=[{"text": "text"}])["caption.drawn"].to_pylist() == [None]


def test_fused_text_needs_evidence_for_every_name() -> None:
    held = record(alt="a tower seen from below")
    row = {"text": None} | columns("caption", held)
    fused = [c for c in draw([row])["caption.candidates"].to_pylist()[0] if c["split"] == "fused"]
    assert [c["text"] for c in fused] == ["a tower seen from below. A stone tower stands on a hill."]
    assert fused[0]["human"] and fused[0]["claims"] == ["c1"]
    named = held.texts[0].model_copy(update={"text": "A tower of Castle Rathmore stands on a hill."})
    row["caption"] = held.model_copy(update={"texts": (named,)}).dumps()
    assert "fused" not in {c["split"] for c in draw([row])["caption.candidates"].to_pylist()[0]}


def aligned(score: float, backend: str = "open_clip ViT-B-32", **given: Any) -> dict[str, Any]:
    """The draw of a record with an alt text of that score, which its captions rest on too."""
    alt = "a tower seen from below"
    row = {"text": alt, "clip_score": score, "caption.en.medium.clip_score": 0.3, "own": "x", "fit": 0.28}
    row |= columns("caption", record(alt=alt))
    types = {n: pa.float32() if isinstance(v, float) else pa.string() for n, v in row.items()}
    of = [{"text": "text", "score": "clip_score"}, {"text": "own", "score": "fit"}]
    of += [{"text": "caption.en.medium", "score": "caption.en.medium.clip_score"}]
    return {k: v[0] for k, v in draw([row], types, [backend], candidates=of, **given).to_pydict().items()}


def test_raw_text_that_does_not_fit_its_picture_is_turned_away_and_scores_are_ranked() -> None:
    below = aligned(0.2499, keep_raw=1)
    assert below["caption.raw_unfit"] == 1 and below["caption.drawn_from"] != "text"
    ranks = {one["name"]: one["rank"] for one in below["caption.candidates"]}
    assert ranks == {"own": 1, "caption.en.medium": None}  # a medium text is longer than CLIP reads
    kept = aligned(0.25, keep_raw=1)
    names = {one["name"]: one["rank"] for one in kept["caption.candidates"]}
    assert names == {"text": 2, "own": 1, "caption.en.medium": None, "caption.en.fused": None}
    assert kept["caption.raw_unfit"] == 0 and kept["caption.drawn_rank"] == names[kept["caption.drawn_from"]]
    for free in (aligned(0.1, backend="siglip"), aligned(0.1, raw_min=None)):
        assert free["caption.raw_unfit"] is None and len(free["caption.candidates"]) == 4
    assert aligned(0.1, backend="siglip", raw_min=12)["caption.raw_unfit"] == 1


def test_scores_of_two_models_are_refused() -> None:
    row = {"a": "a", "b": "b", "sa": 0.25, "sb": 0.3}
    types = {n: pa.float32() if n[0] == "s" else pa.string() for n in row}
    of = [{"text": "a", "score": "sa"}, {"text": "b", "score": "sb"}]
    with pytest.raises(FieldError, match="two models") as caught:
        draw([row], types, ["siglip", "open_clip ViT-B-32"], candidates=of)
    assert caught.value.path == ("candidates", 1, "score")


def fused_with(alt: str, **facts: Any) -> list[str]:
    held = record(alt=alt)
    facts = held.facts.model_dump() | facts
    row = columns("caption", held.model_copy(update={"facts": Facts.model_validate(facts)}))
    found = draw([row])["caption.candidates"].to_pylist()[0]
    return [one["text"] for one in found if one["split"] == "fused"]


@pytest.mark.parametrize(
    "alt",
    [
        "Sorry I can't. Taylor Swift in Narnia, call +1 555 123 4567 foo@bar.com",
        "Sorry, I can't tell what that is",
        "old tower " * 8,
        "a tower, башня на холме над рекой",
        "the old keep of Dunmore",
    ],
)
def test_alt_text_that_fails_a_check_is_not_fused(alt: str) -> None:
    assert not fused_with(alt)


def test_a_fused_text_holds_no_personal_data_and_needs_evidence_beside_itself() -> None:
    tower = " A stone tower stands on a hill."
    assert fused_with("a tower, call +1 555 123 4567 or foo@bar.com") == [
        "a tower, call [phone] or [e-mail]." + tower
    ]
    alt = "the old keep of Dunmore"
    by_itself = Entity(id="e1", name={"en": "Dunmore"}, type="castle", evidence=("m1",))
    assert not fused_with(alt, entities=(by_itself,))
    assert fused_with(alt, ocr=(OcrLine(id="o1", text="DUNMORE"),)) == [alt + "." + tower]


def test_human_text_counts_wherever_it_stands_in_the_provenance() -> None:
    by_people = record(alt="Dunmore", provenance=("vlm:a", "meta:m1"))
    entity = Entity(id="e1", name={"en": "Dunmore"}, type="castle", evidence=("m1",))
    facts = Facts(meta=by_people.facts.meta, entities=(entity,))
    by_name = record(provenance=("entity:e1",)).model_copy(update={"facts": facts})
    shares = [
        draw([columns("caption", held)], keep_raw=0)["synthetic_text_share"].to_pylist()[0]
        for held in (by_people, by_name, record(alt="Dunmore"), record(provenance=("ocr:o1",)))
    ]
    assert shares == [0, 0, 1, 1]
    mixed = draw([{"text": "old tower"} | columns("caption", record())])
    assert mixed["synthetic_text_share"].to_pylist() == [0.5]


@pytest.mark.parametrize(
    ("column", "value", "writer", "depth"),
    [
        ("aigc_tier", "A", "vlm-a", 2),
        ("synthetic", True, "vlm-a", 2),
        ("aigc_tier", "D", "vlm-a", 1),
        ("synthetic", False, "vlm-a", 1),
        ("synthetic", True, "facts", 1),
        ("synthetic", False, "facts", 0),
    ],
)
def test_generation_depth_counts_the_captioner_and_the_maker_of_the_picture(
    column: str, value: Any, writer: str, depth: int
) -> None:
    held = record(writer, alt="a tower seen from below")
    facts = held.facts.model_copy(update={"measured": (Measured(id="v1", column=column, value=value),)})
    row = {"text": "old tower"} | columns("caption", held.model_copy(update={"facts": facts}))
    found = draw([row], candidates=[{"text": n} for n in ("text", "caption.en.medium")])
    depths = {one["name"]: one["depth"] for one in found["caption.candidates"].to_pylist()[0]}
    assert depths == {"text": 0, "caption.en.medium": depth, "caption.en.fused": depth}
    assert found["generation_depth"].to_pylist() == [depths[found["caption.drawn_from"].to_pylist()[0]]]


def test_synthesised_captions_name_their_claims_and_leave_poor_records_alone() -> None:
    claims = tuple(
        Claim(
            id=f"c{i}",
            field="primary.noun",
            text={"en": f"There are {i} red boats near the old stone pier."},
            verdict="supported",
        )
        for i in range(2, 30)
    )
    rich = columns("caption", record().model_copy(update={"claims": claims}))
    rows = [rich, columns("caption", record())] * 100
    drawn = draw(rows, keep_raw=0, synthesis={"share": 0.5})
    names = Counter(zip(drawn["caption.drawn_from"].to_pylist(), [0, 1] * 100, strict=True))
    assert 30 < names["caption.en.synthesis", 0] < 70 and names["caption.en.synthesis", 1] == 0
    for text, found in zip(
        drawn["caption.drawn"].to_pylist(), drawn["caption.candidates"].to_pylist(), strict=True
    ):
        one = next(c for c in found if c["text"] == text)
        assert one["name"] != "caption.en.synthesis" or (len(one["claims"]) >= 3 and one["power"] is None)
    assert drawn["caption.drawn_by"].to_pylist() == ["vlm-a"] * 200


def test_wrong_parameters_are_told_with_their_place() -> None:
    for params, path in [
        ({"candidates": [{"text": "txet"}]}, ("candidates", 0, "text")),
        ({"candidates": [{"text": "text", "score": "text"}]}, ("candidates", 0, "score")),
        ({"candidates": [{"text": "text"}, {"text": "text"}]}, ("candidates",)),
    ]:
        with pytest.raises(FieldError) as caught:
            draw([{"text": "x"}], **params)
        assert caught.value.path == path


def test_a_broken_record_costs_one_record() -> None:
    available = {n: Column(n, pa.string(), "", "") for n in ("text", "caption", "caption.en.medium")}
    operator = CaptionDraw().settled(available)
    assert isinstance(operator, CaptionDraw)
    rows = [columns("caption", record()), {"caption": "{", "caption.en.medium": "x"}]
    table = pa.table({n: [row.get(n) for row in rows] for n in operator.needs()})
    values = operator.measure(Batch([Record(id, "p", "k", ()) for id in ids(2)], {}, table))
    assert [*values.failures] == [1] and values.columns["caption.drawn"][0]


def test_several_clip_scores_have_columns_of_their_own() -> None:
    for params, column, text in [
        ({}, "clip_score", "text"),
        ({"text": "caption.en.short"}, "caption.en.short.clip_score", "caption.en.short"),
        ({"text": "caption.en.short", "name": "fit"}, "fit", "caption.en.short"),
    ]:
        step = ClipScore(ScoreParams.model_validate(params))
        assert step.params.column == column and step.needs() == ("clip", text)


def test_shares_warn_where_people_and_captioners_get_scarce() -> None:
    def table(
        models: Sequence[str | None], share: float = 1.0, unfit: int | None = None, depth: int = 1
    ) -> pa.Table:
        return pa.table(
            {
                "caption.drawn_by": models,
                "caption.drawn_synthetic": [m is not None for m in models],
                "synthetic_text_share": [share if m else 0.5 for m in models],
                "generation_depth": [depth if m else 0 for m in models],
                "caption.raw_unfit": pa.array([unfit] * len(models), pa.int32()),
                "bucket_512": [i % 2 for i in range(len(models))],
            }
        )

    def told(rows: pa.Table) -> list[str]:
        return [*warnings(total(tallies(rows, None)), "all", 0.9, 0.6)]

    assert len(told(table(["a"] * 95 + [None] * 5))) == 2
    assert told(table(["a"] * 50 + ["b"] * 40 + [None] * 10)) == []
    assert told(table(["a"] * 48 + ["b"] * 47 + [None] * 5, share=0.5)) == []  # raw texts are there to draw
    assert ["61.0%" in line for line in told(table(["a"] * 61 + ["b"] * 29 + [None] * 10))] == [True]
    away = table(["a", "b"] * 9 + [None], share=0.5, unfit=1)
    assert ["100.0% of 19 texts" in line for line in told(away)] == [True]
    assert total(tallies(away, None)).facts("all")["raw_unfit"] == 19
    assert told(table(["a", "b", None], share=0.5, depth=2))[0].startswith(
        "all: 2 of 3 captions were written by"
    )
    both = tallies(table(["a", None] * 20), "bucket_512")
    assert [both[b].synthetic_share for b in ("0", "1")] == [1, 0] and total(both).synthetic_share == 0.5


STEPS = """      - quality
      - caption.draw: {candidates: [{text: text}, {text: format}], keep_raw: 0}
      - balance.captions: {max_captioner: 1}
    export: {shard_size: 100KB, sana: true}
"""


def test_a_run_draws_warns_and_exports_what_was_drawn(cli: Any, pool: Path, recipe: Any) -> None:
    for path in sorted(pool.glob("astronaut-*.jpg"))[:4]:
        path.with_suffix(".txt").write_text(f"part {path.stem[-2:]} of a portrait")
    head = (
        "thresher: 1\nname: photos\nseed: 7\ntables:\n  images:\n    ingest: {folder: ./photos}\n    steps:\n"
    )
    cli("run", str(recipe(text=head + STEPS)), "--local")
    assert "Warning: balance.captions: all captions: 9" in cli.out and "only 4.1% of the records" in cli.out
    shards = cli.cwd / "runs/photos/export/images/latest"
    cli("verify", str(shards))
    captions = [c for p in shards.glob("*_captions.json") for c in json.loads(p.read_text()).values()]
    assert len(captions) == 98 and all(c["prompt"] in (c.get("text"), c["format"]) for c in captions)
    assert 0 < sum(c["prompt"] == c.get("text") for c in captions) <= 4
    assert "synthetic_text_share" in (cli.cwd / "runs/photos/report.html").read_text()
    raised = recipe(text=head + STEPS.replace("keep_raw: 0}", "keep_raw: 1}"))
    cli("run", str(raised), "--local")
    captions = [c for p in shards.glob("*_captions.json") for c in json.loads(p.read_text()).values()]
    assert sum(c["prompt"] == c.get("text") for c in captions) == 4
