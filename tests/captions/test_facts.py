"""Captions from facts alone: of real pictures, and of facts that chance made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.operators.base import Batch
from thresher.operators.captions.checks import judged, record_findings, text_findings
from thresher.operators.captions.facts.compose import BACKEND, fact_record
from thresher.operators.captions.facts.evidence import evidence
from thresher.operators.captions.language.colours import NAMES, word
from thresher.operators.captions.language.words import count, quotes, unquoted
from thresher.operators.captions.rebuild import without
from thresher.operators.captions.record import CaptionRecord, Facts, Measured, Meta, OcrLine, Thing
from thresher.operators.captions.taxonomy import LANGS, LENGTHS, WRITTEN
from thresher.operators.registry import get
from thresher.operators.views import open_views
from thresher.schemas import Record

GUIDE = Path(__file__).parents[2] / "docs" / "captions.md"
COLOUR = regex.compile(
    "|".join(sorted((word(n, lang) for n in NAMES for lang in LANGS), key=len, reverse=True))
)


def columns(data: bytes, *operators: str) -> dict[str, Any]:
    """What operators measure of one file."""
    record, found = Record(bytes(16), "pool", "a.jpg", ()), {}
    for operator in (get(name)() for name in operators):
        batch = Batch([record], {view: [seen] for view, seen in open_views(data, operator.views).items()})
        found |= {name: values[0] for name, values in operator.measure(batch).columns.items()}
    return found


def facts_of(data: bytes, key: str, *operators: str) -> Facts:
    return evidence(Record(bytes(16), "pool", key, ()), columns(data, *operators))


def sources(facts: Facts) -> set[str]:
    return {
        *(f"column:{fact.column}" for fact in facts.measured),
        *(f"ocr:{line.id}" for line in facts.ocr),
        *(f"object:{thing.id}" for thing in facts.objects),
        *(f"meta:{meta.id}" for meta in facts.meta),
    }


def sound(record: CaptionRecord) -> None:
    """Every law of a record of facts."""
    known = sources(record.facts)
    claims = {claim.id: claim for claim in record.claims}
    for claim in record.claims:
        assert claim.provenance and set(claim.provenance) <= known, claim
        assert (claim.verdict, claim.verifier) == ("supported", BACKEND) and claim.p >= claim.t, claim
        assert set(claim.text) == set(record.languages)
    assert len(claims) == len(record.claims)
    levels: dict[str, set[tuple[str, ...]]] = {}
    for text in record.texts:
        assert text.by is not None and text.by.model == BACKEND
        assert text.sentences and text.sentences[-1].end == len(text.text)
        levels.setdefault(text.level, set()).add(tuple(sorted(text.claims)))
        assert text.words == count(text.text, text.lang, text.level)
        least, most = LENGTHS[text.level][text.lang]
        assert least <= text.words <= most
        held = " ".join(said for c in text.claims for said in claims[c].text.values())
        numbers = regex.findall(r"\d+", text.text)
        assert all(number in held for number in numbers), (numbers, held)
        assert all(f"“{quote}”" in held for quote in quotes(text.text)), text.text
        tints = set(
            COLOUR.findall(regex.sub("black[- ]and[- ]white|黑白", "", unquoted(text.text).casefold()))
        )
        assert tints <= set(COLOUR.findall(held)), (tints, held)
        assert [f for f in text_findings(record, text) if f.hard and not f.ok] == []
    assert all(len(made) == 1 for made in levels.values()), "both languages make the same claims"
    for shorter, longer in zip(("short", "medium", "long"), ("medium", "long", "dense"), strict=True):
        if shorter in levels and longer in levels:
            assert set(min(levels[shorter])) <= set(min(levels[longer]))
    written = {f"{text.lang}.{text.level}" for text in record.texts}
    assert written.isdisjoint(record.abstained) and len(written) + len(record.abstained) == 12
    assert [f for f in record_findings(record) if f.hard and not f.ok] == []
    assert {text.status for text in judged(record).texts} <= {"pass"}


@pytest.mark.acceptance("I30")
def test_real_pictures_without_a_model(photo_tiles: list[Path]) -> None:
    """Captions of real photographs name their back end, say measured things alone, and pass every check."""
    written: dict[str, int] = {}
    for path in photo_tiles[::6]:
        record = fact_record(
            facts_of(path.read_bytes(), path.name, "quality", "palette", "faces"), LANGS, WRITTEN
        )
        sound(record)
        for text in record.texts:
            written[f"{text.lang}.{text.level}"] = written.get(f"{text.lang}.{text.level}", 0) + 1
    for level in ("tags", "prompt", "short"):
        assert written[f"en.{level}"] == written[f"zh.{level}"] == 16
    assert written["en.medium"] == 16 and written["zh.medium"] >= 8
    assert "zh.dense" not in written, "sixteen photographs without text say too little for it"


@pytest.mark.acceptance("I30")
@pytest.mark.parametrize("name", ["astronaut", "page"])
def test_the_examples_of_the_guide(name: str) -> None:
    """What docs/captions.md shows of two pictures; a page's lines stand word for word in both languages."""
    import skimage

    path = Path(skimage.__file__).parent / "data" / f"{name}.png"
    facts = facts_of(path.read_bytes(), path.name, "quality", "palette", "faces", "ocr")
    record = fact_record(facts, LANGS, WRITTEN)
    sound(record)
    section = (
        GUIDE.read_text("utf-8")
        .partition("## Captions from")[2]
        .partition(f"`{name}`")[2]
        .partition("\nThe ")[0]
    )
    shown = regex.findall(r"^\| (en|zh)\.(\w+) \| (.+) \|$", section, regex.MULTILINE)
    assert len(shown) >= 5
    for lang, level, text in shown:
        assert record.text(lang, level).text == text
    if name == "page":
        heading = "“Region-based segmentation”"
        claim = next(c for c in record.claims if heading in c.text["zh"])
        assert (
            claim.field == "ocr" and claim.provenance[0].startswith("ocr:o") and claim.value.position == "top"
        )


