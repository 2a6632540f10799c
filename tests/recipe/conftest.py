"""Two small operators, and a way to load recipe text from a real file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from thresher.operators import registry
from thresher.operators.base import Batch, Measure, Params, Values
from thresher.pipelines.recipe import LoadedRecipe, load


class Inner(Params):
    base: int = 512
    table: str = "square"


class ProbeParams(Params):
    max_distance: int = Field(32, ge=0, description="bits")
    share: float = 0.5
    mode: Literal["fast", "careful"] = "fast"
    drop: dict[str, str] = Field(default_factory=dict, description="reason -> predicate")
    languages: list[str] = Field(default_factory=list)
    note: str | None = None
    inner: Inner | Literal["none"] | None = None


class NeededParams(Params):
    column: str = Field(description="what to look at")


class Probe(Measure):
    """A Measure with every sort of parameter."""

    params_model = ProbeParams

    def measure(self, batch: Batch) -> Values:
        return Values({})


class Needed(Probe):
    """A Measure that cannot do without a parameter."""

    params_model = NeededParams


@pytest.fixture(autouse=True)
def probes() -> Iterator[None]:
    names = {"probe": Probe, "probe.two": type("Two", (Probe,), {}), "needed": Needed}
    for name, cls in names.items():
        registry.operator(name)(cls)
    yield
    for name in names:
        del registry._registered[name]


@pytest.fixture
def load_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LoadedRecipe]:
    """Loads text as `recipe.yaml` of the working folder; more arguments go to `load`."""
    monkeypatch.chdir(tmp_path)

    def loaded(text: str, *overrides: str, **env: str) -> LoadedRecipe:
        Path("recipe.yaml").write_text(text, "utf-8")
        return load("recipe.yaml", overrides, env)

    return loaded
