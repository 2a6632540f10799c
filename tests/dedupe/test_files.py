"""Both steps over encoded files, from bytes to decisions."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from thresher.operators.dedupe.exact import DedupeExact
from thresher.operators.dedupe.hashes import HashExact, HashNear
from thresher.operators.dedupe.near import DedupeNear


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


def seen(answer, record):
    row = answer.filter(pa.array([i == record for i in answer["id"].to_pylist()])).to_pylist()[0]
    return row["reason"], row["keeper"]


@pytest.mark.acceptance("I3")
def test_twins_resaves_and_reencodings(photos, table_of, decide):
    photo = Image.fromarray(photos[0])
    first = encoded(photos[0], format="PNG", compress_level=1)
    resaved = encoded(photos[0], format="PNG", compress_level=9)
    reencoded = encoded(photos[0], format="JPEG", quality=75)
    table = table_of([first, first, resaved, reencoded, encoded(photos[1], format="PNG")])
    assert photo.size == (table["width"][0].as_py(), table["height"][0].as_py())
    ids = table["id"].to_pylist()
    exact, _ = decide(DedupeExact(), table)
    keeper = min(ids[0], ids[1])  # more bytes than the re-save; of twins, the smaller id
    for record in ids[:3]:
        assert seen(exact, record) == ((None, None) if record == keeper else ("duplicate_exact", keeper))
    assert seen(exact, ids[3]) == seen(exact, ids[4]) == (None, None)
    survivors = table.filter(pa.array([i in (keeper, ids[3], ids[4]) for i in ids]))
    near, _ = decide(DedupeNear(), survivors)
    assert seen(near, ids[3]) == ("duplicate_near", keeper)
    assert seen(near, keeper) == seen(near, ids[4]) == (None, None)


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
