"""`clarity` as a user runs it, against a real server."""

import json
import re
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from thresher.operators.base import Batch
from thresher.operators.models.chat import revision
from thresher.operators.models.chat.messages import prompt_revision
from thresher.operators.models.chat.revision import said_revision
from thresher.operators.models.clarity import RGB, Clarity, Marks
from thresher.pipelines.plan.fingerprint import operator_fingerprint
from thresher.pipelines.runview import open_run

KEY = "sk-very-secret-8215"
FAULTS = {
    60: "refusal",
    70: "truncated",
    80: "10 MB",
    90: "filter 400",
    100: "length",
    110: "500",
    120: "hang",
    130: "reset",
    140: "prose",
    150: "unsure",
    160: "knows nothing",
    170: "413",
}
FAILED = {
    60: "refused",
    70: "unparsed",
    80: "unparsed",
    90: "filtered",
    100: "reply_truncated",
    110: "endpoint_timeout",
    120: "endpoint_timeout",
    130: "endpoint_timeout",
    170: "not_taken",
}


def values(run: Path) -> dict[int, float | None]:
    """Level -> clarity, of the records that have one computed."""
    reader = open_run(run).reader("images")
    rows = [row for part in reader.parts for row in reader.read(part, ["key", "clarity"]).to_pylist()]
    return {int(row["key"].partition(".")[0]): row["clarity"] for row in rows}


@pytest.mark.parametrize("where", ["local", "ray"])
def test_good_records_get_values_and_bad_ones_their_reasons(cli, server, judged, ledger_of, where):
    server.faults = {level: [fault] for level, fault in FAULTS.items()}
    flags = ["--local"] if where == "local" else []
    cli.run(judged(), "--run", "r", *flags)
    run = cli.cwd / "r"
    rows = {int(row["key"].partition(".")[0]): row for row in ledger_of(run)}
    assert {level: row["reason"] for level, row in rows.items() if row["step"] == "clarity"} == FAILED
    assert {level for level, row in rows.items() if row["reason"] == "unclear"} == {150}
    found = values(run)
    assert found[200] == found[140] == pytest.approx((1 * 0.75 * 0.5) ** (1 / 3))
    assert found[160] is None

    asked = dict(server.asked)
    cli.run(judged(), "--run", "r", *flags)
    again = {level for level in asked if server.asked[level] > asked[level] and level >= 0}
    assert again == {110, 120, 130}  # the transient ones, and nothing else
    server.faults = {}
    cli.run(judged(), "--run", "r", *flags)
    assert {row["reason"] for row in ledger_of(run) if row["step"] == "clarity"} == {
        "refused",
        "unparsed",
        "filtered",
        "reply_truncated",
        "not_taken",
    }


def test_the_key_is_nowhere(cli, server, judged):
    server.faults = {60: ["ok"], 70: ["500"]}
    cli.run(judged(), "--run", "r", "--local")
    told = cli.out + cli.err
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    server.faults = {60: ["401"], 70: ["401"]}
    cli("run", str(judged(model="judge-2")), "--run", "r", "--local", "--debug", code=1)
    told += cli.out + cli.err
    assert "HTTP 401" in cli.err and "JUDGE_KEY" in cli.err
    assert KEY not in told
    holding = [p for p in cli.cwd.rglob("*") if p.is_file() and KEY.encode() in p.read_bytes()]
    assert holding == []


@pytest.mark.parametrize("where", ["local", "ray"])
def test_a_dead_endpoint_stops_the_run_and_nothing_is_asked_twice(cli, server, judged, levels, where):
    """On Ray four parts are in work when one task finds out."""
    path, flags = judged(), ["--local"] if where == "local" else []
    if where == "ray":
        path.write_text(path.read_text().replace("name: judged", "name: judged\npart_size: 20"))
    server.faults = {level: ["ok"] for level in levels}
    server.dies_after = 7
    cli("run", str(path), "--run", "r", *flags, code=1)
    assert server.url in cli.err and "same command" in cli.err, cli.err
    assert server.answered.total() == 7
    lines = [json.loads(line) for line in (cli.cwd / "r/metrics.jsonl").read_text().splitlines()]
    assert sum(line["prompt_tokens"] for line in lines if line["event"] == "model") == 7 * 500
    server.dies_after = None
    cli.run(path, "--run", "r", *flags)
    assert server.answered == dict.fromkeys(levels, 1)


