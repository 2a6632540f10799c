"""Tier A: what a file declares about its own making."""

import re
from typing import NamedTuple

import numpy as np

from thresher.operators.aigc.blocks import Blocks, decoded
from thresher.operators.aigc.c2pa import read_store, source_type, strongest
from thresher.operators.aigc.columns import AI_TYPES
from thresher.operators.aigc.container import read_blocks
from thresher.operators.aigc.stealth import read_alpha
from thresher.operators.aigc.tags import as_object, generator_of
from thresher.operators.aigc.xmp import Properties, properties

_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/AIGC"
_CREDIT = "http://ns.adobe.com/photoshop/1.0/Credit"
_DESCRIPTION = "http://purl.org/dc/elements/1.1/description"
_TOOL = "http://ns.adobe.com/xap/1.0/CreatorTool"
_IIM_CREDIT = b"\x1c\x02\x6e"
_GOOGLE = "made with google ai"
_LABEL_KEYS = {"ContentProducer", "ProduceID", "ContentPropagator", "PropagateID"}
_KNOWN = [
    ("OpenAI", re.compile(r"openai|chatgpt|dall.?e\b|gpt[- ]?(?:4o|image)", re.IGNORECASE)),
    ("Adobe Firefly", re.compile(r"firefly", re.IGNORECASE)),
    ("Google", re.compile(r"google|gemini|imagen\b", re.IGNORECASE)),
    ("Midjourney", re.compile(r"midjourney", re.IGNORECASE)),
]
_LONGEST_NAME = 80


class Declared(NamedTuple):
    """What a file says of itself."""

    ai: bool
    generator: str | None
    source_type: str | None
    c2pa: bool
    camera: bool


def declared(data: bytes, form: str, alpha: np.ndarray | None = None) -> Declared:
    """Evidence in the file `data` of format `form`; `alpha` (h, w) if its pixels are lossless.

    Takes any bytes: what cannot be read is no evidence.
    """
    blocks = read_blocks(data, form)
    if alpha is not None:
        read_alpha(alpha, blocks)
    xmp = _merged(blocks)
    for text in xmp.get(_DESCRIPTION, []):
        blocks.add_text("Description", text)
    store = read_store(blocks.c2pa)
    names = ("DigitalSourceType", "DigitalSourceFileType")
    stated = strongest(source_type(text) for name in names for text in xmp.get(_IPTC + name, []))
    kind = (store.source_type if store else None) or stated
    generators = [generator_of(blocks.texts), _google(blocks, xmp), *_labelled(blocks, xmp)]
    ai = kind in AI_TYPES or any(generators)
    if kind in AI_TYPES:
        tools = [*xmp.get(_IPTC + "AISystemUsed", []), *xmp.get(_TOOL, [])]
        generators += [_name_of([*(store.agents if store else ()), *tools])]
    name = next(filter(None, generators), None)
    camera = {"make", "model", "exposure"} <= blocks.camera
    return Declared(ai, name or None, kind, store is not None, camera)


def _merged(blocks: Blocks) -> Properties:
    """The properties of all packets."""
    merged: Properties = {}
    for packet in blocks.xmp:
        for name, values in properties(packet).items():
            merged.setdefault(name, []).extend(values)
    return merged


def _labelled(blocks: Blocks, xmp: Properties) -> list[str]:
    """The producer that a label of GB 45438-2025 names, if it says that a generator made the picture."""
    texts = [*xmp.get(_TC260, []), blocks.texts.get("AIGC"), blocks.texts.get("parameters")]
    found = []
    for label in map(as_object, texts):
        label = label.get("AIGC", label)
        if isinstance(label, dict) and label.get("Label") in ("1", 1) and _LABEL_KEYS & label.keys():
            producer = label.get("ContentProducer")
            found.append((_clean(producer) if isinstance(producer, str) else "") or "TC260")
    return found


def _google(blocks: Blocks, xmp: Properties) -> str | None:
    """Google's credit line, in XMP or IPTC-IIM."""
    credits = [*xmp.get(_CREDIT, []), *(text for record in blocks.iptc for text in _iim_credits(record))]
    return "Google" if any(text.casefold().startswith(_GOOGLE) for text in credits) else None


def _iim_credits(record: bytes) -> list[str]:
    """The texts of the data set 2:110 (Credit) of IPTC-IIM records: mark, record, number, length, content."""
    found, at = [], 0
    while record[at : at + 1] == b"\x1c" and at + 5 <= len(record):
        length = int.from_bytes(record[at + 3 : at + 5], "big")
        if record[at : at + 3] == _IIM_CREDIT:
            found.append(decoded(record[at + 5 : at + 5 + length]))
        at += 5 + length
    return found


def _name_of(agents: list[str]) -> str | None:
    """A known generator among these names of software, else the first of them."""
    known = (name for agent in agents for name, pattern in _KNOWN if pattern.search(agent[:_LONGEST_NAME]))
    return next(known, None) or next(filter(None, map(_clean, agents)), None)


def _clean(name: str) -> str:
    """A name as one short printable line."""
    return "".join(c for c in name if c.isprintable()).strip()[:_LONGEST_NAME]
