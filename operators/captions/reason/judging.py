"""What a model judges of a rewrite and of a thought: it sees statements and texts, not the picture."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

from thresher.operators.base import Failure
from thresher.operators.captions.reason.rewrite import Fault, Rewrite, points_of
from thresher.operators.captions.record import Claim
from thresher.operators.captions.taxonomy import SURE_ELSE, KeyPoint, Lang, Verdict
from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.messages import Message

JUDGE_PROMPTS = ("reason_kept", "reason_added", "reason_which", "reason_step")
_ANSWERS = ("yes", "no", "unsure")


class Judged(NamedTuple):
    """A verdict, and how probable `yes` was."""

    verdict: Verdict
    p: float


async def holds(chat: Chat, question: str, told: str, *shown: bytes) -> Judged | Failure:
    """The answer to a question that takes yes, no or unsure; a verdict takes a probability of `SURE_ELSE`.
    `shown`: pictures as JPEG, where the question is about them."""
    choice = await chat.choose([Message("user", (*shown, question, told))], _ANSWERS)
    if isinstance(choice, Failure):
        return choice
    yes, no = choice.p.get("yes", 0.0), choice.p.get("no", 0.0)
    return Judged("supported" if yes >= SURE_ELSE else "refuted" if no >= SURE_ELSE else "unsure", yes)


async def judged_faults(chat: Chat, rewrite: Rewrite, texts: Mapping[str, str]) -> list[Fault] | Failure:
    """One question for each key point of the claims that must be kept; one for what the text adds, and, where
    it adds something, one for its key point. `texts`: those of `JUDGE_PROMPTS`."""
    found = []
    for point in dict.fromkeys(point for claim in rewrite.asked for point in points_of(claim)):
        claims = [claim for claim in rewrite.asked if point in points_of(claim)]
        told = f"Key point: {_words(point)}\n{_material(claims, rewrite)}"
        kept = await holds(chat, texts["reason_kept"], told)
        if isinstance(kept, Failure):
            return kept
        if kept.verdict != "supported":
            lost = "; ".join(claim.text[rewrite.lang] for claim in claims)
            found.append(Fault("lost", point, f"the text does not say it, or not so: {lost}"))
    added = await _added(chat, rewrite, texts)
    return added if isinstance(added, Failure) else [*found, *added]


async def step_verdict(
    chat: Chat, step: str, claims: Iterable[Claim], lang: Lang, texts: Mapping[str, str]
) -> Judged | Failure:
    """Whether everything that a step of a thought takes for a fact follows from the claims."""
    return await holds(chat, texts["reason_step"], f"{_statements(claims, lang)}\n\nStep:\n{step}")


async def _added(chat: Chat, rewrite: Rewrite, texts: Mapping[str, str]) -> list[Fault] | Failure:
    told = _material(rewrite.allowed, rewrite)
    covered = await holds(chat, texts["reason_added"], told)
    if isinstance(covered, Failure):
        return covered
    if covered.verdict == "supported":
        return []
    words = {_words(point): point for point in get_args(KeyPoint)}
    asked = f"Key points: {', '.join(words)}\n{told}"
    which = await chat.choose([Message("user", (texts["reason_which"], asked))], tuple(words))
    if isinstance(which, Failure):
        return which
    return [Fault("added", words[which.answer], "the text says more than the statements do")]


def _material(claims: Sequence[Claim], rewrite: Rewrite) -> str:
    return f"{_statements(claims, rewrite.lang)}\n\nText:\n{rewrite.refined}"


def _statements(claims: Iterable[Claim], lang: Lang) -> str:
    return "Statements:\n" + "\n".join(f"- {c.text[lang]}" for c in claims)


def _words(point: KeyPoint) -> str:
    return point.replace("_", " ")
