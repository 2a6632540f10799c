"""Claims that facts decide, and those that they leave to a verifier."""

import pytest

from thresher.operators.captions.checks import agreement
from thresher.operators.captions.record import CaptionRecord, Claim, Facts, Measured, OcrLine, Thing, Value
from thresher.operators.captions.taxonomy import Field, Lang


def verdict(
    value: Value, facts: Facts, field: Field = "count", en: str = "", zh: str = "", fact: str = ""
) -> str:
    """Of a claim that says no more than its value, unless its words are given; `fact` decides it."""
    en = en or (
        f"The {value.label} is {value.colour}." if value.colour else f"There are {value.count} {value.label}."
    )
    said: dict[Lang, str] = {"en": en, "zh": zh} if zh else {"en": en}
    claim = Claim(id="c1", field=field, text=said, value=value, provenance=("vlm:m",))
    found = agreement(CaptionRecord(languages=("en",), facts=facts, claims=(claim,))).claims[0]
    assert bool(found.verifier) == (found.verdict != "unsure")
    if fact and found.verifier:
        assert found.provenance == ("vlm:m", *fact.split())
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
    assert verdict(value, boats(p), field, fact="object:b1") == told


@pytest.mark.parametrize(
    ("value", "grey", "told"),
    [
        (Value(colour="blue", label="picture"), False, "supported"),
        (Value(colour="red", label="picture"), False, "refuted"),
        (Value(colour="navy", label="picture"), False, "unsure"),
        (Value(colour="purple", label="picture"), False, "unsure"),
        (Value(colour="red", label="boat"), False, "unsure"),
        (Value(colour="red", label="boat"), True, "refuted"),
        (Value(colour="white", label="boat"), True, "unsure"),
        (Value(colour="beige", label="picture"), False, "unsure"),  # no palette has it
        (Value(colour="teal", label="picture"), False, "unsure"),
        (Value(colour="米色", label="picture"), False, "unsure"),
    ],
)
def test_colours(value: Value, grey: bool, told: str) -> None:
    held = (
        Measured(id="v1", column="palette", value="blue 0.6, yellow-green 0.3"),
        Measured(id="v2", column="is_gray", value=grey),
    )
    assert (
        verdict(
            value,
            Facts(measured=held),
            "scene.attributes",
            fact="column:is_gray" if grey else "column:palette",
        )
        == told
    )


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
    found = agreement(record).claim("c1")
    assert found.verdict == told
    assert found.provenance == (
        () if told == "unsure" else ("ocr:o1", "ocr:o2") if "FRESH" in quote else ("ocr:o1",)
    )


DOGS = Facts(objects=(Thing(id="b1", label="dog", count=2, p=0.99),))
EXIT = Facts(ocr=(OcrLine(id="o1", text="EXIT", conf=0.99),), ocr_read=True)


@pytest.mark.parametrize(
    ("en", "zh", "told"),
    [
        ("Two dogs.", "", "supported"),
        ("There are two dogs in the picture.", "画面中有两只狗。", "supported"),
        ("2 dogs can be seen", "图中有两条狗", "supported"),
        ("Seven dogs.", "", "unsure"),
        ("Two dogs.", "七只狗。", "unsure"),
        ("Two dogs.", "两只狗在打架。", "unsure"),
        ("Two dogs.", "两只黑狗。", "unsure"),
        ("Two cats.", "", "unsure"),
        ("Two black dogs.", "", "unsure"),
        ("Two dogs fight a bear under the moon.", "", "unsure"),
        ("There are no dogs.", "", "unsure"),
        ("Two dogs “EXIT”.", "", "unsure"),
    ],
)
def test_a_count_is_supported_only_if_the_words_say_just_that(en: str, zh: str, told: str) -> None:
    for field in ("count", "relation"):
        assert verdict(Value(count=2, label="dog"), DOGS, field, en, zh, "object:b1") == told


