"""A recipe from a file: read, override, validate, and remember where everything was written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from thresher.pipelines.recipe import overrides as changes
from thresher.pipelines.recipe.model import Recipe
from thresher.pipelines.recipe.problems import validated, written
from thresher.schemas.document import CONFIGS, Document, Keys, find, read
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
        return self.document.where(written(self.document.data, keys))

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
    return LoadedRecipe(validated(Recipe, document), base, document)
