"""Which records the galleries show: the smallest by a keyed hash of the id, so that neither parts nor
order matter; next to a bound, the nearest values."""

import heapq
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from thresher.pipelines.report.rows import Rows, id_array, rank_of
from thresher.schemas.decisions import ID, ordinal


class Pick(NamedTuple):
    """A chosen record; picks sort by rank, then id."""

    rank: float
    id: bytes
    row: int
    """`schemas.decisions.ordinal` of the record."""


class Smallest:
    """For each group, the picks with the smallest ranks among all rows offered."""

    def __init__(self) -> None:
        self.groups: dict[tuple[str, str | int], list[Pick]] = {}

    def offer(
        self,
        group: tuple[str, str | int],
        size: int,
        rows: Rows,
        chosen: NDArray[np.bool_],
        rank: NDArray[np.generic],
    ) -> None:
        """Offer the rows where `chosen` (n,) holds; keep `size` in all."""
        index = np.flatnonzero(chosen)
        if not len(index):
            return
        words = np.ascontiguousarray(rows.ids[index]).view(">u8")
        order = index[np.lexsort((words[:, 1], words[:, 0], rank[index]))[:size]]
        new = [Pick(rank[i].item(), rows.ids[i].tobytes(), ordinal(rows.part, int(i))) for i in order]
        self.groups[group] = heapq.nsmallest(size, self.groups.get(group, []) + new)

    def get(self, kind: str, what: str | int = "") -> list[Pick]:
        """The picks of a group, in order; none if it never occurred."""
        return self.groups.get((kind, what), [])


@dataclass
class Group:
    """A keeper and the records dropped for it."""

    keeper: bytes
    size: int = 0
    """Dropped records in all."""
    members: list[Pick] = field(default_factory=list)
    keeper_row: int | None = None


class DuplicateGroups:
    """For each reason, the groups whose keepers have the smallest ranks.

    A group that is among the smallest in the end was so at every moment before, so its members are
    counted from the first to the last in one pass.
    """

    def __init__(self, groups: int, members: int) -> None:
        self._most, self._members = groups, members
        self._found: dict[str, dict[int, Group]] = {}

    def add(self, rows: Rows, reason: str, chosen: NDArray[np.bool_]) -> None:
        """Count the rows where `chosen` (n,) holds and a keeper is named."""
        index = np.flatnonzero(chosen & pc.is_valid(rows.ledger["keeper"]).to_numpy())
        if not len(index):
            return
        keepers = id_array(rows.ledger["keeper"].take(index))
        ranks = rank_of(keepers)
        found = self._found.setdefault(reason, {})
        least = np.unique(np.concatenate([ranks, np.array(list(found), np.uint64)]))[: self._most]
        for rank in [r for r in found if r > least[-1]]:
            del found[rank]
        for rank in np.intersect1d(ranks, least):
            members = np.flatnonzero(ranks == rank)
            group = found.setdefault(int(rank), Group(keepers[members[0]].tobytes()))
            group.size += len(members)
            new = [
                Pick(int(rows.rank[i]), rows.ids[i].tobytes(), ordinal(rows.part, int(i)))
                for i in index[members]
            ]
            group.members = heapq.nsmallest(self._members, group.members + new)

    def reasons(self) -> list[str]:
        """Reasons that named a keeper, sorted."""
        return sorted(self._found)

    def groups(self, reason: str) -> list[Group]:
        """The groups of a reason, by rank."""
        return [group for _, group in sorted(self._found[reason].items())]

    def find_keepers(self, rows: Rows, wanted: set[bytes]) -> None:
        """Note where the keepers lie; `wanted` are their ids. The newest version stands last."""
        ids = rows.ledger["id"].combine_chunks()
        hit = pc.is_in(ids, value_set=pa.array(sorted(wanted), ID)).to_numpy(zero_copy_only=False)
        where = {rows.ids[i].tobytes(): ordinal(rows.part, int(i)) for i in np.flatnonzero(hit)}
        for found in self._found.values():
            for group in found.values():
                row = where.get(group.keeper)
                if row is not None and (group.keeper_row is None or row > group.keeper_row):
                    group.keeper_row = row

    def keepers(self) -> set[bytes]:
        """The keepers' ids."""
        return {group.keeper for found in self._found.values() for group in found.values()}
