"""Checkpoints: sharded, written beside the training, whole or absent.

A folder `step-N` for each, which takes its name when every byte of it is on the disk; `LATEST` names the last
and is replaced after it. A process that dies at any moment leaves the previous one.
"""

import json
import os
import shutil
import threading
from concurrent.futures import Future
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributed.checkpoint import filesystem, metadata, state_dict_loader, state_dict_saver

from thresher.schemas import ThresherError, UsageError
from thresher.trainer.run.world import World

State = dict[str, Any]
_ABOUT = "about.json"


class Saver:
    """Writes checkpoints of a run into `folder`, one at a time, and keeps the last `keep`."""

    def __init__(self, folder: Path, keep: int, world: World) -> None:
        self.folder, self.keep, self.world = folder, keep, world
        self._writing: threading.Thread | None = None
        self._fault: BaseException | None = None

    def save(self, step: int, state: State, about: dict[str, Any]) -> None:
        """Begin to write: `state` is copied before this returns. `about`: what stands in `about.json`."""
        self.wait()
        half = self.folder / f"step-{step:08}.tmp"
        if self.world.rank == 0:
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
        self.world.gathered(None)
        group = self.world.saving
        writing = state_dict_saver.async_save(
            state, checkpoint_id=half, process_group=group, no_dist=group is None
        )

        def finish() -> None:
            try:
                cast(Future[Any], writing).result()
                if self.world.rank == 0:
                    self._publish(half, about)
            except BaseException as error:
                self._fault = error

        self._writing = threading.Thread(target=finish)
        self._writing.start()

    def wait(self) -> None:
        """Until the last checkpoint is whole. Raises ThresherError if it could not be written."""
        if self._writing:
            self._writing.join()
            self._writing = None
        if self._fault:
            raise ThresherError(f"the checkpoint could not be written: {self._fault}", str(self.folder))

    def _publish(self, half: Path, about: dict[str, Any]) -> None:
        whole = half.with_suffix("")
        _write(half / _ABOUT, json.dumps(about, indent=1))
        shutil.rmtree(whole, ignore_errors=True)
        half.rename(whole)
        _write(self.folder / "LATEST.tmp", whole.name)
        os.replace(self.folder / "LATEST.tmp", self.folder / "LATEST")
        _sync(self.folder)
        held = sorted(self.folder.glob("step-????????"), key=lambda folder: folder.stat().st_mtime_ns)
        for old in held[: -self.keep]:  # by age: a run that went back has lower numbers than what it left
            shutil.rmtree(old)


def latest(path: Path) -> Path | None:
    """The checkpoint that `path` is, or the last of the run or folder of checkpoints that it is."""
    for folder in (path, path / "checkpoints"):
        if (folder / _ABOUT).exists():
            return folder
        if (folder / "LATEST").exists():
            return folder / (folder / "LATEST").read_text()
    return None


def kept(run: Path) -> list[Path]:
    """All checkpoints of a run, the last one last; or the one that `run` is. Raises UsageError for none."""
    whole = sorted(about.parent for about in (run / "checkpoints").glob("step-????????/about.json"))
    return whole or [found(run)]


def found(path: Path) -> Path:
    """The same. Raises UsageError where there is none."""
    if checkpoint := latest(path):
        return checkpoint
    raise UsageError("holds no checkpoint", str(path), "Name the folder of a run, or of one checkpoint")


def about(checkpoint: Path) -> dict[str, Any]:
    """What is known of a checkpoint: step, stage, hashes of its plans, ids of tokenizers, config, version."""
    return json.loads((checkpoint / _ABOUT).read_text())


def resume(checkpoint: Path, state: State, world: World) -> None:
    """Fill the tensors of `state` with those of the checkpoint, however many ranks wrote it."""
    group = world.saving
    state_dict_loader.load(state, checkpoint_id=checkpoint, process_group=group, no_dist=group is None)


def weights(path: Path, of: str = "mean") -> dict[str, Tensor]:
    """All weights by name on the CPU: `mean` over steps, or `model` as the last step left them."""
    checkpoint = found(path)
    told = filesystem.FileSystemReader(checkpoint).read_metadata().state_dict_metadata
    state = {
        name: torch.empty(value.size, dtype=value.properties.dtype)
        for name, value in told.items()
        if name.startswith(f"{of}.") and isinstance(value, metadata.TensorStorageMetadata)
    }
    state_dict_loader.load(state, checkpoint_id=checkpoint, no_dist=True)
    return {name.removeprefix(f"{of}."): value for name, value in state.items()}


def export(run: Path) -> None:
    """`model.safetensors` and `mean.safetensors` in a run's folder, if the package safetensors is there."""
    if find_spec("safetensors"):
        save_file = import_module("safetensors.torch").save_file
        for of in ("model", "mean"):
            save_file(weights(run, of), run / f"{of}.safetensors")


def _write(file: Path, text: str) -> None:
    with file.open("w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    _sync(file.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
