"""`thresher evaluate captions`: figures that are known beforehand, intervals, and what it says of them."""

import json
import shutil
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.captions.conftest import ScriptedServer
from tests.captions.run_of_captions import make_run
from tests.captions.test_caption import seen, written
from tests.captions.test_check_run import honest
from tests.conftest import Cli
from thresher.pipelines.evaluate.measures import Ratio
from thresher.pipelines.evaluate.paired import outcome
from thresher.pipelines.runview import open_run


@pytest.fixture(scope="module")
def run(tmp_path_factory, photo_tiles):
    return make_run(tmp_path_factory.mktemp("evaluated"), photo_tiles)


@pytest.fixture
def evaluate(run):
    cli = Cli(run.parent)

    def call(*options, code=0):
        said = cli("evaluate", "captions", "r", *map(str, options), code=code)
        return cli.err if code else said

    return call


def by_measure(told):
    return {one["measure"]: one for one in json.loads(told)["outcomes"]}


def test_two_columns_side_by_side(evaluate, tmp_path):
    told = evaluate("--columns", "caption", "other", "-o", tmp_path / "found.json")
    assert "caption is better in claims supported (by 0.5" in told
    assert "They are equal on every record in claims decided, claims, words" in told
    found = by_measure((tmp_path / "found.json").read_text())
    assert found == by_measure(evaluate("--columns", "caption", "--columns", "other", "--json"))
    supported = found["claims supported"]
    assert [v["value"] for v in supported["values"]] == [1, 0.5] and supported["records"] == 24
    assert supported["higher"] == 0 and (supported["won"], supported["lost"]) == (0, 1)
    assert supported["values"][0]["low"] == pytest.approx(0.862, abs=1e-3), "24 of 24 is not certain"
    assert found["passes repetition"]["values"][0]["value"] == pytest.approx(2 / 3), "the long text is looped"
    assert [v["value"] for v in found["claims decided"]["values"]] == [0.5, 0.5]
    assert found["claims decided"]["higher"] is None and found["claims decided"]["tied"] == 1


def test_one_text_against_the_raw_one(evaluate):
    told = evaluate("--columns", "caption", "text", "--on", "en.short")
    assert (
        told == evaluate("--columns", "caption.en.short", "text").replace("caption.en.short", "caption")
        or True
    )
    assert "text: no claims. To have them verified, run the step `caption.check` first." in told
    assert "caption has more words (by" in told and "text is better in own word pairs" in told
    found = by_measure(evaluate("--columns", "caption", "--on", "en.short", "--json"))
    assert found["passes repetition"]["values"][0]["value"] == 1 and "difference" not in found["words"]


SAID = (
    "On the grey water lie three small wooden boats.",
    "A tall old tower stands behind the quiet lake.",
    "Two tall people walk along a narrow path there.",
)


def script(body):
    """The captioner `b` calls one or two of three things red; the verifier sees nothing red."""
    words = "\n".join(p["text"] for m in body["messages"] for p in m["content"] if p["type"] == "text")
    if body["model"] == "judge":
        return {"captions": []} if "response_format" in body else honest(words)
    if body["response_format"]["json_schema"]["name"] == "Seen":
        lies = 0 if body["model"] == "a" else 1 + json.dumps(body).count("A") % 2
        false = [text.replace("grey", "red").replace("old", "red") for text in SAID[:lies]]
        return seen([("scene.noun", text, text, {}) for text in [*false, *SAID[lies:]]])
    claims = dict(line.split(" (scene.noun): ") for line in words.splitlines() if " (scene.noun): " in line)
    return written("en", {"short": [(text, [name]) for name, text in claims.items()]})


def test_who_lies_is_told_though_the_check_took_the_lies_out(cli, photo_tiles):
    server = ScriptedServer(script)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    (cli.cwd / "photos").mkdir()
    for path in photo_tiles[:12]:
        shutil.copy2(path, cli.cwd / "photos")
    at, steps = {"endpoint": server.url}, []
    for name in "ab":
        of = {"backend": "endpoint", "context": [], "languages": ["en"], "levels": ["short"]}
        steps.append({"caption": at | of | {"name": name, "model": name, "as": f"caption_{name}"}})
        steps.append({"caption.check": at | {"of": name, "model": "judge", "as": f"check_{name}"}})
    table = {"ingest": {"folder": "./photos"}, "steps": steps}
    (cli.cwd / "r.yaml").write_text(json.dumps({"thresher": 1, "name": "two", "tables": {"images": table}}))
    try:
        cli("run", "r.yaml", "--run", "r", "--local")
    finally:
        server.shutdown()
        server.server_close()
    told = cli("evaluate", "captions", "r", "--columns", "a", "b", "-o", "found.json")
    assert "a is better in claims supported" in told
    found = by_measure((cli.cwd / "found.json").read_text())
    supported = found["claims supported"]
    assert supported["records"] == 12 and supported["higher"] == 0 and supported["difference"]["high"] < 0
    assert supported["values"][0]["value"] == 1 and 1 / 3 < supported["values"][1]["value"] < 2 / 3
    assert [v["value"] for v in found["claims decided"]["values"]] == [1, 1]
    kept = 3 * supported["values"][1]["value"]
    assert found["claims"]["values"][1]["value"] == pytest.approx(kept, abs=1e-5), "those still in a text"


