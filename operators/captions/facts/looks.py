"""What the measures of shape, colour and light let a caption say."""

from collections.abc import Iterator

from thresher.operators.captions.facts.statement import Known, Statement, Words, listed, percent
from thresher.operators.captions.language.colours import word
from thresher.operators.captions.record import Facts, Value

SMALL, LARGE = 512, 1024
"""px of the short side: bounds of HunyuanImage 3.0 (images.md 7)."""
SQUARE = 1.05
"""Longer over shorter side, up to which a picture is called square."""
DARK, BRIGHT = 80.0, 175.0
"""Mean luma. Ours, as are the next two: a quarter of photographs or less lie beyond each."""
FLAT, DEEP = 100.0, 220.0
"""Dynamic range in levels."""
SOFT, FINE = 50.0, 2000.0
"""`sharpness`."""
MUTED, VIVID = 33.0, 59.0
"""Below "moderately colourful", from "quite colourful" (Hasler and Suesstrunk 2003, table 2)."""
SHARE = 0.1
"""Of the picture, from which an area is worth a statement."""
MAIN = 0.6
"""Share from which the first colours are the main ones."""

_NOUNS = {"photo": "照片", "screenshot": "截图", "illustration": "插画"}
_PARTS: dict[str, tuple[str, tuple[int, ...]]] = {
    "top": ("上部", (0, 1, 2)), "middle": ("中部", (3, 4, 5)), "bottom": ("下部", (6, 7, 8)),
    "left side": ("左侧", (0, 3, 6)), "right side": ("右侧", (2, 5, 8)),
    "top left": ("左上角", (0,)), "top centre": ("上方中央", (1,)), "top right": ("右上角", (2,)),
    "middle left": ("左侧中部", (3,)), "centre": ("中央", (4,)), "middle right": ("右侧中部", (5,)),
    "bottom left": ("左下角", (6,)), "bottom centre": ("下方中央", (7,)), "bottom right": ("右下角", (8,)),
}  # fmt: skip
"""Parts of the picture that are spoken of, and their cells of the grid."""


def looks(facts: Facts, known: Known) -> Iterator[Statement]:
    """Statements on kind, shape, size, colours, light and detail."""
    yield from _frame(facts, known)
    yield from _colours(known)
    yield from _places(known)
    yield from _tone(known)
    yield from _detail(known)


def _frame(facts: Facts, known: Known) -> Iterator[Statement]:
    if "width" in known and "height" in known:
        yield from _size(int(known["width"]), int(known["height"]))
    if "is_gray" in known:
        grey = known["is_gray"]
        en, said, zh = (
            ("black-and-white", "in shades of grey", "黑白") if grey else ("colour", "in colour", "彩色")
        )
        en_words = Words(f"the picture is {said}", brief=en, tag="black and white" if grey else "in colour")
        zh_words = Words(f"画面是{zh}的", "", zh, zh)
        yield Statement("frame", "other.style", ("column:is_gray",), en_words, zh_words, 0)
    if facts.image_type in _NOUNS:
        noun, zh = str(facts.image_type), _NOUNS[str(facts.image_type)]
        sources = tuple(f"column:{c}" for c in ("digital_source_type", "camera_exif") if known.get(c))
        en_words = Words(f"the metadata of the file speak of a {noun}", brief=noun, tag=noun)
        zh_words = Words(f"文件元数据表明这是{zh}", "", zh, zh)
        yield Statement("frame", "other.style", sources, en_words, zh_words, 0, (), Value(label=noun))


def _size(width: int, height: int) -> Iterator[Statement]:
    sides = ("column:width", "column:height")
    short = min(width, height)
    en, zh = ("small", "小尺寸") if short < SMALL else ("large", "大尺寸") if short >= LARGE else ("", "")
    size = f"{width} by {height} pixels"
    en_words = Words(f"the picture measures {size}", f"of {size}", en, size)
    zh_words = Words(
        f"画面尺寸为{width}×{height}像素", f"尺寸为{width}×{height}像素", zh, f"{width}×{height}像素"
    )
    yield Statement("frame", "other.composition", sides, en_words, zh_words, 3)
    if max(width, height) <= SQUARE * min(width, height):
        en, said, zh = "square", "about as wide as it is high", "方形"
    elif width > height:
        en, said, zh = "wide", "wider than it is high", "横幅"
    else:
        en, said, zh = "tall", "higher than it is wide", "竖幅"
    en_words = Words(f"the picture is {said}", brief=en, tag=f"{en} format")
    yield Statement(
        "frame", "other.composition", sides, en_words, Words(f"画面为{zh}", "", zh, f"{zh}画面"), 0
    )


def _colours(known: Known) -> Iterator[Statement]:
    """The first colours make up most of the picture; only they come into its short caption."""
    held = [entry.rpartition(" ") for entry in str(known.get("palette", "")).split(", ") if entry]
    total = 0.0
    for place, (name, _, number) in enumerate(held):
        share = float(number)
        if share < SHARE:
            return
        main = place < 3 and total < MAIN
        total += share
        en, zh, part = word(name, "en"), word(name, "zh"), percent(share)
        en_words = Words(
            f"{en} covers about {part} of the picture", f"{en} about {part}", en if main else "", en
        )
        zh_words = Words(f"{zh}约占画面的{part}", f"{zh}约占{part}", zh if main else "", zh)
        value = Value(colour=name, label="picture")
        yield Statement(
            "colour", "scene.attributes", ("column:palette",), en_words, zh_words, 1 + place / 10, (), value
        )


