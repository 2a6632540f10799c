"""Changes to a recipe from the command line (`--set`) and the environment (`THRESHER_*`)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from thresher.pipelines.recipe.model import Recipe, Table
from thresher.schemas.document import Document, Keys, assignment, value
from thresher.schemas.errors import UsageError, nearest

FROM_ENVIRONMENT = ("name", "seed", "part_size")


def from_environment(document: Document, env: Mapping[str, str]) -> None:
    """Set the top-level values that `THRESHER_NAME`, `THRESHER_SEED`, `THRESHER_PART_SIZE` give."""
    for key in FROM_ENVIRONMENT:
        variable = f"THRESHER_{key.upper()}"
        if variable in env:
            text = env[variable]
            document.set((key,), text if key == "name" else value(text), f"environment variable {variable}")


def apply(document: Document, override: str) -> None:
    """Set one value as in `tables.images.steps.technical.drop.blurry=sharpness < 30`.

    A step is named by its label, by its operator where only one step has it, or by its index from 0.
    Raises UsageError for a path that leads nowhere, with the nearest right one.
    """
    path, text = assignment(override)
    origin = f"--set {path}"
    keys = _find(document.data, path, origin)
    document.set(keys, value(text), origin)


def _find(data: dict[str, Any], path: str, origin: str) -> Keys:
    """The way to what `path` names. Names may hold dots, so the longest that fits is taken."""
    top, rest = _take(path, list(Recipe.model_fields), "top-level key", origin)
    if top != "tables":
        return (top, *rest.split(".")) if rest else (top,)
    tables = data.get("tables")
    tables = tables if isinstance(tables, dict) else {}
    name, rest = _take(rest, list(tables), "table", origin)
    key, rest = _take(rest, list(Table.model_fields), "key of a table", origin)
    keys: Keys = ("tables", name, key)
    here = tables[name].get(key) if isinstance(tables[name], dict) else None
    if key == "steps":
        steps = here if isinstance(here, list) else []
        i, rest = _step(steps, rest, origin)
        if isinstance(steps[i], str):
            steps[i] = {steps[i]: None}
        keys, here = (*keys, i), steps[i]
        if isinstance(here, dict) and len(here) == 1:
            op, here = next(iter(here.items()))
            keys = (*keys, op)
    return (*keys, *_inside(here, rest, origin))


def _step(steps: list[Any], path: str, origin: str) -> tuple[int, str]:
    """(index of the step that `path` starts with, the rest of the path)."""
    named = {str(i): [i] for i in range(len(steps))}
    for words in ([_op_and_label(s)[0] for s in steps], [_op_and_label(s)[1] for s in steps]):
        named |= {word: [i for i, w in enumerate(words) if w == word] for word in words}
    word, rest = _take(path, list(named), "step", origin)
    if len(named[word]) > 1:
        what = f"{len(named[word])} steps are called {word!r}"
        raise UsageError(what, origin, "Name one by its label or index")
    return named[word][0], rest


def _op_and_label(step: Any) -> tuple[str, str]:
    """Of a step as written; whatever is no step yet has no name."""
    op, params = next(iter(step.items()), ("", None)) if isinstance(step, dict) else (step, None)
    return str(op), str(params.get("as", op) if isinstance(params, dict) else op)


def _inside(here: Any, path: str, origin: str) -> Iterator[str | int]:
    """The keys of `path` within written parameters; new ones are split at the dots."""
    while path:
        if isinstance(here, list):
            index, path = _take(path, [str(i) for i in range(len(here))], "item", origin)
            here = here[int(index)]
            yield int(index)
            continue
        key = _longest(path, here) if isinstance(here, dict) else None
        if key is None:
            yield from path.split(".")
            return
        yield key
        here, path = here[key], path[len(key) + 1 :]


def _take(path: str, known: list[str], what: str, origin: str) -> tuple[str, str]:
    """(the longest of `known` that `path` starts with, the rest of the path)."""
    key = _longest(path, known)
    if key is None:
        word = path.partition(".")[0]
        mend = nearest(path, known) or nearest(word, known) or f"Known: {', '.join(known)}"
        raise UsageError(f"there is no {what} {word!r}" if word else f"names no {what}", origin, mend)
    return key, path[len(key) + 1 :]


def _longest(path: str, known: Iterable[str]) -> str | None:
    """The longest of `known` that `path` starts with."""
    return max((k for k in known if path == k or path.startswith(f"{k}.")), key=len, default=None)
