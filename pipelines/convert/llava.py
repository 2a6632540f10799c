"""Conversations as LLaVA-NeXT reads them (https://github.com/LLaVA-VL/LLaVA-NeXT, `llava/train/train.py`)."""

from pathlib import Path

from thresher.pipelines.convert.conversation import IMAGE, Turn, conversation, images_of
from thresher.pipelines.convert.layout import Lines, NoPlace, Pictures, first_text, nowhere
from thresher.pipelines.convert.source import Sample, Source
from thresher.schemas.segments import Segment

LINES = "conversations.jsonl"


class Llava:
    """One JSONL file, image files in one folder, and the `dataset.yaml` that `--data_path` takes.

    An image with a caption becomes a description: nothing but the image is asked, the caption is the answer.
    """

    def __init__(self, folder: Path, home: Path, source: Source, units: int) -> None:
        self._folder, self._home = folder, home
        self._lines = Lines(folder / LINES)
        self._pictures = Pictures(folder / "images")

    def add(self, sample: Sample) -> str:
        """Write the images and the line."""
        turns = _turns(sample.kind, sample.segments)
        images = [self._pictures.write(sample, segment) for segment in images_of(sample.segments)]
        named = {"image": images[0] if len(images) == 1 else images} if images else {}
        self._lines.add({"id": sample.key} | named | {"conversations": turns})
        return "conversations"

    def close(self) -> list[str]:
        """Finish the file."""
        self._lines.close()
        # Only through a YAML file does the reader open JSONL.
        entry = f'datasets:\n  - json_path: "{self._home}/{LINES}"\n    sampling_strategy: all\n'
        (self._folder / "dataset.yaml").write_text(entry)
        return []


def _turns(kind: str, segments: list[Segment]) -> list[Turn]:
    if kind == "caption":
        if IMAGE in (text := first_text(segments[0])):
            raise NoPlace(f"the reader would take the word {IMAGE} in the text for an image")
        return [{"from": "human", "value": IMAGE}, {"from": "gpt", "value": text}]
    if kind != "dialogue":
        raise nowhere("llava")
    turns = conversation(segments)
    if turns[0]["from"] == "gpt":
        raise NoPlace("the reader passes over an answer without a request")
    return turns
