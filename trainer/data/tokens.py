"""Text to tokens, and how many each sample of an export has: what a plan must know before it reads.

Counts lie beside the index, in `tokens/TOKENIZER/SHARD.parquet`, one row for each sample in tar order. The
export itself is never touched, so that another tokenizer costs one pass over its texts.
"""

import json
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from thresher.schemas.segments import texts_of

COUNTS = pa.schema(
    [
        pa.field("segments", pa.dictionary(pa.int32(), pa.string()), metadata={"meaning": "structure, JSON"}),
        pa.field("numbers", pa.list_(pa.int32()), metadata={"meaning": "see `pattern.Pattern`"}),
    ]
)
_STRUCTURE = ("kind", "role", "loss", "drop", "group")


class Tokenizer(Protocol):
    """Text as numbers below `vocabulary`; the first `special` of them are no text."""

    id: str
    """Names the tokenizer and its files' content."""
    vocabulary: int

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without any that mark its beginning or end."""

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens; special ones say nothing."""


BEGIN, END, IMAGE = 0, 1, 2
"""Special tokens of every tokenizer here: before a text, what its last token is followed by, before the codes
of an image."""
_SPECIAL = 3


class Bytes:
    """UTF-8: a vocabulary of 259, nothing to fetch, no text without tokens."""

    id = "bytes"
    vocabulary = 256 + _SPECIAL

    def encode(self, text: str) -> list[int]:
        """One token a byte."""
        return [byte + _SPECIAL for byte in text.encode()]

    def decode(self, tokens: list[int]) -> str:
        """The text; bytes that are no UTF-8 become replacement characters."""
        return bytes(t - _SPECIAL for t in tokens if t >= _SPECIAL).decode(errors="replace")


class Pretrained:
    """A tokenizer of the Hugging Face library from a folder or file `tokenizer.json`."""

    def __init__(self, path: Path) -> None:
        from hashlib import blake2b

        from tokenizers import Tokenizer as Fast

        file = path / "tokenizer.json" if path.is_dir() else path
        self._fast = Fast.from_file(str(file))
        self.id = f"{file.parent.name}-{blake2b(file.read_bytes(), digest_size=4).hexdigest()}"
        self.vocabulary = self._fast.get_vocab_size() + _SPECIAL

    def encode(self, text: str) -> list[int]:
        """Without the tokens that the library puts around a text."""
        return [t + _SPECIAL for t in self._fast.encode(text, add_special_tokens=False).ids]

    def decode(self, tokens: list[int]) -> str:
        """The text."""
        return self._fast.decode([t - _SPECIAL for t in tokens if t >= _SPECIAL])


def structure(segments: list[dict[str, Any]]) -> str:
    """What many samples have in common of their segments: all but words, sizes and names of members."""
    told = [
        {name: s.get(name) for name in _STRUCTURE}
        | ({"variants": sorted(texts_of(s))} if s.get("kind") == "text" else {})
        for s in segments
    ]
    return json.dumps(told, sort_keys=True)


def numbers(segments: list[dict[str, Any]], tokenizer: Tokenizer) -> list[int]:
    """Tokens of every version of every text, width and height of every image, segment by segment."""
    out: list[int] = []
    for s in segments:
        if s.get("kind") == "text":
            held = texts_of(s)
            out += [len(tokenizer.encode(held[name])) for name in sorted(held)]
        else:
            out += [s["width"], s["height"]]
    return out
