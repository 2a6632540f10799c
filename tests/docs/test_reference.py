"""The generated pages are as their generators write them, and complete."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from thresher.schemas.index import INDEX
from thresher.schemas.reasons import FAILED


def _generator(root: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, root / "infra" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "generator", "function"),
    [
        ("operators.md", "operator_reference", "operators_page"),
        ("reasons.md", "operator_reference", "reasons_page"),
        ("columns.md", "quality_reference", "page"),
    ],
)
def test_generated_pages_are_up_to_date(root, page, generator, function):
    written = (root / "docs" / page).read_text("utf-8")
    generated = getattr(_generator(root, generator), function)()
    assert written == generated, f"run: python infra/{generator}.py"


def test_every_failure_has_its_remedy(root):
    page = (root / "docs" / "troubleshooting.md").read_text("utf-8")
    assert [str(reason) for reason in FAILED if f"| `{reason}` |" not in page] == []


def test_every_index_column_is_explained(root):
    page = (root / "docs" / "shards.md").read_text("utf-8")
    assert [name for name in INDEX.names if f"`{name}`" not in page] == []
