"""The demo, end to end: planted against found."""

import json
import time
from pathlib import Path

import pytest


@pytest.mark.acceptance("C1")
@pytest.mark.acceptance("C8")
@pytest.mark.acceptance("C24")
@pytest.mark.parametrize("seed", [1, *(pytest.param(s, marks=pytest.mark.slow) for s in (2, 3))])
def test_what_was_planted_is_found(cli, tmp_path: Path, seed: int):
    """Every planted copy, broken and junk file; no flip and no distinct photo dropped as a duplicate."""
    cli("demo-pool", "pool", "--seed", str(seed))
    planned = json.loads(cli("plan", "demo", "--run", "run", "--json"))["tables"]["images"]
    assert not (tmp_path / "run").exists(), "a plan touches nothing"
    started = time.monotonic()
    cli("run", "demo", "--run", "run")
    took = time.monotonic() - started
    print(f"estimated {planned['seconds']} s, took {took:.1f} s")
    assert took / 10 < planned["seconds"] < took * 10, "five times the factor of two"
    assert all(step["state"] == "will run" for step in planned["steps"])
    cli("demo-check", "pool", "--run", "run")
    print(cli.out)
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000
    cli("verify", "run/export/images/latest")
    assert " 0 faults" in cli.out
