"""The batch that was found for a model, kept beside its columns: whoever goes on takes the same.

bf16 values depend on the batch they were computed in. The first worker to find one settles it for all.
"""

import os
import re
from pathlib import Path

from thresher.operators.models.resident import Resident
from thresher.pipelines.store.files import read_json, write_json


def kept(folder: Path, worker: Resident) -> int:
    """The batch that a pass's folder holds for the worker's kind of device; 0 if none."""
    return int((read_json(_file(folder, worker)) or {}).get("batch", 0))


def keep(folder: Path, worker: Resident) -> int:
    """Keep the worker's batch unless another was faster; the one that is kept."""
    file = _file(folder, worker)
    own = file.with_name(f"{file.name}.{os.uname().nodename}-{os.getpid()}")
    write_json(own, {"batch": worker.batch})
    try:
        os.link(own, file)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        os.replace(own, file)
    finally:
        own.unlink(missing_ok=True)
    return kept(folder, worker)


def lower(folder: Path, worker: Resident) -> None:
    """Keep the batch of a worker whose memory ran out in a larger one."""
    if worker.batch < kept(folder, worker):
        write_json(_file(folder, worker), {"batch": worker.batch})


def _file(folder: Path, worker: Resident) -> Path:
    return folder / f"batch-{re.sub('[^a-z0-9]+', '-', worker.device_name.lower())}.json"
