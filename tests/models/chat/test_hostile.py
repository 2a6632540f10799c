"""The chat role against a server that means no good, does not take a record, or of which a part is dead."""

import socket
import threading
import time

import pytest

from thresher.operators.base import Failure
from thresher.operators.models.chat import filling, patience
from thresher.operators.models.chat.endpoint import Endpoint
from thresher.operators.models.chat.loop import run
from thresher.operators.models.chat.messages import Message, jpeg
from thresher.operators.models.chat.wire import NoAnswer, Wire
from thresher.operators.models.clarity import Marks
from thresher.schemas import Reason, ThresherError

EMPTY = b'{"messages": []}'
GOOD = Marks(sharpness="excellent", noise="good", dynamic_range="fair")


@pytest.fixture
def ask_all(server, plain, filled, monkeypatch):
    """`ask_all(level, ...)`: what becomes of pictures of these levels, asked together."""
    monkeypatch.setattr(patience, "BACKOFF_S", 0.02)
    made = Endpoint(server.url, "judge-1", 5)

    def together(*levels: int):
        return filled(made, [[Message("user", (jpeg(plain(level)), "Judge."))] for level in levels], 9)

    return together


@pytest.mark.parametrize("fault", ["drip", "dripping headers", "dripping close", "dripping chunks", "hang"])
def test_a_request_ends_in_time_however_slowly_it_is_answered(server, fault):
    server.faults[-1] = [fault]
    wire, started = Wire(server.url, "", 0.5), time.monotonic()
    with pytest.raises(NoAnswer, match=r"no answer within 0\.5 s"):
        run(wire.post(EMPTY))
    assert time.monotonic() - started < 1.5
    server.faults = {}
    time.sleep(0.6)  # the timer of the request before has nothing to say about this one
    assert run(wire.post(EMPTY)).status == 200


@pytest.mark.parametrize("fault", ["400", "402", "413", "422"])
@pytest.mark.parametrize("others", [0, 3, 20])
def test_a_record_that_the_server_does_not_take_costs_one_record(ask_all, server, fault, others):
    server.faults[100] = [fault]
    failure, *rest = ask_all(100, *[200] * others)
    assert isinstance(failure, Failure) and failure.reason == Reason.NOT_TAKEN
    assert f"HTTP {fault}" in failure.message and f"fault {fault}" in failure.message
    assert rest == [GOOD] * others
    assert (server.asked[100], server.asked[-1]) == (1, 0 if others else 1)


def test_a_probe_that_the_server_does_not_take_stops_nobody_that_is_answered(ask_all, server):
    server.faults = {100: ["400"], 110: ["500"], -1: ["400"]}
    bad, slow, *rest = ask_all(100, 110, *[200] * 14)
    assert isinstance(bad, Failure) and isinstance(slow, Failure) and rest == [GOOD] * 14


def test_the_words_of_a_server_are_cut_and_on_one_line(ask_all, server):
    server.faults[100] = ["long 413"]
    (failure,) = ask_all(100)
    assert (
        len(failure.message) < 400 and failure.message.isprintable() and "too [31m large" in failure.message
    )


def test_a_key_of_the_server_is_cut_in_the_message_and_in_the_second_question(ask_all, server):
    server.faults[100] = ["long key"]
    (failure,) = ask_all(100)
    assert failure.reason == Reason.UNPARSED
    assert len(failure.message) < 400 and failure.message.isprintable()
    assert len(str(server.bodies[1])) < len(str(server.bodies[0])) + 1500


@pytest.mark.parametrize("fault", ["400", "500"])
def test_a_server_that_is_blind_stops_the_run(ask_all, server, fault):
    server.blind = fault
    answers = ask_all(*[100] * 40)
    assert all(isinstance(a, ThresherError) for a in answers) and f"HTTP {fault}" in str(answers[0])
    assert sum(server.asked.values()) <= 16 * 5 + 1


@pytest.mark.parametrize("field", ["response_format", "max_tokens", "temperature"])
def test_a_server_that_takes_no_request_of_the_form_stops_the_run(ask_all, server, field):
    server.not_known = field
    assert all(isinstance(a, ThresherError) and "HTTP 400" in str(a) for a in ask_all(*[100] * 20))


def test_a_usage_that_is_no_number_costs_nothing(ask_all, server):
    server.faults[100] = ["mad usage"]
    assert ask_all(100) == [GOOD] and server.asked[100] == 1


def test_what_nobody_foresaw_costs_one_record(ask_all, server, monkeypatch):
    def strange(reply):
        if "splendid" in reply.text:
            raise OverflowError("far\ntoo " + "much " * 500)
        return real(reply)

    real = filling.one_object
    monkeypatch.setattr(filling, "one_object", strange)
    server.faults[100] = ["other words"]
    failure, *rest = ask_all(100, *[200] * 3)
    assert isinstance(failure, Failure) and failure.reason == Reason.BAD_VALUE and rest == [GOOD] * 3
    assert failure.message.startswith("OverflowError: far too much") and len(failure.message) < 400


def test_what_nobody_foresaw_for_any_record_is_no_matter_of_one(ask_all, server, monkeypatch):
    async def broken(self, body):
        raise RuntimeError("no request can be written")

    monkeypatch.setattr(Wire, "post", broken)
    with pytest.raises(RuntimeError, match="no request can be written"):
        ask_all(100, 200)


def test_a_stop_is_over_with_its_call(ask_all, server):
    server.down = True
    assert all(isinstance(a, ThresherError) for a in ask_all(200, 200, 200))
    assert all(isinstance(a, ThresherError) for a in ask_all(200))
    server.down = False
    assert ask_all(200) == [GOOD]


def test_a_stop_is_not_another_call_s(ask_all, server):
    server.slow_s, server.faults, answers = 0.1, {100: ["401"]}, []
    thread = threading.Thread(target=lambda: answers.extend(ask_all(*[200] * 64)))
    thread.start()
    while not server.asked[200]:
        time.sleep(0.01)
    (error,) = ask_all(100)
    thread.join()
    assert "HTTP 401" in str(error) and answers == [GOOD] * 64


def test_a_refused_connection_is_not_called_a_timeout():
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        wire = Wire(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "", 30)
        with pytest.raises(NoAnswer, match=r"cannot connect: .*refused"):
            run(wire.post(EMPTY))
