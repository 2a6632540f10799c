"""`trained`: what a training run learnt of each record, as columns."""

from collections.abc import Mapping
from functools import cache, cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from thresher.operators.base import Batch, Measure, Params, Values
from thresher.operators.registry import operator
from thresher.operators.trained import table
from thresher.operators.trained.visits import Rows, Visits
from thresher.schemas import Column, FieldError, ThresherError

_MEANINGS = {
    "trainer.loss": ("nats per token", "cross-entropy of its learnt tokens in the last third of visits"),
    "trainer.loss_drop": ("nats per token", "that of the first third of visits less `trainer.loss`"),
    "trainer.image_loss": (
        "deviations",
        "velocity error in the last third of visits, from the mean of all images at that tenth of noise",
    ),
    "trainer.image_loss_drop": ("deviations", "that of the first third of visits less `trainer.image_loss`"),
    "trainer.excess_loss": ("nats per token", "cross-entropy of the run less that of the reference"),
    "trainer.image_excess_loss": ("MSE", "velocity error of the run less that of the reference, same noise"),
    "trainer.memorised_bits": ("bits", "by how much the run shortens its texts beside the reference"),
}


class TrainedParams(Params):
    """Which run."""

    run: Path = Field(description="folder of a run of `thresher train`")
    reference: Path | None = Field(
        None, description="folder of the run that `thresher feedback RUN EXPORT --reference` compared it with"
    )


@operator("trained")
class Trained(Measure):
    """What a training run told of each record, found by id; null for what it never learnt.

    `trainer.loss` (texts) and `trainer.image_loss` are means over the last third of a record's visits;
    `_drop` is by how much they fell since the first third: negative where forgotten, null after one visit.
    An image's loss hangs on its noise, so it counts as its distance from the mean loss in that tenth of noise
    and that stage, in standard deviations. With `reference` also the losses less those of another run on the
    same record, noise and level: prefer these, since a high loss alone finds noise first. The table of losses
    is made once, in the folder of the run.
    """

    kinds = ("image", "interleaved")
    params_model = TrainedParams
    source = "arXiv 2206.07137 (excess loss), arXiv 2505.24832 (memorised bits)"
    cost = "10 us for each record; once 3 s for each million visits"

    def writes(self) -> list[Column]:
        names = (*table.COLUMNS, *table.BESIDE) if self.params.reference else table.COLUMNS
        least = {"trainer.loss": 0.0, "trainer.memorised_bits": 0.0}
        by, revision = f"run {self.params.run.name}", self.revision()
        return [
            Column(name, pa.float32(), *_MEANINGS[name], least.get(name), backend=by, revision=revision)
            for name in names
        ]

    def revision(self) -> str:
        return self._digest

    def check(self, available: Mapping[str, Column]) -> None:
        """Makes the table, so that no batch waits for it."""
        try:
            table.build(self._visits, self._reference, self._file)
        except OSError as error:
            what = f"the table of losses cannot be written: {error.strerror}"
            raise FieldError(what, ("run",), f"Make {str(self._file.parent)!r} writable") from error
        except ThresherError as error:
            raise _at("run", error) from error

    def measure(self, batch: Batch) -> Values:
        ids = np.array([record.id for record in batch.records], "S16")
        found = table.look_up(_opened(self._file), ids)
        return Values({name: pa.array(told, from_pandas=True).to_pylist() for name, told in found.items()})

    @cached_property
    def _visits(self) -> Visits:
        try:
            return Visits(self.params.run)
        except ThresherError as error:
            raise _at("run", error) from error

    @cached_property
    def _digest(self) -> str:
        return table.digest(self._visits, self._reference)

    @property
    def _file(self) -> Path:
        return self.params.run / f"columns-{self._digest}.npy"

    @cached_property
    def _reference(self) -> Path | None:
        if self.params.reference is None:
            return None
        try:
            return compared(self.params.run, self.params.reference)
        except ThresherError as error:
            raise _at("reference", error) from error


def compared(run: Path, reference: Path) -> Path:
    """The losses of `run` beside `reference`. Raises ThresherError if they are not of these checkpoints."""
    file = run / "reference.parquet"
    try:
        told = pq.read_schema(file).metadata or {}
    except (OSError, pa.ArrowException):
        told = {}
    for name, folder in (("run", run), ("reference", reference)):
        if told.get(name.encode(), b"").decode() != checkpoint(folder)[1]:
            what = (
                "has no losses beside this reference" if not told else f"the {name} is not as it was compared"
            )
            raise ThresherError(what, str(run), f"thresher feedback {run} EXPORT --reference {reference}")
    return file


def checkpoint(run: Path) -> tuple[Path, str]:
    """The last checkpoint of a run, or the one that it is, and a digest of what it tells of itself."""
    for folder in (run, run / "checkpoints"):
        last = folder / "LATEST"
        found = folder / last.read_text().strip() if last.exists() else folder
        if (found / "about.json").exists():
            return found, blake2b((found / "about.json").read_bytes(), digest_size=8).hexdigest()
    raise ThresherError("holds no checkpoint", str(run), "Name the folder of a run of `thresher train`")


@cache
def _opened(file: Path) -> Rows:
    try:
        return np.asarray(np.load(file, mmap_mode="r"))
    except FileNotFoundError as error:
        what = "has trained on since this run began"
        raise ThresherError(what, str(file.parent), "Run again, when the training is done") from error


def _at(name: str, error: ThresherError) -> FieldError:
    where = f"{error.where}: " if error.where else ""
    return FieldError(where + error.what, (name,), error.mend)
