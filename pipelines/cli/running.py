"""Commands that execute or plan recipes: run, plan, gc."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from thresher.pipelines.cli.text import funnel_table, problem_lines, size_text, time_text
from thresher.pipelines.recipe import LoadedRecipe, load, load_profile

Recipe = Annotated[str, typer.Argument(help="A recipe file, or the name of a bundled one: demo, image_pool.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="K=V", help="Override a value of the recipe; may be repeated."),
]
RunDir = Annotated[Path | None, typer.Option("--run", help="Run directory. Default: runs/<recipe name>.")]
ProfileName = Annotated[
    str | None, typer.Option("--profile", help="Resources: laptop, workstation or a file.")
]
Local = Annotated[bool, typer.Option("--local", help="One process, no Ray. Same results.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Go on with this many records only.")]


def run(
    recipe: Recipe,
    run: RunDir = None,
    profile: ProfileName = None,
    set_: Set = None,
    limit: Limit = None,
    local: Local = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    """Run what is missing, export, write the report, print the funnel."""
    from thresher.pipelines.execute.run import Interrupted, Run

    loaded, folder = _load(recipe, set_, run)
    work = Run(loaded, folder, load_profile(profile), local=local, limit=limit)
    try:
        summary = work.execute()
    except Interrupted:
        again = " ".join(["thresher", *[a for a in sys.argv[1:] if a != "--debug"]])
        print(f"Stopped. What was finished is kept; to go on, run again: {again}", file=sys.stderr)
        return 130
    if as_json:
        print(json.dumps(_as_json(summary), indent=1))
        return 0
    for table in summary.tables:
        print(funnel_table(table.name, table.funnel))
        for line in problem_lines(table.problems):
            print(line)
        if table.export:
            shown = table.export if limit else table.export.parent / "latest"
            print(f"Shards: {shown}")
    print(f"Report: {summary.report}\nDone in {time_text(summary.seconds)}.")
    return 0


def plan(
    recipe: Recipe,
    run: RunDir = None,
    profile: ProfileName = None,
    set_: Set = None,
    limit: Limit = None,
    local: Local = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> int:
    """Show the graph, what is cached, what will run and how long; touches nothing."""
    from thresher.pipelines.execute.run import Run
    from thresher.pipelines.plan.describe import describe, tell

    loaded, folder = _load(recipe, set_, run)
    work = Run(loaded, folder, load_profile(profile), local=local, limit=limit, dry=True)
    described = describe(work)
    print(json.dumps(described, indent=1) if as_json else tell(described))
    return 0


def gc(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    exports: Annotated[
        bool, typer.Option("--exports", help="Also older exports in `export.to`, which other runs may use.")
    ] = False,
) -> int:
    """Show what the run's recipe no longer refers to, and remove it."""
    from thresher.pipelines.execute.lock import RunLock
    from thresher.pipelines.gc import find_garbage, remove
    from thresher.pipelines.runview import open_run

    opened = open_run(run)
    with RunLock(opened.folder):
        garbage = find_garbage(opened, exports)
        for item in garbage:
            print(f"{size_text(item.bytes):>10}  {item.what}: {item.path}")
        if not garbage:
            print("Nothing to remove.")
            return 0
        print(f"{size_text(sum(g.bytes for g in garbage))} in {len(garbage)} folders.")
        if yes or (sys.stdin.isatty() and typer.confirm("Remove them?")):
            remove(garbage)
            print("Removed.")
        else:
            print("Nothing was removed. Say --yes to remove them.")
    return 0


def _load(recipe: str, overrides: list[str] | None, run: Path | None) -> tuple[LoadedRecipe, Path]:
    loaded = load(recipe, overrides or [], os.environ)
    return loaded, run or Path("runs") / loaded.recipe.name


def _as_json(summary: Any) -> dict[str, Any]:
    return {
        "run": str(summary.folder),
        "report": str(summary.report),
        "seconds": round(summary.seconds, 3),
        "tables": {
            t.name: {
                "funnel": [vars(c) for c in t.funnel],
                "computed": t.computed,
                "export": str(t.export) if t.export else None,
                "problems": t.problems,
            }
            for t in summary.tables
        },
    }


COMMANDS: dict[str, tuple[Callable[..., int], str]] = {
    "run": (run, "thresher run photos.yaml --set tables.images.steps.select.drop.blurry='sharpness < 30'"),
    "plan": (plan, "thresher plan photos.yaml"),
    "gc": (gc, "thresher gc runs/photos --yes"),
}
