"""Exact duplicates over encoded files, from bytes to decisions."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from thresher.operators.dedupe.exact import DedupeExact
from thresher.operators.dedupe.hashes import HashExact, HashNear


def encoded(pixels, **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, **options)
    return out.getvalue()


@pytest.fixture
def table_of(measure, head):
    """table_of(files): the columns that ingest, quality and the hashes give for them."""

    def build(files, **columns):
        described = [Image.open(io.BytesIO(data)) for data in files]
        steps = (HashExact(), HashNear())
        types = {c.name: c.dtype for step in steps for c in step.writes()}
        hashes = {k: pa.array(v, types[k]) for step in steps for k, v in measure(step, files).items()}
        return head(
            len(files),
            width=pa.array([d.width for d in described], pa.int32()),
            height=pa.array([d.height for d in described], pa.int32()),
            lossless=pa.array([d.format == "PNG" for d in described]),
            bytes=pa.array([len(data) for data in files], pa.int64()),
            **hashes,
            **columns,
        )

    return build


@pytest.mark.acceptance("DA2")
def test_a_picture_turned_by_exif_equals_the_upright_one(photos, table_of, decide):
    exif = Image.Exif()
    exif[274] = 6  # shown turned by 90 degrees
    upright = encoded(photos[1], format="PNG")
    turned = encoded(np.rot90(photos[1]).copy(), format="PNG", exif=exif)
    lying = encoded(np.rot90(photos[1]).copy(), format="PNG")
    table = table_of([upright, turned, lying], text=pa.array(["one", "two", "three"]))
    answer, _ = decide(DedupeExact(), table)
    lost = answer.filter(pa.array([not k for k in answer["kept"].to_pylist()]))
    ids = table["id"].to_pylist()
    assert len(lost) == 1 and {lost["id"][0].as_py(), lost["keeper"][0].as_py()} == set(ids[:2])
    assert lost["exact_kind"].to_pylist() == ["pixels"]
