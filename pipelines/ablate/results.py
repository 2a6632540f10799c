"""From the files of evaluations to tables of paired losses."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from thresher.pipelines.ablate.statistics import Interval, Table, paired_t
from thresher.schemas import ThresherError

KEY = ("source", "id", "kind", "variant", "t_bin")
KINDS = {"ce": "captions (CE, nats a token)", "mse": "pictures (velocity MSE)"}
Mask = NDArray[np.bool_]


class Part(NamedTuple):
    """The difference on a part of the held-out losses, without a verdict."""

    name: str
    a: float
    b: float
    mean: float
    interval: Interval
    samples: int


class Losses(NamedTuple):
    """What the runs of some seeds say of the same held-out samples."""

    rows: pa.Table
    """`KEY`, tokens, and the columns of `holdout.ROWS`: one row for each loss."""
    a: NDArray[np.float64]
    """(seeds, rows)."""
    b: NDArray[np.float64]

    def kinds(self) -> list[str]:
        """Those of `KINDS` that there are."""
        found = set(self.rows["kind"].to_pylist())
        return [kind for kind in KINDS if kind in found]

    def where(self, **equal: str | int | bool) -> Mask:
        """Rows with those values, (rows,)."""
        mask = np.ones(len(self.rows), bool)
        for name, value in equal.items():
            mask &= np.array([v == value for v in self.rows[name].to_pylist()], bool)
        return mask

    def table(self, mask: Mask) -> Table:
        """Sums over the tokens or images of each held-out group, over the rows of `mask`."""
        _, group = np.unique(self.rows["group"].to_numpy()[mask], return_inverse=True)
        weight = self.rows["tokens"].to_numpy()[mask].astype(np.float64)

        def sums(arm: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.stack([np.bincount(group, seed[mask] * weight) for seed in arm]).astype(np.float64)

        return Table(sums(self.a), sums(self.b))

    def part(self, name: str, mask: Mask) -> Part:
        """The mean losses on the rows of `mask` and their difference."""
        found, table = self.rows.filter(pa.array(mask)), self.table(mask)
        tokens = float(found["tokens"].to_numpy().sum())
        a, b = (float(arm.sum(axis=1).mean() / tokens) for arm in table)
        samples = len(set(zip(found["source"].to_pylist(), found["id"].to_pylist(), strict=True)))
        differences = table.differences
        return Part(name, a, b, float(differences.mean()), paired_t(differences), samples)


def read(a: Sequence[Path], b: Sequence[Path], held: pa.Table) -> Losses:
    """The evaluations of paired runs, in order of seeds. Raises ThresherError unless of one hold-out."""
    tables = [_sorted(path) for path in (*a, *b)]
    for path, table in zip((*a, *b), tables, strict=True):
        if not table.select(KEY).equals(tables[0].select(KEY)):
            mend = "Remove that file and run again: it is made anew"
            raise ThresherError("holds losses of other samples than the first evaluation", str(path), mend)
    about = {(r["source"], r["id"]): r for r in held.to_pylist()}
    places = zip(tables[0]["source"].to_pylist(), tables[0]["id"].to_pylist(), strict=True)
    joined = [about[place] for place in places]
    rows = tables[0].drop_columns("loss")
    for name in ("group", "in_a", "in_b", "disputed"):
        rows = rows.append_column(name, pa.array([row[name] for row in joined], held.schema.field(name).type))
    losses = np.stack([table["loss"].to_numpy() for table in tables])
    return Losses(rows, losses[: len(a)], losses[len(a) :])


def judged(losses: Losses) -> Mask:
    """The rows of a verdict, (rows,). Each set favours its own words: where A and B mostly agree on pictures
    that both have, the few texts that they dispute decide nothing; where they mostly differ, both count."""
    disputed, shared = losses.where(disputed=True), losses.where(in_a=True, in_b=True)
    few = disputed.sum() / 2 <= shared.sum()
    return ~disputed if few else np.ones(len(disputed), bool)


def _sorted(path: Path) -> pa.Table:
    return pq.read_table(path).sort_by([(name, "ascending") for name in KEY])
