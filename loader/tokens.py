"""Text to tokens, and how many each sample of an export has: what a plan must know before it reads.

Counts lie beside the index, in `tokens/TOKENIZER/SHARD.parquet`, one row for each sample in tar order. The
export itself is never touched, so that another tokenizer costs one pass over its texts.
"""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from thresher.loader.plan.pattern import read_pattern
from thresher.schemas import ThresherError, UsageError
from thresher.schemas.errors import nearest
from thresher.schemas.manifest import Shard, fetch, open_export
from thresher.schemas.segments import SEGMENTS, segments_of, texts_of

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
SPECIAL = 3


class Bytes:
    """UTF-8: a vocabulary of 259, nothing to fetch, no text without tokens."""

    id = "bytes"
    vocabulary = 256 + SPECIAL

    def encode(self, text: str) -> list[int]:
        """One token a byte."""
        return [byte + SPECIAL for byte in text.encode()]

    def decode(self, tokens: list[int]) -> str:
        """The text; bytes that are no UTF-8 become replacement characters."""
        return bytes(t - SPECIAL for t in tokens if t >= SPECIAL).decode(errors="replace")


class Words:
    """The words of a file, one a line, each with the space before it; all else is spelt in bytes."""

    def __init__(self, file: Path) -> None:
        data = file.read_bytes()
        self._words = list(dict.fromkeys(data.decode().split()))
        self._first = 256 + SPECIAL
        self._number = {word: i for i, word in enumerate(self._words, self._first)}
        self.id = f"words-{blake2b(data, digest_size=8).hexdigest()}"
        self.vocabulary = self._first + len(self._words)

    def encode(self, text: str) -> list[int]:
        """One token a known word, else one a byte. A space is added before the text."""
        out: list[int] = []
        for word in text.split(" "):
            known = self._number.get(word)
            out += [known] if known else (byte + SPECIAL for byte in f" {word}".encode())
        return out

    def decode(self, tokens: list[int]) -> str:
        """The text; bytes that are no UTF-8 become replacement characters."""
        told = (self._piece(token) for token in tokens if token >= SPECIAL)
        return b"".join(told).decode(errors="replace").removeprefix(" ")

    def _piece(self, token: int) -> bytes:
        if token < self._first:
            return bytes([token - SPECIAL])
        return f" {self._words[token - self._first]}".encode()


class Pretrained:
    """A tokenizer of the Hugging Face library from a folder or file `tokenizer.json`."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer as Fast

        file = path / "tokenizer.json" if path.is_dir() else path
        self._fast = Fast.from_file(str(file))
        self.id = f"{file.parent.name}-{blake2b(file.read_bytes(), digest_size=4).hexdigest()}"
        self.vocabulary = self._fast.get_vocab_size() + SPECIAL

    def encode(self, text: str) -> list[int]:
        """Without the tokens that the library puts around a text."""
        return [t + SPECIAL for t in self._fast.encode(text, add_special_tokens=False).ids]

    def decode(self, tokens: list[int]) -> str:
        """The text."""
        return self._fast.decode([t - SPECIAL for t in tokens if t >= SPECIAL])


def open_tokenizer(spec: str) -> Tokenizer:
    """`bytes`, `words:FILE`, or the path of a `tokenizer.json` or its folder. Raises UsageError."""
    kind, _, file = spec.partition(":")
    try:
        if spec == "bytes":
            return Bytes()
        return Words(Path(file)) if kind == "words" else Pretrained(Path(spec))
    except Exception as error:
        mend = (
            f"Say `bytes`, `words:FILE` or the path of a tokenizer.json. {nearest(spec, ['bytes', 'words:'])}"
        )
        raise UsageError(f"the tokenizer {spec!r} cannot be opened: {error}", mend=mend.strip()) from error


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


def count(export: str | Path, tokenizer: Tokenizer) -> Path:
    """Count the tokens of every sample of an export, where that is not done yet; returns the counts' folder.

    One pass over the texts alone, a shard at a time. Raises ThresherError for a segment of no known kind.
    """
    held = open_export(export)
    folder = held.home("tokens") / tokenizer.id
    folder.mkdir(parents=True, exist_ok=True)
    for shard in held.shards:
        file = folder / f"{shard.stem}.parquet"
        if not (
            file.exists() and (pq.read_schema(file).metadata or {}).get(b"tar") == shard.tar_sha.encode()
        ):
            with ThreadPoolExecutor(16 if "://" in held.url else 1) as threads:
                told = shard.rows(_COUNTED).to_pylist()
                rows = list(threads.map(partial(_counted, shard, tokenizer), told))
            table = pa.Table.from_pylist(rows, COUNTS.with_metadata({"tar": shard.tar_sha}))
            half = file.with_suffix(f".{os.getpid()}.tmp")
            pq.write_table(table, half)
            half.replace(file)
    return folder


_COUNTED = ("key", "members", "member_offsets", "member_sizes", "widths", "heights")


def _counted(shard: Shard, tokenizer: Tokenizer, row: Mapping[str, Any]) -> dict[str, Any]:
    places = dict(
        zip(row["members"], zip(row["member_offsets"], row["member_sizes"], strict=True), strict=True)
    )
    size = row["widths"][0] if row["widths"] else 0, row["heights"][0] if row["heights"] else 0
    try:
        segments = segments_of(list(places), lambda name: fetch(shard.tar, *places[name]), size)
    except ValueError:
        segments = []
    try:
        read_pattern(segments)
    except ValueError as error:
        mend = "Mend what wrote the export: a sample is texts and images, by the contract of segments.json"
        raise ThresherError(str(error), f"{shard.tar} {row['key']}{SEGMENTS}", mend) from error
    return {"segments": structure(segments), "numbers": numbers(segments, tokenizer)}
