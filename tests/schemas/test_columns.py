"""A column's description survives in an Arrow field, and a table's in `plan.json`."""

import pytest

from thresher.operators.registry import get, names
from thresher.pipelines.plan.compile import CATALOG_COLUMNS
from thresher.schemas import Column

WRITING = [name for name in names() if not get(name).params_model.model_json_schema().get("required")]


@pytest.mark.parametrize("operator", ["catalog", *WRITING])
def test_a_field_describes_its_column(operator):
    columns = (
        [c for kind in CATALOG_COLUMNS.values() for c in kind.values()]
        if operator == "catalog"
        else get(operator)().writes()
    )
    assert [Column.of(column.field()) for column in columns] == columns
    for column in columns:
        again = Column.of(column.field())
        assert [str(x) for x in (again.lo, again.hi)] == [str(x) for x in (column.lo, column.hi)]
