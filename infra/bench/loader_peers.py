r"""Other loaders on the same shards, one a process, in an environment of their own: one line of JSON.

    pip install webdataset wids==0.1.11 megatron-energon grain array-record torch pillow simplejpeg \
        opencv-python-headless
    PYTHONPATH=. python infra/bench/loader_peers.py PEER TASK FOLDER ROUNDS

`rate`: samples/s, decoded at 256 px by two processes, in batches of 16, after the first 64. `epoch`: of one
epoch over three ranks, samples lost and repeated, and how many each rank gets. `resume`: seconds from nothing
to the first sample after 90 % of an epoch, and at its beginning. Each shuffles as its own pages advise.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

SIDE, BATCH, WARM, WORKERS, WORLD = 256, 16, 64, 2, 3


def picture(data: bytes) -> Any:
    """The decode function of all."""
    from thresher.loader.images import pixels

    return pixels(data, SIDE, SIDE)


def shards(folder: Path) -> list[str]:
    """Paths of the tars."""
    return [str(file) for file in sorted(folder.glob("*.tar"))]


class WebDataset:
    """Shard shuffle and a buffer of 1,000; split by node and worker; no resume but skipping."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _loader(self, each: Callable[[dict[str, Any]], Any], rank: int = 0, world: int = 1) -> Iterable[Any]:
        import webdataset
        from torch.utils.data import DataLoader

        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world)}
        split = webdataset.split_by_node
        data = webdataset.WebDataset(shards(self.folder), shardshuffle=100, nodesplitter=split, seed=0)
        batches = data.shuffle(1000).map(each).batched(BATCH, collation_fn=list)
        return DataLoader(batches, batch_size=None, num_workers=WORKERS)

    def decoded(self) -> Iterator[Any]:
        return (one for batch in self._loader(_web_picture) for one in batch)

    def keys(self, rank: int) -> Iterator[str]:
        return (key for batch in self._loader(_web_key, rank, WORLD) for key in batch)

    def resumed(self, done: int) -> Any:
        return next(islice(self.keys_alone(), done, None))

    def keys_alone(self) -> Iterator[str]:
        return (key for batch in self._loader(_web_key) for key in batch)


def _web_picture(sample: dict[str, Any]) -> Any:
    return picture(sample["jpg"])


def _web_key(sample: dict[str, Any]) -> Any:
    return sample["__key__"]


class Wids:
    """Random access by the index that exports write; chunks of shards in random order."""

    def __init__(self, folder: Path) -> None:
        import wids

        self.data = wids.ShardListDataset(str(folder / "wids.json"), transformations=[], keep=True)

    def decoded(self) -> Iterator[Any]:
        import wids
        from torch.utils.data import DataLoader

        self.data.transformations = [_wids_picture]
        sampler = wids.ChunkedSampler(self.data, shuffle=True)
        loader = DataLoader(self.data, BATCH, sampler=sampler, num_workers=WORKERS, collate_fn=_same)
        return (one for batch in loader for one in batch)

    def keys(self, rank: int) -> Iterator[str]:
        from torch.utils.data import DistributedSampler

        sampler = DistributedSampler(self.data, WORLD, rank)  # type: ignore[arg-type,var-annotated]
        return (str(i) for i in sampler)


def _wids_picture(sample: dict[str, Any]) -> Any:
    return picture(sample[".jpg"].read())


def _same(batch: Any) -> Any:
    return batch


