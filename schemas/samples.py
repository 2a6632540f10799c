"""What a training run tells of each sample that it learnt, in `RUN/samples/*.parquet`."""

import pyarrow as pa

SAMPLES = pa.schema(
    [
        pa.field("id", pa.string(), metadata={"meaning": "key of the sample"}),
        pa.field("source", pa.string()),
        pa.field("stage", pa.string()),
        pa.field("step", pa.int64(), metadata={"meaning": "of the run, from 0"}),
        pa.field("slot", pa.int64(), metadata={"meaning": "of the stage's plan"}),
        pa.field("ce", pa.float64(), metadata={"unit": "nats", "meaning": "mean of learnt tokens, or null"}),
        pa.field("ce_tokens", pa.int32()),
        pa.field("mse", pa.list_(pa.float32()), metadata={"meaning": "of each learnt image's velocity"}),
        pa.field("t", pa.list_(pa.float32()), metadata={"meaning": "noise level of each of them"}),
    ]
)
