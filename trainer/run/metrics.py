"""What a step says of itself: a line of JSON with exact sums, and a row for each sample that was learnt."""

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from thresher.encoders.batch import Batch
from thresher.loader.plan.balance import uneven
from thresher.loader.plan.pattern import Kind
from thresher.loader.plan.plan import Plan, Totals
from thresher.loader.row import PAD, Row
from thresher.schemas.samples import SAMPLES
from thresher.trainer.config import Config
from thresher.trainer.model import flops
from thresher.trainer.model.flow import Losses

BINS = 10
Line = dict[str, Any]
Sums = dict[tuple[str, str, str], list[float]]
"""(loss, by what, group) to the weighted sum of a loss and the weight; those of several ranks are added."""


class Meter:
    """Collects what a rank learns from, sample by sample, in one step after another."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.sums = plan, Sums()
        self.samples: list[dict[str, Any]] = []

    def add(self, step: int, losses: Losses, batch: Batch, rows: list[Row]) -> None:
        """Take in a micro-batch. Samples that could not be read are left out."""
        of = {name: value.cpu().numpy() for name, value in vars(losses).items() if name != "total"}
        codes = (batch.kind[batch.target != PAD] == Kind.VQ).cpu().numpy()
        pictures = [p for row in rows for p in row.pictures if p.kind is Kind.NOISY]
        stride, bins = self.plan.how.image.stride, np.minimum((of["time"] * BINS).astype(int), BINS - 1)
        for r, row in enumerate(rows):
            for doc, slot in enumerate(row.slots):
                if doc in row.holes:
                    continue
                texts = _places(of["ce_row"], of["ce_doc"], r, doc)
                images = _places(of["image_row"], of["image_doc"], r, doc)
                images = images[of["image_weight"][images] > 0]
                source = self.plan.sources[slot.source]
                named = {"source": source.name, "kind": self.plan.pattern(slot).letters}
                for modality, at in (("text", texts[~codes[texts]]), ("code", texts[codes[texts]])):
                    if len(at):
                        long = f"{1 << (len(at).bit_length() - 1)}+"
                        by = named | {"modality": modality, "length": long}
                        self._count("ce", of["ce"][at], of["ce_weight"][at], by)
                for i in images:
                    down, across = pictures[i].grid
                    by = named | {"resolution": f"{across * stride}x{down * stride}", "time": str(bins[i])}
                    for what in ("mse", "repa"):
                        self._count(what, of[what][[i]], of["image_weight"][[i]], by)
                about = {"id": source.id(slot.sample), "source": source.name, "slot": slot.slot, "step": step}
                learnt = {
                    "ce": float(of["ce"][texts].mean()) if len(texts) else None,
                    "ce_tokens": len(texts),
                    "mse": of["mse"][images],
                    "t": of["time"][images],
                }
                self.samples.append(about | learnt | {"stage": self.plan.stage.name})

    def _count(self, what: str, values: Any, weights: Any, by: dict[str, str]) -> None:
        total, weight = float(values.astype(float) @ weights), float(weights.sum(dtype=float))
        for place in by.items():
            held = self.sums.setdefault((what, *place), [0.0, 0.0])
            held[0], held[1] = held[0] + total, held[1] + weight

    def taken(self) -> Sums:
        """The sums since the last call."""
        out, self.sums = self.sums, {}
        return out

    def write(self, file: Path) -> None:
        """The samples since the last call, as Parquet."""
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(self.samples, SAMPLES), file)
        self.samples = []


def _places(rows: Any, docs: Any, row: int, doc: int) -> Any:
    """Where a document's values stand; both arrays rise, the second within each row."""
    first, last = np.searchsorted(rows, [row, row + 1])
    low, high = np.searchsorted(docs[first:last], [doc, doc + 1])
    return np.arange(first + low, first + high)


