"""`thresher`: commands, exit codes, and errors as one paragraph."""

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

import typer
from typer.exceptions import TyperException

from thresher import __version__
from thresher.pipelines.cli.calibrating import COMMANDS as CALIBRATING
from thresher.pipelines.cli.comparing import COMMANDS as COMPARING
from thresher.pipelines.cli.converting import COMMANDS as CONVERTING
from thresher.pipelines.cli.evaluating import evaluate
from thresher.pipelines.cli.inspect import COMMANDS as LOOKING
from thresher.pipelines.cli.running import COMMANDS as WORKING
from thresher.schemas.errors import ThresherError

app = typer.Typer(
    help="Turn pools of raw images into deduplicated, filtered, verified training shards.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"thresher {__version__}")
        raise typer.Exit


for name, (command, example) in (WORKING | LOOKING | CALIBRATING | COMPARING | CONVERTING).items():
    app.command(name, epilog=f"Example: {example}")(command)
app.add_typer(evaluate, name="evaluate")


def _add(point: EntryPoint) -> None:
    """A command of another package. One that cannot be loaded is told of, and costs itself alone."""
    try:
        app.command(point.name)(point.load())
    except Exception as error:
        print(
            f"thresher: no command {point.name!r}: {point.value} cannot be loaded: {error}", file=sys.stderr
        )


def main() -> None:
    """Run a command and exit with its status."""
    arguments = [a for a in sys.argv[1:] if a != "--debug"] or ["--help"]
    try:
        for point in entry_points(group="thresher.commands"):
            _add(point)
        code = typer.main.get_command(app).main(arguments, prog_name="thresher", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except TyperException as error:
        text, context = error.format_message(), getattr(error, "ctx", None)
        command = context.command_path if context else "thresher"
        stop = "" if text.endswith(("?", ".")) else "."
        print(f"thresher: {text}{stop} See `{command} --help`.", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if "--debug" in sys.argv[1:]:
            raise
        print(f"thresher: {_told(error)}", file=sys.stderr)
        sys.exit(error.code if isinstance(error, ThresherError) else 1)


def _told(error: Exception) -> str:
    if isinstance(error, ThresherError):
        return str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}. Mend that and run again."
    return f"unexpected {type(error).__name__}: {error}. Run again with --debug to see where."
