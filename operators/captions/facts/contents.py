"""What detectors, text recognition and the file itself let a caption say."""

from collections.abc import Iterator, Sequence

from thresher.operators.captions.checks.pii import personal
from thresher.operators.captions.facts.nouns import counted
from thresher.operators.captions.facts.statement import Known, Statement, Words, percent
from thresher.operators.captions.language.numbers import en_number, zh_number
from thresher.operators.captions.language.words import quotes, words
from thresher.operators.captions.record import Facts, OcrLine, Value
from thresher.operators.captions.taxonomy import SURE, KeyPoint

LOWEST = 0.015
"""Height of a line as share of the short side; smaller text is not quoted (images.md 6.3)."""
SHORTEST = 2
"""Letters and numbers of a line; a single one is often a pattern."""
MOST_LINES = 60
"""Of text, the highest ones."""
FIRST = 2.5
"""Rank of the highest line that is short enough, which alone comes into short captions."""
BRIEF = 40
"""Characters that it may have there, marks included."""
TEXT = 0.02
"""Share of the picture under text that is worth a statement."""
BAR = (0.02, 0.2)
"""Least and most of its side that a plain margin takes."""
UNEVEN = 0.01
"""Of their side by which the margins of a pair may differ."""

_PLACES = (
    ("top left", "左上方"), ("top", "上方"), ("top right", "右上方"), ("left", "左侧"), ("centre", "中央"),
    ("right", "右侧"), ("bottom left", "左下方"), ("bottom", "下方"), ("bottom right", "右下方"),
)  # fmt: skip


def contents(facts: Facts, known: Known) -> Iterator[Statement]:
    """Statements on things, text, layout and origin."""
    yield from _things(facts, known)
    yield from _texts(facts, known)
    yield from _layout(known)
    yield from _origin(facts, known)


def _things(facts: Facts, known: Known) -> Iterator[Statement]:
    faces = int(known.get("faces", 0))
    if faces > 0:
        # not in brief texts, which have no room to say that a detector found them: it takes moons for faces
        en = "one frontal face" if faces == 1 else f"{en_number(faces)} frontal faces"
        en_words = Words(f"a face detector finds {en} in the picture")
        zh_words = Words(f"人脸检测器在画面中找到{zh_number(faces)}张正面人脸")
        value = Value(count=faces, label="frontal face")
        yield Statement("faces", "count", ("column:faces",), en_words, zh_words, 2, _counting(faces), value)
    for thing in facts.objects:
        en, zh = counted(thing.count, thing.label, "en"), counted(thing.count, thing.label, "zh")
        yield Statement(
            "things", "count", (f"object:{thing.id}",),
            Words(f"the picture shows {en}", en, en, en), Words(f"画面中有{zh}", zh, f"有{zh}", zh),
            2.1, _counting(thing.count), Value(count=thing.count, label=thing.label), thing.p or 0.0,
        )  # fmt: skip


def _counting(count: int) -> tuple[KeyPoint, ...]:
    """Counting is asked from three on (PromptEnhancer)."""
    return ("counting",) if count >= 3 else ()


def _texts(facts: Facts, known: Known) -> Iterator[Statement]:
    if facts.ocr_read and not facts.ocr and "ocr" in known:
        en_words, zh_words = (
            Words("text recognition finds no text in the picture"),
            Words("文字识别未在画面中发现文字"),
        )
        yield Statement("text", "ocr", ("column:ocr",), en_words, zh_words, 7, ("negation",))
    sure = [line for line in facts.ocr if _quotable(line)]
    highest = _distinct(sorted(sure, key=lambda line: -(line.height or 0)))[:MOST_LINES]
    first = [line for line in highest if len(_line(line)) < BRIEF - 1][:1]
    highest = [*first, *(line for line in highest if line not in first)]
    rank = {line.id: FIRST + place / 100 + (2 if place > 2 else 0) for place, line in enumerate(highest)}
    for line in facts.ocr:
        if line.id in rank:
            yield _quoted(line, rank[line.id])
    share = float(known.get("text_area", 0))
    if share >= TEXT and len(sure) == len(facts.ocr):
        part = percent(share)
        en_words = Words(f"text covers about {part} of the picture")
        zh_words = Words(f"文字约占画面的{part}")
        yield Statement(
            "layout", "other.composition", ("column:text_area",), en_words, zh_words, 6, ("text_layout",)
        )


def _quotable(line: OcrLine) -> bool:
    """Read surely, high enough, without personal data, and a quote still when it stands in quotes."""
    text = _line(line)
    high = line.height is None or line.height >= LOWEST
    clear = line.conf >= SURE["ocr"] and high and sum(map(str.isalnum, text)) >= SHORTEST
    return clear and not personal(text) and quotes(f"“{text}”") == [text]


def _line(line: OcrLine) -> str:
    """What was read, in one line."""
    return " ".join(line.text.split())


def _distinct(lines: Sequence[OcrLine]) -> list[OcrLine]:
    """Without those whose words, numbers aside, all stand in one before: tiled marks, rows of a table."""
    kept: list[tuple[OcrLine, set[str]]] = []
    for line in lines:
        said = {word.casefold() for word in words(line.text) if not word.isdigit()}
        alike = [other for other, held in kept if said <= held]
        if not any(len(said) > 1 or _line(line) == _line(other) for other in alike):
            kept.append((line, said))
    return [line for line, _ in kept]


