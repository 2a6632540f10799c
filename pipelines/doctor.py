"""`thresher doctor`: what works on this machine, what is absent and how to get it."""

import importlib
import importlib.metadata
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Literal

from thresher.pipelines.cli.text import size_text


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    state: Literal["ok", "absent", "broken"]
    detail: str


OPTIONAL = {
    "pillow_heif": ("HEIC images", "formats"),
    "pillow_jxl": ("JPEG XL images", "formats"),
    "skimage": ("the demo's photographs", "demo"),
    "sklearn": ("the demo's photographs", "demo"),
    "s3fs": ("pools on S3", "s3"),
}


def examine(base_only: bool = False) -> list[Check]:
    """Run the checks. The base must work; extras may be absent."""
    checks = [_guard("python", _python), _guard("ray", _ray), _guard("disk", _disk)]
    checks += [_guard(f"decode {kind}", partial(_decode, kind)) for kind in _SAMPLES]
    if not base_only:
        checks += list(_extras())
        checks.append(_guard("gpu", _gpu))
        checks.append(Check("model files", "absent", "none needed: every operator has its default built in"))
    return checks


def _guard(name: str, check: Callable[[], Check | str]) -> Check:
    try:
        found = check()
        return found if isinstance(found, Check) else Check(name, "ok", found)
    except Exception as error:
        return Check(name, "broken", f"{type(error).__name__}: {error}")


def _python() -> Check | str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        return Check("python", "broken", f"{version}; needed is 3.11, 3.12 or 3.13")
    return version


def _ray() -> str:
    return f"{importlib.metadata.version('ray')}, starts when there is work for it"


def _disk() -> str:
    usage = shutil.disk_usage(".")
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    return f"{size_text(usage.free)} free here"


_SAMPLES = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


def _decode(kind: str) -> str:
    from PIL import Image

    from thresher.operators.base import View
    from thresher.operators.views import open_views

    sink = BytesIO()
    Image.new("RGB", (64, 48), (200, 100, 50)).save(sink, kind)
    view = View("rgb", 512)
    shape = open_views(sink.getvalue(), [view])[view].shape
    if shape != (48, 64, 3):
        raise ValueError(f"decoded to {shape}")
    return "reads"


def _extras() -> Iterator[Check]:
    for module, (purpose, extra) in OPTIONAL.items():
        if importlib.util.find_spec(module):
            yield Check(module, "ok", purpose)
        else:
            yield Check(module, "absent", f"for {purpose}: in the clone, pip install -e '.[{extra}]'")


def _gpu() -> Check | str:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Check("gpu", "absent", "not needed: every step has a CPU back end")
    import subprocess

    names = subprocess.run(
        [tool, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, timeout=20
    ).stdout.strip()
    return names.replace("\n", ", ") or Check("gpu", "absent", "nvidia-smi finds none")
