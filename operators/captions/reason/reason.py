"""`caption.reason`: samples that think before they draw, made of the claims that a picture bears out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import Field, ValidationError

from thresher.operators.base import Batch, Failure
from thresher.operators.captions.columns import no_captions
from thresher.operators.captions.prompting import prompt_texts, prompts_revision
from thresher.operators.captions.reason.sample import Kind, Sample
from thresher.operators.captions.reason.simulate import FORMS, REASON_PROMPTS, Asked, sample
from thresher.operators.captions.reason.thought import PATTERNS, Pattern
from thresher.operators.captions.record import CaptionRecord, Claim, Maker
from thresher.operators.captions.taxonomy import LANGS, Lang
from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.measure import ChatMeasure
from thresher.operators.models.chat.params import ChatParams
from thresher.operators.registry import operator
from thresher.schemas import Column, FieldError, Reason
from thresher.schemas.ids import uniform

T = TypeVar("T")
KINDS: tuple[Kind, ...] = ("T2T", "T2TI", "rewrite")
FEWEST = 2
"""Supported claims that a sample needs: one to ask for, one to add."""
MOST_ASKED = 5
"""Claims that a simulated request is about at most: most users write less than they want (Z-Image)."""


class ReasonParams(ChatParams):
    """What kinds of samples are made, in which shares; every record gets one, drawn by its id."""

    of: str = Field("caption", description="the column with the caption records")
    kinds: tuple[Kind, ...] = Field(
        KINDS, min_length=1, description="kinds, drawn evenly: T2T text, T2TI with the picture, rewrite"
    )
    patterns: tuple[Pattern, ...] = Field(
        PATTERNS, min_length=1, description="patterns of the thought, drawn evenly"
    )
    languages: tuple[Lang, ...] = Field(
        LANGS, min_length=1, description="languages, drawn evenly of those that the caption record has"
    )
    prompts: dict[str, str] = Field(
        {}, description="prompts of your own: name -> file, of " + ", ".join(REASON_PROMPTS)
    )


@operator("caption.reason")
class CaptionReason(ChatMeasure):
    """A reasoning sample for each record: a simulated user's request, a thought in one of five patterns, and
    the caption that it leads to, all from claims of the caption record that were verified.

    The request tells a few of the claims; the caption must keep each of them and may add supported ones only.
    Rules compare numbers, quoted words, names, denials, colours and the other words of a lexicon in both
    languages; a model that is shown no picture judges the rest, one question for each key point, and each
    step of the thought. What fails is asked for once again with the fault named, then the sample is rejected
    and its check stands in `reasoning.failed_check`, such as `lost:counting`. Exports write samples that
    passed as `KEY.segments.json`.
    """

    params_model = ReasonParams
    version = 3
    source = (
        "T2T and T2TI: HunyuanImage 3.0 (arXiv 2509.23951, 2.2); key points and rewriting: PromptEnhancer "
        "(arXiv 2509.04545); partial requests: Z-Image (arXiv 2511.22699). Patterns and checks: ours"
    )
    cost = "8 to 25 requests without a picture for each record"

    def writes(self) -> list[Column]:
        text = pa.string()
        columns = [
            Column("reasoning", text, "JSON", "a sample: request, thought, refined caption, claims"),
            Column(
                "reasoning.status", text, "-", "abstain: too few supported claims",
                values=("pass", "fail", "abstain"),
            ),
            Column("reasoning.kind", text, "-", "T2T text, T2TI with the picture, rewrite", values=KINDS),
            Column("reasoning.pattern", text, "-", "form of the thought", values=PATTERNS),
            Column("reasoning.failed_check", text, "-", "the first check that it failed; null: none"),
        ]  # fmt: skip
        return [replace(c, backend=self.params.title, revision=self.revision()) for c in columns]

    def needs(self) -> tuple[str, ...]:
        return (self.params.of,)

    @cached_property
    def _texts(self) -> dict[str, str]:
        return prompt_texts(REASON_PROMPTS, self.params.prompts)

    def asks(self) -> str:
        return "reason-" + prompts_revision(self._texts, FORMS)

    def check(self, available: Mapping[str, Column]) -> None:
        of = self.params.of
        if of not in available:
            raise no_captions(of, available)
        written = [lang for lang in LANGS if any(name.startswith(f"{of}.{lang}.") for name in available)]
        if written and not {*written} & {*self.params.languages}:
            asked, there = (" and ".join(langs) for langs in (self.params.languages, written))
            mend = (
                f"Add {asked} to the languages of the captioner, or write `languages: [{', '.join(written)}]`"
            )
            what = f"samples in {asked} are asked for, and the captions {of!r} are written in {there} alone"
            raise FieldError(what, ("languages",), mend)
        self.params.check("Reasoning samples cannot be made without one")

    def prepare(self, batch: Batch) -> Sequence[Asked | Failure | None]:
        assert batch.columns is not None
        held = batch.columns[self.params.of].to_pylist()
        return [self._asked(record.id, text) for record, text in zip(batch.records, held, strict=True)]

    def _asked(self, name: bytes, text: str | None) -> Asked | Failure | None:
        if text is None:
            return None
        try:
            record = CaptionRecord.loads(text)
        except ValidationError as error:
            what = f"{self.params.of} holds no caption record: {error.errors()[0]['msg']}"
            return Failure(Reason.BAD_VALUE, what)
        spoken = [lang for lang in self.params.languages if lang in record.languages]
        lang = drawn(spoken or self.params.languages, name, "language")
        known = [c for c in record.claims if c.verdict == "supported" and lang in c.text]
        return Asked(
            name.hex(),
            drawn(self.params.kinds, name, "kind"),
            drawn(self.params.patterns, name, "pattern"),
            lang,
            tuple(_partial(known, name)),
            tuple(known),
            tuple(e.name[lang] for e in record.facts.entities if lang in e.name),
        )

    async def work(self, chat: Chat, item: Asked) -> Mapping[str, Any] | Failure:
        if len(item.known) < FEWEST:
            return _row(None, "abstain")
        told = prompts_revision(self._texts)
        by = Maker(model=self.params.title, revision=self.revision(), prompt=told)
        made = await sample(chat, item, self._texts, by)
        return made if isinstance(made, Failure) else _row(made, made.status)


def drawn(choices: Sequence[T], name: bytes, purpose: str) -> T:
    """One of them, evenly, as a function of the record's id alone."""
    halves = np.array([int.from_bytes(name[:8], "big")], np.uint64)
    return choices[int(uniform(halves, f"caption.reason {purpose}", 0)[0] * len(choices))]


def _partial(known: Sequence[Claim], name: bytes) -> list[Claim]:
    """The claims of a request: the subject, if there is one, and others; never all of them."""
    if len(known) < FEWEST:
        return []
    ranks = {c.id: drawn(range(1 << 32), name, f"claim {c.id}") for c in known}
    order = sorted(known, key=lambda c: (c.field != "primary.noun", ranks[c.id], c.id))
    chosen = order[: 1 + drawn(range(min(MOST_ASKED, len(known) - 1)), name, "number of claims")]
    return [claim for claim in known if claim in chosen]


def _row(made: Sample | None, status: str) -> dict[str, str | None]:
    row: dict[str, str | None] = {"reasoning": None, "reasoning.kind": None, "reasoning.pattern": None}
    if made is not None:
        row = {"reasoning": made.dumps(), "reasoning.kind": made.kind, "reasoning.pattern": made.pattern}
    failed = made.fails[0] if made is not None and made.fails else None
    return row | {"reasoning.status": status, "reasoning.failed_check": failed}
