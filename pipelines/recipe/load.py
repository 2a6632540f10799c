"""A recipe from a file: read, override, validate, and remember where everything was written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from thresher.operators import registry
from thresher.operators.ingest import IngestParams
from thresher.pipelines.recipe import overrides as changes
from thresher.pipelines.recipe.document import CONFIGS, Document, Keys, find, read
from thresher.pipelines.recipe.model import Recipe, Table
from thresher.pipelines.recipe.problems import known_keys, usage_error
from thresher.schemas.errors import FieldError, UsageError


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe and where it came from. Without a document (built in Python) places are key paths."""

    recipe: Recipe
    base: Path
    """Relative paths in the recipe start here."""
    document: Document | None = None

    def locate(self, keys: Keys) -> str:
        """`FILE:LINE` of a value, such as `("tables", "images", "steps", 2, "drop", "blurry")`."""
        if self.document is None:
            return ".".join(map(str, keys))
        return self.document.where(_written(self.document.data, keys))

    def located(self, error: FieldError, table: str, step_index: int | None) -> UsageError:
        """A fault in the parameters of a step, or of the export (None), with its file and line."""
        step: Keys = ("export",) if step_index is None else ("steps", step_index)
        return UsageError(error.what, self.locate(("tables", table, *step, *error.path)), error.mend)


def load(
    path: str | Path, overrides: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> LoadedRecipe:
    """The recipe at `path`, or the bundled one of that name, as `env` and then `overrides` change it.

    `overrides` are texts like `tables.images.steps.select.drop.blurry=sharpness < 30`. Relative
    paths in a recipe start at its file's folder, those of a bundled recipe at the working folder.
    Raises UsageError with file and line.
    """
    file = find(path, CONFIGS, "recipe")
    document = read(file)
    changes.from_environment(document, env or {})
    for override in overrides:
        changes.apply(document, override)
    bundled = file.parent == CONFIGS and file != Path(path)
    base = Path.cwd() if bundled else file.resolve().parent
    return LoadedRecipe(_validated(document), base, document)


def _validated(document: Document) -> Recipe:
    def written(keys: Keys) -> Keys:
        return _written(document.data, keys)

    try:
        return Recipe.model_validate(document.data)
    except ValidationError as error:
        raise usage_error(error, document, lambda keys: _known(document.data, keys), written) from None


def _written(document: dict[str, Any], keys: Keys) -> Keys:
    """The way in the file to what is at `keys` in the model.

    A step's parameters stand under its operator's name, and a lone source in no list; what the
    file leaves out (defaults, the tags of pydantic's unions) is skipped.
    """
    data: Any = document
    way: list[str | int] = []
    for i, key in enumerate(keys):
        if i == 4 and keys[2] == "steps" and isinstance(data, dict) and len(data) == 1:
            op, data = next(iter(data.items()))
            way.append(op)
        inside = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
        if key in inside:
            data = data[key]
            way.append(key)
    return tuple(way)


def _known(data: dict[str, Any], keys: Keys) -> list[str]:
    """The keys that the mapping at `keys` may hold."""
    match keys:
        case ("tables", _, "steps", _, *inner):
            op = str(_written(data, (*keys[:4], ""))[4])
            own = known_keys(registry.get(op).params_model, tuple(inner))
            return own if inner else sorted([*own, "as"])
        case ("tables", _, "ingest", _, *inner):
            return known_keys(IngestParams, tuple(inner))
        case ("tables", _, "export", *inner):
            return known_keys(registry.get("export").params_model, tuple(inner))
        case ("tables", _):
            return known_keys(Table, ())
    return known_keys(Recipe, ())
