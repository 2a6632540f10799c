"""What is held out of training: whole groups, of all sets, whatever else is added."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from tests.trainer.shards import Sample, plain, png, write_export
from thresher.operators.export import verify
from thresher.pipelines.ablate import holdout
from thresher.pipelines.ablate.exports import open_export, write_view
from thresher.schemas import ThresherError, UsageError
from thresher.schemas.holdout import is_held
from thresher.schemas.segments import image_segment, text_segment


def photo(i, text=None, **more):
    return plain(text or f"noise {i}", png(48, 40, seed=i), name=f"photo{i}", **more)


def edit(i, group):
    members = {".0.png": png(48, 40, seed=i), ".1.png": png(48, 40, seed=i + 5_000)}
    segments = [
        image_segment(".0.png", "cond", 48, 40, drop="img"),
        text_segment(f"change {i}", "cond", drop="text"),
        image_segment(".1.png", "target", 48, 40),
    ]
    return Sample(segments, members, name=f"edit{i}", task="edit", group=group)


def opened(folder, **sets):
    return [open_export(n, write_export(folder / n, samples, 40, name=n)) for n, samples in sets.items()]


def values(exports, masks, column):
    """The values of a column among the rows of a mask, with the export where they mean nothing outside."""
    found = set()
    for export, mask in zip(exports, masks, strict=True):
        some = export.rows.filter(pa.array(mask))[column].to_pylist()
        found |= {(v, export.name if column == "dup_group" else "") for v in some if v is not None}
    return found


@pytest.mark.acceptance("T28")
def test_no_group_or_cluster_is_on_both_sides_and_what_is_held_stays_held(tmp_path):
    a = [photo(i, dup_group=i // 3) for i in range(150)] + [edit(i, f"root{i // 5}") for i in range(60)]
    b = [photo(i, "other words", dup_group=i // 3) for i in range(100, 250)]
    b += [edit(i, f"root{i // 5}") for i in range(40, 90)]
    exports = opened(tmp_path, a=a, b=b)
    split = holdout.hold_out(exports, 60)
    held = [~mask for mask in split.trained]
    assert all(0 < mask.sum() < len(mask) / 2 for mask in held), [mask.mean() for mask in held]
    for column in ("group_id", "dup_group", "bytes_sha"):
        assert not values(exports, split.trained, column) & values(exports, held, column)
    more = [photo(i, dup_group=i) for i in range(240, 400)] + [
        edit(i, f"root{i // 5}") for i in range(85, 120)
    ]
    grown = opened(tmp_path / "grown", a=a, b=b, more=more)
    again = holdout.hold_out(grown, 60)
    assert all((~mask)[was].all() for mask, was in zip(again.trained, held, strict=False))
    assert not values(grown, again.trained, "bytes_sha") & values(exports, held, "bytes_sha")


def test_the_rule_goes_by_the_content(tmp_path):
    (export,) = opened(
        tmp_path, a=[photo(i) for i in range(300)] + [edit(i, f"r{i // 10}") for i in range(100)]
    )
    rows = export.rows.to_pylist()
    mask = is_held(export.rows, 100)
    assert not is_held(export.rows, 0).any() and is_held(export.rows, 1000).all()
    for row, held in zip(rows, mask, strict=True):
        content = row["bytes_sha"] if row["group_id"] == row["id"] else row["group_id"]
        assert held == (int.from_bytes(content[:8], "little") % 1000 < 100)
    assert 15 < mask[[r["group_id"] == r["id"] for r in rows]].sum() < 50


def test_both_arms_are_judged_on_the_same_texts_and_disputes_are_known(tmp_path):
    a = [photo(i) for i in range(200)]
    b = [photo(i, "wrong" if i % 2 else None) for i in range(100, 300)]
    exports = opened(tmp_path, a=a, b=b)
    split = holdout.hold_out(exports, 100)
    rows = split.rows.to_pylist()
    by_id = {}
    for row in rows:
        by_id.setdefault(row["id"], []).append(row)
    assert {len(v) for v in by_id.values()} == {1, 2}
    for held in by_id.values():
        assert all(row["disputed"] == (len(held) == 2) for row in held)
        assert {(r["in_a"], r["in_b"]) for r in held} <= (
            {(True, False), (False, True)} if len(held) == 2 else {(True, False), (False, True), (True, True)}
        )
    assert sum(int(mask.sum()) for mask in split.evaluated) == len(rows)


def test_pictures_that_look_like_one_in_training_are_left_out(tmp_path):
    """A held picture, saved again by another codec in the other set, has other bytes and the same look."""
    a = [photo(i) for i in range(120)]
    (export,) = opened(tmp_path / "one", a=a)
    held = is_held(export.rows, 200)
    sure = [i for i in range(120) if held[export.rows["id"].to_pylist().index(_id(f"photo{i}"))]]
    copies = [plain("copy", recoded(i), name=f"copy{i}") for i in sure]
    exports = opened(tmp_path / "two", a=a, b=copies + [photo(i) for i in range(500, 560)])
    split = holdout.hold_out(exports, 200)
    trained = [i for i, mask in zip(sure, held_of(exports[1], split.trained[1], sure), strict=True) if mask]
    assert len(trained) > 5 and split.near >= len(trained)
    kept = set(split.rows["id"].to_pylist())
    assert not kept & {_id(f"photo{i}").hex() for i in trained}


def recoded(i):
    import io

    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png(48, 40, seed=i)))).copy()
    pixels[0, 0] ^= 1
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def held_of(export, mask, numbers):
    ids = export.rows["id"].to_pylist()
    return [bool(mask[ids.index(_id(f"copy{i}"))]) for i in numbers]


def _id(name):
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def test_a_view_is_an_export_of_fewer_rows_of_the_same_tars(tmp_path):
    (export,) = opened(tmp_path, a=[photo(i, weight=2.0) for i in range(90)])
    kept = np.arange(90) % 3 == 0
    write_view(export, kept, tmp_path / "view", every_once=True)
    view = open_export("view", tmp_path / "view")
    assert view.rows["id"].to_pylist() == export.rows.filter(pa.array(kept))["id"].to_pylist()
    assert set(view.rows["sampling_weight"].to_pylist()) == {1.0}
    assert (view.folder / view.rows["shard"][0].as_py()).resolve().parent == export.folder
    faults = verify.verify(str(view.folder)).faults
    assert not [f for f in faults if not f.file.endswith((".tar", "wids.json"))], faults
    assert verify.verify(str(export.folder)).ok


def test_refusals(tmp_path):
    with pytest.raises(ThresherError, match="no finished export"):
        open_export("a", tmp_path)
    with pytest.raises(UsageError, match="on a disk here"):
        open_export("a", "s3://bucket/set")
    exports = opened(tmp_path, a=[photo(i) for i in range(30)], b=[photo(i) for i in range(30)])
    with pytest.raises(ThresherError, match="no content is held out: 0 per mille"):
        holdout.hold_out(exports, 0)
    with pytest.raises(ThresherError, match="every record is held out"):
        holdout.hold_out(exports, 1000)
