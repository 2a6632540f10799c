"""Commands that compare: fwd of pictures, ablate of what trains better, feedback of what was learnt."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from thresher.pipelines.cli.inspect import RunDir
from thresher.schemas.errors import UsageError


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


def ablate(
    a: Annotated[Path, typer.Argument(metavar="A", help="An export.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another export.")],
    seeds: Annotated[int, typer.Option("--seeds", help="Pairs of runs. 6 for a claim, 3 for a screen.")] = 6,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="In place of the config's.")] = None,
    delta: Annotated[
        str, typer.Option("--delta", help="The least difference of losses that matters.")
    ] = "1%",
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="YAML", help="A training config; the sets fill its first source."),
    ] = None,
    hold: Annotated[int, typer.Option("--hold", min=1, max=500, help="Per mille of contents held out.")] = 20,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Goes on where it was stopped.")] = Path(
        "runs/ablate"
    ),
) -> int:
    """Train on A and on B, in pairs, and judge by held-out losses which set trains better."""
    from thresher.pipelines.ablate import command

    request = command.Request(a, b, out, config or command.CONFIG, seeds, steps, _share(delta), hold)
    found = command.ablate(request, lambda line: print(line, flush=True))
    for line in found["words"]:
        print(line)
    print(f"Verdict: {found['verdict']}. See {out / 'ablate.html'}")
    return 0


def feedback(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of `thresher train`.")],
    exports: Annotated[list[str], typer.Argument(metavar="EXPORT...", help="Whose records are measured.")],
    reference: Annotated[
        Path, typer.Option("--reference", metavar="RUN", help="Another run, trained on data to be trusted.")
    ],
) -> int:
    """Measure losses beside those of a reference, for the columns of the step `trained`."""
    from thresher.pipelines.feedback import feedback as measured

    print(f"Measured: {measured(run, exports, reference)}")
    print(f"Columns of: - trained: {{run: {run}, reference: {reference}}}")
    return 0


def _share(text: str) -> float:
    """`1%` or `0.01`."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UsageError(f"{text!r} is no share of a loss", "--delta", "Say for example --delta 1%")
    return share


COMMANDS: dict[str, tuple[Callable[..., int], str]] = {
    "fwd": (fwd, "thresher fwd runs/photos"),
    "feedback": (
        feedback,
        "thresher feedback runs/train/all runs/photos/export/images/latest --reference runs/train/clean",
    ),
    "ablate": (ablate, "thresher ablate runs/raw/export/images/latest runs/photos/export/images/latest"),
}
