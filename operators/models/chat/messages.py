"""What is said to a model: texts and pictures, and the form that its answer must have."""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from thresher.operators.models.pictures import Pixels

LONGEST = 1024
"""Pixels of a picture's long side at most."""
QUALITY = 95
"""Of its JPEG, with full colour resolution: what a judge sees of blocks was in the file."""
PROBE = "Answer with the word yes, or fill in the form with anything."
PROMPTS = Path(__file__).parent / "prompts"


class Form(BaseModel):
    """Base of what a model is asked to fill in: its JSON schema guides the server, and checks the answer."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Message(NamedTuple):
    """One turn: texts, and pictures as JPEG."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | bytes, ...]

    def wire(self) -> dict[str, Any]:
        """As the OpenAI protocol writes it; pictures as data URLs."""
        return {"role": self.role, "content": [_part(part) for part in self.parts]}


def prompt(name: str) -> str:
    """The text of `prompts/NAME.txt`."""
    return (PROMPTS / f"{name}.txt").read_text("utf-8").strip()


def prompt_revision(name: str, form: type[Form]) -> str:
    """NAME and 8 hex digits of what is said and of the form of the answer: either changes what comes back."""
    said = prompt(name) + json.dumps(form.model_json_schema(), sort_keys=True)
    return f"{name}-{hashlib.blake2b(said.encode(), digest_size=4).hexdigest()}"


def jpeg(rgb: Pixels) -> bytes:
    """The same bytes for the same pixels, the long side at most `LONGEST`."""
    import cv2
    import simplejpeg

    scale = LONGEST / max(rgb.shape[:2])
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=QUALITY, colorsubsampling="444"))


@cache
def probe(shown: bool) -> Message:
    """What any model can answer; with a grey picture, where the others are `shown` one."""
    return Message("user", (jpeg(np.full((512, 512, 3), 128, np.uint8)), PROBE) if shown else (PROBE,))


def _part(part: str | bytes) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    url = "data:image/jpeg;base64," + base64.b64encode(part).decode()
    return {"type": "image_url", "image_url": {"url": url}}
