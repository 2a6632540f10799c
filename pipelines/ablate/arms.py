"""The runs of a comparison: a training for each arm and seed, and their evaluation, as processes.

The trainer is started by name and read through its files: nothing here imports it. Both arms fill one slot of
one config, so that noise, levels, drops and first weights are the same; the A/A arm reads set A in another
order. A finished run is not made again, and a killed one goes on from its last checkpoint.
"""

import copy
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.dataset as ds

from thresher.pipelines.store.files import read_json, write_json
from thresher.schemas import ThresherError, UsageError

SLOT, AGAIN = "set", "again"
"""Names of the source that A and B fill, and of the same for A/A: orders follow from the name."""
Config = dict[str, Any]


class Arm(NamedTuple):
    """One run: `a`, `b`, or `again`, which is A in another order."""

    name: str
    seed: int

    @property
    def folder(self) -> str:
        """Of the run, in the folder of runs."""
        return f"{self.name}-{self.seed}"


def read_config(path: Path, steps: int | None) -> Config:
    """A training config of one stage, with absolute paths; `steps` in place of its own. Raises UsageError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        config = YAML(typ="safe").load(path.read_text())
    except (OSError, YAMLError) as error:
        raise UsageError(f"cannot be read: {error}", str(path), "Name a training config") from error
    stages = config.get("stages") if isinstance(config, dict) else None
    if not isinstance(stages, list) or len(stages) != 1 or not isinstance(config.get("sources"), dict):
        mend = "Say the one stage that the sets are compared in"
        raise UsageError("is no training config with sources and one stage", str(path), mend)
    if steps is not None:
        stages[0]["steps"] = steps
    for source in config["sources"].values():
        if source.get("export") and "://" not in source["export"]:
            source["export"] = str((path.parent / source["export"]).resolve())
    kind, colon, file = str(config.get("tokenizer", "bytes")).rpartition(":")
    if colon or file != "bytes":
        config["tokenizer"] = f"{kind}{colon}{(path.parent / file).resolve()}"
    if taken := {SLOT, AGAIN} & set(list(config["sources"])[1:]):
        raise UsageError(f"a source is called {taken.pop()!r}, as a set is", str(path), "Rename it")
    return dict(config)


def others(config: Config) -> dict[str, str]:
    """The exports of all sources but the first, whose place A and B take."""
    return {name: source["export"] for name, source in list(config["sources"].items())[1:]}


def config_of(base: Config, arm: Arm, exports: Mapping[str, Path], out: Path) -> Config:
    """What an arm trains: `exports` by `a`, `b` or the name of another source."""
    config = copy.deepcopy(base)
    slot, *rest = config["sources"]
    name = AGAIN if arm.name == AGAIN else SLOT
    export = exports["b" if arm.name == "b" else "a"]
    sources = {name: config["sources"][slot] | {"export": str(export)}}
    config["sources"] = sources | {n: config["sources"][n] | {"export": str(exports[n])} for n in rest}
    mix = config["stages"][0].get("mix", {})
    if slot in mix:
        mix[name] = mix.pop(slot)
    return config | {"name": arm.folder, "seed": arm.seed, "hold": 0, "keep": 1, "out": str(out)}


def train(config: Config, folder: Path) -> dict[str, Any]:
    """Train an arm, unless that is done. Returns what is known of the run.

    Raises ThresherError with what the trainer said if it fails.
    """
    done = folder / "done.json"
    if known := read_json(done):
        return dict(known)
    started = time.monotonic()
    write_json(folder / "config.yaml", config)
    process("train", [str(folder / "config.yaml")], folder)
    told = _exposure(folder, next(iter(config["sources"]))) | {"seconds": time.monotonic() - started}
    write_json(done, told)
    return told


def evaluate(folders: Sequence[Path], held: Mapping[str, Path], log: Path) -> None:
    """Measure the held-out losses of trained arms, where that is not done. Raises ThresherError."""
    todo = [str(folder) for folder in folders if not (folder / "held.parquet").exists()]
    if todo:
        process("evaluate", [*todo, *(f"{name}={path}" for name, path in held.items())], log)


def sample(folder: Path, prompts: Sequence[str], out: Path) -> list[Path]:
    """Pictures that a trained arm draws for each prompt, by `thresher sample`; none if it cannot draw."""
    if not out.exists():
        asked = [word for prompt in prompts for word in ("--prompt", prompt)]
        try:
            process("sample", [str(folder), *asked, "--out", str(out), "--guidance", "2"], folder, _CLI)
        except ThresherError:
            return []
    return sorted(out.glob("*.png"))


_TRAINER, _CLI = "thresher.trainer.run.{}", "thresher.pipelines.cli"


def process(what: str, arguments: Sequence[str], folder: Path, module: str = _TRAINER) -> None:
    """Run a part of the trainer, its log in `folder`. Raises ThresherError with what it said if it fails."""
    started = [module.format(what)] if module == _TRAINER else [module, what]
    log = folder / f"{what}.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", *started, *arguments]
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT).returncode
    if code:
        said = log.read_text(errors="replace").strip().splitlines()
        last = said[-1].removeprefix("thresher: ") if said else f"it ended with {code}"
        raise ThresherError(f"could not {what}: {last}", str(log), "Mend that and run again: it goes on")


def _exposure(folder: Path, slot: str) -> dict[str, Any]:
    """How much of its set a run has met."""
    seen = ds.dataset(folder / "samples", format="parquet").to_table(columns=["id", "source", "slot"])
    seen = seen.filter(pc.equal(seen["source"], slot))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    tokens = sum(line.get("tokens", 0) for line in lines)
    return {"samples": len(seen), "distinct": pc.count_distinct(seen["id"]).as_py(), "tokens": tokens}
