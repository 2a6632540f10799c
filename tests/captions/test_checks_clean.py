"""Sound captions raise no alarm: over 150 of every level and both languages pass every hard check."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from thresher.operators.captions.checks import COLUMNS, judged
from thresher.operators.captions.record import (
    CaptionRecord,
    Claim,
    Entity,
    Facts,
    Meta,
    OcrLine,
    Text,
    Thing,
    Value,
    joined,
)
from thresher.operators.captions.taxonomy import LANGS, WRITTEN, Lang, Level

FACTS = Facts(
    ocr=(
        OcrLine(id="o1", text="OPEN 24", conf=0.97, height=0.04),
        OcrLine(id="o2", text="HOURS", conf=0.95, height=0.04),
        OcrLine(id="o3", text="西湖", conf=0.98, height=0.05),
        OcrLine(id="o4", text="Joe's Bar", conf=0.9, height=0.03),
    ),
    entities=(
        Entity(
            id="e1",
            name={"en": "Leifeng Pagoda", "zh": "雷峰塔"},
            type="landmark",
            evidence=("m1",),
            p=0.95,
        ),
    ),
    meta=(Meta(id="m1", kind="alt_text", text="Evening at the Leifeng pagoda, Hangzhou 杭州雷峰塔"),),
    objects=(Thing(id="b1", label="boat", count=3, p=0.93),),
    ocr_read=True,
)
"""What is known of the picture."""

_LINES = Path(__file__).with_name("clean_captions.txt").read_text(encoding="utf-8").splitlines()
PAIRS = [tuple(line.split(" | ")) for line in _LINES]
"""Claim en, claim zh, sentence en, sentence zh: hand-written, with what checks may stumble over (idioms with
numbers, apostrophes, names, signs, inches)."""
SENTENCES: dict[Level, int] = {"prompt": 1, "short": 2, "medium": 5, "long": 14}
"""Sentences that give a level's length."""


def claims() -> tuple[Claim, ...]:
    values = {0: Value(count=3, label="boat"), 1: Value(entity="e1")}
    return tuple(
        Claim(
            id=f"c{i}",
            field="primary.noun",
            text={"en": en, "zh": zh},
            value=values.get(i),
            provenance=("vlm:m",),
        )
        for i, (en, zh, _, _) in enumerate(PAIRS)
    )


def written(lang: Lang, level: Level, places: Sequence[int]) -> Text:
    column = LANGS.index(lang) + (0 if level == "tags" else 2)
    said = [(PAIRS[i][column], (f"c{i}",)) for i in places]
    return Text(id=f"{lang}.{level}", lang=lang, level=level, **joined(said, lang, tags=level == "tags"))


def record(start: int) -> CaptionRecord:
    """A record whose texts begin at one of the pairs; the long texts hold what the facts are sure of."""
    around = [(start + i) % len(PAIRS) for i in range(len(PAIRS))]
    places: dict[Level, list[int]] = {"tags": around[:6], "dense": around}
    for level, size in SENTENCES.items():
        places[level] = around[:size]
    places["long"] = list(dict.fromkeys([*places["long"], 0, 1]))
    texts = [written(lang, level, places[level]) for lang in LANGS for level in WRITTEN]
    return CaptionRecord(languages=LANGS, facts=FACTS, texts=tuple(texts), claims=claims())


@pytest.mark.parametrize("start", range(0, len(PAIRS), 3))
def test_sound_captions_pass(start: int) -> None:
    found = judged(record(start))
    assert [(t.id, t.fails, t.words) for t in found.texts if t.fails] == []
    assert {t.status for t in found.texts} == {"pass"}
    assert set(found.checks) == {column.name for column in COLUMNS}
    assert found.checks["xlang"] == found.checks["grounded"] == found.checks["entity_support"] == 1


def test_values_lie_in_the_columns_ranges() -> None:
    values = judged(record(0)).checks
    for column in COLUMNS:
        value = values[column.name]
        if value is None:
            assert column.name == "watermark"
            continue
        assert (column.lo is None or value >= column.lo) and (column.hi is None or value <= column.hi)
