"""The chat role against a server that means no good, or of which a part is dead."""

import time

import pytest

from thresher.operators.models.chat.wire import NoAnswer, Wire


@pytest.mark.parametrize("fault", ["drip", "dripping headers", "dripping close", "dripping chunks", "hang"])
def test_a_request_ends_in_time_however_slowly_it_is_answered(server, fault):
    server.faults[-1] = [fault]
    wire, started = Wire(server.url, "", 0.5, 1), time.monotonic()
    with pytest.raises(NoAnswer, match=r"no answer within 0\.5 s"):
        wire.post({"messages": []})
    assert time.monotonic() - started < 1.5
    server.faults = {}
    time.sleep(0.6)  # the timer of the request before has nothing to say about this one
    assert wire.post({"messages": []}).status == 200
