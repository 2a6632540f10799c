"""Each check of one text against facts: what fails it, by name, and what does not."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.operators.captions.caption import raw_text
from thresher.operators.captions.checks import judged, text_findings
from thresher.operators.captions.checks.entities import supporting
from thresher.operators.captions.checks.repetition import loops
from thresher.operators.captions.draw.candidates import raw
from thresher.operators.captions.language.words import HAN, count, language_of, quotes, split
from thresher.operators.captions.record import (
    CaptionRecord,
    Claim,
    Entity,
    Facts,
    Measured,
    Meta,
    OcrLine,
    Sentence,
    Text,
    Value,
)
from thresher.operators.captions.taxonomy import Lang, Level
from thresher.pipelines.evaluate.texts import Source


def read(*lines: str) -> Facts:
    ocr = tuple(OcrLine(id=f"o{i}", text=line, height=0.1) for i, line in enumerate(lines))
    return Facts(ocr=ocr, ocr_read=True)


def of(text: str, facts: Facts | None = None, lang: Lang = "en", level: Level = "short") -> CaptionRecord:
    """A record of one text whose only sentence makes one claim that says the same."""
    claim = Claim(id="c1", field="primary.noun", text={lang: text}, provenance=("vlm:m",))
    sentences = (Sentence(end=len(text), claims=("c1",)),)
    caption = Text(id="t1", lang=lang, level=level, text=text, sentences=sentences)
    return CaptionRecord(languages=(lang,), facts=facts or Facts(), texts=(caption,), claims=(claim,))


def fails(
    text: str, facts: Facts | None = None, lang: Lang = "en", level: Level = "short"
) -> tuple[str, ...]:
    return judged(of(text, facts, lang, level)).texts[0].fails


SIGN = "A small shop on a quiet street has a sign above its door that reads {}."


@pytest.mark.acceptance("I16")
def test_quotes_of_a_sign() -> None:
    sign = read("OPEN 24 HOURS")
    assert fails(SIGN.format("“OPEN 24 HOURS”"), sign) == ()
    assert fails(SIGN.format('"open 24 hours"'), sign) == ()
    assert fails(SIGN.format("“OPEN 42 HOURS”"), sign) == ("ocr_precision",)
    assert "ocr_lang" in fails(SIGN.format("“二十四小时营业”"), sign)
    assert "ocr_lang" in fails(SIGN.format("“West Lake”"), read("西湖"))


@pytest.mark.parametrize(
    ("lines", "quote", "ok"),
    [
        (("OPEN 24", "HOURS"), "OPEN 24 HOURS", True),
        (("SALE", "OPEN", "24 HOURS"), "OPEN 24 HOURS", True),
        (("OPEN 24 HOURS DAILY",), "OPEN 24 HOURS", True),
        (("0PEN", "DAILY"), "OPEN DAILY", False),
        (("CAFÉ CENTRALE",), "CAFE CENTRALE", True),
        (("ＯＰＥＮ！",), "open", True),
        (("杭州西湖",), "杭州西胡", True),
        (("杭州",), "苏州", False),
        ((), "OPEN", False),
        (("$4.99",), "$49.9", False),
        (("$5",), "€5", False),
        (("1:230",), "12:30", False),
        (("5°C",), "-5°C", False),
        (("-5°C",), "5°C", False),
        (("1,000 SEATS",), "1000 seats", True),
        (("10 000",), "10,000", True),
        (("¥5.00",), "￥５.００", True),
        (("NOW FOR SALE",), "NOT FOR SALE", False),
        (("WEST STREET",), "EAST STREET", False),
        (("DON'T WALK",), "DONT WALK", True),
        (("PHARMACY",), "PHARMACV", True),
        (("NO PARKING", "ANY TIME"), "NO … ANY TIME", True),
        (("禁止右转",), "禁止左转", False),
        (("可拍照",), "不可拍照", False),
        (("严禁停东",), "严禁停车", True),
    ],
)
def test_a_quote_is_a_line_or_a_run_of_lines(lines: tuple[str, ...], quote: str, ok: bool) -> None:
    assert ("ocr_precision" not in fails(SIGN.format(f"“{quote}”"), read(*lines))) == ok


def test_a_word_of_an_unsure_line_may_be_misread() -> None:
    sign = read("NOW FOR SALE")
    unsure = sign.model_copy(update={"ocr": (sign.ocr[0].model_copy(update={"conf": 0.5}),)})
    assert fails(SIGN.format("“NOT FOR SALE”"), unsure) == ()


def test_nobody_read_the_picture() -> None:
    found = judged(of(SIGN.format("“OPEN”")))
    assert found.texts[0].fails == () and found.checks["ocr_precision"] is None


@pytest.mark.acceptance("I18")
@pytest.mark.parametrize(
    ("check", "text", "lang"),
    [
        ("refusal", "I'm sorry, but I can't help with describing people in this picture today.", "en"),
        ("refusal", "I'm unable to describe the people who stand in this picture of a quiet street.", "en"),
        ("refusal", "As an AI language model, I am not able to see the picture that you sent me.", "en"),
        ("refusal", "抱歉，我无法描述这张图片中的人物，请换一张图片再试一次，谢谢您的理解。", "zh"),
        ("refusal", "作为一个人工智能模型，我不能识别图片中出现的人物身份和相关的信息。", "zh"),
        ("refusal", "", "en"),
        ("length", "", "zh"),
        ("repetition", "A red boat on the lake by the trees. " * 4, "en"),
        ("repetition", "一艘红船停在湖边的树下。" * 4, "zh"),
        ("language", "湖边的树下停着一艘木船，船上坐着一位戴帽子的老人。", "en"),
        ("language", "A wooden boat lies under the trees by the lake with an old man.", "zh"),
        ("length", " ".join(f"word{i}" for i in range(2000)), "en"),
    ],
)
def test_named_failures(check: str, text: str, lang: Lang) -> None:
    assert check in fails(text, lang=lang)


LISTED = (Path(__file__).parent / "refusals.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.acceptance("I18")
@pytest.mark.parametrize(("mark", "refuses", "fewest"), [("+", True, 60), ("-", False, 30), ("=", False, 30)])
def test_refusals_and_what_looks_like_them(mark: str, refuses: bool, fewest: int) -> None:
    """`+`: from a model; `-`: captions; `=`: words that came with a file."""
    said = [line[2:] for line in LISTED if line[0] == mark]
    level: Level = "raw" if mark == "=" else "short"
    wrong = [
        text
        for text in said
        if ("refusal" in fails(text, lang=language_of(text), level=level)) is not refuses
        or (mark == "=" and raw("alt", text) is None)
    ]
    assert wrong == [] and len(said) >= fewest


@pytest.mark.parametrize("text", ["Sorry, I can't tell what that is", "抱歉，無法描述這張圖片"])
def test_a_refusal_that_came_with_a_file_is_no_candidate(text: str) -> None:
    assert raw("alt", text) is None


@pytest.mark.acceptance("I19")
def test_a_quoted_sign_is_in_no_wrong_language() -> None:
    text = SIGN.format("“杭州西湖风景名胜区欢迎您”")
    assert fails(text, read("杭州西湖风景名胜区欢迎您")) == ()
    assert "language" in fails(text.replace("“", "").replace("”", ""))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A crowd gathers in front of the Eiffel Tower under grey skies tonight.", True),
        ("Leifeng Pagoda stands behind the trees on the far side of the water.", False),
        ("The leifeng pagoda and Lei Feng's statue stand on the far side of the water.", True),
        ("A Labrador in a Victorian street on a Sunday, with French and Chinese flags.", False),
        ("Paris lies under grey skies, and the river flows through Paris in the evening.", True),
        ("Tokyo lies under low clouds with a red tower and many tall grey buildings in view.", True),
        ("McDonald's golden arches stand above a wide car park with a dozen cars on grey asphalt.", True),
        ("A woman holds an iPhone in her left hand and smiles at a man beside her.", True),
        ("Caesar stands on a plinth beside Edison, who holds a small glass bulb.", True),
        ("A Doberman, a Swiss flag, a Croatian dancer, an MRI scan and a USB-C plug in a room.", False),
        ("A Caesar salad, a Mason jar and an Edison bulb stand under the numerals XII and IX.", False),
        ("A Valentine's Day card, a Zen garden and a Mid-Century Modern chair are on a page.", False),
    ],
)
def test_names_need_evidence(text: str, names: bool) -> None:
    facts = Facts(
        entities=(Entity(id="e1", name={"en": "Leifeng Pagoda"}, type="landmark", evidence=("m1",)),),
        meta=(Meta(id="m1", kind="title", text="The Léifēng pagoda"),),
    )
    assert ("entity_support" in fails(text, facts)) == names


def test_chinese_names_need_evidence() -> None:
    known = Entity(id="e1", name={"zh": "雷峰塔"}, type="landmark")
    text = "湖对岸的山坡上耸立着雷峰塔，塔前停着一艘木船。"
    assert "entity_support" in fails(text, Facts(entities=(known,)), "zh")
    seen = Facts(entities=(known.model_copy(update={"evidence": ("o0",)}),), ocr=read("雷峰塔").ocr)
    assert fails(text, seen, "zh") == () and supporting("雷峰塔", seen) == ("o0", "e1")
    assert "entity_support" in fails("墙上挂着一幅《清明上河图》，下面放着一张木桌。", lang="zh")


def test_a_text_says_no_more_than_its_claims() -> None:
    record = of("Three red boats lie on the lake beside a low stone wall.")
    for said, ok in (("three red boats, a wall", True), ("red boats", False), ("3 boats", False)):
        claim = record.claims[0].model_copy(update={"text": {"en": said}})
        found = judged(record.model_copy(update={"claims": (claim,)}))
        assert (found.texts[0].fails == ()) == ok
    tail = record.texts[0].model_copy(update={"text": record.texts[0].text + " Two dogs sleep."})
    assert judged(record.model_copy(update={"texts": (tail,)})).texts[0].fails == ("grounded",)
    counted = Claim(id="c1", field="count", text={"zh": "船"}, value=Value(count=3, colour="red"))
    assert judged(record.model_copy(update={"claims": (counted,)})).texts[0].fails == ()


@pytest.mark.parametrize(
    ("said", "claim", "ok"),
    [
        ("红船", "蓝船", False),
        ("红船", "一艘红色的船", True),
        ("一个金发女孩", "一个黑发女孩", False),
        ("黑发女孩", "girl with black hair", True),
        ("橙色的墙", "红色的墙", False),
        ("金色的门", "蓝色的门", False),
        ("紅色的車", "藍色的车", False),
        ("紅色的車", "红色的车", True),
        ("粉红色的裙子", "a pink skirt", True),
        ("粉红裙子", "a pink skirt", True),
        ("粉红裙子", "a blue skirt", False),
        ("米黄色的墙", "a cream wall", True),
        ("桌上的红酒、黄瓜和白菜", "桌上的葡萄酒和蔬菜", True),
        ("红绿灯前的黄昏", "傍晚的交通灯", True),
        ("蓝天白云下的绿树", "天上有云，地上有树", True),
        ("空白画框里的口红盒", "画框里的化妆品", True),
        ("字在黑夜里发光", "夜里的字", True),
        ("teal boats", "green boats", True),
        ("a turquoise door", "a blue door", True),
        ("a teal door", "a red door", False),
        ("an orange door", "a red door", False),
        ("an orange on a plate", "oranges on a plate", True),
        ("a gold frame", "a yellow frame", True),
        ("a blonde girl", "a girl with black hair", False),
        ("a blonde girl", "一个金发女孩", True),
    ],
)
def test_colours_of_a_text_are_those_of_its_claims(said: str, claim: str, ok: bool) -> None:
    record = of(said, lang="en" if said.isascii() else "zh")
    record = record.model_copy(
        update={"claims": (record.claims[0].model_copy(update={"text": {"en": claim}}),)}
    )
    assert ("grounded" not in judged(record).texts[0].fails) == ok


def test_personal_data_is_masked() -> None:
    found = judged(of("A card on the table says to write to jo@example.com or call +1 415 555 0132."))
    assert "[e-mail]" in found.texts[0].text and "[phone]" in found.claims[0].text["en"]
    assert found.checks["pii"] == 2 and judged(found) == found


def test_a_text_that_was_not_written_from_claims_is_not_held_to_them() -> None:
    alone = of("Three red boats lie on the lake.", level="raw").model_copy(update={"claims": ()})
    assert {f.check: f.value for f in text_findings(alone, alone.texts[0])}["grounded"] is None


def test_a_mask_is_no_quote_of_the_picture() -> None:
    signs = read("jo@example.com", "Call +1 415 555 0132")
    said = "A sign by the door reads “{}.” and a second one below it reads “Call {}” in white letters."
    found = judged(of(said.format("jo@example.com", "+1 415 555 0132"), signs, level="long")).texts[0]
    assert "reads [e-mail] and" in found.text and quotes(found.text) == ["Call [phone]"]
    assert found.fails == ("length",)
    assert judged(of(found.text, signs, level="long")).checks["ocr_recall"] is None


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        ("这张图片展示了一只猫。", True), ("这是照片", False), ("该照片为一只猫。", True),
        ("画面中有两艘船。", False), ("图中可见一座桥。", False), ("照片里是一位老人。", False),
        ("The image shows a cat.", True), ("There is a cat.", False),
        ("In this image, a cat.", True), ("This is an image of a cat.", True), ("Pictured is a cat.", True),
        ("在这张图片中，一只猫。", True), ("图为一只猫。", True), ("这是一张猫的照片。", True),
        ("A close-up photo of a cat.", False), ("Pictured tiles line the wall.", False),
    ],
)  # fmt: skip
def test_only_words_that_carry_nothing_are_boilerplate(text: str, empty: bool) -> None:
    found = judged(of(text, lang="zh" if HAN.search(text) else "en"))
    assert found.checks["boilerplate"] == empty


@pytest.mark.parametrize(
    ("said", "lang", "ok"),
    [
        (
            "The menu lists ramen (ラーメン), kimchi (김치) and borscht (борщ) in three columns of text.",
            "en",
            True,
        ),
        ("The menu lists ramen (一碗热气腾腾的面条，放在木桌上，旁边有一双筷子).", "en", False),
        ("（湖边的船）（湖边的船）", "en", False),
        ("The menu lists ramen ラーメン, kimchi 김치 and borscht борщ.", "en", False),
        ("一台MacBook Pro放在IKEA书桌上，旁边是AirPods Pro。", "zh", True),
        ("A RED BOAT LIES ON THE LAKE", "zh", False),
        ("Red Boats On The Lake 船", "zh", False),
        ("一只dog坐在the grass上, looking left.", "zh", False),
    ],
)
def test_names_in_another_script_are_in_no_wrong_language(said: str, lang: Lang, ok: bool) -> None:
    assert ("language" not in fails(said, None, lang)) == ok


def test_flags_do_not_fail() -> None:
    said = "The image shows a stamp with a watermark across the whole of the sky."
    for p, agrees in ((0.1, 0), (0.9, 1)):
        found = judged(of(said, Facts(measured=(Measured(id="v1", column="watermark_p", value=p),))))
        assert found.texts[0].fails == ()
        assert (found.checks["boilerplate"], found.checks["watermark"]) == (1, agrees)
    seen = judged(of(said, Facts(watermarks=("the captioner's own",))))
    assert seen.checks["watermark"] is None, "nobody else looked"


@pytest.mark.parametrize(
    ("text", "agrees"),
    [
        ("There isn't a watermark.", 1), ("No text, logo or watermark.", 1),
        ("There are no visible stock-photo watermarks.", 1), ("No people; a watermark in the corner.", 0),
        ("No logo but a watermark.", 0),
    ],
)  # fmt: skip
def test_denied_watermarks(text: str, agrees: float) -> None:
    facts = Facts(measured=(Measured(id="v1", column="watermark_p", value=0.1),))
    assert judged(of(text, facts)).checks["watermark"] == agrees


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("The lake is serene.", False), ("The room exudes calm.", False), ("画面宁静而祥和。", False),
        ("给人温馨的感觉。", False), ("A likely-named shop stands here.", True),
        ("Let the sky appear to be dark.", True), ("The sky appears to be dark.", False),
    ],
)  # fmt: skip
def test_words_of_opinion(text: str, ok: bool) -> None:
    record = of(text, lang="zh" if HAN.search(text) else "en", level="long")
    assert ("objective" not in judged(record).texts[0].fails) == ok


def test_opinions() -> None:
    plain = "A stone bridge crosses the canal. A man walks over it with a bag. "
    said = plain + "The scene evokes a sense of peace. "
    values = {
        f.check: f for f in text_findings(of(said), of(said).texts[0].model_copy(update={"level": "long"}))
    }
    assert not values["objective"].ok and values["objective"].value == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the artist’s ‘Joe’s Bar’ and the dogs' bowls", ["Joe’s Bar"]),
        ('a 24" x 36" poster, 6\'2" tall', []),
        ('a 24"-wide and a 36"-high poster', []),
        ("rock 'n' roll in the '90s, 'OPEN'", ["OPEN"]),
        ("写着「你好『世界』」和“再见”", ["你好『世界』", "再见"]),
        ("挂着《清明上河图》，封面写着《红楼梦》", ["红楼梦"]),
        ('it says "BUY NOW. and stops', []),
        ("„Blumen Meier“, ‹A 1›, `B 2`, &quot;C 3&quot;", ["Blumen Meier", "A 1", "B 2", "C 3"]),
        ("a **red** sign says **SALE**", ["SALE"]),
        ("it reads OPEN 42 HOURS in red, and a can labelled XXL", ["OPEN 42 HOURS", "XXL"]),
        ("a woman reading NASA news says OK beside a crate marked with UK and USA flags", []),
        ("牌上写着OPEN 24 HOURS，球上印着NBA标志", ["OPEN 24 HOURS"]),
        ("a so-called “smart” lamp, a seat known as a “love seat”, a bar called “Joe's”", ["Joe's"]),
        ("所谓的“智能”台灯，写着“开”", ["开"]),
    ],
)
def test_quoted_spans(text: str, found: list[str]) -> None:
    assert quotes(text) == found


def test_faults_tell_their_sentences() -> None:
    said = ("A sign reads “OPEN”. ", "A man waits. ", "A sign reads “SALE” and a bus to Lisbon stands by. ")
    ends = [len("".join(said[: i + 1])) for i in range(3)]
    text = Text(
        id="t", lang="en", level="long", text="".join(said), sentences=[Sentence(end=e) for e in ends]
    )
    record = CaptionRecord(languages=("en",), facts=read("OPEN"), texts=(text,))
    found = {f.check: f.sentences for f in text_findings(record, text) if not f.ok and f.hard}
    assert found["ocr_precision"] == found["entity_support"] == (2,) and found["grounded"] == (0, 2)


def test_words_and_sentences() -> None:
    assert count("Don't count 3.5 or 1,000 well-known dogs in 西湖", "en", "short") == 11
    assert count("3艘船停在West Lake（西湖）。", "zh", "short") == 6
    assert count("a red boat, 1,000 lights, “A, B”", "en", "tags") == 3
    assert split('Dr. Lee says "STOP. GO." Then 3.5 m. End', "en") == [
        'Dr. Lee says "STOP. GO."',
        "Then 3.5 m.",
        "End",
    ]
    assert split("牌子写着“停。走”然后。好！", "zh") == ["牌子写着“停。走”然后。", "好！"]


@pytest.mark.parametrize(
    ("text", "lang", "level", "again"),
    [
        ("a cat a cat a cat a cat a cat", "en", "short", True),
        ("很漂亮很漂亮很漂亮很漂亮", "zh", "short", True),
        ("一盘菜放在桌上的一盘菜放在桌上的一盘菜放在桌上的一盘菜", "zh", "short", True),
        ("cat, dog, cat, dog, cat", "en", "tags", True),
        ("The wall is made of red bricks and " * 12, "en", "medium", True),
        ("A bowl of apples, a bowl of pears, a bowl of plums and a bowl of figs.", "en", "short", False),
        ("A neon sign reads “HA HA HA HA HA HA HA HA” above a small door.", "en", "short", False),
        ("红色的花、黄色的花、白色的花、紫色的花", "zh", "tags", False),
        ("草地上有白色的羊、黑色的羊和棕色的羊，远处是绿色的山和蓝色的天空。", "zh", "short", False),
    ],
)
def test_a_list_is_no_loop(text: str, lang: Lang, level: Level, again: bool) -> None:
    assert ("repetition" in fails(text, lang=lang, level=level)) == again


def test_loops_come_in_a_row() -> None:
    assert loops("the quick brown fox " * 5) == 5
    assert loops("ha" * 24) == 4
    assert loops("a boat on the lake. a tree on the lake. a man on the lake.") == 1


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400), st.sampled_from(["en", "zh"]), st.sampled_from(["tags", "prompt", "long"]))
def test_checks_never_raise(text: str, lang: Lang, level: Level) -> None:
    facts = read(text[:50], text[50:90])
    entity = Entity(id="e1", name={lang: text[:9]}, type=text[:3], evidence=("o0",), p=1.0)
    facts = facts.model_copy(update={"entities": (entity,)})
    found = judged(of(text, facts, lang, level))
    assert judged(found) == found


@pytest.mark.parametrize(
    ("said", "lang"),
    [
        ("一只猫坐在墙上", "zh"),
        ("a cat on a wall", "en"),
        ("猫 cat", "zh"),
        ("a tea house, 茶", "en"),
        ("", "en"),
    ],
)
def test_a_raw_text_has_one_language_wherever_it_is_read(said: str, lang: Lang) -> None:
    offered = raw("text", said)
    assert language_of(said) == raw_text(said).lang == lang
    assert offered.lang == lang if offered else not said
    scored = Source("text", "", frozenset()).scored({"text": said}, None)
    assert scored is None if not said else scored is not None and scored.texts[0].lang == lang
