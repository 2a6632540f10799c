"""Difference captions: what is claimed of two pictures is asked of both; of several, of each."""

import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from thresher.operators.captions.difference.checking import faults
from thresher.operators.captions.difference.pairs import CaptionDiff, DiffParams
from thresher.operators.captions.taxonomy import Lang
from thresher.operators.views import others
from thresher.pipelines.runview import open_run
from thresher.schemas.records import Media, Record

COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220), "green": (20, 200, 20)}
RECIPE = """
thresher: 1
name: pairs
tables:
  images:
    ingest: {{shards: ./pool.tar}}
    steps:
      - caption.diff: {{model: seer, endpoint: "{url}"}}
"""


def _picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (600, 520), COLOURS[colour]).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _seen(image: Image.Image) -> str:
    pixel = image.convert("RGB").getpixel((300, 260))
    return min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], pixel, strict=True)))  # type: ignore[arg-type]


class Seer:
    """A model that sees the colour of a picture and claims more than that of a pair."""

    def __init__(self, said: Callable[..., str], shown: Callable[..., Any]) -> None:
        self.said, self.shown = said, shown
        self.instructions = ["Make {} {}."]
        self.captions = ["A plain wall in three pictures. Picture 1: red. Picture 2: blue."]

    def __call__(self, body: dict[str, Any]) -> Any:
        asked, image = self.said(body), self.shown(body)
        zh = "Language: Chinese" in asked
        if '"written"' in asked:
            return {"written": [], "caption": f"A wall that is {_seen(image)}."}
        if '"differences"' in asked:
            one, other = (
                c for _, c in sorted((asked.rindex(f"is {c}."), c) for c in COLOURS if f"is {c}." in asked)
            )
            real = {"before": f"The wall is {one}.", "after": f"The wall is {other}."}
            return {
                "differences": [real, {"before": "There is no cat.", "after": "A cat sleeps by the wall."}]
            }
        if "First statement:" in asked:
            first, second = asked.partition("First statement:")[2].split("Second statement:")
            seen = _seen(image)
            return (
                "first" if seen in first or "no cat" in first else "second" if seen in second else "neither"
            )
        if '"inverse"' in asked:
            assert "cat" not in asked.partition("- before")[2], "an unseen change was offered"
            if zh:
                return {"instruction": "把墙改成蓝色。", "inverse": "把墙改成红色。"}
            form = self.instructions[-1 if "rejected" in asked else 0]
            return {"instruction": form.format("the wall", "blue"), "inverse": form.format("the wall", "red")}
        if '"common"' in asked:
            single = [
                {"picture": i, "text": f"It is {c}."} for i, c in enumerate(("red", "blue", "green"), 1)
            ]
            return {
                "common": ["A plain wall.", "It is green."],
                "single": [*single[:2], {"picture": 3, "text": "It is red."}],
            }
        if '"caption"' in asked:
            assert "picture 3 alone" not in asked and "all: It is green" not in asked
            if zh:
                return {"caption": "三张图都是一面墙。图1是红色，图2是蓝色。"}
            return {"caption": self.captions[-1 if "rejected" in asked else 0]}
        statement = asked.splitlines()[-1]
        return "yes" if "plain wall" in statement or _seen(image) in statement else "no"


@pytest.fixture
def pool(cli: Any) -> None:
    records = {
        "a": {"0.jpg": "red", "1.jpg": "blue"},
        "b": {"source.jpg": "red", "target.jpg": "blue"},
        "c": {"jpg": "red"},
        "d": {"0.jpg": "red", "1.jpg": "blue", "2.jpg": "green"},
        "e": {"0.jpg": "green", "1.jpg": "green"},
    }
    with tarfile.open(cli.cwd / "pool.tar", "w") as archive:
        for stem, members in records.items():
            for suffix, colour in members.items():
                info = tarfile.TarInfo(f"{stem}.{suffix}")
                info.size = len(_picture(colour))
                archive.addfile(info, io.BytesIO(_picture(colour)))


def _rows(cli: Any, url: str) -> dict[str, dict[str, Any]]:
    (cli.cwd / "pairs.yaml").write_text(RECIPE.format(url=url))
    cli.run(cli.cwd / "pairs.yaml", "--run", "r", "--local")
    reader = open_run(cli.cwd / "r").reader("images")
    names = ["key", *(column.name for column in CaptionDiff(DiffParams()).writes())]
    rows = [row for part in reader.parts for row in reader.read(part, names).to_pylist()]
    return {row["key"].rpartition("//")[2]: row for row in rows}


def test_a_run_over_pairs_says_what_both_pictures_bear_out(
    cli: Any, pool: None, chat_server: Any, said: Any, shown: Any
) -> None:
    seer = Seer(said, shown)

    def honest(body: dict[str, Any]) -> Any:
        same = "differences" in said(body) and "First caption: A wall that is green" in said(body)
        return (
            {"differences": [{"before": "The wall is red.", "after": "The wall is green."}]}
            if same
            else seer(body)
        )

    rows = _rows(cli, chat_server(honest).url)
    for stem in ("a", "b"):
        row = rows[stem]
        assert row["difference.status"] == "pass" and row["difference.failed_check"] is None
        assert (
            row["difference.en"] == "Make the wall blue."
            and row["difference.en.inverse"] == "Make the wall red."
        )
        assert row["difference.zh"].startswith("把")
        changes = json.loads(row["difference"])["changes"]
        assert [(c["seen"], c["p_before"], c["p_after"]) for c in changes] == [(True, 1, 1), (False, 1, 0)]
    assert all(value is None for name, value in rows["c"].items() if "difference" in name)
    many = json.loads(rows["d"]["difference"])
    assert [(s["text"], s.get("picture"), s.get("seen", False)) for s in many["statements"]] == [
        ("A plain wall.", None, True),
        ("It is green.", None, False),
        ("It is red.", 1, True),
        ("It is blue.", 2, True),
        ("It is red.", 3, False),
    ]
    assert "Picture 2" in rows["d"]["difference.en"] and "图2" in rows["d"]["difference.zh"]
    assert rows["e"]["difference.status"] == "abstain" and rows["e"]["difference.en"] is None


