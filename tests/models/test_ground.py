"""Boxes and masks: detectors and SAM 2 of the true architectures with random weights, and the default."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from thresher.operators.base import Batch
from thresher.operators.models.cutout import LONGEST, box_of, cutout
from thresher.operators.models.detectors import Found, GroundingDino, Owlv2, Sam2
from thresher.operators.models.ground import DECODED, NATIVE, Ground, GroundParams, phrases
from thresher.operators.models.masks import decode, encode
from thresher.operators.models.resident import Resident
from thresher.schemas.errors import FieldError, ThresherError

PROMPTS = ("a cat", "red cup", "rocket")


def _pictures() -> list[np.ndarray]:
    return [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()[:300]]


def _params(backend: str, place: Path, **more) -> GroundParams:
    return GroundParams(backend=backend, weights=str(place), **({"prompts": PROMPTS} | more))


@given(hnp.arrays(np.bool_, st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_a_mask_survives_its_text(mask):
    found = decode(encode(mask))
    assert found.shape == mask.shape and (found == mask).all()


def test_run_lengths_are_those_of_coco():
    """pycocotools' own: down the columns, the outside first."""
    mask = np.array([[0, 1, 1], [0, 1, 0]], bool)
    assert encode(mask) == '{"size":[2,3],"counts":[2,3,1]}'
    assert encode(~mask) == '{"size":[2,3],"counts":[0,2,3,1]}'
    assert encode(np.zeros((2, 2), bool)) == '{"size":[2,2],"counts":[4]}'


@pytest.mark.parametrize("text", ["", "[]", '{"size":[2,2]}', '{"size":[2,2],"counts":[5]}',
                                  '{"size":[2,2],"counts":[-1,5]}', '{"size":[2],"counts":[2]}'])  # fmt: skip
def test_no_mask_is_told(text):
    with pytest.raises(ValueError, match="run lengths"):
        decode(text)


def test_grounding_dino_is_what_transformers_gives(dino, torch):
    """The same pixels through the bare model and its processor's own reading of the output."""
    from transformers import (
        AutoImageProcessor,
        AutoTokenizer,
        GroundingDinoForObjectDetection,
        GroundingDinoProcessor,
    )

    detector, pictures = GroundingDino(str(dino)), _pictures()
    model = detector.load("cpu")
    bare = GroundingDinoForObjectDetection.from_pretrained(dino).eval()
    images = AutoImageProcessor.from_pretrained(dino)
    processor = GroundingDinoProcessor(images, AutoTokenizer.from_pretrained(dino))
    for rgb in pictures:
        shrunk = detector.shrink(rgb)
        inputs = processor(
            images=shrunk, text=[list(PROMPTS)], return_tensors="pt", images_kwargs={"do_resize": False}
        )
        whole = images(rgb, return_tensors="pt").pixel_values
        assert inputs["pixel_values"].shape == whole.shape
        assert (inputs["pixel_values"] - whole).abs().max() < 0.1, "the same resize, by PIL"
        with torch.inference_mode():
            output = bare(**inputs)
        (wanted,) = processor.post_process_grounded_object_detection(output, inputs["input_ids"], 0.05)
        found = detector.detect(model, shrunk, PROMPTS, 0.05)
        order = wanted["scores"].argsort(descending=True)
        assert len(found) == len(order) > 0
        assert np.allclose([one.score for one in found], wanted["scores"][order], atol=1e-4)
        boxes = wanted["boxes"][order].clamp(0, 1).numpy()
        assert np.allclose(sorted(one.box for one in found), sorted(boxes.tolist()), atol=2e-3)
        assert {one.label for one in found} <= set(PROMPTS)