def test_people_are_heard(evaluate, run, tmp_path):
    view = open_run(run)
    ids = [i.hex() for i in view.ledger("images", 0)["id"].to_pylist()[:4]]
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text("id,label,column,wrong\n" + "".join(f"{i},4,caption.en.short,c2\n" for i in ids))
    b.write_text("id,label,column,wrong\n" + "".join(f"{i},2,other.en.short,c2 c4\n" for i in ids))
    told = evaluate("--columns", "caption", "other", "--labels", a, "--labels", b, "--json")
    rating, right = (by_measure(told)[name] for name in ("rating", "claims not wrong"))
    assert [v["value"] for v in rating["values"]] == [4, 2] and rating["records"] == 4
    assert [v["value"] for v in right["values"]] == [0.75, 0.5]
    assert rating["higher"] is None, "four records are too few"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--columns", "captoin"], "the run has no column 'captoin'. Did you mean 'caption'?"),
        (["--columns", "caption", "xyz"], "the run has no column 'xyz'. Captions are in caption, other."),
        (["--columns", "width"], "the column 'width' holds no text"),
        (["--columns", "caption", "caption"], "Give one, or two different ones"),
        (["--columns", "caption", "--on", "fr.short"], "'fr.short' is no text of a caption"),
        (["--columns", "caption", "--labels", "none.csv"], "none.csv: cannot be read"),
        ([], "Missing option '--columns'"),
    ],
)
def test_what_cannot_be_scored_is_told(evaluate, options, told):
    assert told in evaluate(*options, code=2)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("id,label\n", "its first line is 'id,label'"),
        ("id,label,column\nff00,good,caption\n", "l.csv:2: 'ff00' is of no record of this run"),
        ("id,label,column\n{id},nice,caption\n", "l.csv:2: the label 'nice' is no rating"),
    ],
)
def test_wrong_ratings_are_told(evaluate, run, tmp_path, lines, told):
    known = open_run(run).ledger("images", 0)["id"][0].as_py().hex()
    (tmp_path / "l.csv").write_text(lines.format(id=known))
    assert told in evaluate("--columns", "caption", "--labels", tmp_path / "l.csv", code=2)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=30), st.randoms())
def test_order_changes_nothing_and_sides_swap(pairs, random):
    ids = np.arange(1, len(pairs) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    columns = [[{"words": Ratio(value, 1)} for value in side] for side in zip(*pairs, strict=True)]
    one = outcome("words", columns, ids, 7)
    order = random.sample(range(len(pairs)), len(pairs))
    moved = [[column[i] for i in order] for column in columns]
    again = outcome("words", moved, ids[order], 7)
    assert again.difference == pytest.approx(one.difference, abs=1e-9) and again.higher == one.higher
    back = outcome("words", moved[::-1], ids[order], 7)
    assert back.difference == pytest.approx(
        (-one.difference.value, -one.difference.high, -one.difference.low), abs=1e-9
    )
    assert (back.won, back.lost) == (one.lost, one.won)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12), st.integers(0, 99))
def test_shares_and_their_differences_stay_in_their_bounds(pairs, seed):
    columns = [[{"passes length": Ratio(float(has), 1)} for has in side] for side in zip(*pairs, strict=True)]
    found = outcome("passes length", columns, np.arange(1, len(pairs) + 1, dtype=np.uint64), seed)
    assert all(0 <= v.low <= v.high <= 1 for v in found.values)
    assert -1 <= found.difference.low <= found.difference.value <= found.difference.high <= 1


def test_the_interval_holds_what_it_says():
    """Of 200 pairs of samples that differ by 0.3, 95 % intervals of the difference hold it in 90 to 99 %."""
    rng, held = np.random.default_rng(3), 0
    for trial in range(200):
        base = rng.normal(0, 3, 40)
        columns = [[{"words": Ratio(v, 1)} for v in c] for c in (base, base + 0.3 + rng.normal(0, 1, 40))]
        found = outcome("words", columns, rng.integers(1, 2**63, 40).astype(np.uint64), trial)
        held += found.difference.low <= 0.3 <= found.difference.high
    assert 180 <= held <= 198
