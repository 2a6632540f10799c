"""One request as bytes, and the key under which its answer is kept."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from thresher.operators.models.chat.messages import Form, Message, probe
from thresher.operators.models.chat.replies import estimate

KEY_BYTES = 16
PICTURE_TOKENS = 1400
"""Estimated for each picture: 1,024 x 1,024 px, the most that is sent, are 1,337 tokens of 28 x 28 px
(Qwen2-VL) and 1,398 of 750 px (Anthropic's rule)."""


class Written(NamedTuple):
    """A question as a server is sent it."""

    body: bytes
    key: bytes
    """BLAKE2b-128 of the body with each picture's own hash in its place: the same for the same model,
    messages, pictures, form and parameters, wherever and with whichever key it is asked."""
    tokens: int
    """Estimated, for servers that do not count: of the texts, and `PICTURE_TOKENS` for each picture."""


class Question(NamedTuple):
    """What is asked in one request; greedy and with a fixed seed unless told otherwise."""

    messages: Sequence[Message]
    max_tokens: int
    form: type[Form] | None = None
    temperature: float = 0
    seed: int = 0
    more: Mapping[str, Any] = {}
    """Further fields of the body."""

    def probe(self) -> "Question":
        """Any server takes this that takes requests of this form; with a picture if there is one here."""
        shown = any(isinstance(part, bytes) for message in self.messages for part in message.parts)
        return self._replace(messages=(probe(shown),))

    def written(self, model: str) -> Written:
        """The body, put together from its parts: pictures are nearly all of it, and need no escaping."""
        settings = {
            "model": model,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
        }
        rest = json.dumps(settings | dict(self.more))[1:].encode()
        if self.form is not None:
            rest = b'"response_format": ' + _response_format(self.form) + b", " + rest
        pieces = [b'{"messages": [', *_pieces(self.messages), b"], ", rest]
        key = hashlib.blake2b(digest_size=KEY_BYTES)
        for piece in pieces:
            key.update(_digest(piece.jpeg) if isinstance(piece, _Picture) else piece)
        body = b"".join(
            [base64.b64encode(piece.jpeg) if isinstance(piece, _Picture) else piece for piece in pieces]
        )
        return Written(body, key.digest(), _estimate(self.messages))


def _estimate(messages: Sequence[Message]) -> int:
    parts = [part for message in messages for part in message.parts]
    texts = sum(len(part.encode("utf-8", "replace")) for part in parts if isinstance(part, str))
    return estimate(texts) + PICTURE_TOKENS * sum(isinstance(part, bytes) for part in parts)


class _Picture(NamedTuple):
    jpeg: bytes


def _pieces(messages: Sequence[Message]) -> Iterator[bytes | _Picture]:
    """The list of messages in JSON, with the pictures as they are."""
    for i, message in enumerate(messages):
        yield b'%s{"role": "%s", "content": [' % (b", " if i else b"", message.role.encode())
        for j, part in enumerate(message.parts):
            yield b", " if j else b""
            if isinstance(part, str):
                yield b'{"type": "text", "text": %s}' % json.dumps(part).encode()
            else:
                yield b'{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,'
                yield _Picture(part)
                yield b'"}}'
        yield b"]}"


def _digest(picture: bytes) -> bytes:
    return hashlib.blake2b(picture, digest_size=KEY_BYTES).hexdigest().encode()


@lru_cache(256)  # making a schema takes longer than asking a fast server
def _response_format(form: type[Form]) -> bytes:
    schema = {"name": form.__name__, "schema": form.model_json_schema(), "strict": True}
    return json.dumps({"type": "json_schema", "json_schema": schema}).encode()
