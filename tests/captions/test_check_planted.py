"""Planted errors: 100 wrong claims and 100 clean captions about demo photographs with known things in them.

Each picture is a crop of a photograph with discs and a sign put on it. What the verifier here knows: it
decodes the JPEG that it is sent, counts discs by colour in the pixels, and answers from that alone; it cannot
read; the place in each photograph and the drawn pictures of the gate it knows by heart; of all else it is
unsure. So the figures are of the machinery around a model (what is asked, what facts decide, what leaves the
texts), not of a model. They stand in docs/captions.md.
"""

import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont

from thresher.operators.base import Batch, Failure
from thresher.operators.captions.facts.evidence import evidence
from thresher.operators.captions.facts.palette import RGB, Palette
from thresher.operators.captions.language.colours import word
from thresher.operators.captions.prompting import prompt_texts
from thresher.operators.captions.record import (
    CaptionRecord,
    Claim,
    Entity,
    Facts,
    Meta,
    Text,
    Value,
    joined,
)
from thresher.operators.captions.taxonomy import LANGS, Field
from thresher.operators.captions.verify.check import CaptionCheck, CheckParams
from thresher.operators.captions.verify.claims import PROMPTS
from thresher.operators.captions.verify.gate import Gated
from thresher.operators.captions.verify.planted import planted
from thresher.operators.models.chat.chat import Choice
from thresher.operators.models.chat.messages import jpeg
from thresher.operators.models.ocr import NATIVE, Ocr
from thresher.pipelines.demo.photos import tiles
from thresher.schemas import Reason
from thresher.schemas.records import Record

COLOURS = {"red": (230, 10, 20), "blue": (20, 20, 240), "green": (0, 200, 20)}
ZH = {"red": "红色", "blue": "蓝色", "green": "绿色", 1: "一", 2: "两", 3: "三", 4: "四", 5: "五"}
WORDS = ("zero", "one", "two", "three", "four", "five")
SIGNS = ("OPEN 24 HOURS", "HOTEL BELLEVUE", "PLATFORM 7", "FRESH BREAD", "EXIT ONLY")
WRONG_SIGNS = ("OPEN 42 HOURS", "HOTEL BELGRADE", "PLATFORM 9", "FRESH FISH", "ENTRY ONLY")
RADIUS = 22
DRAWN = {(one.picture, one.statement): one.true for one in planted(("en", "zh"))}
PLACES = (
    ("Leifeng Pagoda", "雷峰塔"),
    ("Mirabell Palace", "米拉贝尔宫"),
    ("Charles Bridge", "查理大桥"),
    ("Rialto Bridge", "里亚托桥"),
    ("Canton Tower", "广州塔"),
)
VALUED = ("count", "colour", "text", "palette")
"""Kinds whose planted errors have, every other time, the true value beside the wrong words."""
KINDS = ("count", "colour", "text", "palette", "name")


class Scene(NamedTuple):
    number: int
    rgb: np.ndarray
    colour: str
    count: int
    sign: int


def scenes() -> Iterator[Scene]:
    photographs = [tile.image.convert("RGB") for tile in tiles(0) if min(tile.image.size) >= 300][:20]
    assert len(photographs) == 20
    for i, photograph in enumerate(photographs):
        picture = photograph.resize((480, 480))
        draw = ImageDraw.Draw(picture)
        colour, count = list(COLOURS)[i % 3], 2 + i % 4
        for k in range(count):
            x, y = 45 + 85 * k, 60 + 7 * (i % 5)
            draw.ellipse((x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS), COLOURS[colour])
        draw.rectangle((40, 380, 440, 450), "white")
        draw.text((60, 392), SIGNS[i % 5], "black", ImageFont.load_default(38))
        yield Scene(i, np.asarray(picture), colour, count, i % 5)


