"""A no-op rerun and a threshold change against the first run of the same pool.

    python infra/bench/resume.py [--records 10000 50000]

Whole commands (`thresher run`), start of Python included: quality, dedupe.exact, dedupe.near, select and
export over JPEGs of 96 to 160 px. The threshold is tightened, so that the second run decides, exports and
reports, and decodes nothing but the report's thumbnails.
Must reach: no-op under the larger of 1 s and 2 % of the first run; threshold change under the larger of
2 s and 5 %.
"""

import argparse
import tempfile
from pathlib import Path

from common import RECIPE, Usage, machine, make_pool, print_table, thresher

TIGHTER = ("--set", "tables.images.steps.select.drop.black=luma_mean < 60")


def resume(records: int) -> list[list[object]]:
    """The table's lines for one size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pool(folder / "pool", records, (96, 160))
        (folder / "photos.yaml").write_text(RECIPE)
        first = thresher(folder)
        lines = [_line(records, "first run", first, first)]
        for what, arguments in (("no-op", ()), ("tighter threshold", TIGHTER), ("no-op after it", TIGHTER)):
            lines.append(_line(records, what, thresher(folder, *arguments), first))
    return lines


def _line(records: int, what: str, usage: Usage, first: Usage) -> list[object]:
    computed = ", ".join(f"{step} {n:,}" for step, n in usage.answer["tables"]["images"]["computed"])
    share = f"{usage.wall_s / first.wall_s:.1%}"
    return [f"{records:,} {what}", usage.wall_s, usage.own_cpu_s, share, usage.peak_mb["own"], computed or "nothing"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 50_000])
    print(machine() + "\n", flush=True)
    lines = [line for records in parser.parse_args().records for line in resume(records)]
    print_table(["", "wall s", "CPU s", "of first", "peak MB", "computed"], lines)


if __name__ == "__main__":
    main()
