"""`thresher.open`: an export as a webdataset pipeline of decoded segments, for trainers of other people."""

import json
import random
import tarfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from thresher.operators.export import manifest
from thresher.schemas import ThresherError
from thresher.schemas.segments import SEGMENTS, texts_of

Sample = dict[str, Any]


def open_export(export: str, *, shuffle: int = 0, seed: int = 0) -> Any:
    """A webdataset pipeline over the shards of the export in the folder or at the address `export`.

    Each sample is a dictionary: `__key__`, `__url__` of its shard, `json` (the record) and `segments`, the
    list of `KEY.segments.json`. A text has `text`, one of its versions drawn uniformly, and its name
    `version`, and all of them in `texts`; an image has `image`, upright RGB in PIL, sRGB over white.

    `shuffle`: samples in the buffer that mixes them; the order of shards then changes too. 0: tar order.
    `seed`: of both and of the drawn versions; each pass draws anew. Shards are dealt to the ranks of
    torch.distributed and the workers of a `DataLoader`, each to one. An image that cannot be decoded
    costs its sample, with a warning.

    Raises ThresherError if webdataset is not installed, if there is no finished export or one of another
    format, and, while reading, if a shard cannot be read.
    """
    wds = _webdataset()
    root = str(export).rstrip("/")
    tars = {f"{root}/{name}": size for name, size in _tars(root).items()}
    mixed = partial(wds.detshuffle, seed=seed) if shuffle else lambda *size: None
    stages = (
        wds.SimpleShardList(tars),
        mixed(len(tars), len(tars)),
        wds.split_by_node,
        wds.split_by_worker,
        partial(_opened, sizes=tars),
        wds.tariterators.tar_file_expander,
        partial(wds.tariterators.group_by_keys, lcase=False),
        mixed(shuffle, shuffle),
        _Decode(seed),
    )
    return wds.FluidWrapper(wds.DataPipeline(*stages))


def _webdataset() -> Any:
    try:
        import webdataset
    except ImportError as error:
        raise ThresherError(
            "webdataset is not installed", where="thresher.open", mend="Run `pip install webdataset`"
        ) from error
    return webdataset


def _tars(root: str) -> dict[str, int]:
    """The shards that `dataset.json` names, with their bytes."""
    with _read(f"{root}/{manifest.MANIFEST}") as file:
        dataset = manifest.parsed(file.read())
    if dataset is None:
        raise ThresherError(f"{manifest.MANIFEST} is not as it was written", where=root, mend=_VERIFY)
    manifest.require_current(dataset, root)
    tars = {name: about["bytes"] for name, about in dataset["files"].items() if name.endswith(".tar")}
    if not tars:
        raise ThresherError("the export holds no records", where=root, mend="Run its recipe on more data")
    return tars


_VERIFY = "Run `thresher verify` on the export"


def _read(url: str) -> Any:
    import fsspec

    try:
        return fsspec.open(url, "rb").open()
    except FileNotFoundError as error:
        raise ThresherError(
            "there is no such file", where=url, mend="Name the folder of a finished export"
        ) from error
    except ImportError as error:
        raise ThresherError(str(error), where=url, mend="Install the driver of this address") from error


def _opened(shards: Iterable[Sample], sizes: Mapping[str, int]) -> Iterator[Sample]:
    """The stage that opens shards, wherever fsspec can. A cut tar would end without a word, hence `sizes`."""
    for shard in shards:
        url = shard["url"]
        with _read(url) as stream:
            if stream.size is not None and stream.size != sizes[url]:
                what = f"the shard has {stream.size} bytes, and was written with {sizes[url]}"
                raise ThresherError(what, where=url, mend=_VERIFY)
            yield shard | {"stream": stream}


class _Decode:
    """The last stage. A class, so that worker processes can take it along."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._passes = 0

    def __call__(self, raw: Iterable[Sample]) -> Iterator[Sample]:
        from thresher.operators.views.opener import MediaError

        self._passes += 1
        draw = f"{self._seed} {self._passes}"
        for sample in _whole(iter(raw)):
            try:
                yield _decoded(sample, random.Random(f"{draw} {sample['__key__']}"))
            except MediaError as error:
                warnings.warn(f"{sample['__url__']}, record {sample['__key__']}: {error}", stacklevel=2)


def _whole(raw: Iterator[Sample]) -> Iterator[Sample]:
    try:
        yield from raw
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ThresherError(f"a shard cannot be read: {error}", mend=_VERIFY) from error


def _decoded(sample: Sample, dice: random.Random) -> Sample:
    segments = json.loads(sample[SEGMENTS[1:]])
    for segment in segments:
        if segment["kind"] == "image":
            segment["image"] = _picture(sample[segment["ref"][1:]])
        else:
            texts = texts_of(segment)
            name = dice.choice(sorted(texts))
            segment.update(text=texts[name], version=name, texts=texts)
    told = {name: sample[name] for name in ("__key__", "__url__")}
    return told | {"json": json.loads(sample["json"]), "segments": segments}


def _picture(data: bytes) -> Any:
    from PIL import Image

    from thresher.operators.base import View
    from thresher.operators.views import open_views

    native = View("native")
    return Image.fromarray(open_views(data, [native])[native])