def caption(scene: Scene, facts: Facts, variant: int, wrong: str = "", truth: bool = False) -> CaptionRecord:
    """A true caption, or one with one thing wrong in it, in both languages; a claim's id says its kind."""
    count = scene.count % 5 + 1 if wrong == "count" else scene.count
    colour = [c for c in COLOURS if c != scene.colour][variant % 2] if wrong == "colour" else scene.colour
    sign = (WRONG_SIGNS if wrong == "text" else SIGNS)[scene.sign]
    palette = next(str(one.value) for one in facts.measured if one.column == "palette")
    names = [entry.rpartition(" ")[0] for entry in palette.split(", ")]
    main = next(c for c in ("purple", "pink", "olive") if c not in names) if wrong == "palette" else names[0]
    many = ("There are", "One can see", "In front are", "At the top are", "Here are")[variant]
    said: dict[str, tuple[Field, str, str, Value]] = {
        "count": (
            "count",
            f"{many} {WORDS[count]} discs.",
            f"上方有{ZH[count]}个圆片。",
            Value(count=count, label="disc"),
        ),
        "colour": (
            "primary.key_attributes",
            f"The discs are {colour}.",
            f"圆片是{ZH[colour]}的。",
            Value(colour=colour, label="disc"),
        ),
        "text": ("ocr", f"The text reads “{sign}”.", f"画面上写着“{sign}”。", Value(text=sign)),
        "palette": (
            "scene.attributes",
            f"One of the main colours is {main}.",
            f"主要颜色之一是{word(main, 'zh')}。",
            Value(colour=main, label="picture"),
        ),
    }
    place = (PLACES + PLACES)[scene.number % 5 + (wrong == "name")]
    alt = Meta(id="m1", kind="alt_text", text="{} ({})".format(*PLACES[scene.number % 5]))
    evidence = () if wrong == "name" else ("m1",)
    tower = Entity(id="e1", name={"en": place[0], "zh": place[1]}, type="landmark", evidence=evidence)
    facts = facts.model_copy(update={"entities": (tower,), "meta": (alt,)})
    said["name"] = ("entity", f"Behind them is {place[0]}.", f"后面是{place[1]}。", Value(entity="e1"))
    if truth:  # the value as the facts have it, the words wrong
        field, en, zh, _ = said[wrong]
        said[wrong] = (field, en, zh, caption(scene, facts, variant).claim(wrong).value)
    claims = tuple(
        Claim(id=kind, field=field, text={"en": en, "zh": zh}, value=value, provenance=("vlm:m",))
        for kind, (field, en, zh, value) in said.items()
    )
    texts = tuple(
        Text(id=g, lang=g, level="short", **joined([(c.text[g], (c.id,)) for c in claims], g)) for g in LANGS
    )
    return CaptionRecord(languages=LANGS, facts=facts, texts=texts, claims=claims)


class Looking:
    """The verifier: sees the JPEG and the statement, nothing else. `places`: JPEG -> the place
    that it knows."""

    def __init__(self, places: Mapping[bytes, str]) -> None:
        self.places = places

    spent: Mapping[str, float] = {}
    each_spent: tuple[Mapping[str, float], ...] = ()

    async def choose(self, messages: Any, words: Any, samples: int = 5) -> Choice:
        picture, said = messages[0].parts
        claim = re.split("^-----$", said, flags=re.MULTILINE)[1].strip()
        seen = discs(picture)
        true: bool | None = None
        if found := re.fullmatch(r".* (\w+) discs\.", claim):
            number = WORDS.index(found[1]) if found[1] in WORDS else int(found[1])
            true = number == sum(seen.values())
        elif found := re.fullmatch(r"The discs are (\w+)\.", claim):
            true = set(seen) == {found[1]}
        elif found := re.fullmatch(r"Behind them is (.*)\.", claim):
            true = True if self.places.get(picture) == found[1] else None
        true = DRAWN.get((picture, claim), true)
        p = {"yes": 0.03, "no": 0.03, "unsure": 0.03}
        answer = {True: "yes", False: "no", None: "unsure"}[true]
        return Choice(answer, p | {answer: 0.94}, "logprobs")

    async def fill(self, *_: Any) -> Failure:
        return Failure(Reason.UNPARSED, "it can only look")

    def each(self, items: Any, work: Any) -> list[Any]:
        import asyncio

        async def all_of_them() -> list[Any]:
            return [await work(self, item) for item in items]

        return asyncio.run(all_of_them())


