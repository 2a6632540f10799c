"""Peak memory of driver and workers does not grow with the pool (Ray's own processes apart)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "infra" / "bench" / "scale.py"
GROWTH = 1.15
ROW_BYTES = 800
"""Of Arrow and numpy columns, with the warm-up of the longer run; one Python row costs 2,300."""


def _peaks(*arguments: str) -> dict[str, float]:
    """MB over the process tree, for each size that `scale.py` was asked for."""
    command = [sys.executable, BENCH, "--json", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


@pytest.mark.acceptance("C19")
def test_driver_and_child_are_flat_over_images():
    peak = _peaks("--local", "--images", "300", "3000", "--rows")
    assert peak["3000 images"] <= GROWTH * peak["300 images"], peak


@pytest.mark.acceptance("C19")
def test_the_driver_holds_columns_and_no_python_rows():
    peak = _peaks("--local", "--images", "--rows", "5000", "100000")
    assert (peak["100000 rows"] - peak["5000 rows"]) * 1e6 <= ROW_BYTES * 95_000, peak


@pytest.mark.slow
@pytest.mark.acceptance("C19")
@pytest.mark.parametrize("how", [["--local"], []], ids=["local", "ray"])
def test_the_whole_run_is_flat(how):
    peak = _peaks(*how, "--images", "5000", "50000", "--rows")
    assert peak["50000 images"] <= GROWTH * peak["5000 images"], peak
