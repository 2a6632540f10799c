"""Export: the kept records as WebDataset shards with an index, shuffled by hash, read back and checked.

Cost: the media's bytes are read once and written once; SHA-256 is taken while they pass. A record that
the export before this one holds unchanged is copied from there. Memory of a task is one window of media
(`shard.WINDOW`) and the narrow rows of one shard.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.compute as pc

from thresher.operators.base import Context, Export, TableReader
from thresher.operators.export import manifest
from thresher.operators.export.params import CANDIDATES, ExportParams
from thresher.operators.export.placement import Shard, bucket_names, plan_shards
from thresher.operators.export.previous import Damaged, Previous, appendable, reusable
from thresher.operators.export.records import kind_of, measured_columns, record_schema
from thresher.operators.export.rows import Scatter, partition_of
from thresher.operators.export.shard import ShardMaker
from thresher.operators.registry import operator
from thresher.operators.shuffle import read_partition
from thresher.schemas import Column, FieldError, UsageError
from thresher.schemas.columns import require_text

RUN_ROWS = 1024
"""A shard reads its slice of every run: few runs of small parts."""
PARTITIONS = 1024
"""At most so many slices in each run of the first pass; beyond, adjacent shards share one."""

__all__ = ["DocumentExport", "ExportParams", "ShardExport"]


@operator("export")
class ShardExport(Export):
    """WebDataset shards, `index.parquet`, `wids.json` and last `dataset.json`."""

    params_model = ExportParams
    reads: ClassVar[tuple[str, ...]] = ("width", "height", "format", "bytes", "bytes_sha")
    version = 2
    source = "ours; the tar convention of webdataset"

    def needs(self) -> tuple[str, ...]:
        """`reads` and what the parameters name."""
        text = () if self.params.text == "auto" else (self.params.text,)
        return (*self.reads, *text, *((CANDIDATES,) if self.params.sana else ()))

    def check(self, available: Mapping[str, Column]) -> None:
        """Raise FieldError if `text` is no text column, or `sana` has no captions to tell."""
        if self.params.text != "auto":
            self._check_text(self.params.text, available)
        if self.params.sana and CANDIDATES not in available:
            what = "SANA's sidecars hold the captions that `caption.draw` draws from, and no step draws any"
            raise FieldError(what, ("sana",), "Add `- caption.draw` after the captions")

    def _check_text(self, name: str, available: Mapping[str, Column]) -> None:
        require_text(available, name, ("text",))
        if f"{name}.failed_check" in available:
            texts = [one for one in available if re.fullmatch(rf"{re.escape(name)}\.(en|zh)\.\w+", one)]
            what = f"{name!r} holds whole records of captions, as JSON, not texts"
            raise FieldError(what, ("text",), f"Take one of {', '.join(texts)}")

    @property
    def decodes(self) -> bool:
        """Original bytes are only copied."""
        return self.params.resize is not None or self.params.reencode is not None

    def export(
        self, table: TableReader, context: Context, target: str, identity: Mapping[str, Any]
    ) -> dict[str, Any]:
        """See `Export`. `identity["previous"]`: folder of the export before this one.

        The summary holds `records`, `shards`, `bytes` of all tars and `buckets` (records of each).
        Raises ThresherError if a medium changed or vanished since it was measured, if the disk is
        full, and if `target` holds a finished export of something else.
        """
        folder = _local(target)
        who = manifest.identity_of(identity, self.params, context.seed)
        finished = manifest.read_finished(folder)
        if finished:
            manifest.refuse_other(finished, who, folder)
            return dict(finished["counts"])
        manifest.prepare(folder)
        path = identity.get("previous")
        append = self.params.placement == "append"
        previous = appendable(path, who) if append else reusable(path, who)
        try:
            dataset = self._write(table, context, folder, who, previous)
        except Damaged:
            dataset = self._write(table, context, folder, who, None)
        return dict(dataset["counts"])

    def _write(
        self,
        table: TableReader,
        context: Context,
        folder: Path,
        who: Mapping[str, Any],
        previous: Previous | None,
    ) -> dict[str, Any]:
        """Write every file of the export; returns its `dataset.json`."""
        append = self.params.placement == "append"
        grown, copied = (previous, None) if append else (None, previous)
        schema = record_schema(measured_columns(table.columns), kind_of(table.columns))
        if grown:
            grown.check_schema(schema)
        known = previous.known("id" if append else "content", context.scratch) if previous else None
        scatter = Scatter(table, self.params, context.seed, known)
        maker = ShardMaker(folder, manifest.digest(who), self.params, context.roots, context.spool, copied)
        generation = grown.generation if grown else 0
        shards, slabs = self._plan(scatter, context, generation)
        files = _write_shards(shards, slabs, scatter, maker, context)
        if grown:
            files |= grown.link(folder)
        return manifest.finish(folder, who, generation, schema, shards, files)

    def _plan(
        self, scatter: Scatter, context: Context, generation: int
    ) -> tuple[list[Shard], list[list[int]]]:
        """The shards, and adjacent parts in slabs of at least RUN_ROWS records."""
        totals = Counter[str]()
        slabs: list[list[int]] = []
        held = RUN_ROWS
        parts = scatter.table.parts
        for part, (rows, sizes) in zip(parts, context.runner.map(scatter.totals, parts), strict=True):
            totals.update(sizes)
            if held >= RUN_ROWS:
                slabs.append([])
                held = 0
            slabs[-1].append(part)
            held += rows
        names, size = bucket_names(self.params), self.params.shard_size
        return plan_shards(totals, names, size, generation), slabs


@operator("export.documents")
class DocumentExport(ShardExport):
    """WebDataset shards of texts and dialogues, each with its images as they are; the table's `export`."""

    kinds = ("interleaved",)
    reads = ("formats", "widths", "heights", "image_shas", "bytes", "bytes_sha")

    def needs(self) -> tuple[str, ...]:
        """`reads`: the parameters name no column."""
        return self.reads

    def check(self, available: Mapping[str, Column]) -> None:
        """Raise FieldError for parameters that tell what becomes of a single picture and its caption."""
        for name in ("buckets", "resize", "reencode", "text", "sana"):
            if getattr(self.params, name) != type(self.params).model_fields[name].default:
                what = f"`{name}` is for pictures and captions, and this table holds texts and dialogues"
                raise FieldError(what, (name,), "Leave it out: texts and images are exported as they came")


