"""Running from Python: `thresher.run(recipe)`."""

import os
from collections.abc import Sequence
from pathlib import Path

from thresher.pipelines.execute.run import Run, RunSummary
from thresher.pipelines.recipe import LoadedRecipe, Profile, Recipe, load, load_profile


def run(
    recipe: Recipe | str | Path,
    folder: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    profile: Profile | str | None = None,
    local: bool = False,
    limit: int | None = None,
    quiet: bool = False,
) -> RunSummary:
    """Run what is missing, export, write the report: what `thresher run` does.

    `recipe` is a Recipe (relative paths in it start at the working folder), a file, or the name of
    a bundled recipe; `overrides` are texts like those of `--set`, for files alone. Raises
    ThresherError, and `execute.run.Interrupted` after a signal.
    """
    if isinstance(recipe, Recipe):
        loaded = LoadedRecipe(recipe, Path.cwd())
    else:
        loaded = load(recipe, overrides, os.environ)
    target = Path(folder) if folder else Path("runs") / loaded.recipe.name
    resources = profile if isinstance(profile, Profile) else load_profile(profile)
    return Run(loaded, target, resources, local=local, limit=limit, quiet=quiet).execute()
