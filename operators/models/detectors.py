"""Detectors that take words (Grounding DINO, OWLv2), and SAM 2 for the outline of what is in a box.

Each picture is computed by itself: sizes and words differ, and one is enough work for a device. They run in
fp32 everywhere, since a box at the bound of its score is there or not.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thresher.operators.models import weights
from thresher.operators.models.clock import working
from thresher.operators.models.folder import check_type, image_config, load_model
from thresher.operators.models.masks import Mask
from thresher.operators.models.pictures import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD, Pixels
from thresher.operators.models.torch_setup import levels, setup_torch, to_device
from thresher.schemas.errors import ThresherError


class Found(NamedTuple):
    """A box: x0 y0 x1 y1 as shares, inside the picture."""

    label: str
    box: tuple[float, ...]
    score: float


class _Folder:
    """What the models in this file have in common."""

    kind = ""
    types: tuple[str, ...] = ()
    """`model_type` in `config.json`, any of these."""
    mean, std = IMAGENET_MEAN, IMAGENET_STD

    def __init__(self, place: str) -> None:
        self._place = place

    @cached_property
    def folder(self) -> Path:
        """Where the weights are on this machine."""
        return weights.locate(self._place)

    @cached_property
    def _images(self) -> dict[str, Any]:
        return image_config(self.folder)

    def check(self) -> None:
        """Raise ThresherError if the folder holds another model."""
        check_type(self.folder, self.types)

    def load(self, device: str) -> Any:
        """The model on `device`."""
        self.check()
        return load_model(self.kind, self.folder, device, exact=True)

    def _levels(self, model: Any, pixels: Pixels) -> Any:
        mean, std = self._images.get("image_mean") or self.mean, self._images.get("image_std") or self.std
        batch = to_device(np.ascontiguousarray(pixels[None]), str(next(model.parameters()).device))
        return levels(model, batch, mean, std)


class Detector(_Folder, ABC):
    """Boxes of what words name."""

    @abstractmethod
    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height at which a picture is looked at."""

    def shrink(self, rgb: Pixels) -> Pixels:
        """The picture at that size; without torch."""
        return resized(rgb, self.size_of(rgb.shape[1], rgb.shape[0]))

    @cached_property
    def tokenizer(self) -> Any:
        """Of the folder."""
        from transformers import AutoTokenizer

        files = ("tokenizer.json", "vocab.json", "vocab.txt")
        if not any((self.folder / name).exists() for name in files):  # transformers would make an empty one
            raise ThresherError("there is no tokenizer", str(self.folder), f"Add its {' or '.join(files)}")
        return AutoTokenizer.from_pretrained(self.folder, local_files_only=True)

    def detect(self, model: Any, pixels: Pixels, prompts: Sequence[str], least: float) -> list[Found]:
        """What has a score of at least `least`, the best first."""
        torch = setup_torch()
        with torch.inference_mode(), working():
            scores, labels, boxes = self._run(model, pixels, prompts)
        order = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= least]
        return [Found(prompts[labels[i]], corners(boxes[i]), float(scores[i])) for i in order]

    @abstractmethod
    def _run(self, model: Any, pixels: Pixels, prompts: Sequence[str]) -> tuple[NDArray[Any], ...]:
        """For each query the score, the prompt, and the box as shares: centre x, y, width, height."""

    def _tokens(self, model: Any, texts: Sequence[str], **options: Any) -> dict[str, Any]:
        made = self.tokenizer(list(texts), truncation=True, return_tensors="pt", **options)
        return {name: value.to(next(model.parameters()).device) for name, value in made.items()}


class GroundingDino(Detector):
    """Grounding DINO: all prompts in one text, parted by full stops; short side 800 px, at most 1,333."""

    kind, types = "GroundingDinoForObjectDetection", ("grounding-dino",)

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        size = self._images.get("size", {})
        scale = size.get("shortest_edge", 800) / min(width, height)
        scale = min(scale, size.get("longest_edge", 1333) / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def _run(self, model: Any, pixels: Pixels, prompts: Sequence[str]) -> tuple[NDArray[Any], ...]:
        text = ". ".join(prompt.strip().lower() for prompt in prompts) + "."
        longest = model.config.max_text_len
        tokens = self._tokens(model, [text], max_length=longest, return_token_type_ids=True)
        output = model(pixel_values=self._levels(model, pixels), **tokens)
        chances = output.logits[0].float().sigmoid().cpu().numpy()
        ids = tokens["input_ids"][0].cpu().numpy()
        stops = ids == self.tokenizer.convert_tokens_to_ids(".")
        owner = np.minimum(np.cumsum(stops) - stops, len(prompts) - 1)
        chances = chances[:, : len(ids)]
        return chances.max(axis=1), owner[chances.argmax(axis=1)], output.pred_boxes[0].float().cpu().numpy()


class Owlv2(Detector):
    """OWLv2: each prompt a text of at most 16 tokens; the picture on a black square of 960 px."""

    kind, types = "Owlv2ForObjectDetection", ("owlv2",)
    mean, std = CLIP_MEAN, CLIP_STD

    @property
    def _side(self) -> int:
        return int(self._images.get("size", {}).get("height", 960))

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        scale = self._side / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def _run(self, model: Any, pixels: Pixels, prompts: Sequence[str]) -> tuple[NDArray[Any], ...]:
        square = np.zeros((self._side, self._side, 3), np.uint8)
        square[: pixels.shape[0], : pixels.shape[1]] = pixels
        longest = model.config.text_config.max_position_embeddings
        tokens = self._tokens(model, prompts, padding="max_length", max_length=longest)
        wanted = {name: tokens[name] for name in ("input_ids", "attention_mask")}
        output = model(pixel_values=self._levels(model, square), **wanted)
        chances = output.logits[0].float().sigmoid().cpu().numpy()
        shares = np.array([self._side / pixels.shape[1], self._side / pixels.shape[0]] * 2)
        boxes = output.pred_boxes[0].float().cpu().numpy() * shares
        return chances.max(axis=1), chances.argmax(axis=1), boxes


class Sam2(_Folder):
    """SAM 2: one mask for each box, on the picture squashed to 1,024 px."""

    kind, types = "Sam2Model", ("sam2", "sam2_video")

    def masks(self, model: Any, pixels: Pixels, found: Sequence[Found]) -> list[Mask]:
        """Masks of the size of `pixels`."""
        torch = setup_torch()
        side = int(self._images.get("size", {}).get("height", 1024))
        boxes = np.array([[one.box for one in found]], np.float32) * side
        with torch.inference_mode(), working():
            inputs = self._levels(model, resized(pixels, (side, side)))
            given = to_device(boxes, str(inputs.device))
            output = model(pixel_values=inputs, input_boxes=given, multimask_output=False).pred_masks[0]
            enlarge, size = torch.nn.functional.interpolate, pixels.shape[:2]
            return [
                (enlarge(one[None].float(), size, mode="bilinear")[0, 0] > 0).cpu().numpy() for one in output
            ]


def resized(rgb: Pixels, size: tuple[int, int]) -> Pixels:
    """A picture at (width, height), bilinear with antialias."""
    from PIL import Image

    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))


def corners(box: NDArray[Any]) -> tuple[float, ...]:
    """x0 y0 x1 y1 from 0 to 1 of a box as its centre, width and height."""
    centre, half = box[:2].astype(np.float64), box[2:].astype(np.float64) / 2
    return tuple(round(float(x), 4) for x in np.clip([*(centre - half), *(centre + half)], 0, 1))
