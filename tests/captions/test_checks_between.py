"""Checks between texts, and texts rebuilt without claims or names."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.captions.test_checks_clean import PAIRS
from tests.captions.test_checks_clean import record as sound
from thresher.operators.captions.checks import judged, record_findings
from thresher.operators.captions.language import numbers
from thresher.operators.captions.rebuild import unnamed, without
from thresher.operators.captions.record import (
    CaptionRecord,
    Claim,
    Entity,
    Facts,
    Sentence,
    Text,
    Thing,
    Value,
    joined,
)
from thresher.operators.captions.taxonomy import LANGS, Lang, Level


def pair(en: str, zh: str, facts: Facts | None = None, level: Level = "short") -> CaptionRecord:
    said: dict[Lang, str] = {"en": en, "zh": zh}
    texts = tuple(
        Text(id=lang, lang=lang, level=level, text=text, sentences=(Sentence(end=len(text), claims=("c1",)),))
        for lang, text in said.items()
    )
    claim = Claim(id="c1", field="primary.noun", text=said)
    return CaptionRecord(languages=LANGS, facts=facts or Facts(), texts=texts, claims=(claim,))


def differ(en: str, zh: str) -> bool:
    return not all(f.ok for f in record_findings(pair(en, zh)) if f.check == "xlang")


@pytest.mark.acceptance("I19")
def test_three_boats_are_not_four() -> None:
    en = "On the calm lake in front of the trees, three boats wait in the sun."
    found = judged(pair(en, "树前平静的湖面上，四艘船在阳光下静静地等待。"))
    assert [text.fails for text in found.texts] == [("xlang",), ("xlang",)]
    assert judged(pair(en, "树前平静的湖面上，三艘船在阳光下静静地等待。")).texts[0].fails == ()


@pytest.mark.parametrize(
    ("en", "zh", "wrong"),
    [
        ("two boats", "一艘船", True),
        ("two women", "兩位女士", False),
        ("two women", "三位女士", True),
        ("six horses", "陸匹馬", False),
        ("half a dozen oranges", "六个橙子", False),
        ("half a dozen oranges", "八个橙子", True),
        ("two dozen eggs", "二十四个鸡蛋", False),
        ("a quintet of singers, 50% off", "五位歌手，五折", False),
        ("20-30 people", "二三十人", False),
        ("one bush", "两丛灌木", True),
        ("a family of four", "一家三口", True),
        ("100 yuan", "两百元", True),
        ("open at 10:30", "11:30开门", True),
        ("open at 10:30 pm", "22:30开门", False),
        ("one boat", "两艘船", True),
        ("a boat", "一个船坞", False),
        ("25 people", "二十五个人", False),
        ("two hundred and fifty cattle", "二百五十头牛", False),
        ("a dozen eggs, a pair of shoes", "十二个鸡蛋，两只鞋", False),
        ("trees all around", "四周有一些树", False),
        ("a cloudless sky, both banks", "万里无云，两岸", False),
        ("the second floor, one-third", "二楼，三分之一", False),
        ("two or three men", "两三个人", False),
        ("a film from the 1990s", "九十年代的电影", False),
        ("in May 2023", "2023年5月", False),
        ("1,000 lanterns", "一千盏灯笼", False),
        ("a sign, “SALE 50%”", "牌子写着“SALE 50%”", False),
        ("a sign, “SALE 50%”", "牌子写着“SALE”", True),
        ("a sign, “西湖”", "牌子写着“West Lake”", True),
    ],
)
def test_numbers_and_quotes_of_two_languages(en: str, zh: str, wrong: bool) -> None:
    assert differ(en, zh) == wrong


def test_names_of_two_languages() -> None:
    tower = Entity(id="e1", name={"en": "Leifeng Pagoda", "zh": "雷峰塔"}, type="landmark")
    facts = Facts(entities=(tower,))
    assert record_findings(pair("the Leifeng Pagoda", "六和塔", facts))[0].value == 0
    assert record_findings(pair("the Leifeng pagoda", "雷峰塔", facts))[0].value == 1


def test_numbers_are_never_one_or_in_names() -> None:
    assert numbers.sure("One boat by Seven Stars Bridge, two-tone, five and six trees", "en") == {6}
    assert numbers.sure("一个人在十字路口，十二只鸟，第三排，百叶窗", "zh") == {12}


def test_long_texts_hold_the_short_ones_and_the_facts() -> None:
    record = sound(0)
    boats = record.facts.model_copy(update={"objects": (Thing(id="b1", label="boat", count=4, p=0.95),)})
    found = judged(record.model_copy(update={"facts": boats}))
    assert {t.id for t in found.texts if "bidirectional" in t.fails} == {"en.long", "zh.long"}
    short = record.text("en", "short")
    assert short is not None
    more = joined([("A cat sits on a wall beside a heap of stones.", ("c38",))], "en")
    texts = (short.model_copy(update=more), *(t for t in record.texts if t is not short))
    found = judged(record.model_copy(update={"texts": texts}))
    assert [t.id for t in found.texts if "levels" in t.fails] == ["en.short"]


@pytest.mark.parametrize(
    ("thing", "said", "ok"),
    [
        ("2 bench", "Two benches stand here.", True),
        ("3 goose", "Three geese stand here.", True),
        ("1 couch", "A sofa stands here.", True),
        ("1 boat", "A sailboat lies here.", True),
        ("2 person", "A bride stands beside a groom.", True),
        ("1 person", "A cyclist rides here.", True),
        ("4 person", "A family of four stands here.", True),
        ("2 dog", "A brown dog lies beside a white dog.", True),
        ("2 dog", "兩隻狗。", True),
        ("2 person", "两名警察。", True),
        ("1 rocket", "一枚火箭。", True),
        ("2 dog", "A dog runs here.", False),
        ("2 dog", "Three dogs run here.", False),
        ("1 dog", "A sofa stands here.", False),
        ("1 person", "A tower stands by a river, a flower in a letter box.", False),
        ("1 dog", "一只猫。", False),
        ("3 dog", "两只狗。", False),
    ],
)
def test_what_a_detector_found_is_said_in_any_words(thing: str, said: str, ok: bool) -> None:
    count, label = thing.split()
    facts = Facts(objects=(Thing(id="b1", label=label, count=int(count), p=0.95),))
    found = judged(pair(said, said, facts, "long")).texts
    lang = "zh" if regex.search(r"\p{Han}", said) else "en"
    assert ["bidirectional" not in text.fails for text in found if text.lang == lang] == [ok]


@pytest.mark.acceptance("I17")
def test_a_name_without_evidence_gives_way_to_its_type() -> None:
    tower = Entity(id="e1", name={"en": "Leifeng Pagoda", "zh": "雷峰塔"}, type="landmark")
    record = pair(
        "Behind the trees stands the old Leifeng Pagoda, and LEIFENG PAGODA's roof is bright.",
        "树林后面耸立着古老的雷峰塔，塔顶在阳光下闪着光。",
        Facts(entities=(tower,)),
    )
    named = record.claims[0].model_copy(
        update={"value": Value(entity="e1"), "verdict": "supported", "p": 0.99, "verifier": "v"}
    )
    record = record.model_copy(update={"claims": (named,)})
    assert all("entity_support" in text.fails for text in judged(record).texts)
    found = judged(unnamed(record, "e1"))
    assert found.texts[0].text == "Behind the trees stands the old landmark, and a landmark's roof is bright."
    assert found.texts[1].text == "树林后面耸立着古老的地标，塔顶在阳光下闪着光。"
    assert [text.fails for text in found.texts] == [(), ()]
    assert found.claims[0].verdict == "unsure" and found.abstained == ("e1",)


@pytest.mark.acceptance("I17")
@pytest.mark.parametrize(
    ("entity", "text", "told"),
    [
        ("Lionel Messi/利昂内尔·梅西/person", "**. Messi is in white.", "**. A person is in white."),
        ("Lionel Messi/利昂内尔·梅西/person", "前锋梅西在踢球。", "前锋人物在踢球。"),
        ("Great Wall/万里长城/landmark", "长城沿着山脊延伸。", "地标沿着山脊延伸。"),
        ("Eiffel Tower/埃菲尔铁塔/landmark", "艾菲爾鐵塔下有人群。", "地标下有人群。"),
        ("Eiffel Tower/埃菲尔铁塔/landmark", "埃菲尔的铁腿", "地标的铁腿"),
        ("Statue of Liberty/自由女神像/statue", "自由女神手持火炬。", "雕像手持火炬。"),
        ("Vincent van Gogh/梵高/person", "a work by van Gogh", "a work by a person"),
        ("Nike/耐克/brand", "blue Nike-branded socks, Nike shoes", "blue brand-branded socks, brand shoes"),
    ],
)
def test_a_short_form_of_a_name_is_the_name(entity: str, text: str, told: str) -> None:
    en, zh, kind = entity.split("/")
    facts = Facts(entities=(Entity(id="e1", name={"en": en, "zh": zh}, type=kind),))
    record = pair(text, text, facts)
    assert "entity_support" in judged(record).texts[0].fails
    assert {one.text for one in unnamed(record, "e1").texts} >= {told}


@pytest.mark.parametrize(
    ("entity", "text"),
    [
        ("Golden Gate Bridge/金门大桥", "Golden light falls on a red bridge, 一座大桥"),
        ("White House/白宫", "A white house stands on a lawn."),
        ("Times Square/时代广场", "People cross a square, 广场上有人"),
        ("Apple/苹果", "a glass of apple juice"),
        ("Shanghai Museum/上海博物馆", "一座博物馆"),
    ],
)
def test_ordinary_words_of_a_name_are_no_name(entity: str, text: str) -> None:
    en, zh = entity.split("/")
    facts = Facts(entities=(Entity(id="e1", name={"en": en, "zh": zh}, type="landmark"),))
    assert unnamed(pair(text, text, facts), "e1").texts[0].text == text


@pytest.mark.parametrize(
    ("en", "told"),
    [
        ("Leifeng Pagoda (雷峰塔) by a lake.", "A landmark by a lake."),
        ("A view of Leifeng Pagoda.", "A view of a landmark."),
        ("The Leifeng Pagoda at dusk. Leifeng Pagoda again.", "The landmark at dusk. A landmark again."),
        ("a Leifeng  Pagoda-shaped cake", "a landmark-shaped cake"),
        ("a sign, “Leifeng Pagoda”", "a sign, “Leifeng Pagoda”"),
    ],
)
def test_articles_of_types(en: str, told: str) -> None:
    tower = Entity(id="e1", name={"en": "Leifeng Pagoda", "zh": "雷峰塔"}, type="landmark")
    found = unnamed(pair(en, "一幅《雷峰塔》", Facts(entities=(tower,))), "e1")
    assert found.texts[1].text == "一幅地标"
    assert found.texts[0].text == told and found.texts[0].sentences[-1].end == len(told)


@pytest.mark.acceptance("I20")
@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, len(PAIRS) - 1), max_size=30), st.integers(0, len(PAIRS) - 1))
def test_no_text_makes_a_claim_that_left(gone: set[int], start: int) -> None:
    record = sound(start)
    names = {f"c{i}" for i in gone}
    texts = tuple(_paired(text) for text in record.texts)
    found = judged(without(record.model_copy(update={"texts": texts}), names))
    assert found.claims == record.claims and set(found.abstained) == names
    for before, after in zip(texts, found.texts, strict=True):
        assert set(after.claims) == set(before.claims) - names
        assert not any(PAIRS[i][2 + LANGS.index(after.lang)] in after.text for i in gone)
        assert "".join(said for said, _ in after.parts()) == after.text
        assert not set(after.fails) - {"length", "refusal", "bidirectional", "levels"}
        if not names & set(before.claims):
            assert after.text == before.text


def _paired(text: Text) -> Text:
    """The text with every two sentences made one, so that sentences make two claims."""
    found = [*text.sentences[1::2], *text.sentences[-1:]]
    ends = [s.end for s in found]
    claims = [(*a.claims, *b.claims) for a, b in zip(text.sentences[::2], text.sentences[1::2], strict=False)]
    claims += [text.sentences[-1].claims]
    held = {end: c for end, c in zip(ends, claims, strict=True)}
    if len(text.sentences) % 2 == 0:
        held[ends[-1]] = claims[-2]
    return text.model_copy(update={"sentences": tuple(Sentence(end=e, claims=c) for e, c in held.items())})


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120), st.text(max_size=9), st.text(max_size=9))
def test_rebuilding_takes_any_text(text: str, name: str, kind: str) -> None:
    facts = Facts(entities=(Entity(id="e1", name={"en": name, "zh": text[:5]}, type=kind),))
    record = unnamed(pair(text, name, facts), "e1")
    assert record.texts[0].sentences[-1].end == len(record.texts[0].text)
    assert judged(without(record, ["c1", "zz"])).texts[0].text == ""
