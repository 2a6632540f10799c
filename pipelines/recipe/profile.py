"""Profiles: the resources of a machine. They never change a result."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from thresher.pipelines.recipe.problems import validated
from thresher.schemas.document import CONFIGS, find, read

PROFILES = CONFIGS / "profiles"


class Profile(BaseModel):
    """What a run may use, and how long one record may take. The defaults suit a laptop."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    workers: int | None = Field(None, ge=1, description="worker processes; as many as CPUs if left out")
    object_store_mb: int = Field(512, ge=80, description="Ray's shared memory on this machine, MiB")
    record_cpu_s: float = Field(60, gt=0, description="CPU time that one record may take, s")
    record_wall_s: float = Field(300, gt=0, description="time that one record may take, s")
    flush_s: float = Field(60, gt=0, description="how often a slow pass writes what it has, s")
    device: str | None = Field(
        None,
        pattern="^(cpu|cuda(:[0-9]+)?)$",
        description="where models run; the GPUs that are there if left out",
    )
    batch: int | None = Field(
        None, ge=1, description="records in a model's batch; found by measuring if left out"
    )
    compile: bool = Field(
        False,
        description="whether torch compiles models: slower to start, faster after; needs a C++ compiler",
    )
    in_flight: int = Field(
        16, ge=1, description="requests to a model's server that each worker has under way"
    )
    ray_address: str | None = Field(None, description="a running Ray cluster; a local one if left out")

    @property
    def processes(self) -> int:
        """How many processes work at once on this machine."""
        return self.workers or os.cpu_count() or 1


def load_profile(name: str | Path | None = None) -> Profile:
    """The profile at a path, or the bundled one of that name; the defaults if none is named.

    Raises UsageError with file and line.
    """
    if name is None:
        return Profile()
    return validated(Profile, read(find(name, PROFILES, "profile")))
