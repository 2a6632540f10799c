"""An end in time for one request: a timer shuts its connection, wherever in the request that is."""

import contextlib
import socket
import threading
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """`with Deadline(seconds) as limit`: what this thread asks of a `pool` meanwhile ends after that."""

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
        _of_thread.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _of_thread.deadline = None
        with self._lock:
            self._connection = self._socket = None  # they may already serve another thread

    def watch(self, connection: HTTPConnection) -> None:
        """Raises TimeoutError where the time is over."""
        with self._lock:
            self._connection = connection
            self._socket = connection.sock or self._socket
            if self.over:
                raise TimeoutError

    def _end(self) -> None:
        with self._lock:
            self.over = True
            held = (self._connection and self._connection.sock) or self._socket  # an answer may keep the last
            if held is not None:
                with contextlib.suppress(OSError):
                    held.shutdown(socket.SHUT_RDWR)


_of_thread = threading.local()


def _watched(connection: HTTPConnection) -> None:
    deadline: Deadline | None = getattr(_of_thread, "deadline", None)
    if deadline is not None:
        deadline.watch(connection)


class _Http(HTTPConnection):
    def connect(self) -> None:
        _watched(self)
        super().connect()
        _watched(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _watched(self)
        super().request(*args, **kwargs)
        _watched(self)


class _Https(_Http, HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https


def heed_deadlines(pools: urllib3.PoolManager) -> urllib3.PoolManager:
    """`pools`, whose connections end with the Deadline of the thread that uses them."""
    pools.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return pools