def test_an_interrupted_run_goes_on(cli, server, judged, levels):
    server.slow_s = 0.3
    process = cli.popen("run", str(judged(timeout_s=5)), "--run", "r", "--local")
    while not server.asked:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    first = sum(server.asked.values())
    assert process.returncode == 130 and first < len(levels)
    cli.run(judged(timeout_s=5), "--run", "r", "--local")
    assert sum(server.asked.values()) == len(levels)


def test_only_what_changes_values_recomputes(cli, server, judged, levels):
    cli.run(judged(), "--run", "r", "--local")
    asked = sum(server.asked.values())
    cli.run(judged(url=server.url.replace("127.0.0.1", "localhost"), timeout_s=9), "--run", "r", "--local")
    assert sum(server.asked.values()) == asked == len(levels)
    plan = cli("plan", str(judged(model="judge-2")), "--run", "r")
    assert f"at least {len(levels)} requests to {server.url}" in plan
    cli.run(judged(model="judge-2"), "--run", "r", "--local")
    assert sum(server.asked.values()) == 2 * asked


def test_the_prompt_counts_for_the_fingerprint(monkeypatch, tmp_path):
    from thresher.operators.models.chat import messages

    def fingerprint() -> str:
        params = Clarity.params_model(model="m", endpoint="http://host/v1")
        return operator_fingerprint(Clarity(params), {}, None)

    before = fingerprint()
    (tmp_path / "clarity.txt").write_text("Judge more kindly.")
    monkeypatch.setattr(messages, "PROMPTS", tmp_path)
    assert fingerprint() != before
    assert Clarity().revision() == f"{prompt_revision('clarity', Marks)} {said_revision()}"


@pytest.mark.parametrize("name", ["AGAIN", "NOTHING", "PROBE"])
def test_what_the_chat_layer_says_is_part_of_the_revision(monkeypatch, name):
    before = Clarity().revision()
    monkeypatch.setattr(revision, name, "Once more: {}")
    assert Clarity().revision() != before


def test_columns_and_metrics_say_what_was_asked(cli, server, judged):
    cli.run(judged(), "--run", "r", "--local")
    file = next((cli.cwd / "r/columns/images").glob("clarity@*/part-*.parquet"))
    metadata = pq.read_schema(file).field("clarity").metadata
    assert metadata[b"backend"] == b"judge-1" and metadata[b"revision"].startswith(b"clarity-")
    lines = [json.loads(line) for line in (cli.cwd / "r/metrics.jsonl").read_text().splitlines()]
    (used,) = [line for line in lines if line["event"] == "model"]
    assert (used["requests"], used["records"]) == (76, 76) and used["request_s"] > 0
    assert (used["prompt_tokens"], used["completion_tokens"]) == (76 * 500, 76 * 20)
    page = (cli.cwd / "r/report.html").read_text()
    assert "prompt tokens" in page and "completion tokens" in page


def test_without_an_endpoint_the_classical_measure_is_named(cli, judged):
    path = judged()
    path.write_text(re.sub("- clarity:.*", "- clarity", path.read_text()))
    cli("run", str(path), "--run", "r", "--local", code=2)
    assert "quality.nr" in cli.err and "no endpoint is given" in cli.err and "photos.yaml:8" in cli.err


def test_a_measure_is_called_by_hand(server, plain):
    params = Clarity.params_model(model="m", endpoint=server.url)
    found = Clarity(params).measure(Batch([], {RGB: [plain(100), plain(110)]}))
    assert found.columns["clarity"] == [pytest.approx(0.7211, abs=1e-4)] * 2 and not found.failures