LINE = st.builds(
    lambda words, conf, x, y, height: OcrLine(
        id="o", text=words, conf=conf, box=(x, y, min(1, x + 0.3), min(1, y + 0.05)), height=height
    ),
    st.one_of(
        st.from_regex(r"[A-Za-z]{2,8}( [A-Za-z0-9'“”\"]{1,8}){0,3}", fullmatch=True),
        st.text("西湖开放时间出口禁止吸烟营业中", min_size=2, max_size=6),
        st.text(max_size=12).filter(str.strip),
    ),
    st.sampled_from([0.55, 0.85, 0.95, 0.99]),
    st.floats(0, 0.7),
    st.floats(0, 0.9),
    st.sampled_from([None, 0.01, 0.03, 0.2]),
)  # fmt: skip
MEASURED: Mapping[str, st.SearchStrategy[Any]] = {
    "is_gray": st.booleans(),
    "luma_mean": st.floats(0, 255), "dynamic_range": st.floats(0, 255), "colorfulness": st.floats(0, 120),
    "sharpness": st.floats(0, 9000), "uniform_tiles": st.floats(0, 1), "clip_low": st.floats(0, 1),
    "clip_high": st.floats(0, 1), "alpha_share": st.floats(0, 1), "collage": st.integers(0, 14),
    "text_area": st.floats(0, 1), "faces": st.integers(0, 30), "camera_exif": st.booleans(),
    "synthetic": st.booleans(), "aigc_tier": st.sampled_from(["A", "B"]),
    "letterbox": st.lists(st.integers(0, 90), min_size=4, max_size=4).map(lambda px: " ".join(map(str, px))),
    "palette": st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=6).map(
        lambda names: ", ".join(f"{name} {0.9 / (place + 2):.4g}" for place, name in enumerate(names))
    ),
    "palette_grid": st.lists(st.sampled_from([*NAMES[:4], "mixed"]), min_size=9, max_size=9).map(" ".join),
}  # fmt: skip
THING = st.tuples(
    st.sampled_from(["cup", "person", "potted plant", "sprocket", "bus", "knife"]),
    st.integers(1, 30),
    st.sampled_from([0.6, 0.9, 0.97]),
)


@st.composite
def random_facts(draw: st.DrawFn) -> Facts:
    values: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=dict(MEASURED)))
    if draw(st.booleans()):
        values |= {"width": draw(st.integers(1, 9000)), "height": draw(st.integers(1, 9000))}
    lines = draw(st.lists(LINE, max_size=8))
    read = draw(st.booleans()) or bool(lines)
    values |= {"ocr": len(lines)} if read else {}
    things = draw(st.lists(THING, max_size=3, unique_by=lambda thing: thing[0]))
    mark = draw(st.sampled_from([None, 0.85, 0.95]))
    values |= {"watermark_p": mark} if mark else {}
    photo = values.get("camera_exif") and not values.get("aigc_tier")
    caption = draw(
        st.sampled_from(["", "A red door in Paris", "两只猫", "so “quoted”", "The 3 boats of Oslo"])
    )
    return Facts(
        measured=tuple(Measured(id=f"v{i}", column=c, value=v) for i, (c, v) in enumerate(values.items(), 1)),
        ocr=tuple(line.model_copy(update={"id": f"o{i}"}) for i, line in enumerate(lines, 1)),
        objects=tuple(Thing(id=f"b{i}", label=n, count=k, p=p) for i, (n, k, p) in enumerate(things, 1)),
        meta=(Meta(id="m1", kind="alt_text", text=caption),) if caption else (),
        watermarks=("watermark",) if mark else (), ocr_read=read, image_type="photo" if photo else None,
    )  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(random_facts())
