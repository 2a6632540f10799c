"""A no-op rerun and a threshold change against the first run of the same pool.

    python infra/bench/resume.py [--records 10000 50000]

Quality, dedupe.exact, dedupe.near, select and export over JPEGs of 96 to 160 px. `command s` is the whole
command, `run s` leaves out the start of Python and its imports. The threshold is tightened, so that the
second run decides, exports and reports, and decodes nothing but the report's thumbnails.
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
    seconds = [usage.wall_s, usage.answer["seconds"], usage.own_cpu_s]
    share = f"{usage.answer['seconds'] / first.answer['seconds']:.1%}"
    return [f"{records:,} {what}", *seconds, share, computed or "nothing"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 50_000])
    print(machine() + "\n", flush=True)
    lines = [line for records in parser.parse_args().records for line in resume(records)]
    print_table(["", "command s", "run s", "CPU s", "of first run", "computed"], lines)


if __name__ == "__main__":
    main()
