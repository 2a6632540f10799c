"""The command that writes an export in another trainer's layout."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from thresher.pipelines.cli.text import counted
from thresher.schemas.errors import UsageError, nearest


def convert(
    export: Annotated[Path, typer.Argument(help="An export, or the folder of `latest`.")],
    to: Annotated[str, typer.Option("--to", help="Layout: bagel, energon, llava, hf or emu.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="New folder to write.")],
    row_groups: Annotated[
        int, typer.Option("--row-groups", min=1, help="BAGEL: ranks x workers of the training.")
    ] = 32,
    split: Annotated[str, typer.Option("--split", help="Records of this split only.")] = "train",
) -> None:
    """Write an export as another trainer reads it; say what has no place there."""
    from thresher.pipelines.convert import LAYOUTS
    from thresher.pipelines.convert import convert as write

    if to not in LAYOUTS:
        known = list(LAYOUTS)
        raise UsageError(
            f"there is no layout {to!r}", "--to", nearest(to, known) or f"Known: {', '.join(known)}"
        )
    made = write(export, to, output, row_groups, split)
    for part, count in made.parts.items():
        print(f"{part}: {counted(count, 'record')}")
    for said in made.left:
        print(f"left out: {said}")
    for note in made.notes:
        print(f"Warning: {note}")
    print(f"{made.folder}: {'was converted before, nothing to do' if made.again else 'done'}")


COMMANDS: dict[str, tuple[Callable[..., int | None], str]] = {
    "convert": (convert, "thresher convert runs/photos/export/images --to bagel -o bagel"),
}
"""Name -> command and example."""
