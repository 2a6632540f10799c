"""Recipes: what to build, in YAML or Python; and profiles: what to build it with."""

from thresher.pipelines.recipe.load import LoadedRecipe, load
from thresher.pipelines.recipe.model import Recipe, Step, Table
from thresher.pipelines.recipe.profile import Profile, load_profile
from thresher.pipelines.recipe.schema import json_schema, kind_schema

__all__ = [
    "LoadedRecipe",
    "Profile",
    "Recipe",
    "Step",
    "Table",
    "json_schema",
    "kind_schema",
    "load",
    "load_profile",
]
