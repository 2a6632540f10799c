"""The chat role against a real server with faults to order."""

import io
import json
import logging
import re
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from thresher.operators.base import Failure
from thresher.operators.models.chat import patience, settings
from thresher.operators.models.chat.endpoint import Endpoint
from thresher.operators.models.chat.messages import Message, jpeg, prompt
from thresher.operators.models.chat.params import ChatParams
from thresher.operators.models.chat.replies import Refusal, Reply, one_object
from thresher.operators.models.clarity import Marks
from thresher.schemas import FieldError, Reason, ThresherError

KEY = "sk-very-secret-8215"
TOKENS = 100


@pytest.fixture
def ask(server, plain, filled, monkeypatch):
    """`ask(fault, ...)`: what becomes of one picture for which the server has these faults."""
    monkeypatch.setattr(patience, "BACKOFF_S", 0.02)

    def one(*faults: str, level: int = 100, timeout_s: float = 0.5):
        server.faults[level] = list(faults)
        asked = [Message("user", (jpeg(plain(level)), "Judge."))]
        (found,) = filled(Endpoint(server.url, "judge-1", timeout_s), [asked], TOKENS)
        if isinstance(found, ThresherError):
            raise found
        return found

    return one


GOOD = Marks(sharpness="excellent", noise="good", dynamic_range="fair")


@pytest.mark.parametrize("fault", ["ok", "prose", "thought", "complete, but cut"])
def test_an_object_is_found_whatever_stands_around_it(ask, server, fault):
    assert ask(fault) == GOOD and server.asked[100] == 1


@pytest.mark.parametrize(
    "fault",
    [
        "204",
        "429",
        "500",
        "503",
        "reset",
        "broken off",
        "hang",
        "drip",
        "html",
        "truncated",
        "length",
        "empty",
    ],
)
def test_what_passes_is_asked_again(ask, server, fault):
    assert ask(fault, "ok") == GOOD and server.asked[100] == 2


@pytest.mark.parametrize(
    ("fault", "reason", "times"),
    [
        ("truncated", Reason.UNPARSED, 2),
        ("two", Reason.UNPARSED, 2),
        ("other words", Reason.UNPARSED, 2),
        ("empty", Reason.UNPARSED, 2),
        ("braces", Reason.UNPARSED, 2),
        ("10 MB", Reason.UNPARSED, 2),
        ("length", Reason.REPLY_TRUNCATED, 2),
        ("refusal", Reason.REFUSED, 2),
        ("refusal in prose", Reason.REFUSED, 2),
        ("filter", Reason.FILTERED, 1),
        ("filter 400", Reason.FILTERED, 1),
        ("500", Reason.ENDPOINT_TIMEOUT, 5),
        ("html", Reason.ENDPOINT_TIMEOUT, 5),
        ("hang", Reason.ENDPOINT_TIMEOUT, 5),
        ("reset", Reason.ENDPOINT_TIMEOUT, 5),
        ("429 for an hour", Reason.RATE_LIMITED, 1),
    ],
)
def test_what_does_not_pass_costs_one_record(ask, server, fault, reason, times):
    failure = ask(fault, timeout_s=0.2 if fault == "hang" else 5)
    assert isinstance(failure, Failure) and failure.reason == reason, failure
    assert server.asked[100] == times and failure.message


def test_the_second_question_says_what_was_wrong(ask, server):
    ask("other words", "ok")
    first, second = (body["messages"] for body in server.bodies)
    assert second[:1] == first and [m["role"] for m in second[1:]] == ["assistant", "user"]
    assert "splendid" in second[1]["content"][0]["text"] and "noise" in second[2]["content"][0]["text"]


@pytest.mark.parametrize("fault", ["refusal", "refusal in prose"])
def test_a_refusal_is_asked_again_with_the_form_recalled(ask, server, fault):
    assert ask(fault, "ok") == GOOD
    *_, last = server.bodies[1]["messages"]
    assert "the model refused" in last["content"][0]["text"] and "JSON" in last["content"][0]["text"]


@pytest.mark.parametrize(
    "said", ["This request cannot be fulfilled.", "I’m not able to do so.", "根據規定我無法描述這張圖片。"]
)
def test_prose_that_refuses_in_place_of_an_object(said):
    with pytest.raises(Refusal):
        one_object(Reply(said, "stop"))
    with pytest.raises(ValueError, match="no JSON object"):
        one_object(Reply("A dog that cannot be seen.", "stop"))


def test_a_cut_reply_is_given_twice_the_tokens(ask, server):
    ask("length", "ok")
    assert [body["max_tokens"] for body in server.bodies] == [TOKENS, 2 * TOKENS]


@pytest.mark.parametrize(("fault", "seconds"), [("429", 1), ("429, a fraction", 0.9)])
def test_the_server_is_left_alone_as_long_as_it_asks(ask, server, fault, seconds):
    ask(fault, "ok")
    assert server.times[1] - server.times[0] >= seconds


