"""The conversation of `caption.check` about one record, and the record that is left of it."""

from collections.abc import Sequence
from typing import NamedTuple

from thresher.operators.base import Failure
from thresher.operators.captions.checks import agreement, judged
from thresher.operators.captions.rebuild import without
from thresher.operators.captions.record import CaptionRecord, Claim
from thresher.operators.captions.verify.calibration import Calibration
from thresher.operators.captions.verify.claims import DISTRUSTED, WORDS, answered, judged_by_a_model, question
from thresher.operators.captions.verify.decoys import decoys
from thresher.operators.captions.write import Writer, faults_of
from thresher.operators.models.chat.chat import Chat, Choice
from thresher.operators.models.chat.messages import Message
from thresher.schemas.reasons import TRANSIENT


class Item(NamedTuple):
    """A record to verify; `picture` is JPEG."""

    record: CaptionRecord
    id: bytes
    picture: bytes
    trusted: bool = True
    """Whether the model passed its gate."""


class Verifier(NamedTuple):
    """What asks: `model` signs the verdicts, `writer` mends texts that fail without their refuted claims."""

    model: str
    prompts: dict[str, str]
    writer: Writer
    calibration: Calibration | None = None

    async def verify(self, chat: Chat, item: Item) -> CaptionRecord | Failure:
        """The record with verdicts, without what does not hold, and with `checks` of `measured`, `decoys` and
        `decoy_yes`."""
        record = agreement(item.record)
        asked = [claim for claim in record.claims if not claim.verifier]
        false = await self._ask(chat, item.picture, decoys(record, len(asked), item.id))
        if isinstance(false, Failure):
            if false.reason in TRANSIENT:
                return false
            false = []  # a decoy that nothing was said to costs no captions
        if item.trusted:
            found = await self._ask(chat, item.picture, asked)
            if isinstance(found, Failure):
                return found
        else:
            found = [claim.model_copy(update={"verifier": DISTRUSTED + self.model}) for claim in asked]
        verdicts = {claim.id: claim for claim in found}
        claims = tuple(verdicts.get(claim.id, claim) for claim in record.claims)
        rebuilt = await self._rebuilt(chat, record.model_copy(update={"claims": claims}))
        if isinstance(rebuilt, Failure):
            return rebuilt
        yes = sum(claim.verdict == "supported" for claim in false)
        asked_false = {"decoys": float(len(false)), "decoy_yes": float(yes)}
        checks = {**rebuilt.checks, **measured(claims), **asked_false}
        return rebuilt.model_copy(update={"checks": checks})

    async def _ask(self, chat: Chat, picture: bytes, claims: Sequence[Claim]) -> list[Claim] | Failure:
        """The claims with the model's verdicts. A claim that it gives no answer about is unsure; a Failure
        where it answers about none, or where the server may answer later."""
        found: list[Claim] = []
        failed: list[Failure] = []
        for claim in claims:
            said = Message("user", (picture, question(self.prompts, claim)))
            answer: Choice | Failure | None = await chat.choose([said], WORDS)
            if isinstance(answer, Failure):
                if answer.reason in TRANSIENT:
                    return answer
                failed.append(answer)
                answer = None
            found.append(answered(claim, answer, self.model, self.calibration))
        return failed[0] if failed and len(failed) == len(claims) else found

    async def _rebuilt(self, chat: Chat, record: CaptionRecord) -> CaptionRecord | Failure:
        """Without the claims that do not hold, and judged; texts that fail only now are written anew once,
        from the claims that are left."""
        passed = {text.id for text in record.passed()}
        gone = {claim.id for claim in record.claims if _falls(claim)}
        record = judged(without(record, gone))
        faults = {text: found for text, found in faults_of(record).items() if text in passed}
        left = tuple(claim for claim in record.claims if claim.id not in gone)
        if not (faults and left):
            return record
        written = await self.writer.rewrite(chat, record.model_copy(update={"claims": left}), faults)
        if isinstance(written, Failure):
            return written
        return judged(written.model_copy(update={"claims": record.claims}))


def measured(claims: Sequence[Claim]) -> dict[str, float | None]:
    """`claims`: supported of supported and refuted; `coverage`: those of all; `risk`: mean of 1 - p over what
    the verifier supported; `refuted`: their number."""
    supported = [claim for claim in claims if claim.verdict == "supported"]
    refuted = sum(claim.verdict == "refuted" for claim in claims)
    decided = len(supported) + refuted
    risks = [1 - claim.p for claim in supported if claim.p is not None and judged_by_a_model(claim)]
    return {
        "claims": len(supported) / decided if decided else None,
        "coverage": decided / len(claims) if claims else None,
        "risk": sum(risks) / len(risks) if risks else None,
        "refuted": float(refuted),
    }


def _falls(claim: Claim) -> bool:
    """Whether a claim must leave the texts: refuted, or asked about and not sure. What nobody could be asked
    about stays."""
    asked = bool(claim.verifier) and not claim.verifier.startswith(DISTRUSTED)
    return claim.verdict == "refuted" or (claim.verdict == "unsure" and asked)