def _places(known: Known) -> Iterator[Statement]:
    """For each colour the parts that it fills: whole rows, else whole columns, and single ninths."""
    cells = str(known.get("palette_grid", "")).split(" ")
    if len(cells) != 9 or len(set(cells)) == 1:
        return
    for name in dict.fromkeys(cell for cell in cells if cell != "mixed"):
        parts = _parts({place for place, cell in enumerate(cells) if cell == name})
        en, zh = word(name, "en"), word(name, "zh")
        where = listed([f"the {part}" for part in parts], "en")
        verb = "is" if len(parts) == 1 else "are"
        zh_where = listed([_PARTS[part][0] for part in parts], "zh")
        en_words = Words(f"{where} of the picture {verb} mostly {en}", f"{where} {verb} mostly {en}")
        zh_words = Words(f"画面的{zh_where}以{zh}为主", f"{zh_where}以{zh}为主")
        value = Value(colour=name, position=", ".join(parts), label="picture")
        yield Statement(
            "place", "scene.attributes", ("column:palette_grid",), en_words, zh_words, 6, ("layout",), value
        )
    if cells[4] == "mixed":
        en_words = Words(
            "no colour prevails in the centre of the picture", "no colour prevails in the centre"
        )
        zh_words = Words("画面中央没有占主导的颜色", "中央没有占主导的颜色")
        yield Statement(
            "place", "scene.attributes", ("column:palette_grid",), en_words, zh_words, 9, ("layout",)
        )


def _parts(cells: set[int]) -> list[str]:
    """The fewest words for a set of ninths."""
    lines = [part for part, (_, places) in _PARTS.items() if len(places) == 3 and cells.issuperset(places)]
    rows = [part for part in lines if part in ("top", "middle", "bottom")]
    spoken = rows or lines
    covered = {place for part in spoken for place in _PARTS[part][1]}
    rest = [part for part, (_, places) in _PARTS.items() if len(places) == 1 and cells - covered >= {*places}]
    return spoken + rest


def _tone(known: Known) -> Iterator[Statement]:
    if "luma_mean" in known:
        luma = float(known["luma_mean"])
        en, zh = ("dark", "偏暗") if luma < DARK else ("bright", "明亮") if luma > BRIGHT else ("", "")
        claim = f"the picture is {en} overall" if en else "the picture is neither dark nor bright overall"
        en_words = Words(claim, "", f"{en} tones" if en else "", en)
        zh_words = Words(
            f"画面整体{zh or '明暗适中'}", "", f"整体{zh}" if zh else "", f"画面{zh}" if zh else ""
        )
        yield Statement("tone", "scene.attributes", ("column:luma_mean",), en_words, zh_words, 4 if en else 8)
    if "dynamic_range" in known:
        span = float(known["dynamic_range"])
        en, zh = ("low", "较弱") if span < FLAT else ("high", "强烈") if span > DEEP else ("moderate", "适中")
        plain = en == "moderate"
        en_words = Words(f"the contrast is {en}", "", f"{en} contrast", "" if plain else f"{en} contrast")
        zh_words = Words(f"明暗对比{zh}", "", f"明暗对比{zh}", "" if plain else f"明暗对比{zh}")
        yield Statement(
            "tone", "scene.attributes", ("column:dynamic_range",), en_words, zh_words, 8 if plain else 5
        )
    if "colorfulness" in known and known.get("is_gray") is False:
        level = float(known["colorfulness"])
        en, zh = (
            ("muted", "柔和")
            if level < MUTED
            else ("vivid", "鲜艳")
            if level >= VIVID
            else ("moderately vivid", "鲜艳程度适中")
        )
        tag = ("", "") if en == "moderately vivid" else (f"{en} colours", f"色彩{zh}")
        yield Statement(
            "tone", "other.style", ("column:colorfulness",),
            Words(f"the colours are {en}", brief=tag[0], tag=tag[0]),
            Words(f"色彩{zh}", "", tag[1], tag[1]), 5 if tag[0] else 8,
        )  # fmt: skip


def _detail(known: Known) -> Iterator[Statement]:
    if "sharpness" in known:
        level = float(known["sharpness"])
        en, zh = ("little", "较少") if level < SOFT else ("much", "丰富") if level > FINE else ("", "")
        if en:
            en_words = Words(f"the picture holds {en} fine detail", tag=f"{en} fine detail")
            zh_words = Words(f"画面细节{zh}", "", "", f"细节{zh}")
            yield Statement("detail", "other.style", ("column:sharpness",), en_words, zh_words, 6)
    for column, en, zh in (
        ("uniform_tiles", "plain, without any texture", "没有纹理的平坦区域"),
        ("clip_low", "nearly pure black", "接近纯黑的区域"),
        ("clip_high", "nearly pure white", "接近纯白的区域"),
        ("alpha_share", "transparent", "透明区域"),
    ):
        share = float(known.get(column, 0))
        if share >= SHARE:
            part = percent(share)
            en_words = Words(f"about {part} of the picture is {en}", f"about {part} is {en}")
            zh_words = Words(f"画面约{part}为{zh}", f"约{part}为{zh}")
            yield Statement("detail", "scene.attributes", (f"column:{column}",), en_words, zh_words, 7)
    if 0 <= float(known.get("uniform_tiles", 1)) < 0.01:
        en_words = Words("hardly any part of the picture is without texture")
        zh_words = Words("画面几乎处处都有纹理")
        yield Statement("detail", "scene.attributes", ("column:uniform_tiles",), en_words, zh_words, 7)
