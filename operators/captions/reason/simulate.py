"""The conversation that makes one reasoning sample: a request, a thought, a caption, each verified."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from thresher.operators.base import Failure
from thresher.operators.captions.reason.judging import JUDGE_PROMPTS, judged_faults, step_verdict
from thresher.operators.captions.reason.rewrite import Rewrite, points_of, rewrite_faults
from thresher.operators.captions.reason.sample import (
    Defect,
    Kind,
    Sample,
    SampleClaim,
    SampleStep,
    id_defects,
    mention_defects,
    thought_defects,
)
from thresher.operators.captions.reason.thought import PATTERNS, Pattern, Role, Step, render
from thresher.operators.captions.record import Claim, Maker
from thresher.operators.captions.taxonomy import Lang
from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.messages import Form, Message

REASON_PROMPTS = (
    "reason_prompt", "reason_thought", *(f"reason_{pattern}" for pattern in PATTERNS), *JUDGE_PROMPTS
)  # fmt: skip
_LANGUAGE: dict[Lang, str] = {"en": "English", "zh": "Chinese (simplified)"}
_PROMPT_TOKENS, _THOUGHT_TOKENS = 512, 4096
_MAY_ERR: tuple[Role, ...] = ("question", "first", "second", "draft", "critique")
"""Moves that are not verified alone: a voice may be overruled, a draft corrected."""


class Asked(NamedTuple):
    """What is to be made of a record. `prompt`: the claims that the request is about; `known`: all supported
    ones, with a text in `lang`; `names`: proper names that the record knows."""

    id: str
    kind: Kind
    pattern: Pattern
    lang: Lang
    prompt: tuple[Claim, ...]
    known: tuple[Claim, ...]
    names: tuple[str, ...] = ()


class Request(Form):
    """A simulated user's words."""

    prompt: str


class Move(Form):
    """A step of a thought, as it is asked for."""

    role: Role
    text: str
    claims: list[str]


class Thought(Form):
    """A thought and the caption that it leads to."""

    steps: list[Move]
    caption: str
    claims: list[str]


FORMS = (Request, Thought)


async def sample(chat: Chat, asked: Asked, texts: Mapping[str, str], by: Maker) -> Sample | Failure:
    """A sample, whatever became of it; a Failure where the model did not answer.

    What fails a check is asked for once again, with what was wrong; the second time it is rejected.
    `texts`: those of `REASON_PROMPTS`.
    """
    made = Sample(
        id="r1", kind=asked.kind, pattern=asked.pattern, lang=asked.lang,
        prompt="", trace="", steps=(), refined="", claims=(), by=by,
    )  # fmt: skip
    for write in (_request, _thought):
        found = await write(chat, asked, made, [], texts)
        if isinstance(found, Made) and found.defects:
            found = await write(chat, asked, made, found.defects, texts)
        if isinstance(found, Failure):
            return found
        made = found.sample
        if found.defects:
            fails = tuple(dict.fromkeys(defect.check for defect in found.defects))
            told = tuple(defect.told for defect in found.defects)
            return made.model_copy(update={"status": "fail", "fails": fails, "told": told})
    return made


class Made(NamedTuple):
    """A sample as far as it is made, and what is wrong with its last piece."""

    sample: Sample
    defects: list[Defect]


async def _request(
    chat: Chat, asked: Asked, made: Sample, before: Sequence[Defect], texts: Mapping[str, str]
) -> Made | Failure:
    told = [f"Language: {_LANGUAGE[asked.lang]}", _list(asked.prompt, asked.lang, ids=False), *_again(before)]
    written = await chat.fill(_said(texts["reason_prompt"], told), Request, _PROMPT_TOKENS)
    if isinstance(written, Failure):
        return written
    prompt = written.prompt.strip()
    made = made.model_copy(update={"prompt": prompt})
    statements = "\n".join(claim.text[asked.lang] for claim in asked.prompt)
    defects = mention_defects({"prompt": prompt}, asked.lang, statements)
    if defects:
        return Made(made, defects)
    rewrite = Rewrite(statements, prompt, asked.lang, asked.prompt, asked.prompt, asked.names)
    faults = await _faults(chat, rewrite, texts, "prompt.")
    return faults if isinstance(faults, Failure) else Made(made, faults)