@lru_cache(maxsize=64)
def discs(picture: bytes) -> dict[str, int]:
    """Colour -> number of round spots of the disc's size in the decoded picture."""
    import cv2

    rgb = np.asarray(Image.open(io.BytesIO(picture))).astype(np.int16)
    found: dict[str, int] = {}
    for name, colour in COLOURS.items():
        near = (np.abs(rgb - np.array(colour)).max(axis=2) < 40).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(near)
        round_ones = [s for s in stats[1:] if 0.8 < s[4] / (np.pi * RADIUS**2) < 1.2 and abs(s[2] - s[3]) < 6]
        if round_ones:
            found[name] = len(round_ones)
    return found


def test_planted_errors_are_caught_and_clean_claims_stay() -> None:
    records: list[CaptionRecord] = []
    pictures, wrong = [], []
    for scene, facts in measured(list(scenes())):
        for variant in range(5):
            for kind in ("", KINDS[(scene.number + variant) % 5]):
                records.append(
                    caption(scene, facts, variant, kind, truth=kind in VALUED and variant % 2 == 1)
                )
                pictures.append(scene.rgb)
                wrong.append(kind)
    assert Counter(wrong) == {"": 100, **dict.fromkeys(KINDS, 20)}
    found = verified(records, pictures)
    caught, alarms = defaultdict(list), defaultdict(list)
    for before, after, kind in zip(records, found, wrong, strict=True):
        for claim in before.claims:
            held = [claim.id in text.claims or claim.text[text.lang] in text.text for text in after.passed()]
            (caught if claim.id == kind else alarms)[claim.id].append(not any(held))
        assert after.text("en", "short") in after.passed(), (kind, after)
    told = (Path(__file__).parents[2] / "docs/captions.md").read_text()
    for kind in KINDS:
        false = float(np.mean(alarms[kind]))
        caught_rate, planted_ones, clean = np.mean(caught[kind]), len(caught[kind]), len(alarms[kind])
        row = f"| {kind} | {planted_ones} | {caught_rate:.2f} | {clean} | {false:.2f} |"
        print(row)
        assert row in told and caught_rate >= 0.95 and false <= 0.1  # OCR is unsure of one sign in twenty
    for after in found:
        for text in after.passed():
            assert all(after.claim(c).verdict != "refuted" and after.claim(c).provenance for c in text.claims)


def measured(made: list[Scene]) -> Iterator[tuple[Scene, Facts]]:
    """With what OCR read and what colours were counted, as `caption` takes them for facts."""
    records = [_record(scene.number) for scene in made]
    batch = Batch(records, {NATIVE: [s.rgb for s in made], RGB: [s.rgb for s in made]})
    read, colours = Ocr().measure(batch).columns["ocr"], Palette().measure(batch).columns["palette"]
    for scene, record, lines, palette in zip(made, records, read, colours, strict=True):
        yield scene, evidence(record, {"ocr": lines, "palette": palette, "width": 480, "height": 480})


def verified(records: list[CaptionRecord], pictures: list[np.ndarray]) -> list[CaptionRecord]:
    params = CheckParams(model="looking", languages=("en", "zh"), levels=("short",))
    check = CaptionCheck(params)
    places = {jpeg(rgb): PLACES[i // 10 % 5][0] for i, rgb in enumerate(pictures)}
    columns = pa.table({"caption": [record.dumps() for record in records]})
    batch = Batch([_record(i) for i in range(len(records))], {NATIVE: pictures}, columns)
    values = check.forward(
        Gated(Looking(places), prompt_texts(PROMPTS.values(), {}), "m", ("en", "zh")), check.prepare(batch)
    )
    assert set(values) == {column.name for column in check.writes()}
    found = [CaptionRecord.loads(text) for text in values["caption"]]
    assert sum(values["caption.checks.decoys"]) > 0 == sum(values["caption.checks.decoy_yes"])
    for record, text in zip(found, values["caption.en.short"], strict=True):
        held = record.text("en", "short")
        assert (text is None) == (held is None or held.status != "pass")
    return found


def _record(number: int) -> Record:
    return Record(number.to_bytes(16, "big"), "s", str(number), ())
