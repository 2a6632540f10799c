"""The command that compares sets of pictures: fwd."""

import json
from collections.abc import Callable
from typing import Annotated

import typer

from thresher.pipelines.cli.inspect import RunDir


def fwd(
    run: RunDir,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference", metavar="PREDICATE", help="Default: files that name a camera, without AI mark."
        ),
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="COLUMN", help="What makes a set.")] = "source",
    most: Annotated[int, typer.Option("--most", help="Pictures of each set, by a hash; at least 192.")] = 512,
    table: Annotated[str | None, typer.Option("--table", help="Where several tables could be meant.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Tell how far each source lies from camera pictures of its sizes and qualities. Of sets, no verdict."""
    from thresher.pipelines.fwd import command
    from thresher.pipelines.runview import open_run

    view = open_run(run).check()
    found = command.fwd(view, table, by, reference or command.CAMERAS, most)
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for line in command.tell(found):
            print(line)
        print(f"Written to {run / 'fwd' / found['table']}.json; `thresher report {run}` shows it too.")
    return 0 if any("fwd" in told for told in found["sources"]) else 1


COMMANDS: dict[str, tuple[Callable[..., int], str]] = {"fwd": (fwd, "thresher fwd runs/photos")}