def test_a_box_has_the_prompt_of_its_best_word(dino, monkeypatch, torch):
    from types import SimpleNamespace

    detector = GroundingDino(str(dino))
    model = detector.load("cpu")
    logits = torch.full((1, 3, 32), -9.0)
    logits[0, 0, 5], logits[0, 1, 2], logits[0, 2, 8] = 1.0, 2.0, 0.5  # red, cat, rocket
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.4]] * 3])
    monkeypatch.setattr(model, "forward", lambda **_: SimpleNamespace(logits=logits, pred_boxes=boxes))
    found = detector.detect(model, np.zeros((64, 64, 3), np.uint8), PROMPTS, 0.3)
    assert [one.label for one in found] == ["a cat", "red cup", "rocket"]
    assert found[0].box == (0.4, 0.3, 0.6, 0.7) and found[0].score == pytest.approx(0.8808, abs=1e-4)


def test_owlv2_is_what_transformers_gives(owl, torch):
    from transformers import AutoTokenizer, Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor

    detector = Owlv2(str(owl))
    model = detector.load("cpu")
    bare = Owlv2ForObjectDetection.from_pretrained(owl).eval()
    processor = Owlv2Processor(Owlv2ImageProcessor.from_pretrained(owl), AutoTokenizer.from_pretrained(owl))
    for rgb in _pictures():
        shrunk = detector.shrink(rgb)
        height, width = shrunk.shape[:2]
        assert max(height, width) == 64 and abs(height / width - rgb.shape[0] / rgb.shape[1]) < 0.02
        inputs = processor(images=shrunk, text=[list(PROMPTS)], return_tensors="pt")
        with torch.inference_mode():
            output = bare(**inputs)
        target = torch.tensor([[height, width]])
        (wanted,) = processor.post_process_grounded_object_detection(
            output, 0.0, target, text_labels=[list(PROMPTS)]
        )
        order = wanted["scores"].argsort(descending=True, stable=True).tolist()
        found = detector.detect(model, shrunk, PROMPTS, 0.0)
        assert [one.label for one in found] == [wanted["text_labels"][i] for i in order]
        assert np.allclose([one.score for one in found], wanted["scores"][order], atol=1e-4)
        boxes = (wanted["boxes"][order] / torch.tensor([width, height, width, height])).clamp(0, 1)
        assert np.allclose([one.box for one in found], boxes, atol=2e-3)
        assert len({one.box for one in found}) > 8


def test_sam_is_what_transformers_gives(sam, torch):
    from transformers import Sam2Model, Sam2Processor

    outliner, rgb = Sam2(str(sam)), np.ascontiguousarray(skimage.data.coffee()[:240, :360])
    boxes = [(0.1, 0.2, 0.6, 0.9), (0.5, 0.0, 1.0, 1.0)]
    found = outliner.masks(outliner.load("cpu"), rgb, [Found("x", box, 1.0) for box in boxes])
    bare, processor = Sam2Model.from_pretrained(sam).eval(), Sam2Processor.from_pretrained(sam)
    pixels = [[x0 * 360, y0 * 240, x1 * 360, y1 * 240] for x0, y0, x1, y1 in boxes]
    inputs = processor(images=rgb, input_boxes=[pixels], return_tensors="pt")
    with torch.inference_mode():
        output = bare(**inputs, multimask_output=False)
    (wanted,) = processor.post_process_masks(output.pred_masks, inputs["original_sizes"])
    for mask, other in zip(found, wanted[:, 0].numpy(), strict=True):
        assert mask.shape == (240, 360) and (mask == other).mean() > 0.99
        assert 0 < mask.mean() < 1


@pytest.mark.parametrize("backend", ["grounding-dino", "owlv2"])
def test_batches_agree_and_masks_come_with_boxes(backend, dino, owl, sam):
    place = dino if backend == "grounding-dino" else owl
    measure = Ground(_params(backend, place, sam=str(sam), min_score=0.05))
    measure.check({})
    inputs = measure.prepare(Batch([None] * 3, {NATIVE: _pictures()}))
    one, many = (Resident(measure, "cpu", batch=batch).run(inputs) for batch in (1, 8))
    assert one == many
    for objects, count, (shrunk, _) in zip(one["objects"], one["objects_found"], inputs, strict=True):
        assert len(objects) == count > 0
        assert [o["score"] for o in objects] == sorted((o["score"] for o in objects), reverse=True)
        for thing in objects:
            assert 0.05 <= thing["score"] <= 1 and all(0 <= x <= 1 for x in thing["box"])
            assert decode(thing["mask"]).shape == shrunk.shape[:2]
    columns = measure.writes()
    assert columns[0].backend == f"{backend} + sam2" and len(columns[0].revision) == 33
    array = pa.array(one["objects"], columns[0].dtype)
    assert len(array) == 3


