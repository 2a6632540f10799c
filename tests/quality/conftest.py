import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
from PIL import Image

from thresher.operators.base import Batch
from thresher.operators.quality import Quality
from thresher.operators.views import open_views
from thresher.schemas import Media, Record

_NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "hubble_deep_field.jpg", "retina.jpg")


@pytest.fixture(scope="session")
def photos() -> dict[str, np.ndarray]:
    """Name -> upright RGB pixels of six photographs that scikit-image ships."""
    folder = Path(skimage.__file__).parent / "data"
    return {n.split(".")[0]: np.asarray(Image.open(folder / n).convert("RGB")) for n in _NAMES}


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    def save(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, form, **options)
        return buffer.getvalue()

    return save


@pytest.fixture(scope="session")
def batch_of() -> Callable[[list[bytes]], Batch]:
    def build(files: list[bytes]) -> Batch:
        opened = [open_views(data, Quality.views) for data in files]
        medium = Media("image", "x", None, None, "")
        records = [Record(bytes([i] * 16), "s", str(i), (medium,)) for i in range(len(files))]
        return Batch(records, {view: [o[view] for o in opened] for view in Quality.views})

    return build


@pytest.fixture(scope="session")
def measure(encode, batch_of) -> Callable[..., dict[str, Any]]:
    """Every column's value of one image: of a file, or of pixels saved as PNG."""

    def values(image: bytes | np.ndarray) -> dict[str, Any]:
        data = image if isinstance(image, bytes) else encode(image)
        answer = Quality().measure(batch_of([data]))
        assert not answer.failures
        return {name: column[0] for name, column in answer.columns.items()}

    return values
