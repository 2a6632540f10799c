"""`langid`: the language of a caption, by the model inside the package `py3langid`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from thresher.operators.base import Batch, Failure
from thresher.operators.models import weights
from thresher.operators.models.model import ModelMeasure
from thresher.operators.registry import operator
from thresher.schemas import Column


@operator("langid")
class LangId(ModelMeasure):
    """Language of the text beside a picture; null without text.

    Texts of a few words are often mistaken, English ones for Pidgin too: let a bound on `lang_p` go before
    any on `lang`, or take texts of ten words and more.
    """

    device = "cpu"
    batch = 1
    reads = ("text",)
    source = "langid.py (Lui and Baldwin 2012), as py3langid (BSD-3)"
    cost = "0.05 ms for each text"

    def writes(self) -> list[Column]:
        columns = (
            Column("lang", pa.string(), "BCP-47", "language of the text"),
            Column("lang_p", pa.float32(), "probability", "of that language", 0, 1, quantum=2.0**-10),
        )
        return [replace(c, backend="py3langid", revision=self.revision()) for c in columns]

    def revision(self) -> str:
        return weights.package_version("py3langid")

    def check(self, available: Mapping[str, Column]) -> None:
        weights.check_package("py3langid", "ocr")

    def load(self, device: str) -> Any:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def prepare(self, batch: Batch) -> Sequence[Any | Failure | None]:
        assert batch.columns is not None
        return [text if text and text.strip() else None for text in batch.columns["text"].to_pylist()]

    def forward(self, model: Any, inputs: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        found = [model.classify(text) for text in inputs]
        return {"lang": [name for name, _ in found], "lang_p": [float(p) for _, p in found]}
