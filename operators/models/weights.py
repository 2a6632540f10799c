"""Where weights come from: a local path, a Hugging Face id with a pinned revision, or a package.

    /data/vit.safetensors                     a file
    /data/siglip                              a folder, as `save_pretrained` writes it
    hf:google/siglip2-base@1a2b3c             a repository at a commit; `hf:ORG/NAME@COMMIT/FILE` for one file
    package:rapidocr/models/det.onnx          a file of an installed package

Nothing is unpickled: safetensors are read as they are, `.pt` and `.pth` with `weights_only`.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

from thresher.schemas.errors import FieldError, ThresherError

_HUB = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{7,40})(?:/(?P<file>.+))?")
_CHUNK = 1 << 22


def check(place: str, path: tuple[str | int, ...], folder: bool | None = None) -> None:
    """Raise FieldError at plan time if `place` cannot be right; a repository is looked for when used.

    `folder`: whether it must be one, with safetensors in it; or must be none. Of a checkpoint nothing is read
    but what tells a cut or foreign file.
    """
    if place.startswith("hf:"):
        if _HUB.fullmatch(place) is None:
            mend = "Write hf:ORG/NAME@COMMIT with a commit of 7 to 40 hex digits: a branch may move"
            raise FieldError(f"{place!r} names no repository at a commit", path, mend)
        return
    try:
        found = _local(place)
    except ThresherError as error:
        raise FieldError(error.what, path, error.mend) from error
    if not found.exists():
        raise FieldError(f"there is no file or folder {place!r}", path, "Give a path, or hf:ORG/NAME@COMMIT")
    files = sorted(found.glob("*.safetensors")) if found.is_dir() else [found]
    if folder is not None and folder != found.is_dir():
        mend = "Give the folder of a model, as transformers saves it" if folder else "Give the file in it"
        raise FieldError(f"{place!r} is {'no folder' if folder else 'a folder'}", path, mend)
    if folder and not files:
        mend = "Weights of other formats are not read: convert them"
        raise FieldError(f"there are no safetensors in {place!r}", path, mend)
    for file in files:
        try:
            fault = _fault(file)
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
        if fault:
            raise FieldError(f"the weights {str(file)!r}: {fault}", path, "Fetch the file again")


def locate(place: str) -> Path:
    """The file or folder on this machine; a repository is fetched once (resumed, sha256 checked).

    Raises ThresherError. `HF_HUB_OFFLINE=1` is respected.
    """
    match = _HUB.fullmatch(place)
    if match is None:
        found = _local(place)
        if not found.exists():
            raise ThresherError(
                "the weights are missing", place, "Give the path of a file or folder that exists"
            )
        return found
    try:
        from huggingface_hub import hf_hub_download, snapshot_download
    except ImportError as error:
        raise missing_package("huggingface_hub", "models") from error
    try:
        if match["file"]:
            found = Path(hf_hub_download(match["repo"], match["file"], revision=match["revision"]))
        else:
            patterns = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
            found = Path(
                snapshot_download(match["repo"], revision=match["revision"], allow_patterns=patterns)
            )
    except Exception as error:  # the hub's errors have no common class but OSError, ValueError and httpx's
        reason = str(error).strip().partition("\n")[0]
        mend = f"Fetch it where there is a network (`hf download {match['repo']}`), or give a local path"
        raise ThresherError(f"the weights cannot be had: {reason}", place, mend) from error
    for file in [found] if found.is_file() else sorted(found.rglob("*")):
        _check_blob(file)
    return found


def revision(place: str) -> str:
    """What a fingerprint says of weights: repository, commit and file, or a digest of the local files."""
    match = _HUB.fullmatch(place)
    if match is not None:
        return place.removeprefix("hf:")
    found = _local(place)
    files = [found] if found.is_file() else sorted(p for p in found.rglob("*") if p.is_file())
    sums = [(str(f.relative_to(found)), _sha256(str(f), *_state(f))) for f in files]
    return hashlib.blake2b(repr(sums).encode(), digest_size=8).hexdigest()


def tensors(file: Path) -> dict[str, Any]:
    """Name -> torch tensor on the CPU, from `.safetensors` or a state dict in `.pt`, `.pth`, `.bin`."""
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        import torch

        found = torch.load(file, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise missing_package("torch", "models") from error
    except Exception as error:
        reason = str(error).strip().partition("\n")[0].partition(". In PyTorch")[0]
        mend = "Weights are safetensors, or a plain state dict; other pickles are refused"
        raise ThresherError(f"the weights cannot be read: {reason}", str(file), mend) from error
    found = found.get("state_dict", found) if isinstance(found, dict) else {}
    return {name.removeprefix("module."): value for name, value in found.items()}


def load_into(model: Any, file: Path) -> Any:
    """`model` with the weights of `file`; every name and shape must fit."""
    given, wanted = tensors(file), model.state_dict()
    faults = [f"{name} is missing" for name in wanted if name not in given]
    faults += [f"{name} is not part of the model" for name in given if name not in wanted]
    faults += [
        f"{name} has the shape {tuple(given[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ThresherError(
            f"the weights do not fit the model: {faults[0]}{more}", str(file), "Name the right model"
        )
    model.load_state_dict(given)
    return model


def package_version(module: str) -> str:
    """Of an installed package; `absent` where it is not, so that what it would do can still be described."""
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def check_package(module: str, extra: str) -> None:
    """Raise FieldError at plan time if a package is not installed."""
    if package_version(module) == "absent":
        raise FieldError(
            f"the Python package {module!r} is not installed", mend=f"pip install 'thresher[{extra}]'"
        )


def missing_package(module: str, extra: str) -> ThresherError:
    """What to say where an optional package is not installed."""
    return ThresherError(
        f"the Python package {module!r} is not installed", mend=f"pip install 'thresher[{extra}]'"
    )


def _local(place: str) -> Path:
    if not place.startswith("package:"):
        return Path(os.path.expanduser(place))
    package, _, inside = place.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ThresherError(
            f"the Python package {package!r} is not installed", place, f"pip install {package}"
        )
    return Path(spec.submodule_search_locations[0]) / inside


def _fault(file: Path) -> str:
    """What is wrong with a checkpoint as a file; empty if nothing is, or if it is another file."""
    size = file.stat().st_size
    if file.suffix == ".safetensors":
        with open(file, "rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = stream.read(length) if 0 < length <= size - 8 else b""
        try:
            tensors = [one for name, one in json.loads(header).items() if name != "__metadata__"]
            end = 8 + length + max(one["data_offsets"][1] for one in tensors)
        except (ValueError, TypeError, KeyError, AttributeError):
            return "cut, or no safetensors file"
        return "" if end == size else f"it has {size:,} bytes, and its header speaks of {end:,}"
    if file.suffix in (".pt", ".pth", ".bin") and not zipfile.is_zipfile(file):
        with open(file, "rb") as stream:
            return "" if stream.read(1) == b"\x80" else "cut, or no state dict of torch"
    return ""


def _check_blob(file: Path) -> None:
    """Large files of a repository lie in the cache under their SHA-256: a damaged one is told."""
    blob = file.resolve()
    named = file.is_symlink() and re.fullmatch("[0-9a-f]{64}", blob.name)
    if named and _sha256(str(blob), *_state(blob)) != blob.name:
        what = "the weights in the cache are damaged"
        raise ThresherError(what, str(blob), "Delete the file and run again")


def _state(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


@functools.cache
def _sha256(file: str, size: int, mtime_ns: int) -> str:
    """Read once for each state of the file."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
