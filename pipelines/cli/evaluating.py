"""Commands that judge what steps made: evaluate captions."""

import json
from pathlib import Path
from typing import Annotated

import typer

from thresher.pipelines.cli.inspect import RunDir
from thresher.schemas.errors import UsageError

evaluate = typer.Typer(help="Score what steps made, and compare two ways of making it.")
"""The sub-commands of `thresher evaluate`."""


@evaluate.callback()
def _evaluate() -> None:
    """Score what steps made, and compare two ways of making it."""


@evaluate.command(
    "captions", epilog="Example: thresher evaluate captions runs/photos --columns caption other --on en.short"
)
def captions(
    run: RunDir,
    columns: Annotated[
        list[str],
        typer.Option(
            "--columns", metavar="A [B]", help="One caption or text column, or two on the same records."
        ),
    ],
    second: Annotated[str | None, typer.Argument(metavar="B", hidden=True)] = None,
    on: Annotated[
        str,
        typer.Option("--on", metavar="TEXTS", help="Texts of captions: en.short,zh.long. Default: all."),
    ] = "",
    labels: Annotated[
        list[Path] | None,
        typer.Option("--labels", metavar="FILE", help="Ratings of people; may be repeated."),
    ] = None,
    table: Annotated[str | None, typer.Option("--table", help="Where several tables have them.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the result as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Score caption columns by checks, verdicts, similarity and people; compare two on the same records."""
    from thresher.pipelines.evaluate import command
    from thresher.pipelines.runview import open_run
    from thresher.pipelines.store.files import write_bytes

    names = [*columns, *([second] if second else [])]
    if len(names) > 2 or len({*names}) < len(names):
        raise UsageError(
            f"{' '.join(names)} are no two columns", "--columns", "Give one, or two different ones"
        )
    asked = [one.strip() for one in on.split(",") if one.strip()]
    result = command.evaluate(open_run(run).check(), names, asked, labels or [], table)
    text = json.dumps(result.as_json(), indent=1, ensure_ascii=False)
    if output is not None:
        write_bytes(output, (text + "\n").encode())
    if as_json:
        print(text)
    else:
        for line in command.tell(result):
            print(line)
    return 0