def test_phrases_of_the_text(owl):
    assert phrases("A cat, a red cup; a cat。 屋顶，天空 ") == ("A cat", "a red cup", "a cat", "屋顶", "天空")
    assert phrases(" .. ") == () and len(phrases(",".join(map(str, range(99))))) == 32
    measure = Ground(GroundParams(**{"backend": "owlv2", "weights": str(owl), "from": "text"}))
    assert measure.needs() == ("text",)
    table = pa.table({"text": ["a cat, a dog", None, "  "]})
    inputs = measure.prepare(Batch([None] * 3, {NATIVE: _pictures()}, table))
    assert inputs[0][1] == ("a cat", "a dog") and inputs[1:] == [None, None]


@pytest.mark.parametrize(
    ("params", "path", "told"),
    [
        ({"prompts": ["a cat"]}, ("prompts",), "takes no prompts"),
        ({"weights": "OWL"}, ("weights",), "takes no weights"),
        ({"from": "text"}, ("from",), "takes no text"),
        ({"backend": "owlv2", "prompts": ["a cat"]}, ("backend",), "needs `weights`"),
        ({"backend": "owlv2", "weights": "OWL"}, ("prompts",), "either `prompts` or `from: text`"),
        (
            {"backend": "owlv2", "weights": "OWL", "prompts": ["a"], "from": "text"},
            ("prompts",),
            "either `prompts`",
        ),
        ({"backend": "owlv2", "weights": "OWL", "prompts": ["a cat", " "]}, ("prompts", 1), "is empty"),
        ({"backend": "grounding-dino", "weights": "DINO", "prompts": ["a. b"]}, ("prompts", 0), "full stop"),
        (
            {"backend": "owlv2", "weights": "DINO", "prompts": ["a"]},
            ("weights",),
            "'grounding-dino', not 'owlv2'",
        ),
        ({"backend": "owlv2", "weights": "OWL", "sam": "OWL", "prompts": ["a"]}, ("sam",), "not 'sam2'"),
        ({"backend": "owlv2", "weights": "/none", "prompts": ["a"]}, ("weights",), "no file or folder"),
    ],
)
def test_wrong_parameters_are_told_at_plan_time(dino, owl, params, path, told):
    places = {"OWL": str(owl), "DINO": str(dino)}
    given_ = {k: places.get(v, v) if isinstance(v, str) else v for k, v in params.items()}
    with pytest.raises(FieldError, match=told) as caught:
        Ground(GroundParams(**given_)).check({})
    assert caught.value.path == path


@pytest.mark.parametrize("fault", ["missing layer", "cut", "no tokenizer"])
def test_a_wrong_checkpoint_is_told(owl, tmp_path, fault):
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(owl, tmp_path / "owl")
    file = tmp_path / "owl/model.safetensors"
    if fault == "missing layer":
        tensors = load_file(file)
        del tensors["class_head.dense0.weight"]
        save_file(tensors, file, metadata={"format": "pt"})
    elif fault == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
    else:
        for path in (tmp_path / "owl").glob("*tokenizer*"):
            path.unlink()
    told = {
        "missing layer": "class_head.dense0.weight is missing",
        "cut": "no Owlv2ForObjectDetection can be loaded",
        "no tokenizer": "no tokenizer",
    }
    with pytest.raises(ThresherError, match=told[fault]):
        Ground(_params("owlv2", tmp_path / "owl")).load("cpu")


