"""Image and text encoders behind one protocol: classical, open_clip, SigLIP and DINOv2."""

import importlib.util
import json
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from thresher.operators.models import weights
from thresher.operators.models.classical import SIDE, describe
from thresher.operators.models.folder import check_type, load_model, read_config
from thresher.operators.models.pictures import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD, Square
from thresher.operators.models.torch_setup import infer, levels, precision, setup_torch
from thresher.schemas.errors import FieldError, ThresherError, nearest

Backend = Literal["classical", "clip", "siglip", "dinov2"]
Vectors = NDArray[np.float32]
_IN_FOLDER = "open_clip_model.safetensors"
"""What open_clip calls the weights in a repository."""


class Encoder(Protocol):
    """Pictures, and for some texts, as vectors; not of unit length."""

    @property
    def square(self) -> Square:
        """What `prepare` cuts; known without torch."""
        ...

    def check(self) -> None:
        """Raise FieldError at plan time if the model cannot be this one."""
        ...

    def load(self, device: str) -> Any:
        """The model on `device`."""
        ...

    def images(self, model: Any, pixels: NDArray[np.uint8]) -> Vectors:
        """float32 (n, d) of uint8 (n, size, size, 3)."""
        ...


class TextEncoder(Encoder, Protocol):
    """An encoder whose texts lie in the space of its pictures."""

    def tokens(self, text: str) -> NDArray[np.int64]:
        """int64 (context,); longer texts are cut."""
        ...

    def texts(self, model: Any, tokens: NDArray[np.int64]) -> Vectors:
        """float32 (n, d) of int64 (n, context)."""
        ...


def encoder(backend: Backend, model: str, place: str) -> Encoder:
    """The encoder called `backend`, of the architecture `model`, with the weights at `place`."""
    if backend == "classical":
        return Classical()
    if backend == "clip":
        return OpenClip(model, place)
    return Siglip(place) if backend == "siglip" else Dinov2(place)


class Classical:
    """Nothing learned: see `classical.py`."""

    square = Square(SIDE, "squash")

    def check(self) -> None:
        return None

    def load(self, device: str) -> None:
        return None

    def images(self, model: None, pixels: NDArray[np.uint8]) -> Vectors:
        return np.stack([describe(one) for one in pixels])


