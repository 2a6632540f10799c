"""One POST to an OpenAI-compatible server: bounded in time and size, and no word of the key in any error.

It ends after `timeout_s`, however slowly it is taken, or its answer comes.
"""

import asyncio
import io
import os
import urllib.request
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from thresher.operators.models.chat.loop import session
from thresher.schemas.errors import ThresherError

if TYPE_CHECKING:
    import aiohttp

MOST_BYTES = 1 << 20
"""A longer answer is not read to its end."""
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
    """The body as text, without the key, should it hold that."""
    retry_after_s: float


class Wire:
    """Requests to one server. `key` may be empty."""

    def __init__(self, endpoint: str, key: str, timeout_s: float) -> None:
        self._url = endpoint.rstrip("/") + "/chat/completions"
        self._key, self._timeout_s = key, timeout_s
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._proxy = _proxy(endpoint)

    async def post(self, body: bytes) -> Answer:
        """Raises NoAnswer. Follows no redirection, which could carry the key elsewhere."""
        import aiohttp

        try:
            async with asyncio.timeout(self._timeout_s) as limit:
                return await self._post(body)
        except aiohttp.ConnectionTimeoutError:
            raise NoAnswer("cannot connect: the server's address does not answer") from None
        except aiohttp.ClientConnectorError as error:
            number = error.errno or 0  # below 0: nobody knows the server's name
            why = os.strerror(number) if number > 0 else error.strerror or str(error)
            raise NoAnswer(f"cannot connect: {clean(why)}") from None
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            if limit.expired():
                raise NoAnswer(f"no answer within {self._timeout_s:g} s") from None
            raise NoAnswer(clean(str(error)) or type(error).__name__) from None

    async def _post(self, body: bytes) -> Answer:
        sent = body if len(body) < MOST_BYTES else io.BytesIO(body)  # else one long copy
        request = session().post(
            self._url, data=sent, headers=self._headers, proxy=self._proxy, allow_redirects=False
        )
        async with request as response:
            held = await _read(response)
            told = (held or b"").decode("utf-8", "replace")
            told = told.replace(self._key, "***") if self._key else told
            return Answer(response.status, held, told, _retry_after(response.headers.get("Retry-After", "")))


def clean(text: str) -> str:
    """Foreign words on one line, cut."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _TOLD]).split())
    return text if len(text) <= _TOLD else text[:_TOLD] + "..."


async def _read(response: "aiohttp.ClientResponse") -> bytes | None:
    """The body; None if it is longer than allowed. A connection that was not read to its end is closed."""
    held = bytearray()
    async for chunk in response.content.iter_any():
        held += chunk
        if len(held) > MOST_BYTES:
            response.close()
            return None
    return bytes(held)


def _retry_after(said: str) -> float:
    """Seconds that the server asks to be left alone, from seconds or a date; 0 if neither can be read."""
    try:
        if said.strip().replace(".", "", 1).isdecimal():  # servers send fractions too
            return float(said)
        when = parsedate_to_datetime(said)
        return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _proxy(endpoint: str) -> str | None:
    """The proxy that the environment names, if it names one for this host."""
    address = urlsplit(endpoint)
    proxy = urllib.request.getproxies().get(address.scheme)
    if proxy is None or urllib.request.proxy_bypass(address.hostname or ""):
        return None
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        what = "the proxy of the environment is no http:// or https:// address"
        raise ThresherError(what, f"{address.scheme}_proxy", "Mend or unset that variable")
    return proxy
