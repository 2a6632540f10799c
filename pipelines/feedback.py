"""`thresher feedback`: losses of a trained run beside those of a reference, on the same records and noise."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from thresher.operators.trained import checkpoint
from thresher.pipelines.ablate.arms import process
from thresher.schemas import UsageError

_SAME = ("image", "see", "shift", "long")
"""Of the last stage: what decides which pictures, noise levels and records are measured."""
_KEYS = ["id", "kind", "variant", "t_bin"]


def feedback(run: Path, exports: Sequence[str], reference: Path) -> Path:
    """Measure both on every record of `exports` and write `RUN/reference.parquet`; returns it.

    By `id`, null where a loss was not learnt by both: `trainer.excess_loss` (nats per token, over all texts),
    `trainer.image_excess_loss` (of ten noise levels) and `trainer.memorised_bits`: how much shorter the run's
    code of the record's texts is than the reference's, where it is shorter (after arXiv 2505.24832).
    Raises UsageError if the two cannot be compared, ThresherError if the trainer fails.
    """
    found = {"run": checkpoint(run), "reference": checkpoint(reference)}
    about = {name: json.loads((folder / "about.json").read_bytes()) for name, (folder, _) in found.items()}
    learnt = _learnt(about["run"]) & _learnt(about["reference"])
    _check_alike(about["run"], about["reference"], reference)
    with TemporaryDirectory(dir=run, prefix="feedback-") as work:
        folders = [Path(work, name) for name in found]
        for folder, (held, _) in zip(folders, found.values(), strict=True):
            folder.mkdir()
            (folder / "checkpoints").symlink_to(held.resolve())  # `held.parquet` of the runs stay as they are
        named = [f"set{i}={_absolute(export)}" for i, export in enumerate(exports)]
        process("evaluate", [*map(str, folders), *named], run)
        mine, other = (pq.read_table(folder / "held.parquet") for folder in folders)
    losses = _beside(mine, other, learnt)
    half = run / "reference.tmp"
    pq.write_table(losses.replace_schema_metadata({name: told for name, (_, told) in found.items()}), half)
    half.replace(run / "reference.parquet")
    return run / "reference.parquet"


def _learnt(about: Mapping[str, Any]) -> set[str]:
    """Of `ce`, `mse` and `described` (texts told of a picture) what the last stage has learnt."""
    stage = about["config"]["stages"][-1]
    weights, described = stage["losses"], stage["describe"]
    learnt = {kind for kind in ("ce", "mse") if weights[kind] > 0}
    return learnt | ({"described"} if "ce" in learnt and described > 0 else set())


def _check_alike(run: Mapping[str, Any], reference: Mapping[str, Any], where: Path) -> None:
    for name in ("tokenizer", "latents"):
        if run[name] != reference[name]:
            what = f"this reference has another {name}: {reference[name]}, not {run[name]}"
            raise UsageError(what, str(where), "Losses compare only in the same units: train one alike")
    stages = [about["config"]["stages"][-1] for about in (run, reference)]
    for name in _SAME:
        mine, other = (stage[name] for stage in stages)
        if mine != other:
            what = f"this reference was trained with {name}: {other}, the run with {mine}"
            raise UsageError(what, str(where), "The same records and noise need the same: train one alike")


def _absolute(export: str) -> str:
    return export if "://" in export else str(Path(export).resolve())


def _beside(mine: pa.Table, other: pa.Table, learnt: set[str]) -> pa.Table:
    """Both as one row a record."""
    both = _once(mine).join(_once(other), _KEYS, join_type="inner", right_suffix="_reference")
    less = pc.subtract(both["loss"], both["loss_reference"])
    nats = pc.multiply(less, both["tokens"].cast(pa.float64()))
    bits = pc.divide(pc.max_element_wise(pc.negate(nats), 0.0), math.log(2))
    told = pa.table({"id": both["id"], "nats": nats, "tokens": both["tokens"], "bits": bits, "mse": less})
    described = pc.not_equal(both["variant"], "")
    taught = pc.or_(pc.and_(described, "described" in learnt), pc.and_(pc.invert(described), "ce" in learnt))
    text = pc.equal(both["kind"], "ce")
    texts = told.filter(pc.and_(text, taught))
    images = told.filter(pc.and_(pc.invert(text), "mse" in learnt))
    summed = texts.group_by("id").aggregate([("nats", "sum"), ("tokens", "sum"), ("bits", "sum")])
    meant = images.group_by("id").aggregate([("mse", "mean")])
    whole = summed.join(meant, "id", join_type="full outer").sort_by("id")
    values = {
        "trainer.excess_loss": pc.divide(whole["nats_sum"], whole["tokens_sum"].cast(pa.float64())),
        "trainer.image_excess_loss": whole["mse_mean"],
        "trainer.memorised_bits": whole["bits_sum"],
    }
    return pa.table({"id": whole["id"], **{name: told.cast(pa.float32()) for name, told in values.items()}})


def _once(told: pa.Table) -> pa.Table:
    """A record that stands more than once in an epoch (`sampling_weight`) was measured as often."""
    means = told.group_by(_KEYS).aggregate([("loss", "mean"), ("tokens", "max")])
    return means.rename_columns([*_KEYS, "loss", "tokens"])
