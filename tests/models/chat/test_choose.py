"""Choosing one of some words: by the server's probabilities where it tells them, else by samples."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.operators.base import Failure
from thresher.operators.models.chat import settings as chat_settings
from thresher.operators.models.chat.choices import from_samples, from_tokens
from thresher.operators.models.chat.endpoint import Endpoint
from thresher.operators.models.chat.messages import Message, probe
from thresher.operators.models.chat.replies import Reply, Token
from thresher.schemas import Reason

WORDS = ["yes", "no", "unsure"]
ZH = ["是", "否", "不确定"]
SAID = st.sampled_from(["yes", "n", "NO", "un", "。", "是"])


def place(**p: float) -> Token:
    """A place where these tokens had these probabilities; the first was taken."""
    return Token(next(iter(p)), tuple((text, math.log(share)) for text, share in p.items()))


def places(*found: dict[str, float]) -> list[Token]:
    return [place(**p) for p in found]


@pytest.mark.parametrize(
    ("tokens", "words", "expected"),
    [
        (places({"Yes": 0.6, " yes": 0.2, "No": 0.1, "I": 0.1}), WORDS, [8 / 9, 1 / 9, 0]),
        (places({"\n": 1.0}, {" YES.": 0.5, "un": 0.5}), WORDS, [0.5, 0, 0.5]),
        (places({"是": 0.7, "不": 0.2, "否": 0.1}), ZH, [0.7, 0.1, 0.2]),
        (places({"。": 1.0}), ZH, None),
        (places({"Maybe": 0.9, "Yesterday": 0.1}), WORDS, None),
        (places({"no": 0.8, "yes": 0.2}, {"<|end|>": 1.0}), ["yes", "no", "not sure"], [0.2, 0.8, 0]),
        (places({"un": 1.0}, {"likely": 0.7, "sure": 0.3}), ["unsure", "unlikely"], [0.3, 0.7]),
        (places({"yes": 0.6, "un": 0.4}), ["yes", "unsure", "unlikely"], [0.6, 0.2, 0.2]),
    ],
)
def test_probabilities_are_of_the_words_whatever_their_case_and_the_blanks(tokens, words, expected):
    found = from_tokens(tokens, words)
    if expected is None:
        assert found == {}
    else:
        assert [found[word] for word in words] == pytest.approx(expected)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["yes", "n", "NO", "un", "。", "是"]), st.floats(1e-6, 1), min_size=1)
    )
)
def test_probabilities_sum_to_one(found):
    p = from_tokens(places(*found), WORDS)
    assert not p or (set(p) == set(WORDS) and math.fsum(p.values()) == pytest.approx(1))


def test_samples_count_as_often_as_they_come():
    said = ["Yes.", "“yes”", "no, it is not", "<think>no</think> Unsure", "yesterday"]
    found = from_samples([Reply(text, "stop") for text in said], WORDS)
    assert found == {"yes": 0.5, "no": 0.25, "unsure": 0.25}
    assert from_samples([Reply("不确定。", "stop")], ZH) == {"是": 0, "否": 0, "不确定": 1}


def answered(text: str, logprobs: dict[str, float] | None = None) -> dict:
    """What a server says, with the probabilities of its first token."""
    top = [{"token": t, "logprob": math.log(p)} for t, p in (logprobs or {}).items()]
    told = {"content": [{"token": top[0]["token"], "logprob": 0.0, "top_logprobs": top}]} if top else None
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"choices": [choice | {"logprobs": told}], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}


def choose(server, *items: str, words=WORDS) -> list:
    endpoint = Endpoint(server.url, "judge-1", 5)
    return endpoint.each(items, lambda chat, said: chat.choose([Message("user", (said,))], words))


def test_a_server_that_tells_probabilities_is_asked_once_after_a_probe(server):
    server.script = lambda body: answered("Yes", {"Yes": 0.75, "No": 0.25})
    (choice,) = choose(server, "Is it?")
    assert (choice.answer, choice.how) == ("yes", "logprobs")
    assert choice.p == pytest.approx({"yes": 0.75, "no": 0.25, "unsure": 0})
    trial, body = server.bodies
    assert trial["structured_outputs"] == {"choice": ["yes", "no"]} and "Is it?" not in json.dumps(trial)
    assert body["logprobs"] is True and body["top_logprobs"] == 20 and body["max_tokens"] <= 16
    assert body["structured_outputs"] == {"choice": WORDS}


def test_a_server_that_takes_no_list_of_words_is_asked_without(server):
    server.script = lambda body: 400 if "structured_outputs" in body else answered("no", {"no": 1.0})
    first, second = choose(server, "a", "b")
    assert first.answer == second.answer == "no" and first.how == "logprobs"
    assert "structured_outputs" not in server.bodies[-1]


@pytest.mark.parametrize("told", [200, 400])
def test_a_server_without_probabilities_is_sampled(server, told):
    """Whether it leaves them out or refuses to be asked for them; seeds 1 and 3 are not sure."""

    def script(body):
        if "logprobs" in body:
            return answered("yes") if told == 200 else 400
        return answered("unsure" if body["seed"] in (1, 3) else "Yes")

    server.script = script
    (choice,) = choose(server, "Is it?")
    assert (choice.answer, choice.how) == ("yes", "samples")
    assert choice.p == {"yes": 0.6, "no": 0, "unsure": 0.4}
    asked = [body for body in server.bodies if "logprobs" not in body]
    assert sorted(body["seed"] for body in asked) == [*range(5)] and {b["temperature"] for b in asked} == {1}


def test_what_was_found_out_about_a_server_is_remembered(server):
    server.script = lambda body: answered("yes")
    endpoint = Endpoint(server.url, "judge-1", 5)
    for said in "ab":
        endpoint.each([said], lambda chat, item: chat.choose([Message("user", (item,))], WORDS))
    assert sum("logprobs" in body for body in server.bodies) == 1


def test_other_words_cost_one_record(server):
    server.script = lambda body: answered("yes" if "easy" in json.dumps(body) else "It depends.")
    hard, easy = choose(server, "hard", "easy")
    assert isinstance(hard, Failure) and hard.reason == Reason.UNPARSED and easy.answer == "yes"


@pytest.mark.parametrize("oversize", [False, True])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_an_odd_reply_changes_no_other_record(server, in_flight, oversize):
    """Whatever the order, and however many are asked side by side: it is asked once more, and fails alone."""

    def script(body):
        odd = "odd" in json.dumps(body["messages"])
        return answered("x" * (2 << 20) * oversize) if odd else answered("Yes", {"Yes": 0.75, "No": 0.25})

    server.script = script
    chat_settings.configure(chat_settings.Settings(in_flight))
    try:
        found = choose(server, "odd", "a", "b", "odd", "c")
    finally:
        chat_settings.configure(chat_settings.Settings())
    assert [getattr(one, "reason", None) for one in found] == [
        Reason.UNPARSED,
        None,
        None,
        Reason.UNPARSED,
        None,
    ]
    assert [found[i].how for i in (1, 2, 4)] == ["logprobs"] * 3
    assert len(server.bodies) == 1 + 2 * 2 + 3 and all("logprobs" in body for body in server.bodies)


def test_an_odd_first_reply_that_mends_itself_counts(server):
    def script(body):
        return answered("", {} if body["seed"] == 0 and "odd" in json.dumps(body) else {"no": 1.0})

    server.script = script
    (choice,) = choose(server, "odd")
    assert (choice.answer, choice.how) == ("no", "logprobs")


def test_processes_and_reruns_agree_on_what_a_server_can(server, tmp_path):
    """By the memo: the server changes meanwhile, and the new process is told what the first was."""
    chat_settings.configure(chat_settings.Settings(memo=str(tmp_path)))
    try:
        server.script = lambda body: answered("Yes", {"Yes": 0.75, "No": 0.25})
        first = choose(server, "a", "b")
        probed = [probe(False).wire()]
        server.script = lambda body: 500 if body["messages"] == probed else answered("Yes", {"Yes": 1.0})
        again = choose(server, "b", "a", "c")
    finally:
        chat_settings.configure(chat_settings.Settings())
    assert [one.how for one in first + again] == ["logprobs"] * 5
    assert len(server.bodies) == 1 + 3
