"""Held-out losses of runs' last checkpoints, where every model meets the same noise at the same levels.

python -m thresher.trainer.run.evaluate RUN ... NAME=EXPORT ...
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from math import exp
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from thresher.encoders.batch import collate
from thresher.loader.plan.keys import key, uniform
from thresher.loader.plan.pattern import Kind, Pattern
from thresher.loader.plan.plan import Totals
from thresher.loader.row import Row
from thresher.loader.steps import Loader
from thresher.loader.tokens import IMAGE
from thresher.schemas import ThresherError, UsageError
from thresher.trainer.config import Drops, Source, Stage, restored
from thresher.trainer.model.flow import losses
from thresher.trainer.run import checkpoint
from thresher.trainer.run.setup import Setup

BINS = 10


def evaluate(run: str | Path, held: Mapping[str, str]) -> None:
    """Write `held.parquet` in the folder of a run: losses of every sample of the exports `held` as rows.

    `source`, `id`, `kind` (`ce`, nats a token; `mse` of the velocity), `variant` of the caption, `t_bin`
    (0 to 9: tenths of the stage's noise levels, rising; -1 for none), `loss`, and of how many `tokens` or
    images it is the mean. Raises UsageError where there is no checkpoint.
    """
    last = checkpoint.latest(Path(run))
    if last is None:
        raise UsageError("holds no checkpoint", str(run), "Train first, or name another folder")
    config = restored(checkpoint.about(last)["config"])
    config.seed = config.hold = 0
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found: list[dict[str, Any]] = []
    for name, export in held.items():
        config.sources = {name: Source(export)}
        setup = Setup(config)
        model = setup.model().to(device).eval()
        model.load_state_dict(checkpoint.weights(last))
        source = setup.sources[name]
        for variant, stage in _passes(config.stages[-1], source.patterns):
            stage = replace(stage, window=len(source.pattern))
            setup = Setup(replace(config, stages=[stage]))
            steps = -(-len(setup.plans[0].window(0).rows) // stage.rows)
            for loaded in islice(Loader(setup.plans[0], [source], setup.tokenizer), steps):
                for at in range(0, len(loaded.rows), stage.micro):
                    rows = loaded.rows[at : at + stage.micro]
                    told = _measured(setup, model, rows, variant, device)
                    found += [row | {"source": name, "variant": variant} for row in told]
    half = Path(run, "held.tmp")
    pq.write_table(pa.Table.from_pylist(found), half)
    half.replace(Path(run, "held.parquet"))


def _passes(stage: Stage, patterns: Sequence[Pattern]) -> Iterator[tuple[str, Stage]]:
    """Pictures, drawn from captions as the stage would take them; then each caption, told of its picture."""
    still = replace(stage, drops=Drops(0, 0, 0), mix={}, long="drop" if stage.long == "fail" else stage.long)
    yield "", replace(still, describe=0.0)
    names = sorted({v for p in patterns if p.plain for s in p.segments for v in s.variants})
    for name in names:
        yield name, replace(still, describe=1.0, captions={v: float(v == name) for v in names})


@torch.no_grad()
def _measured(
    setup: Setup, model: torch.nn.Module, rows: list[Row], variant: str, device: torch.device
) -> Iterator[dict[str, Any]]:
    (plan,), (source,) = setup.plans, setup.sources.values()
    for t_bin in range(1 if variant else BINS):
        for row in rows:
            _set_noise(row, t_bin, plan.stage.shift, [source.id(slot.sample) for slot in row.slots])
        batch = collate(rows, setup.latents, setup.tokenizer.vocabulary, IMAGE).to(device)
        of = losses(model(batch), batch, Totals(0, 0), (0, 0, 0))
        sums: dict[tuple[str, int, int], list[float]] = defaultdict(list)
        kinds = {"ce": (of.ce_row, of.ce_doc, of.ce), "mse": (of.image_row, of.image_doc, of.mse)}
        for kind in ["ce"] if variant else ["ce", "mse"] if t_bin == 0 else ["mse"]:
            for r, doc, loss in zip(*(column.tolist() for column in kinds[kind]), strict=True):
                sums[kind, r, doc].append(loss)
        for (kind, r, doc), values in sums.items():
            slot = rows[r].slots[doc]
            plain = source.patterns[source.pattern[slot.sample]].plain
            if doc not in rows[r].holes and slot.slot < plan.stage.window and (plain or not variant):
                told = {"id": source.id(slot.sample), "kind": kind, "t_bin": t_bin if kind == "mse" else -1}
                yield told | {"loss": float(np.mean(values)), "tokens": len(values)}


def _set_noise(row: Row, t_bin: int, shift: float, ids: list[str]) -> None:
    """Noise and level follow from the sample and the picture's place in it."""
    for picture in row.pictures:
        if picture.kind is Kind.NOISY:
            doc = int(row.doc[picture.at])
            place = picture.at - int(np.argmax(row.doc == doc))
            picture.noise = key("noise", "held", ids[doc], place)
            share = (t_bin + float(uniform(key("time", "held", ids[doc]), np.array([t_bin]))[0])) / BINS
            odds = shift * exp(NormalDist().inv_cdf(max(share, 2**-54)))
            picture.time = odds / (1 + odds)


if __name__ == "__main__":
    exports = dict(told.split("=", 1) for told in sys.argv[1:] if "=" in told)
    try:
        for folder in sys.argv[1 : len(sys.argv) - len(exports)]:
            evaluate(folder, exports)
    except ThresherError as error:
        sys.exit(f"thresher: {error}")
