"""Peak memory of driver and workers does not grow with the pool (Ray's own processes apart)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "infra" / "bench" / "scale.py"
GROWTH = 1.15


def _peaks(*arguments: str) -> dict[str, float]:
    """MB over the process tree, for each size that `scale.py` was asked for."""
    command = [sys.executable, BENCH, "--json", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


@pytest.mark.acceptance("C19")
def test_the_child_is_flat_over_decoded_images():
    peak = _peaks("--local", "--images", "300", "3000", "--rows")
    assert peak["3000 images"] <= GROWTH * peak["300 images"], peak


@pytest.mark.acceptance("C19")
def test_the_driver_is_flat_over_rows():
    peak = _peaks("--local", "--images", "--rows", "5000", "50000")
    assert peak["50000 rows"] <= GROWTH * peak["5000 rows"], peak


@pytest.mark.slow
@pytest.mark.acceptance("C19")
@pytest.mark.parametrize("how", [["--local"], []], ids=["local", "ray"])
def test_the_whole_run_is_flat(how):
    peak = _peaks(*how, "--images", "5000", "50000", "--rows")
    assert peak["50000 images"] <= GROWTH * peak["5000 images"], peak