def _quoted(line: OcrLine, rank: float) -> Statement:
    quote = f"“{_line(line)}”"
    place = _place(line.box) if line.box else None
    en, zh, where = f"the text reads {quote}", f"文字写着{quote}", None
    points: tuple[KeyPoint, ...] = ("text_rendering",)
    if place is not None:
        where, zh_where = _PLACES[place]
        en, zh = f"the text at the {where} reads {quote}", f"{zh_where}的文字写着{quote}"
        points = ("text_rendering", "text_layout")
    brief = len(quote) <= BRIEF and rank == FIRST
    tagged = len(quote) <= BRIEF and rank < FIRST + 1
    return Statement(
        "text", "ocr", (f"ocr:{line.id}",),
        Words(en, quote, f"the text {quote}" if brief else "", f"text {quote}" if tagged else ""),
        Words(zh, quote, f"有文字{quote}" if brief else "", f"文字{quote}" if tagged else ""),
        rank, points, Value(text=_line(line), position=where), line.conf,
    )  # fmt: skip


def _place(box: tuple[float, float, float, float]) -> int:
    """The ninth of the picture in which the middle of a box lies."""
    across, down = ((box[i] + box[i + 2]) / 2 for i in (0, 1))
    return 3 * min(2, int(3 * down)) + min(2, int(3 * across))


def _layout(known: Known) -> Iterator[Statement]:
    if margins := _margins(known):
        en, zh = margins
        en_words = Words(f"plain margins lie along {en} of the picture")
        zh_words = Words(f"画面的{zh}有纯色边框")
        yield Statement(
            "layout", "other.composition", ("column:letterbox",), en_words, zh_words, 5, ("layout",)
        )
    steps = int(known.get("collage", 0))
    if steps > 0:
        en = "one straight edge crosses" if steps == 1 else f"{en_number(steps)} straight edges cross"
        en_words = Words(f"{en} the whole picture")
        zh_words = Words(f"有{zh_number(steps)}条直线边界贯穿整个画面")
        value = Value(count=steps, label="straight edge")
        yield Statement(
            "layout", "count", ("column:collage",), en_words, zh_words, 6, _counting(steps), value
        )


def _margins(known: Known) -> tuple[str, str] | None:
    """The sides that have a margin for sure. Bars and frames come in pairs of one width; a single plain side
    is mostly the sky, and broad ones are the ground that a thing stands on or the stripes of a flag."""
    margins = [int(px) for px in str(known.get("letterbox", "")).split()]
    if len(margins) != 4 or not {"width", "height"} <= known.keys():
        return None
    left, top, right, bottom = margins
    across, down = _pair(left, right, int(known["width"])), _pair(top, bottom, int(known["height"]))
    told: dict[tuple[bool | None, bool | None], tuple[str, str]] = {
        (True, True): ("all four sides", "四周"),
        (True, False): ("the left and right sides", "左右两边"),
        (False, True): ("the top and bottom", "上下两边"),
    }
    return told.get((across, down))


def _pair(one: int, other: int, length: int) -> bool | None:
    """Whether two sides have a margin; None where it may be something else."""
    if max(one, other) < BAR[0] * length:
        return False
    sure = BAR[0] * length <= min(one, other) and max(one, other) <= BAR[1] * length
    return True if sure and abs(one - other) <= UNEVEN * length else None


def _origin(facts: Facts, known: Known) -> Iterator[Statement]:
    if known.get("camera_exif"):
        en_words = Words("the metadata of the file name a camera and an exposure")
        zh_words = Words("文件元数据中记录了相机和曝光参数")
        yield Statement("origin", "camera", ("column:camera_exif",), en_words, zh_words, 7)
    made = {
        "A": (
            "the file declares that a generative model made the picture or a part of it",
            "文件声明画面全部或部分由生成模型制作",
        ),
        "B": ("the pixels carry the hidden mark of an image generator", "像素中带有图像生成器的隐藏标记"),
    }.get(str(known.get("aigc_tier")))
    column = "aigc_tier"
    if made is None and known.get("synthetic"):
        made, column = (
            ("the source declares that the picture is machine-made", "来源声明画面由机器生成"),
            "synthetic",
        )
    if made is not None:
        en_words, zh_words = Words(made[0], tag="machine-made"), Words(made[1], "", "", "机器生成")
        yield Statement("origin", "knowledge", (f"column:{column}",), en_words, zh_words, 3)
    if facts.watermarks:
        en_words = Words("a visible watermark lies on the picture", "", "a visible watermark", "watermark")
        zh_words = Words("画面上有可见的水印", "", "带有可见水印", "水印")
        p = float(known.get("watermark_p", 0))
        yield Statement(
            "origin", "secondary.noun", ("column:watermark_p",), en_words, zh_words, 2.4, (), None, p
        )
    # A quote is judged against the text in the picture; where somebody read that, no other text is quoted.
    captions = [meta for meta in facts.meta if meta.kind == "alt_text"]
    if captions and not facts.ocr_read and quotes(f"“{captions[0].text}”") == [captions[0].text]:
        en_words = Words(f"the file came with the caption “{captions[0].text}”")
        zh_words = Words(f"文件附带的说明文字是“{captions[0].text}”")
        yield Statement("origin", "knowledge", (f"meta:{captions[0].id}",), en_words, zh_words, 20)