class Energon:
    """Buffers of 100, as its pages advise, over the metadata that exports write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _loader(self, rank: int = 0, world: int = 1, raw: bool = False, **more: Any) -> Any:
        from megatron.energon import (
            DefaultTaskEncoder,
            WorkerConfig,
            get_savable_loader,
            get_train_dataset,
            stateless,
        )

        class Encoder(DefaultTaskEncoder):  # type: ignore[misc,type-arg]
            decoder = None

            @stateless
            def encode_sample(self, sample: Any) -> Any:
                return sample.__key__ if raw else picture(sample.image)

            def batch(self, samples: list[Any]) -> Any:
                return samples

            def encode_batch(self, batch: Any) -> Any:
                return batch

        workers = WorkerConfig(rank=rank, world_size=world, num_workers=WORKERS)
        data = get_train_dataset(
            self.folder, worker_config=workers, batch_size=BATCH, shuffle_buffer_size=100,
            max_samples_per_sequence=100, task_encoder=Encoder(), **more,
        )  # fmt: skip
        return get_savable_loader(data, checkpoint_every_sec=0, checkpoint_every_min_n_samples=1)

    def decoded(self) -> Iterator[Any]:
        return (one for batch in self._loader() for one in batch)

    def keys(self, rank: int) -> Iterator[str]:
        return (key for batch in self._loader(rank, WORLD, True, repeat=False) for key in batch)

    def resumed(self, done: int) -> Any:
        return next(iter(self.again))

    def ready(self, done: int) -> None:
        """A state is saved at that place, untimed."""
        first = self._loader(raw=True)
        for _ in islice(first, done // BATCH):
            pass
        self.state = first.save_state_rank()

    @property
    def again(self) -> Any:
        loader = self._loader(raw=True)
        loader.restore_state_rank(self.state)
        return loader


class Grain:
    """A copy as ArrayRecord, a global shuffle."""

    def __init__(self, folder: Path) -> None:
        from array_record.python.array_record_module import ArrayRecordWriter
        from webdataset import WebDataset as Tars

        self.file = folder / "copy.array_record"
        if not self.file.exists():
            writer = ArrayRecordWriter(str(self.file), "group_size:1")
            for sample in Tars(shards(folder), shardshuffle=False):
                writer.write(sample["jpg"])
            writer.close()

    def _data(self) -> Any:
        import grain

        return grain.MapDataset.source(grain.sources.ArrayRecordDataSource(str(self.file)))

    def decoded(self) -> Iterator[Any]:
        import grain

        data = self._data().shuffle(0).map(picture).batch(BATCH, batch_fn=list)
        one = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)  # of each process
        batches = data.to_iter_dataset(one).mp_prefetch(grain.MultiprocessingOptions(num_workers=WORKERS))
        return (one for batch in batches for one in batch)

    def keys(self, rank: int) -> Iterator[str]:
        import grain

        whole = grain.MapDataset.range(len(self._data())).shuffle(0)
        return (str(i) for i in whole[rank::WORLD])


PEERS: dict[str, Any] = {"webdataset": WebDataset, "wids": Wids, "energon": Energon, "grain": Grain}


def rate(peer: Any, n: int) -> float:
    """Samples a second."""
    each = iter(peer.decoded())
    list(islice(each, WARM))
    began = time.perf_counter()
    count = sum(1 for _ in islice(each, n - 4 * WARM))
    return count / (time.perf_counter() - began)


def epoch(peer: Any, n: int) -> dict[str, Any]:
    """What three ranks get of one epoch."""
    held = [list(peer.keys(rank)) for rank in range(WORLD)]
    seen = Counter(key for keys in held for key in keys)
    ranks = [len(keys) for keys in held]
    return {"lost": n - len(seen), "repeated": sum(seen.values()) - len(seen), "ranks": ranks}


def resume(peer: Any, n: int) -> list[float]:
    """Seconds to the first sample at 90 %, and at the beginning."""
    if hasattr(peer, "ready"):
        peer.ready(n * 9 // 10)
    told = []
    for done in (n * 9 // 10, 0):
        began = time.perf_counter()
        peer.resumed(done)
        told.append(time.perf_counter() - began)
    return told


def main() -> None:
    name, task, folder, rounds = sys.argv[1:]
    peer = PEERS[name](Path(folder))
    n = json.loads((Path(folder) / "dataset.json").read_text())["counts"]["records"]
    work: Any = {"rate": rate, "epoch": epoch, "resume": resume}[task]
    print(json.dumps([work(peer, n) for _ in range(int(rounds))]))


if __name__ == "__main__":
    main()