def test_a_request_is_greedy_and_guided(ask, server):
    ask("ok")
    (body,) = server.bodies
    assert (body["model"], body["temperature"], body["seed"]) == ("judge-1", 0, 0)
    schema = body["response_format"]["json_schema"]["schema"]
    assert (
        schema["required"] == ["sharpness", "noise", "dynamic_range"] and not schema["additionalProperties"]
    )
    assert "Authorization" not in server.headers[0]


def test_a_long_answer_does_not_fill_memory(ask):
    tracemalloc.start()
    ask("10 MB")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6e6


@pytest.mark.parametrize("fault", ["401", "403", "404", "302", "400", "402", "422"])
def test_a_fault_of_every_request_stops(ask, server, fault):
    server.faults[-1] = [fault]
    with pytest.raises(ThresherError, match=f"HTTP {fault}") as error:
        ask(fault)
    assert server.url in str(error.value) and server.asked[100] == 1


def test_a_dead_endpoint_stops_with_what_to_do(ask, server):
    server.down = True
    with pytest.raises(ThresherError, match=r"answered nothing for .*same command") as error:
        ask("ok")
    assert server.url in str(error.value) and server.asked[100] == 5


def test_what_was_answered_is_kept_when_the_endpoint_dies(server, plain, filled, monkeypatch):
    monkeypatch.setattr(patience, "BACKOFF_S", 0.02)
    monkeypatch.setattr(settings, "_now", settings.Settings(in_flight=2))
    asked = [[Message("user", (jpeg(plain(level)),))] for level in range(100, 200, 10)]
    server.faults = {level: ["401"] for level in range(140, 200, 10)}
    made = Endpoint(server.url, "judge-1", 1)
    answers = filled(made, asked, TOKENS)
    assert answers[:4] == [GOOD] * 4 and all(isinstance(a, ThresherError) for a in answers[4:])
    assert sum(server.asked.values()) <= 6  # the others are not asked at all
    server.faults = {}
    assert filled(made, asked, TOKENS) == [GOOD] * 10  # and it may come back


def test_requests_run_side_by_side_and_are_counted(server, plain, filled):
    server.slow_s = 0.2
    asked = [[Message("user", (jpeg(plain(100)),))]] * 32
    made = Endpoint(server.url, "judge-1", 5)
    started = time.monotonic()
    assert filled(made, asked, TOKENS) == [GOOD] * 32
    assert time.monotonic() - started < 32 * 0.2 / 4
    spent = made.spent
    assert (spent["requests"], spent["prompt_tokens"], spent["completion_tokens"]) == (32, 16_000, 640)
    assert spent["request_s"] > 32 * 0.2


def test_the_key_is_sent_and_never_told(server, plain, filled, monkeypatch, caplog):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    params = ChatParams(model="judge-1", endpoint=server.url, key_env="JUDGE_KEY")
    server.faults[100] = ["ok", "401"]
    with caplog.at_level(logging.DEBUG):
        made = params.connect()
        asked = [[Message("user", (jpeg(plain(100)),))]]
        assert filled(made, asked, TOKENS) == [GOOD]
        (error,) = filled(made, asked, TOKENS)
    assert re.search(r"wrong key: Bearer \*\*\*.*JUDGE_KEY", str(error))
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(error) + caplog.text + params.model_dump_json()


@pytest.mark.parametrize("value", [None, "", "two\nlines"])
def test_a_variable_without_a_key_is_named(monkeypatch, value):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("JUDGE_KEY", value)
    params = ChatParams(model="m", endpoint="http://localhost/v1", key_env="JUDGE_KEY")
    with pytest.raises(ThresherError, match="the environment variable JUDGE_KEY holds no key") as error:
        params.connect()
    assert "lines" not in str(error.value)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({}, "no endpoint is given"),
        ({"endpoint": "localhost:8000", "model": "m"}, "is no address of a server"),
        ({"endpoint": "http://me:secret@host/v1", "model": "m"}, "would be written"),
        ({"endpoint": "http://host/v1?key=secret", "model": "m"}, "would be written"),
        ({"endpoint": "http://host/v1"}, "no model is named"),
    ],
)
def test_what_cannot_be_asked_is_told_before_the_run(params, told):
    with pytest.raises(FieldError, match=told) as error:
        ChatParams(**params).check("Or do without.")
    assert "secret" not in str(error.value)


def test_a_picture_has_one_jpeg_of_bounded_size():
    wide = np.random.default_rng(3).integers(0, 256, (512, 3000, 3), np.uint8)
    made = jpeg(wide)
    assert made == jpeg(wide.copy()) and Image.open(io.BytesIO(made)).size == (1024, 175)


def test_the_prompt_states_the_form_and_the_price_of_a_guess():
    text = prompt("clarity")
    assert json.loads(text.splitlines()[-1]).keys() == Marks.model_fields.keys()
    assert "unsure" in text and "75 %" in text
