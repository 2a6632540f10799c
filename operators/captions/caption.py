"""`caption`: captions in two languages and several lengths, by a model that sees, or from measured facts.

Every text is checked before it gets a column; what fails is written anew once, then left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator

from thresher.operators.base import Batch, Failure, Operator, View
from thresher.operators.captions.checks import agreement, judged
from thresher.operators.captions.checks.pii import masked
from thresher.operators.captions.columns import declared, values
from thresher.operators.captions.facts.compose import BACKEND, REVISION, fact_record
from thresher.operators.captions.facts.evidence import READABLE, evidence
from thresher.operators.captions.facts.file_names import by_people
from thresher.operators.captions.language.words import count, language_of
from thresher.operators.captions.look import Seen, look
from thresher.operators.captions.no_model import NoModel
from thresher.operators.captions.prompting import prompt_texts, prompts_revision
from thresher.operators.captions.record import CaptionRecord, Facts, Maker, Text
from thresher.operators.captions.taxonomy import CALLED, LENGTHS, Lang, WrittenLevel
from thresher.operators.captions.write import Writer, Written
from thresher.operators.models.chat.chat import Chat, ChatModel
from thresher.operators.models.chat.measure import ChatMeasure
from thresher.operators.models.chat.messages import jpeg
from thresher.operators.models.chat.params import ChatParams
from thresher.operators.registry import operator
from thresher.schemas import Column
from thresher.schemas.errors import FieldError

NATIVE = View("native")
PROMPTS = ("look", "write", "rewrite")
COST = ("requests", "prompt_tokens", "completion_tokens")


class CaptionParams(ChatParams):
    """Who writes what, and on what evidence."""

    backend: Literal["facts", "endpoint", "transformers", "vllm"] = Field(  # type: ignore[assignment]
        "facts", description="`facts`: from measured columns alone; the others ask a vision-language model"
    )
    name: str = Field("caption", pattern=CALLED, description="of its columns, for several captioners")
    languages: tuple[Lang, ...] = Field(("en", "zh"), min_length=1, description="en, zh")
    levels: tuple[WrittenLevel, ...] = Field(
        ("tags", "short", "medium", "long"),
        min_length=1,
        description="lengths of the texts: tags, prompt, short, medium, long, dense",
    )
    context: Literal["auto"] | tuple[str, ...] = Field(
        "auto", description="measured columns that it may use; `auto`: all that earlier steps wrote"
    )
    prompts: dict[str, str] = Field(
        {}, description="files in place of the prompts `look`, `write` or `rewrite`"
    )

    @property
    def local(self) -> bool:
        return self.backend in ("transformers", "vllm")

    @field_validator("languages", "levels")
    @classmethod
    def _once(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if len({*given}) < len(given):
            raise ValueError("one stands there twice")
        return given


class Item(NamedTuple):
    """What `work` is given of one record."""

    record: CaptionRecord
    picture: bytes
    """JPEG; empty for `facts`."""


@operator("caption")
class Caption(ChatMeasure):
    """Captions of several lengths in English and Chinese, and the record that says on what each claim rests.

    A model first lists what it sees as atomic claims, in both languages, with measured facts as context; then
    a writer that does not see the picture makes texts of the claims alone. `facts` needs no model and says
    only what was measured. A text that fails a check is written anew once with the failure told, then freed
    from the sentences at fault, or left out: a column `caption.en.long` holds no text that failed. Claims get
    their verdicts from `caption.check`.
    """

    params_model = CaptionParams
    version = 3
    source = (
        "levels and fields: HunyuanImage 3.0 (arXiv 2509.23951); text first, then the caption: Z-Image "
        "(arXiv 2511.22699)"
    )
    cost = (
        "`facts` 2 to 80 ms, by the text in the picture; a model: one request with a picture, and one or two "
        "without for each language"
    )

    def __init__(self, params: CaptionParams | None = None) -> None:
        super().__init__(params)
        if self._by_model:
            self.views = (NATIVE,)

    @property
    def _by_model(self) -> bool:
        return bool(self.params.backend != BACKEND)

    def writes(self) -> list[Column]:
        made = declared(self.params.name, self.params.languages, self.params.levels)
        return [replace(column, backend=self.params.title, revision=self.revision()) for column in made]

    def needs(self) -> tuple[str, ...]:
        return () if self.params.context == "auto" else self.params.context

    def settled(self, available: Mapping[str, Column]) -> Operator:
        if self.params.context != "auto":
            return self
        context = tuple(name for name in READABLE if name in available)
        return type(self)(self.params.model_copy(update={"context": context}))

    def asks(self) -> str:
        return prompts_revision(self._prompts, (Seen, Written)) if self._by_model else REVISION

    @cached_property
    def _prompts(self) -> dict[str, str]:
        return prompt_texts(PROMPTS, self.params.prompts)

    def check(self, available: Mapping[str, Column]) -> None:
        unknown = sorted({*self.needs()} - {*READABLE})
        if unknown:
            mend = f"It can use: {', '.join(READABLE)}"
            raise FieldError(f"a captioner cannot use the column {unknown[0]!r}", ("context",), mend)
        if self._by_model:
            self.params.check("Without a model, take `backend: facts`")
            _ = self._prompts
            return
        for name in ("endpoint", "model", "weights", "price", "prompts"):
            if getattr(self.params, name):
                mend = "Add `backend: endpoint` (or transformers, vllm), or remove it"
                raise FieldError(f"the back end facts asks no model, but {name!r} is given", (name,), mend)

    def load(self, device: str) -> ChatModel:
        return super().load(device) if self._by_model else NoModel()

    def prepare(self, batch: Batch) -> Sequence[Item]:
        names = self.needs()
        rows = batch.columns.select(names).to_pylist() if batch.columns is not None and names else None
        pictures = [jpeg(rgb) for rgb in batch.view(NATIVE)] if self._by_model else [b""] * len(batch)
        items = []
        for i, record in enumerate(batch.records):
            facts = evidence(record, rows[i] if rows else {})
            items.append(Item(self._begun(facts, record.text), pictures[i]))
        return items

    def _begun(self, facts: Facts, raw: str | None) -> CaptionRecord:
        texts = (raw_text(raw),) if raw and by_people(raw) else ()
        return CaptionRecord(languages=self.params.languages, facts=facts, texts=texts)

    async def work(self, chat: Chat, item: Item) -> Mapping[str, Any] | Failure:
        if not self._by_model:
            made = fact_record(item.record.facts, self.params.languages, self.params.levels)
            texts = (*item.record.texts, *made.texts)
            return self._values(judged(made.model_copy(update={"texts": texts})))
        prompt, model = self._prompts["look"], self.params.title
        record = await look(chat, prompt, item.picture, item.record, model, self._claims)
        if isinstance(record, Failure):
            return record
        maker = Maker(model=model, revision=self.revision(), prompt=prompts_revision(self._prompts))
        record = await Writer(self.params.levels, self._prompts, maker).write(chat, agreement(record))
        if isinstance(record, Failure):
            return record
        return self._values(
            record.model_copy(update={"cost": {name: int(chat.spent[name]) for name in COST}})
        )

    def _values(self, record: CaptionRecord) -> Mapping[str, Any]:
        return values(record, self.params.name, self.params.languages, self.params.levels)

    @cached_property
    def _claims(self) -> tuple[int, int]:
        """How many claims are asked for: as many as the longest level needs, at 12 words each."""
        longest = max(LENGTHS[level]["en"].most for level in self.params.levels)
        return max(3, longest // 40), min(60, max(8, longest // 8))


def raw_text(text: str) -> Text:
    """What people wrote of the picture, as it came with the file, without personal data."""
    lang = language_of(text)
    kept = masked(text, lang)
    return Text(id="raw", lang=lang, level="raw", split="raw", text=kept, words=count(kept, lang, "raw"))
