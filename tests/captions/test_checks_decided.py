"""Claims that facts decide, and those that they leave to a verifier."""

import pytest

from thresher.operators.captions.checks import agreement
from thresher.operators.captions.record import CaptionRecord, Claim, Facts, Measured, OcrLine, Thing, Value
from thresher.operators.captions.taxonomy import Field


def verdict(value: Value, facts: Facts, field: Field = "count") -> str:
    claim = Claim(id="c1", field=field, text={"en": "x"}, value=value)
    found = agreement(CaptionRecord(languages=("en",), facts=facts, claims=(claim,))).claims[0]
    assert bool(found.verifier) == (found.verdict != "unsure")
    return found.verdict


def boats(p: float | None) -> Facts:
    return Facts(objects=(Thing(id="b1", label="boat", count=3, p=p),))


@pytest.mark.parametrize(
    ("value", "p", "field", "told"),
    [
        (Value(count=3, label="boats"), 0.95, "count", "supported"),
        (Value(count=3, label="boat"), None, "count", "supported"),
        (Value(count=3, label="boat"), 0.8, "count", "unsure"),
        (Value(count=3, label="boat"), 0.8, "secondary.attributes", "supported"),
        (Value(count=2, label="boat"), 0.95, "count", "refuted"),
        (Value(count=2, label="boat", colour="red"), 0.95, "count", "unsure"),
        (Value(count=2, label="boat"), 0.95, "secondary.noun", "unsure"),
        (Value(count=4, label="boat"), 0.95, "count", "unsure"),
        (Value(count=3, label="ship"), 0.95, "count", "unsure"),
    ],
)
def test_counts(value: Value, p: float | None, field: Field, told: str) -> None:
    assert verdict(value, boats(p), field) == told


@pytest.mark.parametrize(
    ("value", "grey", "told"),
    [
        (Value(colour="blue", label="picture"), False, "supported"),
        (Value(colour="red", label="picture"), False, "refuted"),
        (Value(colour="navy", label="picture"), False, "unsure"),
        (Value(colour="red", label="boat"), False, "unsure"),
        (Value(colour="red", label="boat"), True, "refuted"),
        (Value(colour="white", label="boat"), True, "unsure"),
    ],
)
def test_colours(value: Value, grey: bool, told: str) -> None:
    held = (
        Measured(id="v1", column="palette", value="blue 0.6, yellow-green 0.3"),
        Measured(id="v2", column="is_gray", value=grey),
    )
    assert verdict(value, Facts(measured=held), "scene.attributes") == told


def test_faces() -> None:
    facts = Facts(measured=(Measured(id="v1", column="faces", value=2),))
    assert verdict(Value(count=2, label="face"), facts) == "supported"
    assert verdict(Value(count=3, label="face"), facts) == "unsure"


def test_what_was_judged_stays() -> None:
    claim = Claim(id="c1", field="count", text={"en": "x"}, value=Value(count=2, label="boat"), verifier="v")
    record = CaptionRecord(languages=("en",), facts=boats(0.95), claims=(claim,))
    assert agreement(record) == record


@pytest.mark.parametrize(
    ("quote", "conf", "told"),
    [
        ("open 24 hours", 0.97, "supported"),
        ("OPEN 24 HOURS FRESH BREAD", 0.97, "supported"),  # a run of lines
        ("OPEN 42 HOURS", 0.97, "unsure"),
        ("OPEN 24 HOUR", 0.97, "unsure"),  # alike is not read just so
        ("OPEN 24 HOURS", 0.8, "unsure"),
    ],
)
def test_text_that_was_read(quote: str, conf: float, told: str) -> None:
    lines = (
        OcrLine(id="o1", text="OPEN 24 HOURS", conf=conf),
        OcrLine(id="o2", text="FRESH BREAD", conf=0.99),
    )
    claim = Claim(id="c1", field="ocr", text={"en": f"It reads “{quote}”."}, value=Value(text=quote))
    record = CaptionRecord(languages=("en",), facts=Facts(ocr=lines, ocr_read=True), claims=(claim,))
    assert agreement(record).claim("c1").verdict == told
