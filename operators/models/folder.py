"""A model's folder as `save_pretrained` writes it: safetensors only, and no weight may be missing."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thresher.operators.models.pictures import IMAGENET_MEAN, IMAGENET_STD, Square
from thresher.operators.models.torch_setup import precision, setup_torch
from thresher.schemas.errors import ThresherError

_CONVNEXT_SQUASHES = 384
"""px; from this size on a ConvNeXT is given the whole picture."""


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """A JSON file of the folder. Raises ThresherError."""
    try:
        found = json.loads((folder / name).read_text())
    except (OSError, ValueError) as error:
        raise ThresherError(
            f"there is no readable {name}",
            str(folder),
            "Give the folder of a model, as transformers saves it",
        ) from error
    if not isinstance(found, dict):
        raise ThresherError(f"{name} is no mapping", str(folder), "Give the folder of a model")
    return found


def check_type(folder: Path, types: Sequence[str]) -> None:
    """Raise ThresherError if the folder holds a model of another type than `types`."""
    found = read_config(folder).get("model_type")
    if found not in types:
        what = f"it is a model of the type {found!r}, not {types[0]!r}"
        raise ThresherError(what, str(folder), "Name the right folder or back end")


def load_model(kind: str, folder: Path, device: str, exact: bool = False) -> Any:
    """The model of the class `kind` with the folder's weights; `exact`: fp32 on any device.

    Raises ThresherError where the weights do not fit.
    """
    torch = setup_torch()
    import transformers
    from safetensors import SafetensorError

    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, found = getattr(transformers, kind).from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32 if exact else precision(device),
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except (OSError, ValueError, TypeError, RuntimeError, KeyError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ThresherError(
            f"no {kind} can be loaded: {reason}", str(folder), "Give the model's folder"
        ) from error
    if missing := sorted(found["missing_keys"]):
        what = f"the weights do not fit a {kind}: {missing[0]} is missing ({len(missing)} in all)"
        raise ThresherError(what, str(folder), "Name the right model")
    if wrong := sorted(found["mismatched_keys"]):
        name, given, wanted = wrong[0]
        what = f"{name} has the shape {tuple(given)}, not {tuple(wanted)} ({len(wrong)} in all)"
        raise ThresherError(f"the weights do not fit a {kind}: {what}", str(folder), "Name the right model")
    return model.to(device).eval()


def image_config(folder: Path) -> dict[str, Any]:
    """How the model wants its pictures: of `preprocessor_config.json`, or of the processor that holds it."""
    if (folder / "preprocessor_config.json").exists():
        return read_config(folder, "preprocessor_config.json")
    return read_config(folder, "processor_config.json").get("image_processor", {})


def square_of(folder: Path) -> Square:
    """The square that a classifier was trained on. Raises ThresherError where it is none."""
    config = image_config(folder)
    size, crop = _sides(config.get("size") or 224), _sides(config.get("crop_size"))
    if not size:
        what = f"the model's input size is given as {config.get('size')}, no square"
        raise ThresherError(what, str(folder), "Choose another model")
    mean, std = config.get("image_mean") or IMAGENET_MEAN, config.get("image_std") or IMAGENET_STD
    if not config.get("do_normalize", True):
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    whole = Square(size[0], "squash", tuple(mean), tuple(std), kernel=int(config.get("resample") or 2))
    if "crop_pct" in config and size[0] < _CONVNEXT_SQUASHES:
        return whole._replace(fit="crop", part=config["crop_pct"])
    if config.get("do_center_crop") and crop:
        return whole._replace(size=crop[0], fit="crop", part=min(1.0, crop[0] / size[0]))
    if len({*size}) != 1:
        raise ThresherError(f"the model's input is {size} px, no square", str(folder), "Choose another model")
    return whole


def _sides(size: Any) -> tuple[int, ...]:
    """Sides in px of what a configuration calls a size: a number, an edge, or height and width."""
    if isinstance(size, dict):
        size = [size[key] for key in ("shortest_edge", "height", "width") if key in size]
    return (size,) if isinstance(size, int) else tuple(size or ())
