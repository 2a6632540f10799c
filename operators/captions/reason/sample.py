"""Reasoning samples: a prompt, the thought over it, and the caption that it leads to."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from thresher.operators.captions.reason.thought import Pattern, Role, mention, pattern_fault
from thresher.operators.captions.record import Maker, Part
from thresher.operators.captions.taxonomy import KeyPoint, Lang, Verdict

Kind = Literal["T2T", "T2TI", "rewrite"]

VERSION = 1
_ID = re.compile(r"(?<![A-Za-z0-9])[a-z]\d+(?![A-Za-z0-9])")


class SampleStep(Part):
    """A move of the thought. `claims`: the statements that it works on; `verdict`: whether they bear it out,
    `None` for moves that may err (a voice of a debate, a draft)."""

    role: Role
    text: str
    claims: tuple[str, ...] = ()
    verdict: Verdict | None = None
    p: float | None = None


class SampleClaim(Part):
    """A statement of the refined caption, with the caption record's verdict. `asked`: the prompt has it."""

    id: str
    text: str
    verdict: Verdict
    p: float | None = None
    asked: bool = False


class Sample(Part):
    """What the column `reasoning` holds as JSON.

    kind      T2T      prompt -> thought -> refined caption
              T2TI     prompt -> thought -> refined caption -> the record's picture
              rewrite  prompt -> refined caption (the thought stays in the record)
    trace     the thought as text, of the form that `pattern` prescribes
    claims    the verified answer: what the refined caption states
    """

    v: Literal[1] = 1
    id: str
    kind: Kind
    pattern: Pattern
    lang: Lang
    prompt: str
    trace: str
    steps: tuple[SampleStep, ...]
    refined: str
    claims: tuple[SampleClaim, ...]
    key_points: tuple[KeyPoint, ...] = ()
    by: Maker | None = None
    status: Literal["pass", "fail"] = "pass"
    fails: tuple[str, ...] = ()
    """Names of the checks that it failed: `pattern`, `target_mention`, `lost:counting`, ..."""
    told: tuple[str, ...] = ()
    """What each of them found, in words."""

    def dumps(self) -> str:
        """Canonical JSON: sorted keys, no defaults, no blanks."""
        held = {"v": VERSION} | self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(held, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> "Sample":
        """The sample of a `reasoning` column. Raises pydantic.ValidationError."""
        return cls.model_validate_json(text)


class Defect(NamedTuple):
    """A check that a sample fails, and why in words that its writer can act on."""

    check: str
    told: str


def mention_defects(texts: Mapping[str, str], lang: Lang, held: str) -> list[Defect]:
    """Where a text speaks of the picture that it is to lead to. `texts`: what it is called -> it; `held`:
    the statements that it may say."""
    found = {name: mention(text, lang, held) for name, text in texts.items()}
    return [Defect("target_mention", f"the {name} says {words!r}") for name, words in found.items() if words]


def id_defects(texts: Mapping[str, str], ids: Collection[str]) -> list[Defect]:
    """Where a text repeats the id of a statement, which its reader does not know."""
    written = {name: set(_ID.findall(text)) & set(ids) for name, text in texts.items()}
    return [Defect("statement_id", f"the {name} says {min(said)}") for name, said in written.items() if said]


def thought_defects(
    steps: Sequence[SampleStep], trace: str, pattern: Pattern, lang: Lang, used: Collection[str]
) -> list[Defect]:
    """Structure, and whether every step leads to something. `used`: ids of the refined caption's claims."""
    found = []
    if fault := pattern_fault(trace, pattern, lang):
        found.append(Defect("pattern", f"the thought is no {pattern}: {fault}"))
    for step in steps:
        if stray := [c for c in step.claims if c not in used]:
            found.append(Defect("unused_step", f"{', '.join(stray)} of a step is not in the caption"))
        if not step.claims and step.role not in ("question", "critique"):
            found.append(Defect("unused_step", f"the step {step.text!r} leads to nothing"))
    return found
