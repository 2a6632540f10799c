"""`caption.check` in a run: behind a step that wrote the captions, before one that drops what has none."""

import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from thresher.operators.captions.record import CaptionRecord, Claim, Text, Value, joined
from thresher.operators.captions.verify import check
from thresher.operators.captions.verify.check import CaptionCheck, CheckParams
from thresher.operators.captions.verify.planted import planted
from thresher.operators.captions.verify.revision import judged_by
from thresher.pipelines.plan.fingerprint import operator_fingerprint

CAPTIONS = """
from thresher.operators.base import Measure, Values
from thresher.operators.captions.checks import judged
from thresher.operators.captions.columns import declared, values
from thresher.operators.captions.record import CaptionRecord

TEXTS = ("caption", ("en", "zh"), ("short",))

class Probe(Measure):
    '''Captions that lie beside the pictures.'''
    def writes(self):
        return declared(*TEXTS)

    def measure(self, batch):
        rows = [values(judged(CaptionRecord.loads(r.text)), *TEXTS) for r in batch.records]
        return Values({name: [row[name] for row in rows] for name in rows[0]})
"""
CLAIMS = [
    ("count", "There are three boats.", "水上有三艘船。", Value(count=3, label="boat")),
    ("scene.noun", "The scene is a lake.", "场景是一片湖。", Value(label="lake")),
    ("primary.key_attributes", "The boats are red.", "船是红色的。", Value(colour="red", label="boat")),
]


