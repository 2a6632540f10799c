"""`caption.diff`: what sets the pictures of one record apart."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import pyarrow as pa
from pydantic import Field

from thresher.operators.base import Batch, Failure, View
from thresher.operators.captions.checks.pii import masked
from thresher.operators.captions.difference.diff import (
    DIFF_PROMPTS,
    Described,
    Difference,
    Instructed,
    Listed,
    difference,
)
from thresher.operators.captions.difference.multi import MULTI_PROMPTS, Compared, Multi, Written, multi
from thresher.operators.captions.prompting import prompt_texts, prompts_revision
from thresher.operators.captions.taxonomy import LANGS, Lang
from thresher.operators.models.chat.chat import Chat
from thresher.operators.models.chat.measure import ChatMeasure
from thresher.operators.models.chat.messages import jpeg
from thresher.operators.models.chat.params import ChatParams
from thresher.operators.registry import operator
from thresher.schemas import Column

RGB, OTHERS = View("rgb", 512), View("others", 512)
PROMPTS = tuple(dict.fromkeys((*DIFF_PROMPTS, *MULTI_PROMPTS)))
FORMS = (Described, Listed, Instructed, Compared, Written)


class DiffParams(ChatParams):
    """In which languages, and with which prompts."""

    languages: tuple[Lang, ...] = Field(
        LANGS, min_length=1, description="of the texts; differences are stated in the first of them"
    )
    prompts: dict[str, str] = Field(
        {}, description="prompts of your own: name -> file, of " + ", ".join(PROMPTS)
    )


@operator("caption.diff")
class CaptionDiff(ChatMeasure):
    """What sets the pictures of one record apart: an instruction that turns the first of two into the second,
    and its inverse; for three or more, a caption of all of them that names each by its position.

    A record has several pictures where a tar holds `KEY.0.jpg`, `KEY.1.jpg`, ..., or `KEY.source.jpg` and
    `KEY.target.jpg`; records with one picture have no value. Two pictures are described, their differences
    are listed, and each difference is asked of both pictures before it goes into the instruction; what not
    both bear out is dropped, and stays in `difference` with its probabilities.
    """

    params_model = DiffParams
    version = 3
    views = (RGB, OTHERS)
    batch = 64
    source = (
        "three steps: Z-Image (arXiv 2511.22699, 2); input of both captions: HunyuanImage 3.0 (arXiv "
        "2509.23951, 2). Asking both pictures about each change: ours"
    )
    cost = "4 requests, and 2 for each change, with pictures of 1,024 px at most"

    def writes(self) -> list[Column]:
        text = pa.string()
        columns = [
            Column("difference", text, "JSON", "captions, claimed changes and their probabilities"),
            Column(
                "difference.status", text, "-", "abstain: no change that the pictures bear out",
                values=("pass", "fail", "abstain"),
            ),
            Column("difference.failed_check", text, "-", "the first check that a text failed; null: none"),
        ]  # fmt: skip
        for lang in self.params.languages:
            columns += [
                Column(f"difference.{lang}", text, "-", "the instruction, or the caption of all pictures"),
                Column(f"difference.{lang}.inverse", text, "-", "the instruction that leads back"),
            ]
        return [replace(c, backend=self.params.title, revision=self.revision()) for c in columns]

    @cached_property
    def _texts(self) -> dict[str, str]:
        return prompt_texts(PROMPTS, self.params.prompts)

    def asks(self) -> str:
        return "diff-" + prompts_revision(self._texts, FORMS)

    def check(self, available: Mapping[str, Column]) -> None:
        self.params.check("Pictures cannot be compared without one")

    def prepare(self, batch: Batch) -> Sequence[list[bytes] | None]:
        pairs = zip(batch.view(RGB), batch.view(OTHERS), strict=True)
        return [[jpeg(rgb) for rgb in (first, *others)] if others else None for first, others in pairs]

    async def work(self, chat: Chat, item: list[bytes]) -> Mapping[str, Any] | Failure:
        if len(item) == 2:
            two = await difference(chat, (item[0], item[1]), self.params.languages, self._texts)
            return two if isinstance(two, Failure) else self._row(two) | _of_two(two)
        many = await multi(chat, item, self.params.languages, self._texts)
        return many if isinstance(many, Failure) else self._row(many) | _of_many(many)

    def _row(self, made: Difference | Multi) -> dict[str, str | None]:
        names = [column.name for column in self.writes()]
        held = _masked(made.model_dump(mode="json", exclude_defaults=True), self.params.languages[0])
        return dict.fromkeys(names) | {
            "difference": json.dumps(held, ensure_ascii=False, separators=(",", ":"))
        }


def _masked(value: Any, lang: Lang) -> Any:
    """Without personal data, which a model may have read in a picture."""
    if isinstance(value, str):
        return masked(value, lang)
    if isinstance(value, dict):
        return {key: _masked(held, lang) for key, held in value.items()}
    return [_masked(held, lang) for held in value] if isinstance(value, list) else value


def _of_two(made: Difference) -> dict[str, str | None]:
    fails = [name for instruction in made.instructions for name in instruction.fails]
    row: dict[str, str | None] = {
        "difference.status": "fail" if fails else "pass" if made.instructions else "abstain",
        "difference.failed_check": fails[0] if fails else None,
    }
    for one in made.instructions:
        if one.status == "pass":
            row |= {f"difference.{one.lang}": one.forth, f"difference.{one.lang}.inverse": one.back}
    return row


def _of_many(made: Multi) -> dict[str, str | None]:
    texts = {f"difference.{lang}": text for lang, text in made.texts.items()}
    status = made.status if any(statement.seen for statement in made.statements) else "abstain"
    return texts | {
        "difference.status": status,
        "difference.failed_check": made.fails[0] if status == "fail" else None,
    }
