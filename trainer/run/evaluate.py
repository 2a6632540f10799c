"""Held-out losses of runs' last checkpoints, where every model meets the same noise at the same levels.

python -m thresher.trainer.run.evaluate RUN ... NAME=EXPORT ...
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from thresher.encoders.batch import collate
from thresher.loader.plan.pattern import Pattern
from thresher.loader.plan.plan import Plan, Totals
from thresher.loader.row import Row
from thresher.loader.rows import set_levels
from thresher.loader.steps import Loader
from thresher.loader.tokens import IMAGE
from thresher.schemas import ThresherError
from thresher.trainer.config import Drops, Source, Stage, restored
from thresher.trainer.model.decoder import Decoder
from thresher.trainer.model.flow import losses
from thresher.trainer.run import checkpoint
from thresher.trainer.run.metrics import Meter
from thresher.trainer.run.setup import Setup

BINS = 10


def evaluate(run: str | Path, held: Mapping[str, str]) -> None:
    """Write `held.parquet` in the folder of a run: losses of every sample of the exports `held` as rows.

    `source`, `id`, `kind` (`ce`, nats a token; `mse` of the velocity), `variant` of the caption, `t_bin`
    (0 to 9: tenths of the stage's noise levels, rising; -1 for none), `loss`, and of how many `tokens` or
    images it is the mean. Raises UsageError where there is no checkpoint.
    """
    last = checkpoint.found(Path(run))
    config = restored(checkpoint.about(last)["config"])
    config.seed = config.hold = 0
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found: list[dict[str, Any]] = []
    for name, export in held.items():
        config.sources = {name: Source(export)}
        setup = Setup(config, device)
        model = setup.trained(last)
        source = setup.sources[name]
        for variant, stage in _passes(config.stages[-1], source.patterns):
            count = len(source.pattern)
            plan = setup.plan(replace(stage, window=count, block=count))
            steps = -(-len(plan.window(0).rows) // stage.rows)
            for loaded in islice(Loader(plan, [source], setup.tokenizer), steps):
                for at in range(0, len(loaded.rows), stage.micro):
                    rows = loaded.rows[at : at + stage.micro]
                    found += _measured(setup, model, plan, rows, variant)
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
    setup: Setup, model: Decoder, plan: Plan, rows: list[Row], variant: str
) -> Iterator[dict[str, Any]]:
    (source,) = plan.sources
    slots = [slot for row in rows for slot in row.slots if plan.pattern(slot).plain or not variant]
    wanted = {slot.slot for slot in slots if slot.slot < plan.stage.window}
    for t_bin in range(1 if variant else BINS):
        for row in rows:
            set_levels(row, [source.id(slot.sample) for slot in row.slots], t_bin, BINS, plan.stage.shift)
        batch = collate(rows, setup.latents, setup.tokenizer.vocabulary, IMAGE)
        batch = batch.to(model.embed.weight.device)
        meter = Meter(plan)
        meter.add(0, losses(model(batch), batch, Totals(0, 0), (0, 0, 0)), batch, rows)
        for told in meter.samples:
            if told["slot"] not in wanted:
                continue
            about = {"source": told["source"], "id": told["id"], "variant": variant}
            if told["ce_tokens"] and t_bin == 0:
                yield about | {"kind": "ce", "t_bin": -1, "loss": told["ce"], "tokens": told["ce_tokens"]}
            if len(told["mse"]) and not variant:
                loss, images = float(np.mean(told["mse"])), len(told["mse"])
                yield about | {"kind": "mse", "t_bin": t_bin, "loss": loss, "tokens": images}


if __name__ == "__main__":
    exports = dict(told.split("=", 1) for told in sys.argv[1:] if "=" in told)
    try:
        for folder in sys.argv[1 : len(sys.argv) - len(exports)]:
            evaluate(folder, exports)
    except ThresherError as error:
        sys.exit(f"thresher: {error}")
