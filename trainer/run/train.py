"""The loop: what a plan says, step by step, into a model. One `main`, however it is started.

python -m thresher.trainer.run.train CONFIG
torchrun --nproc-per-node 2 -m thresher.trainer.run.train CONFIG
"""

import json
import math
import signal
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributed.checkpoint import state_dict
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from thresher.encoders.batch import collate
from thresher.encoders.latents import Scale
from thresher.loader.plan.plan import Plan
from thresher.loader.row import Row, blank
from thresher.loader.steps import Loaded, Loader
from thresher.loader.tokens import IMAGE
from thresher.schemas import ThresherError
from thresher.trainer.config import Config, Stage, load
from thresher.trainer.model import flops
from thresher.trainer.model.decoder import Decoder
from thresher.trainer.model.flow import losses
from thresher.trainer.run import checkpoint, metrics, optim
from thresher.trainer.run.setup import Setup
from thresher.trainer.run.world import World, open_world

_SPIKE = 10
"""A gradient of so many times the median norm is not followed."""
_FEW = 20
"""Steps before a median of norms, or a spread of latents, means anything."""
_PATIENCE = 5
"""Steps in a row that may be left out."""
_LARGE = 10**9
"""Parameters from which on they are spread over ranks."""

Line = dict[str, Any]


class Stopped(ThresherError):
    """A signal asked the run to end."""

    code = 143


