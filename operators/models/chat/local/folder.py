"""What can be known of a model's folder before it is loaded."""

from pathlib import Path

from thresher.operators.models import weights
from thresher.operators.models.folder import image_config, read_config
from thresher.schemas.errors import FieldError, ThresherError

_WHERE = ("weights",)


def check_folder(place: str) -> None:
    """Raise FieldError at plan time if `place` holds no vision-language model that can be talked to; a
    repository is looked at when it is used."""
    weights.check(place, _WHERE, folder=True)
    if place.startswith("hf:"):
        return
    folder = weights.locate(place)
    try:
        sees = "vision_config" in read_config(folder) and bool(image_config(folder))
    except ThresherError as error:
        raise FieldError(error.what, _WHERE, error.mend) from error
    if not sees:
        mend = "Give the folder of a vision-language model, such as Qwen2-VL or LLaVA, with its processor"
        raise FieldError(f"the model in {place!r} takes no pictures", _WHERE, mend)
    if not _has_template(folder):
        mend = "Take an instruction-tuned model, or put its chat_template.jinja into the folder"
        raise FieldError(f"the model in {place!r} has no chat template", _WHERE, mend)


def _has_template(folder: Path) -> bool:
    if any((folder / name).exists() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    files = [folder / name for name in ("processor_config.json", "tokenizer_config.json")]
    return any(bool(read_config(folder, file.name).get("chat_template")) for file in files if file.exists())
