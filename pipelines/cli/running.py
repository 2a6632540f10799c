"""Commands that work on pools and run directories: run, plan, gc, demo-pool, demo-check."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thresher.pipelines.cli.text import counted, funnel_table, problem_lines, size_text, time_text
from thresher.pipelines.recipe import load, load_profile

if TYPE_CHECKING:
    from thresher.pipelines.execute.run import Run, RunSummary


RecipeName = Annotated[
    str,
    typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a bundled one: demo, image_pool."),
]
Folder = Annotated[Path | None, typer.Option("--run", help="Run directory. Default: runs/<recipe name>.")]
Resources = Annotated[str | None, typer.Option("--profile", help="Resources: laptop, workstation or a file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="K=V", help="Override a value of the recipe; may be repeated."),
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Go on with this many records only.")]
Local = Annotated[bool, typer.Option("--local", help="One process, no Ray. Same results.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _opened(
    recipe: str,
    run: Path | None,
    profile: str | None,
    overrides: list[str] | None,
    limit: int | None,
    local: bool,
    dry: bool,
) -> "Run":
    from thresher.pipelines.execute.run import Run

    loaded = load(recipe, overrides or [], os.environ)
    folder = run or Path("runs") / loaded.recipe.name
    return Run(loaded, folder, load_profile(profile), local=local, limit=limit, dry=dry)


def run(
    recipe: RecipeName,
    run: Folder = None,
    profile: Resources = None,
    set_: Overrides = None,
    limit: Limit = None,
    local: Local = False,
    as_json: Json = False,
) -> int:
    """Run what is missing, export, write the report, print the funnel."""
    from thresher.pipelines.execute.run import Interrupted

    work = _opened(recipe, run, profile, set_, limit, local, dry=False)
    try:
        summary = work.execute()
    except Interrupted:
        return _stopped()
    if as_json:
        print(json.dumps(_as_json(summary), indent=1))
        return 0
    for table in summary.tables:
        print(funnel_table(table.name, table.funnel))
        for line in problem_lines(table.problems):
            print(line)
        for said in table.warnings:
            print(f"  Warning: {said}")
        if table.export:
            latest = table.export.parent / "latest"
            print(f"Shards: {table.export if work.limit else latest}")
            if latest.resolve() != table.export.resolve():
                print(f"{latest} was left as it is: --limit does not move it")
    if work.limit:
        print(f"Limited to {counted(work.limit, 'record')} of each table by --limit.")
    print(f"Report: {summary.report}\nDone in {time_text(summary.seconds)}.")
    return 0


def _stopped() -> int:
    again = " ".join(["thresher", *[a for a in sys.argv[1:] if a != "--debug"]])
    print(f"Stopped. What was finished is kept; to go on, run again: {again}", file=sys.stderr)
    return 130


def _as_json(summary: "RunSummary") -> dict[str, Any]:
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
                "warnings": t.warnings,
            }
            for t in summary.tables
        },
    }


def plan(
    recipe: RecipeName,
    run: Folder = None,
    profile: Resources = None,
    set_: Overrides = None,
    limit: Limit = None,
    local: Local = False,
    as_json: Json = False,
    ask: Annotated[
        int | None,
        typer.Option("--ask", metavar="N", min=1, help="Ask models about N records, to tell what all cost."),
    ] = None,
) -> int:
    """Show the graph, what is cached, what will run and how long; touches nothing, unless it shall --ask."""
    from thresher.pipelines.execute.run import Interrupted
    from thresher.pipelines.plan import asking
    from thresher.pipelines.plan.describe import describe, tell

    work = _opened(recipe, run, profile, set_, limit, local, dry=True)
    described = describe(work)
    if ask is not None:
        tables = described["tables"].items()
        rows = {(name, step["step"]): step["rows"] for name, table in tables for step in table["steps"]}
        try:
            asked = asking.ask(work, ask, rows)
        except Interrupted:
            return _stopped()
        described["asked"] = asking.as_json(asked)
    print(json.dumps(described, indent=1) if as_json else tell(described))
    if ask is not None and not as_json:
        print(asking.tell_asked(asked, work))
    return 0


def gc(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    exports: Annotated[
        bool, typer.Option("--exports", help="Also older exports in `export.to`, which other runs may use.")
    ] = False,
) -> None:
    """Show what the run's recipe no longer refers to, and remove it."""
    from thresher.pipelines.execute.lock import lock
    from thresher.pipelines.gc import find_garbage, remove
    from thresher.pipelines.runview import open_run

    opened = open_run(run)
    with lock(opened.folder):
        garbage = find_garbage(opened, exports)
        if not garbage:
            print("Nothing to remove.")
            return
        for item in garbage:
            print(f"{size_text(item.bytes):>10}  {item.what}: {item.path}")
        print(f"{size_text(sum(g.bytes for g in garbage))} in {counted(len(garbage), 'folder')}.")
        if yes or (sys.stdin.isatty() and typer.confirm("Remove them?")):
            remove(garbage)
            print("Removed.")
        else:
            print("Nothing was removed. Say --yes to remove them.")


def demo_pool(
    directory: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    seed: Annotated[int, typer.Option("--seed", help="Another seed plants another pool.")] = 0,
    squares: Annotated[
        int, typer.Option("--squares", min=0, help="Draw so many squares with captions instead.")
    ] = 0,
    wrong: Annotated[
        float, typer.Option("--wrong", min=0, max=1, help="Share of squares whose caption is wrong.")
    ] = 0.0,
) -> None:
    """Make the demo pool and, beside it, the truth about what was planted."""
    from thresher.pipelines.demo import make_pool
    from thresher.pipelines.demo.squares import make_squares

    print(make_squares(directory, squares, wrong, seed) if squares else make_pool(directory, seed))


def demo_check(
    directory: Annotated[Path, typer.Argument(help="The demo pool.")],
    run: Annotated[Path, typer.Option("--run", help="Run directory of the demo recipe.")],
) -> int:
    """Compare what the demo pool planted with what a run found."""
    import pyarrow as pa

    from thresher.pipelines.demo import compare
    from thresher.pipelines.runview import open_run

    opened = open_run(run).check()
    ledger = pa.concat_tables([opened.ledger(t, p) for t in opened.tables() for p in opened.parts(t)])
    comparison = compare(directory / "truth.json", ledger)
    print(f"{comparison}\nReport: {opened.folder / 'report.html'}")
    return 0 if comparison.ok else 1


COMMANDS: dict[str, tuple[Callable[..., int | None], str]] = {
    "run": (
        run,
        "thresher run photos.yaml --set tables.images.steps.select.drop.blurry='sharpness < 30'",
    ),
    "plan": (plan, "thresher plan photos.yaml"),
    "gc": (gc, "thresher gc runs/photos --yes"),
    "demo-pool": (demo_pool, "thresher demo-pool demo/pool --seed 1"),
    "demo-check": (demo_check, "thresher demo-check demo/pool --run demo/run"),
}
