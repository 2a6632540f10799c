"""Which contents no training run may see: a rule of the content alone, so that data may come and go."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

COLUMNS = ("id", "group_id", "bytes_sha")
"""What the rule reads of an index."""


def is_held(rows: pa.Table, per_mille: int) -> NDArray[np.bool_]:
    """Which rows of an index, (n,), have a content that is held out of training.

    A member of a group (frames of a video, edits of a picture) goes by its group, a picture by its bytes,
    a text by its id: the first 64 bits of that hash, mod 1000, below `per_mille`. What else is linked to a
    held content must leave training too.
    """
    alone = pc.equal(rows["group_id"], rows["id"])
    shas, groups = (rows[name].cast(pa.binary()) for name in ("bytes_sha", "group_id"))
    content = pc.if_else(alone, pc.coalesce(shas, groups), groups)
    first = np.frombuffer(b"".join(value[:8] for value in content.to_pylist()), "<u8")
    return first % np.uint64(1000) < per_mille