async def _thought(
    chat: Chat, asked: Asked, made: Sample, before: Sequence[Defect], texts: Mapping[str, str]
) -> Made | Failure:
    told = [
        f"Language: {_LANGUAGE[asked.lang]}",
        texts[f"reason_{asked.pattern}"],
        f"Request: {made.prompt}",
        _list(asked.known, asked.lang, ids=True),
        *_again(before),
    ]
    written = await chat.fill(_said(texts["reason_thought"], told), Thought, _THOUGHT_TOKENS)
    if isinstance(written, Failure):
        return written
    made, defects = _checked(asked, made, written)
    if defects:
        return Made(made, defects)
    said = [claim for claim in asked.known if claim.id in written.claims]
    rewrite = Rewrite(made.prompt, made.refined, asked.lang, said, said, asked.names)
    faults = await _faults(chat, rewrite, texts, "")
    if isinstance(faults, Failure) or faults:
        return faults if isinstance(faults, Failure) else Made(made, faults)
    return await _verified(chat, asked, made, texts)


def _checked(asked: Asked, made: Sample, written: Thought) -> Made:
    """The sample with its thought, and what rules find wrong with its form."""
    known = {claim.id: claim for claim in asked.known}
    steps = tuple(SampleStep(role=m.role, text=m.text.strip(), claims=tuple(m.claims)) for m in written.steps)
    trace = render([Step(step.role, step.text) for step in steps], asked.lang)
    said = [known[name] for name in dict.fromkeys(written.claims) if name in known]
    first = {claim.id for claim in asked.prompt}
    claims = tuple(
        SampleClaim(id=c.id, text=c.text[asked.lang], verdict=c.verdict, p=c.p, asked=c.id in first)
        for c in said
    )
    points = tuple(dict.fromkeys(point for claim in said for point in points_of(claim)))
    refined = written.caption.strip()
    made = made.model_copy(
        update={"trace": trace, "steps": steps, "refined": refined, "claims": claims, "key_points": points}
    )
    texts = {"thought": trace, "caption": refined}
    unknown = sorted({*written.claims} - known.keys())
    lost = [claim for claim in asked.prompt if claim not in said]
    defects = [
        Defect(f"lost:{points_of(c)[0]}", f"{c.id} of the request is not in the caption") for c in lost
    ]
    defects += [Defect("unknown_claim", f"there is no statement {name!r}") for name in unknown]
    defects += thought_defects(steps, trace, asked.pattern, asked.lang, {claim.id for claim in said})
    statements = "\n".join(claim.text for claim in claims)
    defects += [*mention_defects(texts, asked.lang, statements), *id_defects(texts, known)]
    return Made(made, defects)


async def _verified(chat: Chat, asked: Asked, made: Sample, texts: Mapping[str, str]) -> Made | Failure:
    """Each step with its verdict, as far as it may not err."""
    steps, defects = list(made.steps), []
    for i, step in enumerate(steps):
        if step.role in _MAY_ERR:
            continue
        told = f"{steps[i - 1].text}\n{step.text}" if step.role == "answer" and i else step.text
        judged = await step_verdict(chat, told, asked.known, asked.lang, texts)
        if isinstance(judged, Failure):
            return judged
        steps[i] = step.model_copy(update={"verdict": judged.verdict, "p": judged.p})
        if judged.verdict != "supported":
            check = "answer" if step.role == "answer" else "step"
            defects.append(Defect(f"{check}_unsupported", f"the statements do not bear out: {step.text}"))
    return Made(made.model_copy(update={"steps": tuple(steps)}), defects)


async def _faults(
    chat: Chat, rewrite: Rewrite, texts: Mapping[str, str], prefix: str
) -> list[Defect] | Failure:
    """What rules find; where they find nothing, what the model does."""
    faults = rewrite_faults(rewrite) or await judged_faults(chat, rewrite, texts)
    if isinstance(faults, Failure):
        return faults
    return [Defect(prefix + fault.name, fault.told) for fault in faults]


def _list(claims: Sequence[Claim], lang: Lang, ids: bool) -> str:
    lines = (f"- {claim.id}: {claim.text[lang]}" if ids else f"- {claim.text[lang]}" for claim in claims)
    return "Statements:\n" + "\n".join(lines)


def _again(defects: Sequence[Defect]) -> list[str]:
    told = "\n".join(f"- {defect.check}: {defect.told}" for defect in defects)
    return [f"Your last attempt was rejected. Mend this:\n{told}"] if defects else []


def _said(prompt: str, told: Sequence[str]) -> list[Message]:
    return [Message("user", (prompt, "\n\n".join(told)))]
