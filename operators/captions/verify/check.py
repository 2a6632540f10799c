"""`caption.check`: a second model looks at the picture and judges each claim by itself; what does not hold
leaves every text."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, ValidationError

from thresher.operators.base import Batch, Failure, Operator, View
from thresher.operators.captions.columns import declared, no_captions, values
from thresher.operators.captions.prompting import prompt_texts, prompts_revision
from thresher.operators.captions.record import CaptionRecord, Maker
from thresher.operators.captions.taxonomy import LANGS, WRITTEN, Lang, Level, WrittenLevel
from thresher.operators.captions.verify.calibration import Calibration, calibration_of
from thresher.operators.captions.verify.claims import PROMPTS
from thresher.operators.captions.verify.gate import Gated
from thresher.operators.captions.verify.revision import judged_by
from thresher.operators.captions.verify.verifier import Item, Verifier
from thresher.operators.captions.write import Writer, Written
from thresher.operators.models.chat.chat import Chat, ChatModel
from thresher.operators.models.chat.measure import ChatMeasure
from thresher.operators.models.chat.messages import jpeg
from thresher.operators.models.chat.params import ChatParams
from thresher.operators.registry import operator
from thresher.schemas import Column, Reason
from thresher.schemas.errors import ThresherError

NATIVE = View("native")
_ASKED = (*PROMPTS.values(), "rewrite")


class CheckParams(ChatParams):
    """Who verifies whose captions."""

    of: str = Field("caption", description="the captioner's `name`: whose columns are verified")
    languages: Literal["auto"] | tuple[Lang, ...] = Field(
        "auto", description="of the captioner; set by the plan"
    )
    levels: Literal["auto"] | tuple[WrittenLevel, ...] = Field(
        "auto", description="of the captioner; set by the plan"
    )
    captioner: str = Field(
        "auto", description="its back end, which the columns go on naming; set by the plan"
    )
    prompts: dict[str, str] = Field(
        {}, description="files in place of the prompts `verify_en`, `verify_zh` or `rewrite`"
    )
    calibration: str = Field(
        "", description="CSV with the header `p,label`: the verifier's answers on claims that people judged"
    )


@operator("caption.check")
class CaptionCheck(ChatMeasure):
    """Verifies the claims of captions one by one, and takes out of every text what does not hold.

    What measured facts decide is not asked. For every other claim a model is shown the picture and the claim
    alone, never the caption, and answers yes, no or unsure; its verdict counts if its probability reaches t
    (0.9 for names, counts and text, 0.75 for attributes, 0.5 for mood). Refuted and unsure claims leave the
    texts; a text that then fails its checks is written anew once.

    Before its first record the model is asked about drawn pictures whose content is known, in the languages
    of the captions. If it calls more than a tenth of the false statements true, or of the true ones false, or
    fewer than seven tenths of these true, none of its verdicts is used, and claims say `distrusted:MODEL`.
    For every ten claims it is asked one decoy, false of the picture. Take a model of another family than the
    captioner's.
    """

    params_model = CheckParams
    version = 3
    views = (NATIVE,)
    source = (
        "targets of confidence: arXiv 2509.04664; one question for each claim: TIFA (arXiv 2303.11897); "
        "decoys: ours"
    )
    cost = (
        "requests with a picture: 1.1 for each claim where the server tells probabilities, 5.5 where it does "
        "not (five samples); and 30 or 150 once, to test the model"
    )

    def writes(self) -> list[Column]:
        revision, of = self.revision(), self.params.of
        captions = [replace(c, backend=self._captioner, revision=revision) for c in self._captions()]
        checks = [replace(c, backend=self.params.title, revision=revision) for c in self._checks()]
        return captions + [replace(c, name=f"{of}.checks.{c.name}") for c in checks]

    def _checks(self) -> list[Column]:
        told = self._calibration.told() if self._calibration else "uncalibrated"
        if self.params.title == self._captioner:
            told += "; by the captioner's own model, which shares its blind spots"
        number = pa.int32()
        return [
            _share("claims", f"supported claims of those supported or refuted; {told}"),
            _share("coverage", "claims supported or refuted, of all"),
            _share("risk", f"mean of 1 - p over the claims that the verifier supported; {told}"),
            Column("refuted", number, "count", "claims that facts or the verifier found false", 0),
            Column("decoys", number, "count", "claims false of the picture that the verifier was asked", 0),
            Column("decoy_yes", number, "count", "of these, those that it called true", 0),
        ]

    def _captions(self) -> list[Column]:
        return declared(self.params.of, self._languages, self._levels)

    @property
    def extends(self) -> tuple[str, ...]:
        return tuple(column.name for column in self._captions())

    def needs(self) -> tuple[str, ...]:
        return (self.params.of,)

    def settled(self, available: Mapping[str, Column]) -> Operator:
        of = self.params.of
        written = [
            (lang, level) for lang in LANGS for level in WRITTEN if f"{of}.{lang}.{level}" in available
        ]
        found = {
            "languages": tuple(dict.fromkeys(lang for lang, _ in written)),
            "levels": tuple(level for level in WRITTEN if any(level == of_text for _, of_text in written)),
            "captioner": available[of].backend if of in available else "auto",
        }
        return type(self)(self.params.model_copy(update=found))

    def check(self, available: Mapping[str, Column]) -> None:
        of = self.params.of
        if of not in available or f"{of}.failed_check" not in available:
            raise no_captions(of, available)
        self.params.check("Without a model, only what facts decide is checked: `caption` does that by itself")
        self.asks()

    def asks(self) -> str:
        fitted = f"+labels-{self._calibration.revision}" if self._calibration else ""
        return prompts_revision({**self._prompts, "judged by": judged_by()}, (Written,)) + fitted

    @cached_property
    def _prompts(self) -> dict[str, str]:
        return prompt_texts(_ASKED, self.params.prompts)

    @cached_property
    def _calibration(self) -> Calibration | None:
        return calibration_of(self.params.calibration) if self.params.calibration else None

    @property
    def _languages(self) -> tuple[Lang, ...]:
        return () if self.params.languages == "auto" else self.params.languages

    @property
    def _levels(self) -> tuple[Level, ...]:
        return () if self.params.levels == "auto" else self.params.levels

    @property
    def _captioner(self) -> str:
        return "thresher" if self.params.captioner == "auto" else str(self.params.captioner)

    def load(self, device: str) -> Gated:
        model = super().load(device)
        return Gated(model, self._prompts, self.params.title, self._languages, self._calibration)

    def prepare(self, batch: Batch) -> Sequence[Item | Failure | None]:
        assert batch.columns is not None
        held = batch.columns[self.params.of].to_pylist()
        pictures = batch.view(NATIVE)
        return [
            _item(text, record.id, rgb)
            for text, record, rgb in zip(held, batch.records, pictures, strict=True)
        ]

    def forward(self, model: ChatModel, inputs: Sequence[Item]) -> Mapping[str, Sequence[Any]]:
        assert isinstance(model, Gated)
        gate = model.gate()
        if isinstance(gate, ThresherError):
            return {column.name: [gate] * len(inputs) for column in self.writes()}
        return super().forward(model, [item._replace(trusted=gate.trusted) for item in inputs])

    async def work(self, chat: Chat, item: Item) -> Mapping[str, Any] | Failure:
        record = await self._verifier.verify(chat, item)
        if isinstance(record, Failure):
            return record
        of = self.params.of
        held = values(record, of, self._languages, self._levels)
        for column in self._checks():
            value = record.checks.get(column.name)
            whole = value is not None and pa.types.is_integer(column.dtype)
            held[f"{of}.checks.{column.name}"] = int(value or 0) if whole else value
        return held

    @cached_property
    def _verifier(self) -> Verifier:
        told = prompts_revision(self._prompts)
        maker = Maker(model=self.params.title, revision=self.revision(), prompt=told)
        writer = Writer(self._levels, self._prompts, maker)
        return Verifier(self.params.title, self._prompts, writer, self._calibration)


def _item(text: str | None, record_id: bytes, rgb: Any) -> Item | Failure | None:
    if text is None:
        return None
    try:
        return Item(CaptionRecord.loads(text), record_id, jpeg(rgb))
    except ValidationError as error:
        return Failure(Reason.BAD_VALUE, f"its captions are no caption record: {error.errors()[0]['msg']}")


def _share(name: str, meaning: str) -> Column:
    return Column(name, pa.float32(), "share", meaning, 0, 1)
