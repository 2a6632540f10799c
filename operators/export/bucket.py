"""Measure `bucket`: the aspect bucket of each image at three resolutions."""

from typing import ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from thresher.operators.base import Batch, Measure, Params, Values
from thresher.operators.export.buckets import TOO_SMALL, Distance, assign, hunyuan33
from thresher.operators.registry import operator
from thresher.schemas import Column

BASES = (256, 512, 1024)


class BucketParams(Params):
    distance: Distance = Field(
        "linear", description="how ratios are compared: `linear` as HunyuanImage 3.0 does, or `log`"
    )


@operator("bucket")
class Bucket(Measure):
    """The nearest of 33 aspect buckets for bases of 256, 512 and 1024 px; never by enlarging."""

    params_model = BucketParams
    reads = ("width", "height")
    views: ClassVar = ()
    source = "HunyuanImage 3.0 (repository Tencent-Hunyuan/HunyuanImage-3.0); crop_loss: ours"
    cost = "1 us for each image"

    def writes(self) -> list[Column]:
        meaning = "index of the aspect bucket at base {} px, by h / w; null if too small for it"
        columns = [
            Column(f"bucket_{base}", pa.int8(), "index", meaning.format(base), 0, 32) for base in BASES
        ]
        loss = "share of the area that a centre crop to the bucket cuts off"
        return [*columns, Column("crop_loss", pa.float32(), "share", loss, 0, 1)]

    def measure(self, batch: Batch) -> Values:
        assert batch.columns is not None
        heights = batch.columns["height"].to_numpy().astype(np.int64)
        widths = batch.columns["width"].to_numpy().astype(np.int64)
        columns = {}
        for base in BASES:
            found = assign(hunyuan33(base), heights, widths, self.params.distance)
            columns[f"bucket_{base}"] = [None if i == TOO_SMALL else int(i) for i in found.index]
        return Values({**columns, "crop_loss": found.crop_loss.tolist()})