class Trainer:
    """A rank's part of a run: its copy of the model, and where in the stages it stands."""

    def __init__(self, setup: Setup, world: World, fork: bool = False) -> None:
        self.setup, self.config, self.world = setup, setup.config, world
        self.out = Path(self.config.out)
        self.pair = 1 / (6 * self.config.model.width)
        """What a visible pair costs beside a token."""
        self.model = setup.model().to(world.device)
        if world.device.type == "cuda":
            for block in self.model.blocks:  # alike, so that one is compiled for all; masks stay outside
                block.compile()
        self.spread = _spread(self.model, world)
        self.optimiser = optim.adamw(self.model)
        self.mean = optim.Mean(self.model)
        self.stage = self.step = self.steps = 0
        """The stage, its next step, and that step counted from the beginning of the run."""
        self.norms, self.left_out, self.stop = deque[float](maxlen=100), 0, False
        self.scale = Scale()
        self._resume(fork)
        self.out.mkdir(parents=True, exist_ok=True)
        self.saver = checkpoint.Saver(self.out / "checkpoints", self.config.keep, world)

    def run(self, tell: Callable[[Line], None]) -> None:
        """Train to the end of the last stage. Raises Stopped after SIGTERM, ThresherError if it diverges."""
        log = None if self.world.rank else metrics.Log(self.out, self.steps, self.config)
        for i in range(self.stage, len(self.config.stages)):
            stage, plan = self.config.stages[i], self.setup.plans[i]
            if i != self.stage:
                self.stage, self.step, self.left_out = i, 0, 0
                self.norms.clear()  # another stage's losses have other norms
            meter = metrics.Meter(plan)
            for loaded in islice(self._loader(plan), max(0, stage.steps - self.step)):
                line = self.learn(plan, stage, meter, loaded)
                if log:
                    log.write(line)
                    tell(line)
                if self.stop or not self.steps % self.config.save or self.step == stage.steps:
                    self.save(meter)
                if self.stop:
                    self.saver.wait()
                    raise Stopped(
                        f"stopped by a signal after step {self.steps}, whose checkpoint is whole",
                        mend="Run again to go on",
                    )
        self.saver.wait()
        if not self.world.rank:
            checkpoint.export(self.out)

    def learn(self, plan: Plan, stage: Stage, meter: metrics.Meter, loaded: Loaded) -> Line:
        """One step of all ranks, and the line of metrics that tells of it."""
        started, work, parts = time.perf_counter(), np.zeros(2), self._parts(stage, loaded.rows)
        for n, rows in enumerate(parts):
            batch = collate(rows, self.setup.latents, self.setup.tokenizer.vocabulary, IMAGE)
            if self.steps < _FEW and len(batch.latents) and self.config.image.tokenizer != "pixels":
                self.scale.add(batch.latents)  # of trained autoencoders, which know their images' spread
            work += np.array(flops.count(self.model, batch), float)
            batch = batch.to(self.world.device)
            alone = n < len(parts) - 1 and isinstance(self.spread, DistributedDataParallel)
            with self.spread.no_sync() if alone else nullcontext():
                with torch.autocast("cuda", torch.bfloat16, enabled=batch.token.is_cuda):
                    output = self.spread(batch)
                made = losses(output, batch, loaded.totals, plan.stage.losses)
                busy = time.perf_counter() - started
                torch.autograd.backward(made.total * self.world.size)  # ranks' gradients are averaged
            meter.add(self.steps, made, batch, rows)
        if self.steps == _FEW - 1 and self.scale.sums:
            self.scale.check(self.setup.latents)
        norms = optim.norms(self.model)
        norm = math.hypot(*norms.values())
        self._follow(stage, plan, norm, loaded.rows)
        here = {"sums": meter.taken(), "busy": busy, "work": work, "rows": len(loaded.rows)}
        here |= {"device": self.world.name, "stop": self.stop}
        ranks = self.world.gathered(here | {name: getattr(loaded, name) for name in _READ})
        seconds = time.perf_counter() - started + loaded.wait_s
        line = {"step": self.steps, "stage": stage.name, "seconds": seconds, "left_out": self.left_out}
        line |= {"lr": optim.rate(stage, self.step), "grad_norm": norm, "grad_norms": norms}
        self.stop = any(rank["stop"] for rank in ranks)
        self.step, self.steps = self.step + 1, self.steps + 1
        line |= metrics.losses_of([rank["sums"] for rank in ranks], loaded.totals, plan.stage.losses)
        return line | metrics.speed(ranks, plan, loaded.totals.images, seconds)

    def _parts(self, stage: Stage, rows: list[Row]) -> list[list[Row]]:
        """Micro-batches of one size, as many on every rank: what is lacking are rows of padding."""
        most = -(-stage.rows // self.world.size)
        micro = min(stage.micro, most)
        whole = rows + [blank(stage.row)] * (-(-most // micro) * micro - len(rows))
        return [whole[i : i + micro] for i in range(0, len(whole), micro)]

    def _follow(self, stage: Stage, plan: Plan, norm: float, rows: list[Row]) -> None:
        """Follow the gradients, unless they are no numbers or a spike. Raises ThresherError in the end.

        A gradient that clipping tames is no spike: near a loss of 0 the median says nothing. One spike is
        the batch's; a second in a row is the model's, which has to follow to recover.
        """
        usual = max(statistics.median(self.norms), stage.clip) if len(self.norms) >= _FEW else math.inf
        spike = not norm <= _SPIKE * usual
        if not spike or (self.left_out and math.isfinite(norm)):
            self.norms.append(norm)
            optim.follow(self.optimiser, stage, self.step, norm)
            self.mean.update(self.model, stage.ema, self.steps)
        if not spike:
            self.left_out = 0
        else:
            self.left_out += 1
            mine = [plan.sources[s.source].id(s.sample) for row in rows for s in row.slots]
            ids = [id_ for rank in self.world.gathered(mine) for id_ in rank]
            told = {"step": self.steps, "grad_norm": str(norm), "usual": str(usual), "ids": ids}
            if not self.world.rank:
                with (self.out / "left_out.jsonl").open("a") as file:
                    file.write(json.dumps(told) + "\n")
            if self.left_out == _PATIENCE:
                self.saver.wait()
                raise ThresherError(
                    f"the gradient has no norm, or {_SPIKE} times the median, in {_PATIENCE} steps in a"
                    f" row; it is {norm:g} in step {self.steps}, of the samples {', '.join(ids[:5])}, ...",
                    str(self.out / "left_out.jsonl"),
                    "All ids are there; the last checkpoint is kept. See to the samples, or lower `lr`",
                )
        self.optimiser.zero_grad()

    def save(self, meter: metrics.Meter) -> None:
        """Begin to write a checkpoint, and the losses of samples since the last one."""
        meter.write(self.out / "samples" / f"step-{self.steps:08}-{self.world.rank}.parquet")
        about = {name: getattr(self, name) for name in _ABOUT} | {"norms": list(self.norms)}
        about |= self.setup.identity() | {"config": asdict(self.config), "version": version("thresher")}
        self.saver.save(self.steps, self._state(), about)

    def _state(self) -> dict[str, Any]:
        weights = state_dict.get_model_state_dict(self.model)
        moments = state_dict.get_optimizer_state_dict(self.model, self.optimiser, options=_FLAT)
        return {"model": weights, "optimiser": moments, "mean": self.mean.weights}

    def _resume(self, fork: bool) -> None:
        """Go on from the run's last checkpoint, if it has one. Raises UsageError if that is another run's."""
        last = checkpoint.latest(self.out)
        if last is None:
            return
        about = checkpoint.about(last)
        self.setup.refuse(about, about["stage"], fork, str(last))
        state = self._state()
        checkpoint.resume(last, state, self.world)  # into the tensors themselves, of the optimiser too
        self.norms.extend(about["norms"])
        for name in _ABOUT:
            setattr(self, name, about[name])

    def _loader(self, plan: Plan) -> Loader:
        return Loader(
            plan,
            [self.setup.sources[source.name] for source in plan.sources],
            self.setup.tokenizer,
            rank=self.world.rank,
            world=self.world.size,
            workers=self.config.workers,
            prefetch=self.config.prefetch,
            first=self.step,
            skips=self.out / "skips.jsonl",
            pair=self.pair,
        )


_READ = ("wait_s", "read_bytes", "decode_s", "holes", "mixed", "imbalance")
_ABOUT = ("stage", "step", "steps", "left_out")
_FLAT = state_dict.StateDictOptions(flatten_optimizer_state_dict=True)


def _spread(model: Decoder, world: World) -> Any:
    """The model over ranks: a copy on each (DDP), or, of a large one, a part (FSDP2; arXiv 2304.11277)."""
    if world.size == 1:
        return model
    if sum(p.numel() for p in model.parameters()) < _LARGE:
        return DistributedDataParallel(model)
    types = {"param_dtype": torch.bfloat16, "reduce_dtype": torch.float32}
    policy = MixedPrecisionPolicy(**types, cast_forward_inputs=False)  # angles of positions stay exact
    for block in model.blocks:
        fully_shard(block, mp_policy=policy)
    return fully_shard(model, mp_policy=policy)


def main(config: Config, fork: bool = False, tell: Callable[[Line], None] = lambda line: None) -> Path:
    """Train what `config` says; returns the folder. Run again, it goes on from the last checkpoint.

    `tell` is called on rank 0 with each line of the metrics; `fork` goes on though the plan has changed.
    Raises UsageError, ThresherError and Stopped.
    """
    world = open_world()  # first, so that encoders too are put on this rank's device
    trainer = Trainer(Setup(config, str(world.device)), world, fork)

    def stop(*_: Any) -> None:
        trainer.stop = True

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
    trainer.run(tell)
    return trainer.out


if __name__ == "__main__":
    try:
        main(load(sys.argv[1], sys.argv[2:]))
    except ThresherError as error:
        sys.exit(f"thresher: {error}")
