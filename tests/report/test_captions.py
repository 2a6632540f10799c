"""The section "Captions" of a real run in a browser: nothing of a caption is code, verdicts are coloured."""

import json
import shutil
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from selenium.webdriver.common.by import By

from tests.captions.conftest import ScriptedServer
from tests.captions.run_of_captions import HOSTILE, make_run
from tests.captions.test_caption import SHORT, kind, seen, written
from tests.models.conftest import clip, torch  # noqa: F401
from thresher.operators.captions.record import CaptionRecord, Claim, Entity, Facts, Text, Value
from thresher.pipelines.captions.columns import caption_columns, has_any, sampled
from thresher.pipelines.captions.disagreement import aspects, disagreement
from thresher.pipelines.report import write_report
from thresher.pipelines.report.captions import section as section_module
from thresher.pipelines.report.captions.cards import card
from thresher.pipelines.report.captions.costs import costs
from thresher.pipelines.report.captions.sharing import drawn, sharing
from thresher.pipelines.report.captions.tables import Captioned, tables
from thresher.pipelines.report.describe import Sample
from thresher.pipelines.report.numbers import percent
from thresher.pipelines.runview import open_run

CSS = By.CSS_SELECTOR
CONTRAST = r"""
const part = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
const light = c => {
  const [r, g, b] = c.match(/[\d.]+/g).map(Number).map(part);
  return .2126 * r + .7152 * g + .0722 * b;
};
const paper = light(getComputedStyle(document.body).backgroundColor);
return arguments[0].map(e => {
  const [a, b] = [light(getComputedStyle(e).color), paper].sort((x, y) => y - x);
  return (a + .05) / (b + .05);
});
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, photo_tiles) -> Path:
    return make_run(tmp_path_factory.mktemp("captions"), photo_tiles)


@pytest.fixture
def page(browser, run):
    driver = browser(1280)
    driver.get((run / "report.html").as_uri())
    return driver


def rows(driver, title, place=0):
    """The cells of a table, by its title."""
    found = driver.find_elements(CSS, f'[data-table="{title}"]')[place]
    script = (
        "return [...arguments[0].querySelectorAll('tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
    )
    return [[cell.replace("\u202f", "") for cell in row] for row in driver.execute_script(script, found)]


def test_languages_and_levels_switch_without_script(browser, run):
    driver, still = browser(1280), {"name": "prefers-reduced-motion", "value": "reduce"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [still]})
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get((run / "report.html").as_uri())
        first = driver.find_element(CSS, '.captions[data-column="caption"] .caption')

        def shown():
            [slot] = [e for e in first.find_elements(CSS, ".slot") if e.is_displayed()]
            return slot.text

        assert "On the water lie 3 boats.\u2060✓" in shown()
        for choice, expected in (
            ("lang=zh", "水上有3艘船"),
            ("level=long", "No text of this"),
            ("lang=en", "✗ repetition"),
        ):
            driver.find_element(CSS, f'.captions[data-column="caption"] [data-{choice}] + span').click()
            assert expected in shown()
        other = driver.find_element(CSS, '.captions[data-column="other"] .slot[data-level="short"]')
        assert other.is_displayed(), "each column has switches of its own"
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_verdicts_have_colour_sign_and_title(browser, run, width, scheme):
    driver = browser(width)
    scheme = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get("about:blank")
    driver.get_log("browser")
    driver.get((run / "report.html").as_uri())
    driver.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    scroll, inner = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= inner == width
    card = driver.find_element(CSS, '.captions[data-column="other"] .caption')
    marks = card.find_elements(CSS, ".slot[data-lang=en][data-level=short] mark")
    assert [m.get_attribute("class") for m in marks] == ["supported", "refuted", "unsure", "unseen", "none"]
    style = "const s = getComputedStyle(arguments[0]); return [s.textDecorationStyle, s.textDecorationColor]"
    looks = [driver.execute_script(style, m) for m in marks[:4]]
    assert len({line for line, _ in looks}) == len({colour for _, colour in looks}) == 4
    title = marks[1].get_attribute("title")
    assert (
        HOSTILE in title
        and "[primary.key_attributes]; rests on vlm:tiny; p 0.15, t 0.75, by judge-1" in title
    )
    assert marks[3].get_attribute("title").startswith("not looked at: a lake near")
    signs = driver.find_elements(CSS, ".captions .legend .sign")[:4]
    assert [s.text for s in signs] == ["✓", "✗", "?", "·"]
    assert min(driver.execute_script(CONTRAST, signs)) > 4.5
    assert HOSTILE in marks[1].text and len(driver.find_elements(By.TAG_NAME, "script")) == 1
    assert not driver.find_elements(CSS, ".captions img[src=x]") and driver.get_log("browser") == []
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.acceptance("I22")
def test_what_is_counted(page):
    assert rows(page, "Texts by language and level") == [
        ["en", "short", "24", "24", "0", "0", "100%"],
        ["en", "long", "24", "0", "24", "0", "0%"],
        ["zh", "short", "24", "24", "0", "0", "100%"],
    ]
    assert rows(page, "Failures by check") == [["repetition", "24", "33.3%"]]
    assert ["photos", "style: lens", "24", "24", "100%"] in rows(page, "Abstention by source and field")
    # `other` says p = 0.85 (supported), 0.15 (refuted) and 0.6
    risks = rows(page, "Risk and coverage", 1)
    assert risks[0][:7] == ["all", "24", "24", "48", "72", "66.7%", "27.5%"]
    assert risks[0][7:] == ["33.3%", "15.0%", "0%", "–"] and len(risks) > 1
    assert rows(page, "Claims by provenance", 1)[0] == ["vlm:tiny", "72", "24", "24", "0", "24"]
    alike = page.find_element(CSS, '[data-table="Same first words"] .warning')
    assert "More than 5 % begin alike" in alike.text
    assert rows(page, "Who wrote the texts") == [["all", "tiny", "100%", "100%", "48"]]
    charted = [e.get_attribute("data-column") for e in page.find_elements(CSS, ".card")]
    assert not {"caption", "caption.en.short"} & {*charted}, "texts are no distribution"


def test_captioners_are_compared_worst_first(page):
    scores = [float(e.text) for e in page.find_elements(CSS, ".apart .said p b")]
    assert len(scores) == section_module.WORST and scores == sorted(scores, reverse=True) and scores[-1] > 0
    assert "3 boat" in page.find_element(CSS, ".apart tbody").text


def record(*values, names=()):
    entities = tuple(Entity(id=f"e{i}", name={"en": n}, type="tower") for i, n in enumerate(names))
    claims = [Claim(id=f"c{i}", field="count", text={}, value=v) for i, v in enumerate(values)]
    return CaptionRecord(languages=("en",), claims=tuple(claims), facts=Facts(entities=entities))


def test_disagreement_is_the_mean_of_jaccard_distances():
    one = record(
        Value(count=3, label="boat"), Value(colour="red", label="boat"), Value(entity="e0"), names=["A"]
    )
    two = record(
        Value(count=4, label="boat"), Value(colour="red", label="Boat"), Value(entity="e0"), names=["a"]
    )
    assert {a.name: a.distance for a in aspects(one, two)} == {"counts": 1, "colours": 0, "names": 0}
    assert disagreement(aspects(one, two)) == pytest.approx(1 / 3) == disagreement(aspects(two, one))
    assert disagreement(aspects(one, one)) == 0 == disagreement([])


@pytest.mark.acceptance("I21")
def test_a_verifier_that_says_yes_to_everything_is_shown():
    yes = CaptionRecord(languages=("en",), checks={"decoys": 4.0, "decoy_yes": 4.0})
    [table] = tables([Captioned("photos", "b", yes)])
    assert table.rows == [["decoys", "4", "4", "100\u202f%"]] and "do not use the verdicts" in table.warning
    claim = Claim(id="c", field="count", text={"en": "x"}, verifier="distrusted:parrot")
    found = list(tables([Captioned("photos", "b", yes.model_copy(update={"claims": (claim,)}))]))
    [table] = [one for one in found if "trusted" in one.title]
    assert table.rows[1][:2] == ["claims not judged by parrot", "1"] and "parrot failed" in table.warning


def test_explain_tells_texts_and_claims_whole(cli, run):
    name = next((run / "ledger").rglob("part-*.parquet"))
    key = pq.read_table(name, columns=["key"])["key"][0].as_py()
    cli("explain", key, "--run", str(run))
    assert f"  en.short: On the water lie 3 boats. The sky is {HOSTILE}. It is calm." in cli.out
    assert "  en.long failed repetition: Boats. " in cli.out
    assert "  c1 count: 3 boats / 3艘船 (supported, p 0.95, by judge-1)" in cli.out
    assert f"  c4 scene.noun: a lake near {key} (nobody looked at it)" in cli.out


def test_records_without_a_text_and_levels_that_were_not_written_are_told():
    bare = CaptionRecord(languages=("zh",), abstained=("lens", "zh.long"))
    text = Text(id="t", lang="zh", level="short", text="两艘船。")
    found = [
        Captioned("photos", "b", bare),
        Captioned("photos", "b", bare.model_copy(update={"texts": (text,)})),
    ]
    levels, abstention = tables(found)
    assert levels.warning == "1 of 2 records have no text that passed."
    assert [row[1:3] for row in abstention.rows] == [["level: zh.long", "2"], ["style: lens", "2"]]


def test_a_captioner_that_verified_itself_is_told():
    for verifier, warned in (("m", True), ("judge", False)):
        claim = Claim(id="c", field="count", text={"en": "x"}, provenance=("vlm:m",), verifier=verifier)
        held = CaptionRecord(languages=("en",), claims=(claim,))
        told = [one.warning for one in tables([Captioned("photos", "b", held)]) if "trusted" in one.title]
        assert told == (["m judged its own claims: it shares its blind spots."] if warned else [])


def test_the_sample_is_of_the_records_and_not_of_their_parts(run):
    view = open_run(run)
    assert caption_columns(view, "images") == ["caption", "other"]
    some = sampled(view, "images", ["caption"], [], has_any, 5)
    whole = sampled(view, "images", ["caption"], [], has_any, 99)
    assert some.known == 24 and some.rows == whole.rows[:5] and len({r.id for r in whole.rows}) == 24


def test_shares_warn_and_costs_add_up():
    draws = [
        {
            "caption.drawn_by": None if i < 3 else "a",
            "caption.drawn_synthetic": i >= 3,
            "synthetic_text_share": float(i >= 3),
            "generation_depth": int(i >= 3),
            "caption.raw_unfit": None,
            "bucket_512": f"b{i % 2}",
        }
        for i in range(40)
    ]
    undecided = {**dict.fromkeys(draws[0]), "bucket_512": "b0"}
    [table] = sharing(drawn([*draws, undecided], "bucket_512"))
    assert table.rows[0] == ["all", "a", "92.5\u202f%", "92.5\u202f%", "40"] and len(table.rows) == 3
    assert "all: 92.5% of 40 captions have no human text" in table.warning and "a wrote" in table.warning
    [human] = sharing(drawn(draws[:1] * 9, ""))
    assert human.rows == [["all", "–", "–", "0\u202f%", "9"]] and not human.warning
    spent = {"prompt_tokens": 400, "completion_tokens": 100, "request_s": 2.5, "price": 0.02}
    one = {"step": "caption", "records": 4, "requests": 8, **spent}
    found = costs([one, one, {"step": "faces", "records": 9}])
    assert found.rows == [["caption", "8", "16", "–", "800", "200", "5.0\u202fs", "0.04", "125", "0.005"]]
    assert costs([]) is None


def test_a_real_run_with_a_draw(cli, photo_tiles, clip, browser):  # noqa: F811
    """Two captioners, one with a model, similarity and a draw: the page says what the run warned of."""
    (cli.cwd / "photos").mkdir()
    for path in photo_tiles[:12]:
        shutil.copy2(path, cli.cwd / "photos")
    for path in photo_tiles[12:16]:  # people's words, and no caption of the second captioner
        shutil.copy2(path, cli.cwd / "photos")
        (cli.cwd / "photos" / path.name).with_suffix(".txt").write_text(f"a portrait, {path.stem}")
    said = {"short": SHORT["en"]}
    server = ScriptedServer(lambda body: seen() if kind(body) == "Seen" else written("en", said))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    model = {"backend": "endpoint", "endpoint": server.url, "model": "m", "price": {"input": 1, "output": 2}}
    texts = {"languages": ["en"], "levels": ["short"]}
    embed = {"backend": "clip", "model": str(clip[0]), "weights": str(clip[1])}
    steps = [
        "quality",
        "palette",
        {"embed": embed},
        {"caption": texts},
        {"caption": model | texts | {"name": "other", "context": [], "as": "other"}},
        {"clip_score": embed | {"text": "caption.en.short"}},
        {"caption.draw": {"keep_raw": 0, "candidates": [{"text": "caption.en.short"}, {"text": "text"}]}},
        "balance.captions",
    ]
    table = {"ingest": {"folder": "./photos"}, "steps": steps}
    (cli.cwd / "r.yaml").write_text(json.dumps({"thresher": 1, "name": "d", "tables": {"images": table}}))
    try:
        told = cli("run", "r.yaml", "--run", "r", "--local")
    finally:
        server.shutdown()
        server.server_close()
    view = open_run(cli.cwd / "r")
    [whole] = view.facts("images")["balance.captions"]["texts"]
    driver = browser(1280)
    driver.get((cli.cwd / "r/report.html").as_uri())
    [part] = rows(driver, "Who wrote the texts")
    shares = [percent(round(10_000 * whole[name]), 10_000) for name in ("largest", "synthetic")]
    assert part[2:4] == [share.replace("\u202f", "") for share in shares]
    warning = driver.find_element(CSS, '[data-table="Who wrote the texts"] .warning').text
    assert warning.strip("⚠ .") in told.replace("all captions:", "all:")
    assert part[:2] == ["all", "facts"] and part[4] == "16"
    [cost] = rows(driver, "Cost")
    assert cost[:6] == ["other", "16", "17", "15", "8500", "340"]  # they are written of the same claims
    assert cost[7] == "0.00918"
    told = json.loads(cli("evaluate", "captions", "r", "--columns", "caption", "--json"))
    similar = {o["measure"]: o for o in told["outcomes"]}["similarity"]
    scores = [
        r.values["caption.en.short.clip_score"]
        for r in sampled(view, "images", ["caption"], ["caption.en.short.clip_score"], has_any, 99).rows
    ]
    assert similar["values"][0]["value"] == pytest.approx(sum(scores) / 16, abs=1e-5)


def test_a_huge_caption_leaves_the_page_small(run, tmp_path, monkeypatch):
    monkeypatch.setattr(section_module, "BUDGET", 20_000)
    write_report(open_run(run), tmp_path / "small.html")
    assert (tmp_path / "small.html").stat().st_size < (run / "report.html").stat().st_size
    text = {"id": "t", "lang": "en", "level": "dense", "text": "x" * 10**6, "fails": ["y" * 10**5] * 99}
    told = {"languages": ["en"], "texts": [text], "abstained": ["z" * 10**5] * 999}
    huge = CaptionRecord.loads(json.dumps(told))
    assert len(repr(card(Sample("", "", "kept", "", "", "", "", ""), huge))) < 60_000
    assert list(tables([Captioned("s", "", huge)]))
