"""The one event loop of this process, in a thread of its own, and the connections that live on it."""

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

CONNECT_S = 10.0
"""How long reaching one address of a server may take."""
KEEP_S = 4.0
"""How long an idle connection is kept: servers close theirs after 5 s (uvicorn) or later."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives; it runs on the loop while this thread waits."""
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="chat", daemon=True).start()
    return loop


_sessions: "list[aiohttp.ClientSession]" = []


def session() -> "aiohttp.ClientSession":
    """The connections of this process, without cookies; called on the loop. How many there are is up to
    those who ask."""
    import aiohttp

    if not _sessions:
        _sessions.append(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_S),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
            )
        )
        atexit.register(_close)
    return _sessions[0]


def _close() -> None:
    asyncio.run_coroutine_threadsafe(_sessions.pop().close(), _loop()).result(1)