def _write_shards(
    shards: Sequence[Shard],
    slabs: Sequence[Sequence[int]],
    scatter: Scatter,
    maker: ShardMaker,
    context: Context,
) -> manifest.Files:
    """Write every shard that is not finished yet; returns the `files` entries of all."""
    files: manifest.Files = {}
    missing = []
    for number, shard in enumerate(shards):
        if done := maker.finished(shard):
            files |= done
        else:
            missing.append(number)
    if not missing:
        return files
    partitions = min(len(shards), PARTITIONS)
    write = partial(scatter.write, shards=shards, partitions=partitions, folder=context.scratch)
    runs = list(context.runner.map(write, slabs))
    gather = partial(_gather, shards=shards, partitions=partitions, runs=runs, maker=maker)
    for made in context.runner.map(gather, missing):
        if made is None:
            raise Damaged("a record of the previous export is not as it was written")
        files |= made
    return files


def _gather(
    number: int, shards: Sequence[Shard], partitions: int, runs: Iterable[str], maker: ShardMaker
) -> manifest.Files | None:
    """Make one shard from its rows in all runs; None if the previous export cannot be copied from."""
    group = partition_of(number, len(shards), partitions)
    rows = read_partition([Path(run) for run in runs], group)
    try:
        return maker.make(shards[number], rows.filter(pc.equal(rows["shard"], number)))
    except Damaged:
        return None


def _local(target: str) -> Path:
    if "://" in target and not target.startswith("file://"):
        raise UsageError("exports go to local folders", where=target, mend="Copy the finished export there")
    return Path(target.removeprefix("file://"))
