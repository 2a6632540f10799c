"""One POST to an OpenAI-compatible server: bounded in time and size, and no word of the key in any error.

A timer ends it after `timeout_s`, however slowly it is taken, or its answer comes. Only looking the server's
name up and reaching it have limits of their own: the system's, and `CONNECT_S` for each address.
"""

import json
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import urllib3

from thresher.operators.models.chat.deadline import Deadline, heed_deadlines
from thresher.schemas.errors import ThresherError

MOST_BYTES = 1 << 20
"""A longer answer is not read to its end."""
CONNECT_S = 10.0
_TOLD = 300
"""Characters of a server's own words that an error repeats."""


class NoAnswer(Exception):
    """Nothing came, or it broke off: refused, reset, out of time."""


class Answer(NamedTuple):
    """What a server sent."""

    status: int
    body: bytes | None
    """None if it is longer than `MOST_BYTES`."""
    told: str
    """Its beginning on one line, for an error; without the key, should it hold that."""
    retry_after_s: float


class Wire:
    """Connections to one server, for several threads. `key` may be empty."""

    def __init__(self, endpoint: str, key: str, timeout_s: float, connections: int) -> None:
        self._url = endpoint.rstrip("/") + "/chat/completions"
        self._key, self._timeout_s = key, timeout_s
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._pool = _pool(endpoint, connections)

    def post(self, payload: dict[str, Any]) -> Answer:
        """Raises NoAnswer. Follows no redirection, which could carry the key elsewhere."""
        limits = urllib3.Timeout(connect=min(CONNECT_S, self._timeout_s), read=self._timeout_s)
        late = f"no answer within {self._timeout_s:g} s"
        with Deadline(self._timeout_s) as deadline:
            try:
                response = self._pool.request(
                    "POST",
                    self._url,
                    body=json.dumps(payload).encode(),
                    headers=self._headers,
                    timeout=limits,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                body = _read(response)
            except urllib3.exceptions.NewConnectionError as error:  # a timeout to urllib3
                raise NoAnswer(f"cannot connect: {clean(str(error).rpartition(': ')[2])}") from None
            except Exception as error:
                if deadline.over or isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
                    raise NoAnswer(late) from None
                if isinstance(error, urllib3.exceptions.HTTPError | OSError):
                    raise NoAnswer(clean(str(error))) from None
                raise
        if deadline.over:  # what was shut may look like an end
            raise NoAnswer(late)
        told = (body or b"").decode("utf-8", "replace")
        told = clean(told.replace(self._key, "***") if self._key else told)
        return Answer(response.status, body, told, _retry_after(response))


def clean(text: str) -> str:
    """Foreign words on one line, cut."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _TOLD]).split())
    return text if len(text) <= _TOLD else text[:_TOLD] + "..."


def _read(response: urllib3.BaseHTTPResponse) -> bytes | None:
    """The body; None if it is longer than allowed. A connection that was not read to its end is closed."""
    held = bytearray()
    while chunk := response.read1(1 << 16):
        held += chunk
        if len(held) > MOST_BYTES:
            response.close()
            return None
    response.release_conn()
    return bytes(held)


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    """Seconds that the server asks to be left alone; 0 if it says nothing that can be read."""
    try:
        return float(urllib3.Retry().get_retry_after(response) or 0)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0.0


def _pool(endpoint: str, connections: int) -> urllib3.PoolManager:
    """Through the proxy that the environment names, if it names one for this host."""
    address = urlsplit(endpoint)
    proxy = urllib.request.getproxies().get(address.scheme)
    if proxy is None or urllib.request.proxy_bypass(address.hostname or ""):
        return heed_deadlines(urllib3.PoolManager(maxsize=connections))
    try:
        return heed_deadlines(urllib3.ProxyManager(proxy, maxsize=connections))
    except (ValueError, urllib3.exceptions.HTTPError) as error:
        what = "the proxy of the environment is no http:// or https:// address"
        raise ThresherError(what, f"{address.scheme}_proxy", "Mend or unset that variable") from error
