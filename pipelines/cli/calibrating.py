"""Commands that make bounds and heads of a run: calibrate, label."""

import re
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thresher.pipelines.cli.inspect import RunDir
from thresher.schemas.errors import UsageError

if TYPE_CHECKING:
    from thresher.pipelines.calibrate.bounds import Sign


class Side(StrEnum):
    """Which values a predicate drops."""

    BELOW = "below"
    ABOVE = "above"


_CLASS = re.compile(r"\w[\w.-]*")
_SIGNS: dict[Side, "Sign"] = {Side.BELOW: "<", Side.ABOVE: ">"}


def calibrate(
    run: RunDir,
    column: Annotated[str | None, typer.Argument(help="A column of numbers; not with --head.")] = None,
    keep: Annotated[float | None, typer.Option("--keep", help="Share of the records to keep.")] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="CSV file with the columns id,label.")
    ] = None,
    precision: Annotated[
        float, typer.Option("--precision", help="Wanted share of the positive class among what is dropped.")
    ] = 0.9,
    positive: Annotated[str | None, typer.Option("--positive", help="The class to find (to drop).")] = None,
    drop: Annotated[
        Side | None, typer.Option("--drop", help="Which side to drop. Default: as the recipe or labels say.")
    ] = None,
    head: Annotated[str | None, typer.Option("--head", metavar="NAME", help="Fit a head on labels.")] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="COLUMN", help="What the head reads: one vector, or numbers, a,b."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The head's file. Default: NAME.head.json.")
    ] = None,
    reencode: Annotated[
        bool | None,
        typer.Option(
            "--check-reencode/--no-check-reencode",
            help="Refuse a head that sees the file format. Default: for the head aigc.",
        ),
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="RECIPE", help="Put the bound into this recipe file.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Of the predicate to write, where several name the column.")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", help="Where several tables have the column.")
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=2, help="With --keep: look at so many records, by a hash.")
    ] = 2000,
) -> int:
    """Find a bound that keeps a share or is precise on labels; or fit a head on labels."""
    from thresher.pipelines.calibrate import command
    from thresher.pipelines.runview import open_run

    for name, share in (("--keep", keep), ("--precision", precision)):
        if share is not None and not 0 < share < 1:
            raise UsageError(f"{share:g} is no share between 0 and 1", name)
    view = open_run(run).check()
    typed = command.command_line(sys.argv[1:])
    sign: Sign | None = None if drop is None else _SIGNS[drop]
    asked = command.Request(typed, table, sign, sample, precision, positive, write, reason)
    if head is not None:
        names = [name.strip() for name in (on or column or "").split(",") if name.strip()]
        file = labels or view.folder / "labels" / f"{head}.csv"
        _head_name(head)
        if not names:
            raise UsageError("--head needs the column that it reads", mend="Say --on COLUMN")
        recheck = head == "aigc" if reencode is None else reencode
        lines = command.fit_head(view, head, names, file, output or Path(f"{head}.head.json"), recheck, asked)
    elif column is None or (keep is None) == (labels is None):
        raise UsageError(
            "what is wanted is not clear",
            mend="Give COLUMN and one of --keep and --labels; or --head NAME --on COLUMN",
        )
    elif labels is not None:
        lines = command.by_labels(view, column, labels, asked)
    else:
        assert keep is not None
        lines = command.by_share(view, column, keep, asked)
    for line in lines:
        print(line)
    return 0


def label(
    run: RunDir,
    name: Annotated[str, typer.Option("--name", help="Of the labels, and of the head to come.")],
    classes: Annotated[str, typer.Option("--classes", help="What the keys 1 to 9 mean.")] = "good,bad",
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="COLUMN", help="What finds unsure pictures. Default: the first vector."),
    ] = None,
    caption: Annotated[
        str | None,
        typer.Option("--caption", metavar="COLUMN", help="Rate a text, such as caption.en.short, or text."),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Default: a free one.")] = 0,
    table: Annotated[
        str | None, typer.Option("--table", help="Where several tables have the column.")
    ] = None,
) -> int:
    """Label pictures, or rate captions, by keyboard on a local page; each answer kept at once."""
    from thresher.pipelines.label.command import label as serve
    from thresher.pipelines.label.command import rate
    from thresher.pipelines.runview import open_run

    _head_name(name)
    names = [one.strip() for one in classes.split(",")]
    if not 2 <= len(names) <= 9 or len(set(names)) < len(names) or not all(map(_CLASS.fullmatch, names)):
        mend = "Give 2 to 9 different words of letters, digits, `_`, `-` and `.`: --classes good,bad"
        raise UsageError(f"{classes!r} are no classes", "--classes", mend)
    columns = [one.strip() for one in (on or "").split(",") if one.strip()]
    view = open_run(run).check()
    if caption is None:
        serve(view, name, names, columns, table, port)
    elif columns:
        raise UsageError(
            "ratings of captions take no column to find unsure pictures by", "--on", "Leave it out"
        )
    else:
        _check_ratings(names)
        rate(view, name, names, caption, table, port)
    return 0


def _check_ratings(classes: list[str]) -> None:
    """Refuse what `thresher evaluate captions --labels` could not read back."""
    from thresher.pipelines.evaluate.ratings import WORDS

    if wrong := [one for one in classes if one not in WORDS and not re.fullmatch(r"\d+(\.\d+)?", one)]:
        mend = "Rate by numbers, or by good and bad: --classes 1,2,3,4,5"
        raise UsageError(f"the class {wrong[0]!r} is no rating", "--classes", mend)


def _head_name(name: str) -> None:
    from thresher.operators.models.head import NAME

    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a head", "--head", "Use a-z, 0-9 and _, and begin with a letter"
        )


COMMANDS: dict[str, tuple[Callable[..., int], str]] = {
    "calibrate": (calibrate, "thresher calibrate runs/photos sharpness --keep 0.95 --write photos.yaml"),
    "label": (label, "thresher label runs/photos --name unclear --classes clear,unclear"),
}
