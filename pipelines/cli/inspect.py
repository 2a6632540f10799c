"""Commands that only look: status, explain, report, operators, schema, doctor."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from thresher.pipelines.cli.text import columns, funnel_table
from thresher.schemas.errors import UsageError

RunDir = Annotated[Path, typer.Argument(help="Run directory, such as runs/photos.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(run: RunDir) -> int:
    """Show the progress of a running or finished run, from its files alone."""
    from thresher.pipelines.status import status_of

    for line in status_of(run):
        print(line)
    return 0


def explain(
    id: Annotated[str, typer.Argument(help="A record's id, or a unique start of it.")],
    run: Annotated[Path, typer.Option("--run", help="Run directory.")],
    as_json: Json = False,
) -> int:
    """Tell one record's story: bytes, columns, decisions, duplicates, shard."""
    from thresher.pipelines.explain import explain as tell_story
    from thresher.pipelines.explain import tell
    from thresher.pipelines.runview import open_run

    opened = open_run(run)
    opened.check()
    story = tell_story(opened, id)
    print(json.dumps(story, indent=1, ensure_ascii=False) if as_json else tell(story))
    return 0


def report(
    run: RunDir,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where to write the page.")] = None,
) -> int:
    """Write the report page again, without running anything."""
    from thresher.pipelines.report import write_report
    from thresher.pipelines.runview import open_run

    opened = open_run(run)
    opened.check()
    path = output or run / "report.html"
    write_report(opened, path)
    for table in opened.tables():
        print(funnel_table(table, opened.funnel(table)))
    print(f"Report: {path}")
    return 0


def operators(
    name: Annotated[str | None, typer.Argument(help="One operator, in full.")] = None,
) -> int:
    """List the operators: what each reads, writes, costs and was taken from."""
    from thresher.operators import registry
    from thresher.pipelines.reference import kind_of, reference

    if name is not None:
        print(reference(name))
        return 0
    rows = [["operator", "kind", "reads", "does"]]
    for each in registry.names():
        cls = registry.get(each)
        does = (cls.__doc__ or "").strip().splitlines()[0]
        rows.append([each, kind_of(cls), str(len(cls.reads)), does])
    print(columns(rows, [False, False, True, False]))
    return 0


def schema(
    what: Annotated[str, typer.Argument(help="`recipe`, `explain`, or a kind of record: image.")] = "recipe",
) -> int:
    """Print a JSON Schema: of recipes (plug-ins included), of records, of `explain --json`."""
    from thresher.pipelines.explain import EXPLAIN_SCHEMA
    from thresher.pipelines.recipe import json_schema, kind_schema
    from thresher.schemas.records import KINDS

    shown: Any
    if what == "recipe":
        shown = json_schema()
    elif what == "explain":
        shown = EXPLAIN_SCHEMA
    elif what in KINDS:
        shown = kind_schema(what)
    else:
        known = ", ".join(["recipe", "explain", *KINDS])
        raise UsageError(f"there is no schema {what!r}", mend=f"Known are: {known}")
    print(json.dumps(shown, indent=1, ensure_ascii=False))
    return 0


def doctor() -> int:
    """Check Python, Ray, GPU, decoders, disk and extras; say how to get what is absent."""
    from thresher.pipelines.doctor import examine

    rows = [[c.name, c.state, c.detail] for c in examine()]
    print(columns(rows, [False, False, False]))
    return 1 if any(c.state == "broken" for c in examine(base_only=True)) else 0


COMMANDS: dict[str, tuple[Callable[..., int], str]] = {
    "status": (status, "thresher status runs/photos"),
    "explain": (explain, "thresher explain 3fa9 --run runs/photos"),
    "report": (report, "thresher report runs/photos -o report.html"),
    "operators": (operators, "thresher operators dedupe.near"),
    "schema": (schema, "thresher schema recipe > recipe.schema.json"),
    "doctor": (doctor, "thresher doctor"),
}