class OpenClip:
    """A CLIP of open_clip: `model` is its name there, or a configuration file of the same form."""

    def __init__(self, model: str, place: str) -> None:
        self._name, self._place = model, place

    @cached_property
    def _config(self) -> dict[str, Any]:
        file = Path(self._name)
        if file.suffix != ".json":
            spec = importlib.util.find_spec("open_clip")
            if spec is None or spec.origin is None:
                raise weights.missing_package("open_clip", "models")
            known = {path.stem: path for path in (Path(spec.origin).parent / "model_configs").glob("*.json")}
            if self._name not in known:
                mend = nearest(self._name, sorted(known)) or "Try ViT-L-14 or ViT-B-32"
                raise FieldError(f"open_clip has no model {self._name!r}", ("model",), mend)
            file = known[self._name]
        try:
            found = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            what = f"there is no readable JSON file {self._name!r}"
            raise FieldError(what, ("model",), "Give a configuration as open_clip writes it") from error
        if not isinstance(found, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= {*found}:
            what = f"{self._name!r} is no configuration of a CLIP"
            raise FieldError(what, ("model",), "It names embed_dim, vision_cfg and text_cfg")
        return found

    def check(self) -> None:
        _ = self._config
        folder = Path(self._place).expanduser()
        if folder.is_dir() and not (folder / _IN_FOLDER).is_file():
            raise FieldError(f"there is no {_IN_FOLDER} in {self._place!r}", ("weights",), "Name the file")

    @property
    def square(self) -> Square:
        size = self._config["vision_cfg"].get("image_size", 224)
        return Square(size if isinstance(size, int) else size[0], "crop", CLIP_MEAN, CLIP_STD)

    def load(self, device: str) -> Any:
        setup_torch()
        import open_clip

        file = weights.locate(self._place)
        if file.is_dir():
            file = file / _IN_FOLDER
        if self._name.endswith(".json"):
            open_clip.add_model_config(self._name)
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it warns that no weights were loaded: they are, below
        try:
            model = open_clip.create_model(Path(self._name).stem, pretrained=None)
        finally:
            logging.disable(before)
        return weights.load_into(model, file).to(device, precision(device)).eval()

    def images(self, model: Any, pixels: NDArray[np.uint8]) -> Vectors:
        return infer(model, pixels, lambda x: model.encode_image(_levels(model, x, self.square)))

    @cached_property
    def _tokenizer(self) -> Any:
        setup_torch()
        import open_clip

        return open_clip.SimpleTokenizer(context_length=self._config["text_cfg"].get("context_length", 77))

    def tokens(self, text: str) -> NDArray[np.int64]:
        return self._tokenizer([text])[0].numpy()

    def texts(self, model: Any, tokens: NDArray[np.int64]) -> Vectors:
        return infer(model, tokens, model.encode_text)


class _Transformers:
    """A folder as `save_pretrained` writes it, read by transformers; safetensors only."""

    types: tuple[str, ...] = ()
    """`model_type` in `config.json`, any of these."""

    def __init__(self, place: str) -> None:
        self._place = place

    def check(self) -> None:
        if self._place.startswith("hf:"):
            return
        try:
            check_type(self._folder, self.types)
        except ThresherError as error:
            raise FieldError(error.what, ("weights",), error.mend) from error

    @cached_property
    def _folder(self) -> Path:
        return weights.locate(self._place)

    @cached_property
    def _config(self) -> dict[str, Any]:
        found = read_config(self._folder)
        return found.get("vision_config", found)

    def _load(self, kind: str, device: str) -> Any:
        return load_model(kind, self._folder, device)


class Siglip(_Transformers):
    """SigLIP or SigLIP 2 of fixed size (`SiglipModel`)."""

    types = ("siglip",)

    @property
    def square(self) -> Square:
        return Square(self._config.get("image_size", 224), "squash", HALF, HALF)

    def load(self, device: str) -> Any:
        return self._load("SiglipModel", device)

    def images(self, model: Any, pixels: NDArray[np.uint8]) -> Vectors:
        def compute(x: Any) -> Any:
            return model.vision_model(pixel_values=_levels(model, x, self.square)).pooler_output

        return infer(model, pixels, compute)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self._folder, local_files_only=True)

    def tokens(self, text: str) -> NDArray[np.int64]:
        made = self._tokenizer([text.lower()], padding="max_length", truncation=True, max_length=64)
        return np.array(made["input_ids"][0], np.int64)

    def texts(self, model: Any, tokens: NDArray[np.int64]) -> Vectors:
        return infer(model, tokens, lambda x: model.text_model(input_ids=x).pooler_output)


class Dinov2(_Transformers):
    """DINOv2 (`Dinov2Model`): its class token."""

    types = ("dinov2",)

    @property
    def square(self) -> Square:
        return Square(224, "crop", IMAGENET_MEAN, IMAGENET_STD)

    def load(self, device: str) -> Any:
        return self._load("Dinov2Model", device)

    def images(self, model: Any, pixels: NDArray[np.uint8]) -> Vectors:
        return infer(model, pixels, lambda x: model(_levels(model, x, self.square)).pooler_output)


def _levels(model: Any, pixels: Any, square: Square) -> Any:
    return levels(model, pixels, square.mean, square.std)


def unit(vectors: Sequence[Any] | NDArray[Any]) -> tuple[Vectors, Vectors]:
    """float32 (n, d) of length 1 and the lengths before, (n,); a vector of zeros stays."""
    array = np.asarray(vectors, np.float32)
    length = np.linalg.norm(array, axis=1)
    return array / np.maximum(length, 1e-12)[:, None], length
