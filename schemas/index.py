"""The shard index: one row for each exported sample, in tar order; a folder with a file for each shard."""

import pyarrow as pa

from thresher.schemas.decisions import ID

INDEX_VERSION = 3


def _field(name: str, dtype: pa.DataType, meaning: str = "", nullable: bool = False) -> pa.Field:
    return pa.field(name, dtype, nullable, {"meaning": meaning} if meaning else None)


INDEX = pa.schema(
    [
        _field("id", ID),
        _field("key", pa.string(), "member stem in the shard: the id as hex"),
        _field("shard", pa.string(), "file name of the tar"),
        _field("ordinal", pa.int32(), "place in the shard, from 0"),
        _field("offset", pa.int64(), "of the record's first tar header"),
        _field("size", pa.int64(), "bytes up to the next record, headers and padding included"),
        _field("crc32", pa.uint32(), "zlib, over the `size` bytes"),
        _field("members", pa.list_(pa.string()), "names without the key, e.g. `.jpg`"),
        _field("member_offsets", pa.list_(pa.int64()), "of each member's data, in the tar"),
        _field("member_sizes", pa.list_(pa.int64())),
        _field("bucket", pa.string(), "`HxW` or `small`; null when unbucketed", nullable=True),
        _field("widths", pa.list_(pa.int32())),
        _field("heights", pa.list_(pa.int32())),
        _field("n_images", pa.int32()),
        _field(
            "text_chars",
            pa.map_(pa.string(), pa.int32()),
            "characters of each text of the segments and of its variants",
        ),
        _field("kinds", pa.string(), "a letter for each segment, as `segments.kinds_of` has it"),
        _field("source", pa.string()),
        _field("task", pa.string()),
        _field("synthetic", pa.bool_()),
        _field("sampling_weight", pa.float32()),
        _field("dup_group", pa.uint64(), nullable=True),
        _field("group_id", ID, "id of the root image, video or document"),
        _field("scores", pa.map_(pa.string(), pa.float32()), "every numeric column"),
        _field("split", pa.string(), "the column `split`; null where there is none", nullable=True),
        _field("licence", pa.string()),
        _field("bytes_sha", pa.binary(32), nullable=True),
        _field("content", pa.binary(16), "differs whenever anything of the exported record does"),
    ],
    metadata={"schema": "index", "schema_version": str(INDEX_VERSION)},
)

LOCATED = INDEX.names[: INDEX.names.index("bucket")]
"""The fields that say where a record lies."""
