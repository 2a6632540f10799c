"""`python -m thresher.pipelines.judge FOLDER ENDPOINT MODEL`: what `thresher sample --judge` starts."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from thresher.operators.models.chat import settings
from thresher.operators.models.chat.params import ChatParams
from thresher.pipelines.calibrate.statistics import Estimate
from thresher.pipelines.judge.ssae import Accuracy, accuracy, judge, read_drawn, told
from thresher.pipelines.store.files import write_bytes
from thresher.schemas.errors import ThresherError


def main(folder: Path, endpoint: str, model: str, key_env: Annotated[str, typer.Option()] = "") -> None:
    """Judge the pictures of a folder of samples; answers are kept there, and asked for once."""
    settings.configure(settings.Settings(memo=str(folder / "answers")))
    params = ChatParams(endpoint=endpoint, model=model, key_env=key_env)
    params.check("Without one, leave out --judge")
    judged = judge(read_drawn(folder), params.connect())
    found, pictures = accuracy(judged), told(judged)
    result = {"model": model, "accuracy": None if found is None else _numbers(found), "pictures": pictures}
    write_bytes(folder / "judged.json", (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    if found is None:
        first = next((one["message"] for one in pictures if "message" in one), "there are no samples")
        raise ThresherError(f"none of {len(judged)} pictures could be judged: {first}", where=endpoint)
    failed = f", {found.failed} could not be judged" if found.failed else ""
    print(f"Judged by {model}: {found.images} pictures{failed}.")
    print(f"Mean Image Accuracy {_said(found.mean_image)}, Global Accuracy {_said(found.all_points)}")


def _numbers(found: Accuracy) -> dict[str, object]:
    estimates = {"mean_image": found.mean_image._asdict(), "global": found.all_points._asdict()}
    return estimates | {"images": found.images, "failed": found.failed}


def _said(value: Estimate) -> str:
    return f"{value.value:.3f} (95 %: {value.low:.3f} to {value.high:.3f})"


if __name__ == "__main__":
    try:
        typer.run(main)
    except ThresherError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)
