"""Thresher: a build system for multimodal training data."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Recipe", "__version__", "run"]
"""And `open`, which a star import must not put in place of Python's own."""


def __getattr__(name: str) -> Any:
    """Public names load on first use, so that `import thresher.schemas` stays light."""
    if name == "Recipe":
        from thresher.pipelines.recipe import Recipe

        return Recipe
    if name == "run":
        from thresher.pipelines.api import run

        return run
    if name == "open":
        from thresher.operators.export.open import open_export

        return open_export
    raise AttributeError(f"module 'thresher' has no attribute {name!r}")
