"""Answers are kept by what was asked, survive a kill, and are counted against the budget."""

import hashlib
import json
import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.operators.base import Failure
from thresher.operators.models.chat import memo as memos
from thresher.operators.models.chat import patience
from thresher.operators.models.chat import settings as chat_settings
from thresher.operators.models.chat.endpoint import Endpoint
from thresher.operators.models.chat.memo import ENTRY, Kept, Memo
from thresher.operators.models.chat.messages import Message, jpeg
from thresher.operators.models.chat.question import Question
from thresher.operators.models.chat.replies import Reply, Token
from thresher.operators.models.clarity import Marks
from thresher.pipelines.execute import answers as answers_so_far
from thresher.pipelines.execute import progress
from thresher.schemas import Reason, ThresherError

tokens = st.builds(Token, st.text(), st.lists(st.tuples(st.text(), st.floats(-50, 0))).map(tuple))
counts = st.integers(0, 2**32 - 1)
replies = st.builds(
    Reply, st.text(), st.text(), st.booleans(), counts, counts, st.lists(tokens, max_size=3).map(tuple)
)
shares = st.tuples(*[st.floats(0, 1)] * 4)
FOLD = memos.FOLD
answers = replies | st.text().map(lambda said: Failure(Reason.FILTERED, said))

GOOD = {"sharpness": "excellent", "noise": "good", "dynamic_range": "fair"}