def losses_of(ranks: Sequence[Sums], totals: Totals, weights: Sequence[float]) -> Line:
    """Losses of a step, and of its parts. Over the groups of any kind the sums add to a loss's own."""
    by: dict[str, dict[str, dict[str, list[float]]]] = {"ce": {}, "mse": {}, "repa": {}}
    for (what, way, group), values in (item for sums in ranks for item in sums.items()):
        held = by[what].setdefault(way, {}).setdefault(group, [0.0, 0.0])
        held[:] = [a + b for a, b in zip(held, values, strict=True)]
    counts = {"ce": totals.texts or 1, "mse": totals.images or 1, "repa": totals.images or 1}
    means = {n: sum(s for s, _ in by[n].get("source", {}).values()) / counts[n] for n in by}
    loss = sum(w * mean for w, mean in zip(weights, means.values(), strict=True))
    return {"loss": loss, **means, "texts": totals.texts, "images": totals.images, "by": by}


def speed(ranks: Sequence[Line], plan: Plan, images: int, seconds: float) -> Line:
    """How a step was read and computed, of what each rank counted. `images`: how many were learnt."""
    sums = {name: sum(rank[name] for rank in ranks) for name in _ADDED}
    mixed = np.sum([rank["mixed"] for rank in ranks], axis=0)
    counted = mixed[:, int(plan.stage.share == "tokens")]
    shares = counted / max(1, counted.sum())
    tokens, devices = int(mixed[:, 1].sum()), [rank["device"] for rank in ranks]
    cuda = torch.cuda.is_available()
    memory = torch.cuda.max_memory_allocated() if cuda else getrusage(RUSAGE_SELF).ru_maxrss * 1024
    return {
        "data_wait": max(rank["wait_s"] for rank in ranks) / seconds,
        "read_mb_s": sums["read_bytes"] / 1e6 / seconds,
        "decode_ms": sums["decode_s"] * 1e3,
        "holes": sums["holes"],
        "rows": sums["rows"],
        "fill": tokens / sums["rows"] / plan.stage.row,
        "imbalance_planned": ranks[0]["imbalance"],
        "imbalance_timed": uneven([rank["busy"] for rank in ranks]),
        "mix_error": float(np.abs(shares - np.array(plan.shares) / sum(plan.shares)).max()),
        "tokens": tokens,
        "tokens_s": tokens / seconds,
        "images_s": images / seconds,
        "memory_gb": memory / 1e9,
        "mfu": flops.mfu(sums["work"][0], seconds, devices),
        "mfu_all": flops.mfu(sums["work"].sum(), seconds, devices),
    }


_ADDED = ("rows", "read_bytes", "decode_s", "holes", "work")


class Log:
    """`metrics.jsonl`, and what else a config asks for and is installed: TensorBoard, Weights & Biases."""

    def __init__(self, folder: Path, first: int, config: Config) -> None:
        """Lines from step `first` on are taken away: they are of a run that did not go on."""
        self.file = folder / "metrics.jsonl"
        self._trackers: list[Callable[[int, dict[str, float]], Any]] = []
        if self.file.exists():
            lines = self.file.read_text().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < first]
            half = self.file.with_suffix(".tmp")
            half.write_text("".join(whole))
            half.replace(self.file)
        if "tensorboard" in config.track and find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(folder / "tensorboard")
            self._trackers.append(lambda step, values: writer.add_scalars(config.name, values, step))
        if "wandb" in config.track and find_spec("wandb"):
            wandb = import_module("wandb").init(project="thresher", name=config.name, dir=folder)
            self._trackers.append(lambda step, values: wandb.log(values, step))

    def write(self, line: Line) -> None:
        """One line, and its plain numbers to the trackers."""
        with self.file.open("a") as out:
            out.write(json.dumps(line) + "\n")
        numbers = {name: value for name, value in line.items() if isinstance(value, int | float)}
        for tracker in self._trackers:
            tracker(line["step"], numbers)
