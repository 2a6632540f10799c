"""Planted rewrites (`rewrites.jsonl`): what they do to their prompt, and good ones beside them."""

import json
from pathlib import Path
from typing import NamedTuple

from thresher.operators.captions.reason.rewrite import Rewrite
from thresher.operators.captions.record import Claim


class Planted(NamedTuple):
    """`claims`: `text | field | key points`, of the prompt; `known`: further supported claims.

    `judge`: no rule can tell; the judge has to.
    """

    fault: str
    lang: str
    prompt: str
    refined: str
    claims: tuple[str, ...]
    known: tuple[str, ...] = ()
    judge: bool = False

    def rewrite(self) -> Rewrite:
        asked = [claim(self.lang, i, line) for i, line in enumerate(self.claims)]
        known = [claim(self.lang, i, line) for i, line in enumerate(self.known, len(asked))]
        return Rewrite(self.prompt, self.refined, self.lang, asked, [*asked, *known], names=NAMES)  # type: ignore[arg-type]


NAMES = ("雷峰塔", "Leifeng Pagoda")


def claim(lang: str, i: int, line: str) -> Claim:
    text, field, points = (part.strip() for part in (line + "||").split("|")[:3])
    return Claim(
        id=f"c{i}", field=field or "primary.noun", text={lang: text}, key_points=tuple(points.split()),
        provenance=("vlm:a",), verdict="supported", p=0.95, t=0.75, verifier="b",
    )  # fmt: skip


def _planted(line: str) -> Planted:
    held = json.loads(line)
    return Planted(**held | {name: tuple(held.get(name, ())) for name in ("claims", "known")})


_ALL = [_planted(line) for line in Path(__file__).with_suffix(".jsonl").read_text("utf-8").splitlines()]
PLANTED = [planted for planted in _ALL if planted.fault]
GOOD = [planted for planted in _ALL if not planted.fault]
