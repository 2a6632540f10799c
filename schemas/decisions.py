"""What a step decided about a record, and the ledger's row.

`value` and `bound` are text (the shortest that reads back), because columns differ in type.
"""

import pyarrow as pa

ID = pa.binary(16)

DECISION_FIELDS = [
    pa.field("row", pa.uint64(), metadata={"meaning": "part number << 24 | offset in the part"}),
    pa.field("kept", pa.bool_()),
    pa.field("reason", pa.string(), metadata={"meaning": "null when kept"}),
    pa.field("column", pa.string(), metadata={"meaning": "the column that decided"}),
    pa.field("value", pa.string(), metadata={"meaning": "the column's value"}),
    pa.field("bound", pa.string(), metadata={"meaning": "the bound it broke, as a predicate or number"}),
    pa.field("keeper", ID, metadata={"meaning": "the record that stays instead (duplicates)"}),
    pa.field("also", pa.list_(pa.string()), metadata={"meaning": "every reason that held, in order"}),
]

DECISION = pa.schema(DECISION_FIELDS)
"""A Decide step's answer, one row for each live record of a part; its own columns may follow."""

STATUSES = ("kept", "dropped", "failed")

LEDGER_VERSION = 1
LEDGER = pa.schema(
    [
        pa.field("id", ID),
        pa.field("version", pa.int32()),
        pa.field("source", pa.string()),
        pa.field("key", pa.string()),
        pa.field("status", pa.string(), metadata={"meaning": " | ".join(STATUSES)}),
        pa.field("step", pa.string(), metadata={"meaning": "label of the step that ended it"}),
        *DECISION_FIELDS[2:],
        pa.field("message", pa.string(), metadata={"meaning": "of a failure: what was found"}),
    ],
    metadata={"schema": "ledger", "schema_version": str(LEDGER_VERSION)},
)


def ordinal(part: int, offset: int) -> int:
    """The `row` of a record: stable for the life of its part."""
    return part << 24 | offset


def split_ordinal(row: int) -> tuple[int, int]:
    """(part, offset) of a `row`."""
    return row >> 24, row & 0xFFFFFF
