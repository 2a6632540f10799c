"""Prints every sample that Energon reads from the folder that is named, a line of JSON for each.

Energon (`pip install megatron-energon`) may be there for another Python than that of the tests.
"""

import json
import sys
from typing import Any

from megatron.energon import (
    Cooker,
    TaskEncoder,
    TextSample,
    WorkerConfig,
    basic_sample_keys,
    get_loader,
    get_val_dataset,
    stateless,
)


@stateless
def cook(sample: dict[str, Any]) -> TextSample:
    """What is no captioned image: the JSON members as they are."""
    told = {name: sample[name] for name in ("json", "segments.json")}
    return TextSample(**basic_sample_keys(sample), text=json.dumps(told))


class Encoder(TaskEncoder):
    """Batches are lists."""

    cookers = [Cooker(cook)]  # noqa: RUF012

    def batch(self, samples: list[Any]) -> Any:
        return samples

    def encode_batch(self, batch: Any) -> Any:
        return batch


if __name__ == "__main__":
    workers = WorkerConfig(rank=0, world_size=1, num_workers=0)
    dataset = get_val_dataset(
        sys.argv[1], split_part="train", worker_config=workers, batch_size=1, task_encoder=Encoder()
    )
    for batch in get_loader(dataset):
        for one in batch:
            if isinstance(one, TextSample):
                print(json.dumps({"key": one.__key__, "text": one.text}))
            else:
                print(
                    json.dumps({"key": one.__key__, "caption": one.caption, "shape": list(one.image.shape)})
                )
