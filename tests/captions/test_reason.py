"""Reasoning samples: what a thought must be, and what becomes of one that is not."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.operators.base import Batch
from thresher.operators.captions.reason.reason import CaptionReason, ReasonParams
from thresher.operators.captions.reason.sample import Sample
from thresher.operators.captions.reason.thought import (
    PATTERNS,
    Pattern,
    Step,
    mention,
    parse,
    pattern_fault,
    render,
)
from thresher.operators.captions.record import CaptionRecord, Claim, Entity, Facts
from thresher.schemas import Column, FieldError
from thresher.schemas.ids import record_id
from thresher.schemas.records import Media, Record

ROLES = {
    "monologue": ("thought", "thought"),
    "decomposition": ("step", "step", "step"),
    "self-ask": ("question", "answer", "question", "answer"),
    "debate": ("first", "second", "verdict"),
    "critique": ("draft", "critique", "revision"),
}
WORDS = st.from_regex(r"[a-z]{3,9}( [a-z]{3,9}){1,4}", fullmatch=True)


def _steps(pattern: str, texts: list[str]) -> list[Step]:
    pairs = zip(ROLES[pattern], texts, strict=False)
    return [Step(role, text + ("?" if role == "question" else ".")) for role, text in pairs]  # type: ignore[arg-type]


@given(
    st.sampled_from(PATTERNS),
    st.lists(WORDS, min_size=4, max_size=4, unique=True),
    st.sampled_from(["en", "zh"]),
)
def test_a_thought_reads_back_and_is_of_its_own_pattern_alone(
    pattern: Pattern, texts: list[str], lang: Any
) -> None:
    steps = _steps(pattern, texts)
    trace = render(steps, lang)
    assert parse(trace, lang) == steps
    assert [p for p in PATTERNS if pattern_fault(trace, p, lang) is None] == [pattern]


@pytest.mark.parametrize(
    ("pattern", "trace", "told"),
    [
        ("decomposition", "First the boats, then the lake.", "numbered steps"),
        ("decomposition", "1. Boats.\n3. A lake.", "step 2 is numbered 3"),
        ("decomposition", "1. Boats.", "two numbered steps"),
        ("self-ask", "Q: How many boats?\nQ: Which lake?\nA: A calm one.", "followed by its answer"),
        ("self-ask", "Q: The boats.\nA: Three.", "question mark"),
        ("debate", "First voice: Boats.\nVerdict: Boats.", "two voices"),
        ("debate", "First voice: Boats.\nSecond voice: The lake.", "verdict"),
        ("debate", "First voice: Boats.\nSecond voice: boats.\nVerdict: Both.", "say the same"),
        ("critique", "Draft: Boats.\nRevision: Three boats.", "a draft, a critique"),
        ("critique", "Draft: Boats.\nCritique: Vague.\nRevision: Boats.", "say the same"),
        ("monologue", "1. Boats.\n2. A lake.", "plain sentences"),
        ("monologue", "", "plain sentences"),
    ],
)
def test_a_thought_without_the_form_of_its_pattern_is_told_why(
    pattern: Pattern, trace: str, told: str
) -> None:
    assert told in (pattern_fault(trace, pattern, "en") or "")


@pytest.mark.parametrize(
    "text",
    [
        "The image shows three boats.", "I start from the target image.",
        "In this photo, boats rest.",
        "Compare with the final picture.", "The boats, as shown, are red.", "Here we can see a lake.",
        "图中有三艘船。", "目标图像里是湖。", "这张照片拍的是湖。", "画面中有船。",
        "可以看到三艘船。", "参考图有一座塔。", "The shown scene has boats.",
        "根据图片，光线来自左侧。", "观察图像，船是红色的。", "圖中有三艘船。", "這張照片拍的是湖。",
        "由图可知，湖面平静。",
    ],
)  # fmt: skip
def test_words_that_give_the_target_away_are_found(text: str) -> None:
    assert mention(text, "zh" if text[0] > "z" else "en")


@pytest.mark.parametrize(
    "text",
    [
        "A photo of three boats on a lake.", "The scene needs a clear sky.", "An image of calm.",
        "A child holds the picture book.", "墙上挂着一张地图。", "画面中央是一艘船。",
        "一幅山水画。", "图书馆前有一棵树。", "The photo album lies here.",
    ],
)  # fmt: skip
def test_words_of_a_request_are_none(text: str) -> None:
    assert mention(text, "zh" if text[0] > "z" else "en") is None


def test_a_picture_among_the_things_is_no_target() -> None:
    held = "a picture on the wall"
    assert mention("Replace the picture with a mirror.", "en", held) is None
    for text in ("As in the picture on the wall.", "The picture shows it.", "Take the target picture."):
        assert mention(text, "en", held)


CLAIMS = {
    "c1": ("primary.noun", "three boats", "三艘船"),
    "c2": ("scene.noun", "a lake", "湖"),
    "c3": ("scene.attributes", "dawn", "清晨"),
    "c4": ("relation", "the boats rest on the lake", "船停在湖上"),
}


def _record(verdict: Any = "supported") -> CaptionRecord:
    claims = tuple(
        Claim(
            id=i,
            field=field,
            text={"en": en, "zh": zh},
            provenance=("vlm:a",),
            verdict=verdict,
            p=0.95,
            t=0.9,
        )
        for i, (field, en, zh) in CLAIMS.items()  # type: ignore[arg-type]
    )
    false = Claim(id="c9", field="count", text={"en": "seven ducks", "zh": "七只鸭子"}, verdict="refuted")
    named = Entity(id="e1", name={"en": "West Lake", "zh": "西湖"}, type="lake")
    return CaptionRecord(languages=("en", "zh"), facts=Facts(entities=(named,)), claims=(*claims, false))


def _batch(n: int, record: CaptionRecord | None) -> Batch:
    media = (Media("image", "a.jpg", None, None, "jpg"),)
    records = [Record(record_id("s", str(i).encode()), "s", str(i), media) for i in range(n)]
    column = pa.array([record and record.dumps()] * n, pa.string())
    return Batch(records, {}, pa.table({"caption": column}))


class Writer:
    """A model that writes well, unless a test says otherwise: `spoil(kind, answer)` changes an answer."""

    def __init__(self, said: Callable[[dict[str, Any]], str], spoil: Callable[[str, Any], Any] | None = None):
        self.said, self.spoil, self.told = said, spoil or (lambda kind, answer: answer), False

    def __call__(self, body: dict[str, Any]) -> Any:
        asked = self.said(body)
        self.told |= "Your last attempt was rejected" in asked
        if "Key points:" in asked:
            return "counting"
        if "Step:\n" in asked:
            return self.spoil("step", "yes")
        if "Key point:" in asked or "\nText:\n" in asked:
            return self.spoil("judge", "yes")
        zh = "Language: Chinese" in asked
        told = {i: c[1 + zh] for i, c in CLAIMS.items()}
        if '"prompt"' in asked:
            wanted = [text for text in told.values() if f"- {text}\n" in asked + "\n"]
            return self.spoil("prompt", {"prompt": ("，" if zh else ", ").join(wanted)})
        assert "ducks" not in asked and "鸭" not in asked, "a refuted claim was offered"
        return self.spoil("thought", self._thought(asked, told, zh))

    def _thought(self, asked: str, told: Mapping[str, str], zh: bool) -> Any:
        pattern = next(p for p in PATTERNS if f"Form: {p}." in asked)
        ids = list(told)
        texts = [told[ids[i]] + ("?" if role == "question" else ".") for i, role in enumerate(ROLES[pattern])]
        steps = [
            {"role": role, "text": text, "claims": [name]}
            for role, text, name in zip(ROLES[pattern], texts, ids, strict=False)
        ]
        caption = ("，" if zh else ", ").join(told.values())
        return {"steps": steps, "caption": caption, "claims": ids}


def _run(server: Any, n: int = 1, record: CaptionRecord | None = None, **params: Any) -> list[dict[str, Any]]:
    given = ReasonParams(model="m", endpoint=server.url, **params)
    values = CaptionReason(given).measure(_batch(n, record or _record()))
    assert not values.failures
    return [{name: values.columns[name][i] for name in values.columns} for i in range(n)]


@pytest.mark.acceptance("I31")
def test_every_sample_has_a_pattern_verified_claims_and_no_word_of_the_target(
    chat_server: Callable[..., Any], said: Callable[..., str], shown: Callable[..., Any]
) -> None:
    server = chat_server(Writer(said))
    rows = _run(server, 24)
    samples = [Sample.loads(row["reasoning"]) for row in rows]
    assert {s.pattern for s in samples} == set(PATTERNS) and {s.lang for s in samples} == {"en", "zh"}
    assert {s.kind for s in samples} == {"T2T", "T2TI", "rewrite"}
    assert {row["reasoning.status"] for row in rows} == {"pass"}
    for row, sample in zip(rows, samples, strict=True):
        assert (row["reasoning.kind"], row["reasoning.pattern"]) == (sample.kind, sample.pattern)
        assert pattern_fault(sample.trace, sample.pattern, sample.lang) is None
        assert not any(mention(text, sample.lang) for text in (sample.prompt, sample.trace, sample.refined))
        assert sample.claims and all(claim.verdict == "supported" for claim in sample.claims)
        assert 0 < sum(claim.asked for claim in sample.claims) < len(CLAIMS), "a prompt is partial"
        assert any(step.verdict == "supported" for step in sample.steps)
        assert sample.by and sample.by.revision.startswith("reason-") and len(sample.by.prompt) == 8
    assert not any(shown(body) for body in server.bodies)
    assert rows == _run(server, 24), "a record's draws follow from its id"


DOUBTED = {
    "pattern": ("thought", lambda a: a | {"steps": [s | {"role": "draft"} for s in a["steps"]]}),
    "target_mention": ("thought", lambda a: a | {"caption": "The image shows " + a["caption"]}),
    "statement_id": ("thought", lambda a: a | {"caption": a["caption"] + " (c3)"}),
    "unknown_claim": ("thought", lambda a: a | {"claims": [*a["claims"], "c9"]}),
    "unused_step": (
        "thought", lambda a: a | {"steps": [a["steps"][0] | {"claims": []}, *a["steps"][1:]]}
    ),
    "changed:counting": ("thought", lambda a: a | {"caption": a["caption"].replace("three", "four")}),
    "lost:compositional": ("thought", lambda a: a | {"claims": a["claims"][1:]}),
    "added:negation": ("thought", lambda a: a | {"caption": a["caption"] + ", with no people"}),
    "prompt.added:counting": ("prompt", lambda a: {"prompt": a["prompt"] + ", seven ducks"}),
    "step_unsupported": ("step", lambda a: "no"),
    "lost:": ("judge", lambda a: "no"),
}  # fmt: skip


@pytest.mark.parametrize("check", DOUBTED)
@pytest.mark.parametrize("mended", [False, True])
def test_a_fault_is_told_once_and_then_rejects_with_its_check_named(
    check: str, mended: bool, chat_server: Callable[..., Any], said: Callable[..., str]
) -> None:
    piece, spoiling = DOUBTED[check]

    def spoil(kind: str, answer: Any) -> Any:
        return answer if kind != piece or (mended and writer.told) else spoiling(answer)

    writer = Writer(said, spoil)
    server = chat_server(writer)
    (row,) = _run(server, patterns=("decomposition",), languages=("en",), kinds=("T2TI",))
    told = [said(body) for body in server.bodies if "Your last attempt was rejected" in said(body)]
    assert len(told) == 1
    if mended:
        assert (row["reasoning.status"], row["reasoning.failed_check"]) == ("pass", None)
        return
    sample = Sample.loads(row["reasoning"])
    assert row["reasoning.status"] == sample.status == "fail"
    assert check in row["reasoning.failed_check"] and sample.fails[0] == row["reasoning.failed_check"]
    assert sample.fails[0] in told[0] and sample.told[0]


def test_a_false_answer_of_self_ask_is_named(
    chat_server: Callable[..., Any], said: Callable[..., str]
) -> None:
    server = chat_server(Writer(said, lambda kind, answer: "no" if kind == "step" else answer))
    (row,) = _run(server, patterns=("self-ask",), languages=("en",))
    assert row["reasoning.failed_check"] == "answer_unsupported"


def test_too_few_supported_claims_make_no_sample_and_ask_nothing(
    chat_server: Callable[..., Any], said: Callable[..., str]
) -> None:
    server = chat_server(Writer(said))
    (row,) = _run(server, record=_record("unsure"))
    assert row == dict.fromkeys(row, None) | {"reasoning.status": "abstain"} and not server.bodies
    nothing = CaptionReason(ReasonParams(model="m", endpoint=server.url)).measure(_batch(1, None))
    assert nothing.columns["reasoning"] == [None] and not nothing.failures


def test_a_column_that_holds_no_caption_record_costs_its_record() -> None:
    batch = _batch(1, None)
    broken = Batch(batch.records, {}, pa.table({"caption": ["{}"]}))
    (made,) = CaptionReason(ReasonParams(model="m", endpoint="http://localhost:1/v1")).prepare(broken)
    assert "caption holds no caption record" in made.message  # type: ignore[union-attr]


def test_a_prompt_of_ones_own_changes_the_revision_and_a_bad_one_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("Think loudly.")
    plain = CaptionReason(ReasonParams(model="m")).revision()
    assert CaptionReason(ReasonParams(model="m", prompts={"reason_thought": str(mine)})).revision() != plain
    for name, place in (("reason_thoght", mine), ("reason_thought", tmp_path / "none.txt")):
        with pytest.raises(FieldError) as caught:
            CaptionReason(ReasonParams(model="m", prompts={name: str(place)})).revision()
        assert caught.value.path == ("prompts", name)


def test_the_plan_names_a_missing_column_and_a_missing_endpoint() -> None:
    column = {"caption": Column("caption", pa.string(), "JSON", "captions")}
    for available, said in (({}, "captions called"), (column, "no endpoint")):
        with pytest.raises(FieldError, match=said):
            CaptionReason(ReasonParams()).check(available)


def test_samples_read_back() -> None:
    sample = Sample(
        id="r1", kind="T2T", pattern="monologue", lang="zh", prompt="船", trace="想。", steps=(),
        refined="船。", claims=(),
    )  # fmt: skip
    assert Sample.loads(sample.dumps()) == sample and json.loads(sample.dumps())["v"] == 1