@pytest.fixture
def checked(cli, plugin, chat_server, said, tmp_path: Path) -> Callable[..., Any]:
    """`checked(answer, **params)` runs the step over two pictures; rows of the export, and requests."""
    plugin("probe", CAPTIONS)
    (tmp_path / "in/pool").mkdir(parents=True)  # files of a recipe lie beside it, wherever it is run
    for i, name in enumerate(("boats", "lost")):
        noise = np.random.default_rng(i).integers(0, 255, (300, 400, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"in/pool/{name}.png")
        (tmp_path / f"in/pool/{name}.txt").write_text(a_record(name).dumps())

    def run(answer: Callable[[str], str], code: int = 0, plan: Sequence[str] = (), **params: Any) -> Any:
        server = chat_server(lambda body: reply(body, said(body), answer))
        steps: list[Any] = ["probe", {"caption.check": {"model": "judge", "endpoint": server.url} | params}]
        steps.append({"select": {"drop": {"caption_failed": "caption.failed_check is not null"}}})
        table = {"ingest": {"folder": "./pool"}, "steps": steps, "export": {"to": "./out"}}
        recipe = {"thresher": 1, "name": "checked", "tables": {"images": table}}
        (tmp_path / "in/r.yaml").write_text(json.dumps(recipe))
        if plan:
            return cli("plan", "in/r.yaml", "--run", "run", "--local", *plan)
        if code:
            return cli("run", "in/r.yaml", "--run", "run", "--local", code=code)
        cli.run("in/r.yaml", "--run", "run", "--local")
        return exported(tmp_path / "in/out"), server.bodies

    return run


def a_record(name: str) -> CaptionRecord:
    claims = tuple(
        Claim(
            id=f"c{i}",
            field=field,
            text={"en": f"{en[:-1]} in {name}.", "zh": zh},
            value=value,
            provenance=("vlm:m",),
        )
        for i, (field, en, zh, value) in enumerate(CLAIMS)
    )
    texts = tuple(
        Text(id=f"{g}.short", lang=g, level="short", **joined([(c.text[g], (c.id,)) for c in claims], g))
        for g in ("en", "zh")
    )
    return CaptionRecord(languages=("en", "zh"), texts=texts, claims=claims)


def reply(body: dict[str, Any], words: str, answer: Callable[[str], str]) -> Any:
    """What the server says: it never writes a text anew."""
    if "response_format" in body:
        return {"captions": []}
    return answer(words)


def exported(folder: Path) -> dict[str, dict[str, Any]]:
    rows = {}
    for shard in sorted(folder.rglob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.name.endswith(".json") and member.name.count(".") == 1:
                    row = json.load(tar.extractfile(member))  # type: ignore[arg-type]
                    rows[row["key"].partition(".")[0]] = row
    return rows


def used(tmp_path: Path) -> dict[str, Any]:
    lines = map(json.loads, (tmp_path / "run/metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == "model"][-1]


def honest(words: str) -> str:
    """Right about the drawn pictures; nothing is red, and nothing of `lost` is there."""
    known = (*planted(("en",)), *planted(("zh",)))
    true = [one.true for one in known if f"\n{one.statement}\n" in words]
    if true:
        return "unsure" if len(set(true)) > 1 else "yes" if true[0] else "no"
    return "no" if "red" in words or "lost" in words else "yes"


MARKS = "{{look}}{{percent}}{{penalty}}\n{{claim}}"


@pytest.mark.acceptance("I20")
def test_later_steps_and_the_export_see_verified_captions(checked, ledger_of, tmp_path: Path) -> None:
    (tmp_path / "in/mine.txt").write_text(f"Is it so?\n-----\n{MARKS}\n-----\nyes, no or unsure")
    rows, bodies = checked(honest, prompts={"verify_en": "mine.txt"})
    assert set(rows) == {"boats"}  # the other has no text left
    row, record = rows["boats"], CaptionRecord.loads(rows["boats"]["caption"])
    assert row["caption.en.short"] == "There are three boats in boats. The scene is a lake in boats."
    assert "红" not in row["caption.zh.short"] and row["caption.failed_check"] is None
    assert {c.id: c.verdict for c in record.claims} == {"c0": "supported", "c1": "supported", "c2": "refuted"}
    assert record.claim("c2").p == 0 and all(c.verifier == "judge" for c in record.claims)
    assert row["caption.checks.refuted"] == 1 and row["caption.checks.coverage"] == 1
    assert row["caption.checks.claims"] == pytest.approx(2 / 3)
    (dropped,) = [row for row in ledger_of(tmp_path / "run") if row["status"] == "dropped"]
    assert (dropped["reason"], dropped["value"]) == ("caption_failed", "length")
    known = used(tmp_path)
    assert (known["gate_asked"], known["gate_false_yes"], known["gate_false_no"]) == (20, 0, 0)
    asked = [body for body in bodies if "response_format" not in body]
    assert "Is it so?" in json.dumps(asked[0])
    assert all(any(part["type"] == "image_url" for part in body["messages"][0]["content"]) for body in asked)


@pytest.mark.acceptance("I21")
@pytest.mark.parametrize(
    ("says", "false_yes", "true_yes"), [("Yes.", 20, 10), ("Unsure.", 0, 0), ("Nice picture!", 0, 0)]
)
def test_who_is_blind_changes_nothing_and_is_reported(
    checked, cli, tmp_path: Path, says: str, false_yes: int, true_yes: int
) -> None:
    rows, _ = checked(lambda _: says)
    (warning,) = json.loads(cli.out)["tables"]["images"]["warnings"]
    assert warning.startswith("caption.check: the model failed its test")
    told = used(tmp_path)
    assert (told["gate_false_yes"], told["gate_true_yes"]) == (false_yes, true_yes)
    for name in ("boats", "lost"):
        record = CaptionRecord.loads(rows[name]["caption"])
        assert {(c.verdict, c.verifier) for c in record.claims} == {("unsure", "distrusted:judge")}
        assert "red" in rows[name]["caption.en.short"]
        assert rows[name]["caption.checks.claims"] is None


@pytest.mark.parametrize("says", [honest, lambda _: "Yes."])
def test_a_plan_tells_the_test_of_the_verifier_by_itself(checked, cli, tmp_path: Path, says: Any) -> None:
    """30 statements in five samples each, once; 3 claims of each record and its decoys, if it is trusted."""
    (asked,) = json.loads(checked(says, plan=["--ask", "2", "--json"]))["asked"]
    trusted = says is honest
    assert asked["once"]["requests"] == 150 and asked["once"]["tokens"] == 150 * 520
    assert asked["costs"]["requests"]["least"] == 15 * trusted
    assert asked["costs"]["requests"]["total"] <= 2 * (15 * trusted + 5)
    assert asked["warning"].startswith("the model failed its test") != trusted
    told = cli("plan", "in/r.yaml", "--run", "run", "--local", "--ask", "2")
    assert "once, before the first record, to test the model: 150 requests, 78,000 tokens, " in told
    assert ("Warning: the model failed its test" in told) != trusted


def test_labels_and_prompts_count_by_their_content(tmp_path: Path) -> None:
    def fingerprint(labels: int, prompt: str, folder: str) -> str:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        (place / "judged.csv").write_text("p,label\n" + "0,0\n1,1\n" * labels)
        (place / "mine.txt").write_text(prompt + MARKS)
        files = {"calibration": str(place / "judged.csv"), "prompts": {"verify_en": str(place / "mine.txt")}}
        return operator_fingerprint(CaptionCheck(CheckParams(model="m", **files)), {}, None)

    made = [
        fingerprint(30, "Is it so?", "a"),
        fingerprint(31, "Is it so?", "a"),
        fingerprint(30, "Is it?", "a"),
    ]
    assert len(set(made)) == 3 and fingerprint(30, "Is it so?", "b") == made[0]


def test_hints_bounds_decoys_and_the_gate_are_in_the_revision(monkeypatch) -> None:
    held, before = judged_by(), CaptionCheck(CheckParams(model="m")).revision()
    for part in ("one by one", "0.75", "walrus", "FERRY 4711", "purple", "FIVE APPLES", "0.7"):
        assert part in held
        monkeypatch.setattr(check, "judged_by", lambda part=part: held.replace(part, "other"))
        assert CaptionCheck(CheckParams(model="m")).revision() != before


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"of": "captions"}, "Did you mean 'caption'"),
        ({"calibration": "none.csv"}, "in/none.csv"),
        ({"prompts": {"verify_en": "empty.txt"}}, "has no place for {{claim}}, {{penalty}}. Write"),
        (
            {"prompts": {"verify_en": "odd.txt"}},
            "that nothing fills: {{clam}}. There are {{claim}}, {{look}}",
        ),
    ],
)
def test_what_cannot_work_is_told_at_plan_time(checked, cli, tmp_path: Path, params: Any, named: str) -> None:
    (tmp_path / "in/empty.txt").write_text("Is it so? {{look}} {{percent}}")
    (tmp_path / "in/odd.txt").write_text(MARKS + "{{clam}}")
    checked(honest, code=2, **params)
    assert named in cli.err and "r.yaml" in cli.err