def key(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


@settings(max_examples=40, deadline=None)
@given(st.lists(answers, min_size=1, max_size=30), st.integers(1, 5), shares)
def test_what_is_kept_comes_back_whole_or_not_at_all(tmp_path_factory, said, fold, shares):
    """From the same process and from others, sorted in or not, and after a file was cut anywhere."""
    memos.FOLD = fold
    folder = tmp_path_factory.mktemp("memo")
    early = Memo(folder)
    writers = [Memo(folder), Memo(folder)]
    for i, answer in enumerate(said):
        writers[i % 2].add(key(i), Kept(answer, 0.5), price=0.25)
    early.refresh()
    for memo in (early, Memo(folder)):
        assert [memo.get(key(i)) for i in range(len(said))] == [Kept(answer, 0.5) for answer in said]
        assert memo.get(key(-1)) is None and memo.money == len(said) / 4
        assert memo.tokens == sum(a.prompt_tokens + a.completion_tokens for a in said if isinstance(a, Reply))
    stems = [writer._own.stem for writer in writers if writer._own]
    files = [stem.with_suffix(end) for stem in stems for end in (".idx", ".dat")]
    for file, share in zip(files, shares, strict=False):
        os.truncate(file, int(share * file.stat().st_size))
    cut = Memo(folder)
    for i, answer in enumerate(said):
        assert cut.get(key(i)) in (None, Kept(answer, 0.5))
    cut.add(key(-1), Kept(said[0], 1), 0)
    assert Memo(folder).get(key(-1)) == Kept(said[0], 1)
    memos.FOLD = FOLD


def test_a_key_is_of_everything_that_is_asked_and_of_nothing_else(plain):
    first = Question([Message("user", (b"picture", "Judge."))], 100, Marks)
    others = [
        first._replace(messages=[Message("user", (b"another", "Judge."))]),
        first._replace(messages=[Message("user", (b"picture", "Judge!"))]),
        first._replace(messages=[Message("system", (b"picture", "Judge."))]),
        first._replace(messages=[Message("user", ("Judge.", b"picture"))]),
        first._replace(max_tokens=200),
        first._replace(form=None),
        first._replace(temperature=1),
        first._replace(seed=1),
        first._replace(more={"logprobs": True}),
    ]
    keys = {question.written("m").key for question in [first, *others]} | {first.written("n").key}
    assert len(keys) == 11 and first._replace().written("m").key in keys
    body = json.loads(first.written("m").body)
    assert body["messages"] == [message.wire() for message in first.messages]


def test_a_disk_without_room_stops_with_what_to_do(tmp_path):
    memo = Memo(tmp_path)
    memo.add(key(0), Kept(Reply("yes", "stop"), 1), 0)
    os.dup2(os.open("/dev/full", os.O_WRONLY), memo._own._data.fileno())
    with pytest.raises(ThresherError, match=r"No space left.*Make room"):
        memo.add(key(1), Kept(Reply("no", "stop"), 1), 0)
    memo.add(key(2), Kept(Reply("no", "stop"), 1), 0)
    assert [Memo(tmp_path).get(key(i)) is None for i in range(3)] == [False, True, False]


def test_what_came_is_told_while_no_record_is_done(tmp_path, monkeypatch, capsys):
    """Answers since the step began, of any process, and how long there was none."""
    monkeypatch.setattr(progress, "QUIET_S", 0.1)
    monkeypatch.setattr(answers_so_far, "LONG_S", 0.05)
    memo = Memo(tmp_path)
    memo.add(key(0), Kept(Reply("yes", "stop"), 1), 0)
    told = answers_so_far.Answers(tmp_path)
    for i in (1, 2):
        memo.add(key(i), Kept(Reply("yes", "stop"), 1), 0)
    with progress.show("images: clarity", 26, known=told) as step:
        time.sleep(0.35)
        step.advance(26)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "images: clarity: 0 of 26, 2 answers, none for 0 s"
    assert 3 <= len(lines) <= 5 and lines[-1].startswith("images: clarity: 26 records")


def kept(run: Path) -> int:
    """Answers in the journals of a run."""
    return sum(file.stat().st_size // ENTRY.itemsize for file in (run / "memo/chat").glob("*.idx"))


def lean(path: Path, *replace: tuple[str, str]) -> Path:
    """The recipe without an export, which would measure more."""
    text = path.read_text().replace("    export: {shard_size: 1MB}\n", "")
    for old, new in replace:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


SMALL_PARTS = ("name: judged", "name: judged\npart_size: 20")
PRICED = ("{model:", "{price: {input: 2, output: 20}, model:")


def kill(process, whole_tree: bool) -> str:
    """SIGKILL; where it hits the driver alone, its child ends by itself. What they said last."""
    tree = psutil.Process(process.pid).children(recursive=True) if whole_tree else []
    os.kill(process.pid, signal.SIGKILL)
    for child in tree:
        child.kill()
    return str(process.communicate(timeout=60)[1])


def quiet(server) -> int:
    """Waits until nobody asks any more; how many were asked."""
    while (before := sum(server.asked.values())) == 0 or time.monotonic() - server.times[-1] < 1.5:
        time.sleep(0.1)
    return before


@pytest.mark.parametrize(("where", "whole_tree"), [("local", False), ("local", True), ("ray", True)])
def test_a_kill_loses_no_answer(cli, server, judged, where, whole_tree):
    flags, server.slow_s = ["--local"] if where == "local" else [], 0.1
    path = lean(judged(timeout_s=30), *([SMALL_PARTS] if where == "ray" else []))
    process = cli.popen("run", str(path), "--run", "r", *flags)
    while server.answered.total() < 30:
        time.sleep(0.01)
    began = server.asked.total()
    assert "Traceback" not in kill(process, whole_tree)
    asked = quiet(server)
    assert where == "ray" or asked <= began + 16, "nobody is left who asks"
    lost = asked - kept(cli.cwd / "r")
    assert 30 <= asked < 76 and lost <= 16 * (1 if where == "local" else 4), (asked, lost)
    cli.run(path, "--run", "r", *flags)
    assert sum(server.asked.values()) == 76 + lost
    lines = [json.loads(line) for line in (cli.cwd / "r/metrics.jsonl").read_text().splitlines()]
    (used,) = [line for line in lines if line["event"] == "model"]
    assert used["memo_hits"] in ([asked - lost] if where == "local" else range(asked - lost + 1))
    assert used["prompt_tokens"] == 500 * used["requests"]


def test_a_budget_stops_all_processes_and_keeps_what_was_answered(cli, server, judged):
    path, server.slow_s = lean(judged(timeout_s=30), SMALL_PARTS), 0.05
    (cli.cwd / "profile.yaml").write_text("in_flight: 2\nworkers: 3\n")
    command = ("run", str(path), "--run", "r", "--profile", "profile.yaml")
    cli(*command, "--set", "budget.tokens=10000", code=1)
    assert re.search(r"budget\.tokens: the budget is spent: 1\d,\d+ of 10,000\. Raise `budget", cli.err), (
        cli.err
    )
    assert "what was answered is kept" in cli.err
    assert 20 <= server.answered.total() <= 20 + 2 * 3 - 1
    assert kept(cli.cwd / "r") == server.answered.total()
    cli(*command, "--set", "budget.tokens=100000")
    assert server.answered.total() == sum(server.asked.values()) == 76


def test_money_is_counted_where_a_price_is_given(cli, server, judged):
    """520 tokens of 1,000,000: 0.001 for 500 read and 0.0004 for 20 written."""
    path, bound = lean(judged()), ["--set", "budget.money=0.01"]
    cli("plan", str(path), "--run", "r", *bound, code=2)
    assert "photos.yaml:8: `budget.money` is given, and this step has no price" in cli.err
    lean(path, PRICED)
    cli("run", str(path), "--run", "r", "--local", *bound, code=1)
    assert "budget.money: the budget is spent" in cli.err
    assert 8 <= server.answered.total() <= 8 + 15
    cli.run(path, "--run", "r", "--local")
    lines = [json.loads(line) for line in (cli.cwd / "r/metrics.jsonl").read_text().splitlines()]
    prices = [line["price"] for line in lines if line["event"] == "model"]
    assert sum(prices) == pytest.approx(76 * 0.0014, rel=1e-3)
    page = (cli.cwd / "r/report.html").read_text()
    assert "price" in page and "memo hits" in page


def test_a_plan_asks_about_a_sample_and_the_run_asks_for_the_rest(cli, server, judged):
    path = lean(judged(), PRICED)
    command = ("plan", str(path), "--run", "r", "--local", "--ask", "5")
    (asked,) = json.loads(cli(*command, "--json"))["asked"]
    assert (asked["step"], asked["sample"], asked["rows"]) == ("clarity", 5, 76)
    tokens, cost = asked["costs"]["tokens"], asked["costs"]["price"]
    assert (tokens["mean"], tokens["total"], tokens["within"]) == (520, 520 * 76, 0)
    assert cost["total"] == pytest.approx(76 * 0.0014) and asked["costs"]["seconds"]["mean"] > 0
    assert server.answered.total() == 5 == kept(cli.cwd / "r")
    assert not (cli.cwd / "r/plan.json").exists() and not (cli.cwd / "r/catalog").exists()
    told = cli(*command)
    assert "for 76" in told and "Only the sample was asked about" in told
    assert server.answered.total() == 5  # the same sample, from the memo, at the same cost
    cli(*command[:-1], "40", "--set", "budget.tokens=5000", code=1)
    assert "budget.tokens" in cli.err and server.answered.total() < 10 + 16
    cli.run(path, "--run", "r", "--local")
    assert server.answered.total() == sum(server.asked.values()) == 76


def test_a_missing_key_is_told_before_a_file_is_read(cli, server, judged):
    path, key = lean(judged()), cli.env.pop("JUDGE_KEY")
    command = (path, "--run", "r", "--limit", "3", "--local")
    assert "the environment variable JUDGE_KEY holds no key" in cli("plan", *command)
    cli("run", *command, code=1)
    assert "the environment variable JUDGE_KEY holds no key" in cli.err
    assert not (cli.cwd / "r/catalog").exists() and not server.asked
    cli.env["JUDGE_KEY"] = key
    cli("run", *command)
    del cli.env["JUDGE_KEY"]
    assert "Warning" not in cli("plan", *command)
    cli("run", *command)  # asks nobody any more


def test_a_plan_says_how_much_the_sample_spreads(cli, server, judged, levels):
    server.faults = {level: ["truncated", "ok"] for level in levels[::2]}
    server.faults |= {level: ["refusal"] for level in levels[::4]}
    path = judged()
    (asked,) = json.loads(cli("plan", path, "--local", "--ask", "10", "--json"))["asked"]
    requests, refused = asked["costs"]["requests"], asked["failed"]["refused"]
    assert asked["sample"] == 10 and 0 < refused < 10 and asked["once"] == {}
    assert f"{refused} of the 10 that came here failed: refused {refused}" in cli(
        "plan", path, "--local", "--ask", "10"
    )
    assert (requests["least"], requests["most"]) == (1, 2) and 1 < requests["mean"] < 2
    assert 0 < requests["within"] < 76


@pytest.mark.parametrize("fault", ["ok", "413"])
def test_of_equal_requests_at_the_same_time_one_is_sent(server, filled, plain, tmp_path, fault):
    """Unless it gets no answer: then each asks by itself."""
    server.faults, server.slow_s = {60: [fault]}, 0.2
    asked = [[Message("user", (jpeg(plain(level)), "Judge it."))] for level in (60, 60, 60, 90)]
    chat_settings.configure(chat_settings.Settings(4, str(tmp_path)))
    try:
        endpoint = Endpoint(server.url, "judge-1", 5)
        found = filled(endpoint, asked, 100)
    finally:
        chat_settings.configure(chat_settings.Settings())
    assert server.asked == {60: 1 if fault == "ok" else 3, 90: 1}
    assert endpoint.spent["memo_hits"] == (2 if fault == "ok" else 0)
    assert endpoint.each_spent[0]["requests"] == 1
    assert [isinstance(one, Failure) for one in found] == [fault != "ok"] * 3 + [False]


@pytest.mark.parametrize("said", ["no usage", "mad usage", "10 MB", "html"])
def test_a_budget_binds_where_a_server_counts_no_tokens(server, filled, plain, tmp_path, monkeypatch, said):
    """By an estimate: 1,400 tokens for a picture and a quarter of the bytes; nothing that came is free."""
    monkeypatch.setattr(patience, "BACKOFF_S", 0.01)
    if said == "no usage":
        reply = {"message": {"content": json.dumps(GOOD)}, "finish_reason": "stop"}
        server.script = lambda body: {"choices": [reply]}
    levels = range(60, 160, 10)
    server.faults = {level: [said] for level in levels}
    asked = [[Message("user", (jpeg(plain(level)), "Judge it."))] for level in levels]
    spending = chat_settings.Settings(1, str(tmp_path), chat_settings.Budget(tokens=4000))
    chat_settings.configure(spending)
    try:
        found = filled(Endpoint(server.url, "judge-1", 5), asked, 100)
    finally:
        chat_settings.configure(chat_settings.Settings())
    assert "the budget is spent" in str(found[-1])
    assert len(server.bodies) == (1 if said == "10 MB" else 3)
    if said == "no usage":
        answer = -(-len(json.dumps(GOOD)) // 4)
        assert Memo(tmp_path).tokens == 3 * (1400 + 3 + answer)