def test_any_facts(facts: Facts) -> None:
    record = fact_record(facts, LANGS, WRITTEN)
    sound(record)
    assert record == fact_record(facts, LANGS, WRITTEN)
    low = {line.text for line in facts.ocr if line.conf < 0.8} - {
        line.text for line in facts.ocr if line.conf >= 0.8
    }
    assert not low & {quote for text in record.texts for quote in quotes(text.text)}
    alone = fact_record(facts, LANGS, ("long",)).text("en", "long")
    assert (alone and alone.text) == ((long := record.text("en", "long")) and long.text)


def test_no_facts_no_caption() -> None:
    record = fact_record(Facts(), LANGS, WRITTEN)
    assert record.texts == () and record.claims == () and len(record.abstained) == 12


def facts_with(*lines: str, **values: Any) -> Facts:
    ocr = tuple(OcrLine(id=f"o{i}", text=line, conf=0.99, height=0.1) for i, line in enumerate(lines, 1))
    known = {"width": 800, "height": 600, "is_gray": False, "palette": "blue 0.6, brown 0.3", **values}
    measured = tuple(Measured(id=f"v{i}", column=c, value=v) for i, (c, v) in enumerate(known.items(), 1))
    return Facts(measured=measured, ocr=ocr, ocr_read=True)


def test_a_quote_at_the_end_brings_its_own_stop() -> None:
    record = fact_record(facts_with("Stop here.", "营业中！"), LANGS, ("short", "medium"))
    texts = [*(t.text for t in record.texts), *(t.text for t in without(record, {"c3"}).texts)]
    assert any(text.endswith("the text “Stop here.”") for text in texts)
    assert not [text for text in texts if regex.search("[.！]”[.。](?<![.]”。)", text)], texts


def test_a_line_of_text_is_quoted_on_one_line() -> None:
    record = fact_record(facts_with("line\nbreak"), LANGS, ("tags", "medium"))
    assert [quotes(c.text["en"]) for c in record.claims if c.field == "ocr"] == [["line break"]]


def test_personal_data_is_not_quoted() -> None:
    record = fact_record(facts_with("me@shop.com", "Call 555-123-4567", "Open"), LANGS, ("tags", "medium"))
    assert [quotes(c.text["en"]) for c in record.claims if c.field == "ocr"] == [["Open"]]


@pytest.mark.parametrize(
    ("letterbox", "said"),
    [
        ("0 60 0 60", "the top and bottom"), ("50 0 50 0", "the left and right sides"),
        ("40 30 40 30", "all four sides"), ("0 90 0 0", ""), ("0 250 0 0", ""), ("100 150 98 149", ""),
        ("260 0 260 0", ""), ("0 60 0 90", ""),
    ],
)  # fmt: skip
def test_only_pairs_of_bars_and_frames_are_margins(letterbox: str, said: str) -> None:
    record = fact_record(facts_with(letterbox=letterbox), LANGS, ("medium",))
    margins = [c.text["en"] for c in record.claims if "column:letterbox" in c.provenance]
    assert margins == ([f"plain margins lie along {said} of the picture"] if said else [])


def test_alt_text_is_quoted_as_what_came_with_the_file_in_long_captions_only() -> None:
    values = {
        "width": 900, "height": 600, "is_gray": False, "luma_mean": 60.0, "dynamic_range": 240.0,
        "colorfulness": 80.0, "uniform_tiles": 0.4, "clip_low": 0.2, "camera_exif": True, "faces": 2,
        "palette": "blue 0.4, brown 0.3, white 0.15", "letterbox": "0 40 0 40", "collage": 1,
        "palette_grid": "blue blue blue mixed mixed mixed brown brown brown",
    }  # fmt: skip
    facts = Facts(
        measured=tuple(Measured(id=f"v{i}", column=c, value=v) for i, (c, v) in enumerate(values.items(), 1)),
        meta=(Meta(id="m1", kind="alt_text", text="Two friends in Oslo"),), image_type="photo",
    )  # fmt: skip
    few = facts.model_copy(update={"measured": facts.measured[:8]})
    assert "Oslo" not in fact_record(few, LANGS, WRITTEN).text("en", "medium").text, "though there is room"
    record = fact_record(facts, LANGS, WRITTEN)
    sound(record)
    for lang, said in (("en", "came with the caption “Two"), ("zh", "说明文字是“Two")):
        assert said in record.text(lang, "long").text
        assert "Oslo" not in record.text(lang, "medium").text
    assert record.text("en", "short").text.startswith("A wide colour photo, mainly blue and brown, with ")
