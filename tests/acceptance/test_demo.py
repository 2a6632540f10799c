"""The demo, end to end: planted against found."""

from pathlib import Path

import pytest


@pytest.mark.acceptance("C1")
@pytest.mark.acceptance("C8")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_planted_is_found(cli, tmp_path: Path, seed: int):
    """Every planted copy, broken and junk file; no flip and no distinct photo dropped as a duplicate."""
    cli("demo-pool", "pool", "--seed", str(seed))
    cli("run", "demo", "--run", "run")
    cli("demo-check", "pool", "--run", "run")
    print(cli.out)
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000
    cli("verify", "run/export/images/latest")
    assert " 0 faults" in cli.out
