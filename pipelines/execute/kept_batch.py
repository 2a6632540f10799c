"""The batch that was found for a model, kept beside its columns: whoever goes on takes the same.

bf16 values depend on the batch they were computed in. The first worker to find one settles it for all.
"""

import contextlib
import os
import re
from pathlib import Path

from thresher.operators.models.resident import Resident
from thresher.pipelines.store.files import read_json, write_json


def settle(folder: Path, worker: Resident, sample: object) -> None:
    """Give `worker` the batch kept in a pass's folder for its device; if none is, find it with `sample`."""
    file = _file(folder, worker)
    if not file.exists():
        _offer(file, worker.batch or worker.search(sample))
    worker.batch = int(read_json(file)["batch"])


def lower(folder: Path, worker: Resident) -> None:
    """Keep the batch of a worker whose memory ran out in a larger one."""
    write_json(_file(folder, worker), {"batch": worker.batch})


def _file(folder: Path, worker: Resident) -> Path:
    return folder / f"batch-{re.sub('[^a-z0-9]+', '-', worker.device_name.lower())}.json"


def _offer(file: Path, batch: int) -> None:
    """Write the file unless another worker was faster."""
    own = file.with_name(f"{file.name}.{os.uname().nodename}-{os.getpid()}")
    write_json(own, {"batch": batch})
    with contextlib.suppress(FileExistsError):
        os.link(own, file)
    own.unlink()
