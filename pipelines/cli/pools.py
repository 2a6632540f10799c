"""Commands about pools and shards: verify, demo-pool."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from thresher.pipelines.cli.text import size_text


def verify(
    export: Annotated[Path, typer.Argument(help="Export folder, such as runs/photos/export/images/latest.")],
) -> int:
    """Read shards back: checksums, index, members, schema."""
    from thresher.operators.export.verify import verify as read_back

    found = read_back(str(export))
    for fault in found.faults:
        print(f"fault: {fault}")
    size = size_text(found.bytes)
    print(f"{found.records:,} records in {found.shards} shards, {size}: {len(found.faults)} faults")
    return 1 if found.faults else 0


def demo_pool(
    directory: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    seed: Annotated[int, typer.Option("--seed", help="Another seed plants another pool.")] = 0,
) -> int:
    """Make the demo pool and, beside it, the truth about what was planted."""
    from thresher.pipelines.demo import make_pool

    print(make_pool(directory, seed))
    return 0


def demo_check(
    directory: Annotated[Path, typer.Argument(help="The demo pool.")],
    run: Annotated[Path, typer.Option("--run", help="Run directory of the demo recipe.")],
) -> int:
    """Compare what the demo pool planted with what a run found."""
    import pyarrow as pa

    from thresher.pipelines.demo import compare
    from thresher.pipelines.runview import open_run

    opened = open_run(run)
    opened.check()
    ledger = pa.concat_tables([opened.ledger(t, p) for t in opened.tables() for p in opened.parts(t)])
    comparison = compare(directory / "truth.json", ledger)
    print(comparison)
    print(f"Report: {opened.folder / 'report.html'}")
    return 0 if comparison.ok else 1


COMMANDS: dict[str, tuple[Callable[..., int], str]] = {
    "verify": (verify, "thresher verify runs/photos/export/images/latest"),
    "demo-pool": (demo_pool, "thresher demo-pool demo/pool --seed 1"),
    "demo-check": (demo_check, "thresher demo-check demo/pool --run demo/run"),
}
