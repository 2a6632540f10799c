"""What kind of sample a record is, from its segments alone."""

import re

KINDS = {
    "image": ("T", "images without a caption"),
    "caption": ("cT", "images with captions"),
    "edit": ("icT", "edits"),
    "chain": ("i(c[BT])+cT", "chains of edits"),
    "references": ("ii+cT", "images made from several references"),
    "clip": ("iTT*", "clips without text"),
    "reasoning": ("i*c+x+T", "images made after reasoning"),
    "text": ("x+", "texts without images"),
    "dialogue": ("[icx]*x[icx]*", "descriptions and dialogues"),
    "interleaved": ("[icxTB]*", "interleaved documents"),
}
"""Name -> the segments as `schemas.segments.kinds_of` writes them (the first pattern that fits counts),
and how to say it."""


def kind_of(kinds: str) -> str:
    """The name in `KINDS` of a sample with the segment string `kinds`."""
    return next(name for name, (pattern, _) in KINDS.items() if re.fullmatch(pattern, kinds))