@pytest.mark.parametrize(
    ("said", "lang", "held", "ok"),
    [
        ("Add two more dogs so that there are three.", "en", ["one dog", "three dogs"], True),
        ("Add five dogs.", "en", ["one dog", "three dogs"], False),
        ("增加两只狗。", "zh", ["一只狗", "三只狗"], True),
        ("增加四只狗。", "zh", ["一只狗", "三只狗"], False),
        ("Turn the wall teal.", "en", ["a white wall", "a green wall"], True),
        ("Turn the wall red.", "en", ["a white wall", "a green wall"], False),
        ("Remove cat", "en", ["a cat", "no cat"], True),
        ("Cat", "en", ["a cat", "no cat"], False),
        ("Let it appear to be night.", "en", ["day", "night"], True),
    ],
)
def test_what_an_instruction_may_say(said: str, lang: Lang, held: list[str], ok: bool) -> None:
    assert (not faults(said, lang, held, 60)) == ok


@pytest.mark.parametrize(
    ("first", "check"),
    [
        ("Change it as in the second image: make {} {}.", "target_mention"),
        ("Make {} {}, as shown.", "target_mention"),
        ('Write "NEW" on {}, {}.', "text_rendering"),
        ("Make {} {}" + " and do so with great care" * 12 + ".", "length"),
        ("Make {} {}, with three cats.", "grounded"),
        ("Make {} {}, not purple.", "grounded"),
        ("把{}改成{}，好吗？", "language"),
        ("I cannot make {} {}, sorry.", "refusal"),
        ("Make {} {}. Perhaps it seems brighter.", "objective"),
        ("Make {} {}. Write to me@example.com about it.", "pii"),
        ("The image shows {}, {}.", "target_mention"),
        ("Make {} {}. " + "Make it so. " * 4, "repetition"),
    ],
)
@pytest.mark.parametrize("mended", [True, False])
def test_an_instruction_is_asked_for_once_again(
    first: str, check: str, mended: bool, chat_server: Any, said: Any, shown: Any
) -> None:
    seer = Seer(said, shown)
    seer.instructions = [first, "Make {} {}."] if mended else [first]
    server = chat_server(seer)
    operator = CaptionDiff(DiffParams(model="seer", endpoint=server.url, languages=("en",)))
    (row,) = operator.load("cpu").each([[_picture("red"), _picture("blue")]], operator.work)
    if mended:
        assert row["difference.status"] == "pass" and row["difference.failed_check"] is None
    else:
        assert (row["difference.status"], row["difference.failed_check"]) == ("fail", check)
        assert row["difference.en"] is None
        assert json.loads(row["difference"])["instructions"][0]["fails"][0] == check
        assert "me@example.com" not in row["difference"]
    tried = [said(body) for body in server.bodies if '"inverse"' in said(body)]
    assert len(tried) == 2 and f"rejected: {check}: " in tried[1]


@pytest.mark.parametrize(
    ("first", "check"),
    [
        ("A plain wall. Picture 1: red.", "position"),
        ("A plain wall. Picture 1: red. Picture 2: blue and green.", "grounded"),
        ("A plain wall and four cats. Picture 1: red. Picture 2: blue.", "grounded"),
        ('A plain wall with "EXIT". Picture 1: red. Picture 2: blue.', "text_rendering"),
        ("Sorry, I cannot describe Picture 1 and Picture 2.", "refusal"),
        ("This photo shows a wall. Picture 1: red. Picture 2: blue.", "boilerplate"),
        ("A plain wall. Picture 1: red. Picture 2: blue." + " So it is." * 80, "length"),
    ],
)
def test_a_caption_of_several_pictures_is_asked_for_once_again(
    first: str, check: str, chat_server: Any, said: Any, shown: Any
) -> None:
    for mended in (True, False):
        seer = Seer(said, shown)
        seer.captions = [first, *seer.captions] if mended else [first]
        params = DiffParams(model="seer", endpoint=chat_server(seer).url, languages=("en", "zh"))
        operator = CaptionDiff(params)
        pictures = [_picture(colour) for colour in ("red", "blue", "green")]
        (row,) = operator.load("cpu").each([pictures], operator.work)
        assert row["difference.zh"], "one language stands without the other"
        assert row["difference.en"] == (seer.captions[1] if mended else None)
        assert row["difference.status"] == ("pass" if mended else "fail")
        assert row["difference.failed_check"] == (None if mended else check)


def test_further_pictures_are_numbered_or_called_target() -> None:
    suffixes = ["10.jpg", "2.jpg", "mask.png", "target.webp", "npy", "1.json"]
    media = [Media("image", "p.tar", 0, 9, "jpg"), *(Media("extra", "p.tar", 0, 9, s) for s in suffixes)]
    found = others(Record(bytes(16), "p", "k", tuple(media)))
    assert [medium.format for medium in found] == ["2.jpg", "10.jpg", "target.webp"]