@pytest.mark.parametrize(
    ("count", "en", "zh", "told"),
    [
        (2, "There are two dogs.", "画面中有两只狗。", "refuted"),
        (2, "Two of the dogs are asleep.", "", "unsure"),
        (2, "Two dogs sleep on the left.", "", "unsure"),
        (2, "Two black dogs are visible.", "", "unsure"),
        (2, "Two dogs.", "两只黑狗。", "unsure"),
        (1, "One of the dogs is asleep.", "", "unsure"),
        (1, "A dog sits", "", "unsure"),
        (1, "There is a dog.", "画面中有一只狗。", "unsure"),
    ],
)
def test_a_count_is_refuted_only_if_the_words_count_all(count: int, en: str, zh: str, told: str) -> None:
    facts = Facts(objects=(Thing(id="b1", label="dog", count=3, p=0.95),))
    assert verdict(Value(count=count, label="dog"), facts, "count", en, zh) == told


@pytest.mark.parametrize(
    ("en", "zh", "told"),
    [
        ("A red boat.", "一艘红色的船。", "refuted"),
        ("The boat is red.", "船是红色的。", "refuted"),
        ("The boat is not red.", "", "unsure"),
        ("The boat is red.", "船不是红色的。", "unsure"),
        ("The boat's name means red.", "", "unsure"),
    ],
)
def test_a_grey_picture_refutes_only_words_that_say_the_colour(en: str, zh: str, told: str) -> None:
    facts = Facts(measured=(Measured(id="v1", column="is_gray", value=True),))
    assert verdict(Value(colour="red", label="boat"), facts, "secondary.attributes", en, zh) == told


def test_a_little_of_a_colour_is_beyond_a_palette() -> None:
    facts = Facts(measured=(Measured(id="v1", column="palette", value="blue 0.9"),))
    value = Value(colour="red", label="picture")
    assert verdict(value, facts, "scene.attributes", "There is red in the picture.") == "unsure"
    assert verdict(value, facts, "scene.attributes", "The picture is mostly red.") == "refuted"


@pytest.mark.parametrize(
    ("en", "zh", "told"),
    [
        ("The text “EXIT” can be read.", "画面上写有“EXIT”。", "supported"),
        ("It reads “EXIT”.", "", "supported"),
        ("It reads “FIRE SALE”.", "", "unsure"),
        ("It reads “EXIT”.", "画面上写有“出口”。", "unsure"),
        ("It reads “EXIT” and “FIRE SALE”.", "", "unsure"),
        ("The red neon sign held by a bear reads “EXIT”.", "", "unsure"),
        ("It reads nothing.", "", "unsure"),
    ],
)
def test_read_text_is_supported_only_if_the_words_say_just_that(en: str, zh: str, told: str) -> None:
    assert verdict(Value(text="EXIT"), EXIT, "ocr", en, zh, "ocr:o1") == told


@pytest.mark.parametrize(
    ("colour", "en", "zh", "told"),
    [
        ("blue", "The picture is mostly blue.", "画面大部分是蓝色。", "supported"),
        ("blue", "Blue is one of the main colours.", "主要颜色之一是蓝色。", "supported"),
        ("white", "There is white in the picture.", "画面中有白色。", "supported"),
        ("white", "The picture is white.", "", "unsure"),
        ("white", "There is white in the picture.", "画面大部分是白色。", "unsure"),
        ("red", "The whole picture is red.", "", "unsure"),
        ("red", "Red is one of the colours.", "", "unsure"),
        ("blue", "The picture is red.", "", "unsure"),
        ("blue", "The picture is blue with a red boat.", "", "unsure"),
        ("green", "The picture is green.", "", "unsure"),  # people draw the line to blue elsewhere
    ],
)
def test_a_colour_is_supported_only_by_a_real_share(colour: str, en: str, zh: str, told: str) -> None:
    held = (Measured(id="v1", column="palette", value="blue 0.9, white 0.1, red 0.02"),)
    value = Value(colour=colour, label="picture")
    assert verdict(value, Facts(measured=held), "scene.attributes", en, zh, "column:palette") == told