def _cut_out() -> tuple[np.ndarray, np.ndarray]:
    """(RGBA of a photograph, what of it is opaque): an ellipse off the centre."""
    rgb = skimage.data.coffee()
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    inside = ((x - 220) / 130) ** 2 + ((y - 180) / 90) ** 2 <= 1
    return np.dstack([rgb, np.where(inside, 255, 0).astype(np.uint8)]), inside


def test_a_cut_out_gives_its_true_box_and_mask():
    rgba, inside = _cut_out()
    values = Ground().measure(Batch([None], {DECODED: [rgba]})).columns
    (thing,) = values["objects"][0]
    assert (decode(thing["mask"]) == inside).all() and values["objects_found"] == [1]
    assert thing["box"] == pytest.approx([90 / 600, 90 / 400, 351 / 600, 271 / 400], abs=1e-4)
    assert thing["label"] == "opaque" and thing["score"] is None
    assert Ground().writes()[0].backend == "alpha, else opencv grabcut"


def test_grabcut_finds_what_stands_in_the_middle_and_is_repeatable():
    """A cut-out pasted on a plain wall: GrabCut must find it again, and the same in any order."""
    rgba, inside = _cut_out()
    shifted = np.roll(rgba, (20, 80), axis=(0, 1))
    wall = np.full_like(rgba[..., :3], (40, 90, 160))
    wall[shifted[..., 3] > 0] = shifted[shifted[..., 3] > 0][:, :3]
    found = cutout(wall)
    assert found.label == "centre" and found.mask.shape == (round(400 * LONGEST / 600), LONGEST)
    truth = np.asarray(Image.fromarray(np.roll(inside, (20, 80), axis=(0, 1))).resize(found.mask.shape[::-1]))
    assert (found.mask & truth).sum() / (found.mask | truth).sum() > 0.9
    assert box_of(found.mask) == pytest.approx([170 / 600, 110 / 400, 431 / 600, 291 / 400], abs=0.02)
    cutout(skimage.data.chelsea())
    assert (cutout(wall).mask == found.mask).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 3), (40, 40)])
def test_pictures_without_anything(size):
    assert cutout(np.full((*size, 3), 128, np.uint8)) is None
    assert cutout(np.zeros((*size, 4), np.uint8)) is None


RECIPE = """
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - quality
      - ground: GROUND
      - select:
          drop:
            custom.empty: "objects_found == 0"
    export: {shard_size: 1MB}
"""


def test_a_run_keeps_what_has_an_object(cli, tmp_path, recipe, dino, ledger_of):
    (tmp_path / "photos").mkdir()
    Image.fromarray(_cut_out()[0]).save(tmp_path / "photos/cut.png")
    Image.fromarray(np.full((80, 80, 3), 90, np.uint8)).save(tmp_path / "photos/plain.png")
    Image.fromarray(skimage.data.chelsea()).save(tmp_path / "photos/cat.jpg")
    cli.run(recipe(text=RECIPE.replace(": GROUND", "")), "--run", "r", "--local")
    reasons = {row["key"]: row["reason"] for row in ledger_of(tmp_path / "r")}
    assert reasons["plain.png"] == "custom.empty" and not reasons["cut.png"]
    story = json.loads(cli("explain", "cut.png", "--run", "r", "--json"))
    (thing,) = next(c["value"] for c in story["columns"] if c["name"] == "objects")
    assert (decode(thing["mask"]) == _cut_out()[1]).all()
    params = json.dumps(
        {"backend": "grounding-dino", "weights": str(dino), "prompts": PROMPTS, "min_score": 0}
    )
    cli.run(recipe(text=RECIPE.replace("GROUND", params), name="m.yaml"), "--run", "m", "--local")
    story = json.loads(cli("explain", "cat.jpg", "--run", "m", "--json"))
    columns = {c["name"]: c for c in story["columns"]}
    assert columns["objects_found"]["value"] == 10 and columns["objects"]["backend"] == "grounding-dino"
