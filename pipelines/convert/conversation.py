"""A sample as LLaVA writes conversations, which BAGEL's understanding data follow too.

`from` is human or gpt; what gpt says is learnt, and `<image>` in the human's words stands for an image.
"""

from thresher.pipelines.convert.layout import NoPlace, first_text
from thresher.schemas.segments import Segment

IMAGE = "<image>"

Turn = dict[str, str]


def conversation(segments: list[Segment]) -> list[Turn]:
    """The turns of a sample without made images; what one side says on end is joined by line breaks.

    Raises NoPlace if a part would change its sense: no answer is only read, no image stands in an answer.
    """
    turns: list[Turn] = []
    for segment in segments:
        who = "gpt" if segment["loss"] else "human"
        if segment["turn"] == {"gpt": "user", "human": "assistant"}[who]:
            raise NoPlace("an image in an answer, a learnt request or an unlearnt answer has no place")
        text = IMAGE if segment["kind"] == "image" else first_text(segment)
        if segment["kind"] == "text" and IMAGE in text:
            raise NoPlace(f"the reader would take the word {IMAGE} in the text for an image")
        if turns and turns[-1]["from"] == who:
            turns[-1]["value"] += "\n" + text
        else:
            turns.append({"from": who, "value": text})
    return turns


def images_of(segments: list[Segment]) -> list[Segment]:
    """The image segments in order."""
    return [segment for segment in segments if segment["kind"] == "image"]
