"""Commands: `train`, `sample`, `where`. Light to import; torch comes with their work."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from thresher.schemas.errors import UsageError

Name = Annotated[str, typer.Argument(metavar="CONFIG", help="A training config, or a bundled one's name.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="K=V", help="Override a value: stages.0.steps=100.")
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run, or of a checkpoint.")]


def train(
    config: Name,
    set_: Overrides = None,
    plan_only: Annotated[bool, typer.Option("--plan-only", help="Only tell what would be read.")] = False,
    fork: Annotated[bool, typer.Option("--fork", help="Go on though the plan has changed.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run.")] = None,
    ray: Annotated[int, typer.Option("--ray", metavar="N", help="Under Ray Train, with N workers.")] = 0,
) -> None:
    """Train on exported shards by a plan; run again, it goes on from the last checkpoint."""
    from thresher.loader.plan.told import told
    from thresher.trainer.config import load
    from thresher.trainer.run import on_ray
    from thresher.trainer.run.setup import Setup
    from thresher.trainer.run.train import main

    read = load(config, set_ or [])
    read.out = str(out.resolve()) if out else read.out
    if plan_only:
        for stage, plan in zip(read.stages, Setup(read).plans, strict=True):
            print(told(plan, stage.steps))
    elif ray:
        on_ray.train(read, ray, fork)
        print(f"Trained: {read.out}")
    else:
        steps = sum(stage.steps for stage in read.stages)
        print(f"Trained: {main(read, fork, lambda line: _progress(line, steps))}")


def _progress(line: dict[str, Any], steps: int) -> None:
    left, live = (steps - line["step"] - 1) * line["seconds"], sys.stderr.isatty()
    losses = f"loss {line['loss']:.4f}, ce {line['ce']:.4f}, mse {line['mse']:.4f}"
    speed = f"{line['tokens_s']:,.0f} tokens/s, {line['data_wait']:.0%} waiting, {left:.0f} s left"
    told = f"{line['stage']} {line['step'] + 1}/{steps}: {losses}, {speed}"
    print(f"\r{told:<110}" if live else told, end="" if live else "\n", file=sys.stderr)


def sample(
    run: Run,
    prompt: Annotated[list[str] | None, typer.Option("--prompt", help="Draw this; may be repeated.")] = None,
    describe: Annotated[list[Path] | None, typer.Option("--describe", help="Caption this image.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the images.")] = Path("samples"),
    seed: int = 0,
    steps: Annotated[int, typer.Option(help="Of Euler's method.")] = 50,
    guidance: Annotated[float, typer.Option(help="By the text; 1 is none.")] = 4.0,
    over_steps: Annotated[bool, typer.Option("--over-steps", help="A row for each checkpoint.")] = False,
    judge: Annotated[bool, typer.Option("--judge", help="Have a model mark the images.")] = False,
    endpoint: Annotated[str, typer.Option(metavar="URL", help="Where that model is served.")] = "",
    model: Annotated[str, typer.Option(metavar="NAME", help="That model.")] = "",
    key_env: Annotated[str, typer.Option(metavar="VAR", help="The variable with its key.")] = "",
) -> None:
    """Draw images from texts, or from captions of the run's own samples, and describe images."""
    from thresher.trainer.run import draw

    if judge and not (endpoint and model):
        raise UsageError("there is nobody to judge", "--judge", "Give --endpoint URL and --model NAME")
    if prompt or not describe:
        for line in draw.drawn(run, prompt or [], out, over_steps, seed, steps, guidance):
            print(line, flush=True)
    if describe:
        for line in draw.described(run, describe):
            print(line, flush=True)
    if judge:
        asked = [str(out), endpoint, model, *(["--key-env", key_env] if key_env else [])]
        judging = subprocess.run([sys.executable, "-m", "thresher.pipelines.judge", *asked])
        raise typer.Exit(judging.returncode)


def where(
    config: Name,
    id_: Annotated[str, typer.Argument(metavar="ID", help="The sample's id, or how it begins.")],
    set_: Overrides = None,
    epochs: Annotated[int, typer.Option(min=0, help="How many to look through; 0: all trained.")] = 0,
) -> None:
    """Tell which steps of a plan read a sample: stage, step, row, place in the row."""
    from thresher.loader.index import find
    from thresher.trainer.config import load
    from thresher.trainer.run.setup import Setup

    setup = Setup(load(config, set_ or []))
    for stage, plan in zip(setup.config.stages, setup.plans, strict=True):
        held = [setup.sources[source.name] for source in plan.sources]
        for found in find(plan, held, id_, epochs or plan.epochs(stage.steps)):
            print(json.dumps({"stage": stage.name, "trained": found.step < stage.steps, **found._asdict()}))
