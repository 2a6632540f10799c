"""Watermarks, NSFW and classifiers: true architectures with random weights, and what the defaults see."""

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFont

from thresher.operators.base import Batch
from thresher.operators.models.classifier import QUANTUM, RGB, Scored, sigmoid
from thresher.operators.models.classify import Classify, ClassifyParams
from thresher.operators.models.nsfw import WIDTHS, Nsfw, NsfwParams, skin_share
from thresher.operators.models.ocr import NATIVE, Ocr
from thresher.operators.models.resident import Resident
from thresher.operators.models.watermark import Laion, Watermark, WatermarkParams
from thresher.operators.models.watermark_text import ADDRESS, AGENCY, COPYRIGHT, TILED, WORD, score
from thresher.schemas.errors import FieldError, ThresherError


def _pictures(tiles: list[Path], count: int = 12) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in tiles[::8][:count]]


def _scores(measure: Scored, pictures: list[np.ndarray], batch: int, column: str) -> np.ndarray:
    inputs = measure.prepare(Batch([None] * len(pictures), {RGB: pictures}))
    return np.array(Resident(measure, "cpu", batch=batch).run(inputs)[column])


def test_a_classifier_is_what_transformers_gives(vit, photo_tiles, torch):
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    pictures = _pictures(photo_tiles)
    measure = Classify(ClassifyParams(name="aigc", weights=str(vit), label="human"))
    found = _scores(measure, pictures, 5, "aigc_p")
    model = AutoModelForImageClassification.from_pretrained(vit).eval()
    squares = measure.prepare(Batch([None] * 12, {RGB: pictures}))
    pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 127.5 - 1
    processed = AutoImageProcessor.from_pretrained(vit)(pictures, return_tensors="pt").pixel_values
    assert (pixels - processed).abs().max() < 0.02, "two levels: PIL's resize and torch's"
    with torch.inference_mode():
        wanted = model(pixels).logits.softmax(1)[:, 1].numpy()
        whole = model(processed).logits.softmax(1)[:, 1].numpy()
    assert np.abs(found - wanted).max() < 1e-5 and np.abs(found - whole).max() < 0.02
    assert found.std() > 0.01
    (column,) = measure.writes()
    assert (column.name, column.backend, len(column.revision)) == ("aigc_p", "transformers", 16)


@pytest.mark.parametrize(
    ("config", "size", "part", "fit"),
    [
        ({"size": 224}, 224, 1.0, "squash"),
        ({"size": {"height": 384, "width": 384}}, 384, 1.0, "squash"),
        ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 224}, 224, 0.875, "crop"),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 224, 0.875, "crop"),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, 384, 1.0, "squash"),
    ],
)
def test_the_square_is_that_of_the_processor(tmp_path, config, size, part, fit):
    from thresher.operators.models.folder import square_of

    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config | {"resample": 3}))
    square = square_of(tmp_path)
    assert (square.size, square.part, square.fit, square.kernel) == (size, part, fit, 3)


def test_a_model_with_one_output_is_a_sigmoid(torch, tmp_path, photo_tiles):
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        image_size=32, patch_size=16, id2label={0: "nsfw"}, label2id={"nsfw": 0}, initializer_range=0.5,
    )  # fmt: skip
    model = ViTForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    measure = Nsfw(NsfwParams(backend="transformers", weights=str(tmp_path)))
    found = _scores(measure, _pictures(photo_tiles), 4, "nsfw_p")
    assert 0 < found.min() < found.max() < 1
    assert sigmoid(np.array([-800.0, 0, 800])).tolist() == [0, 0.5, 1]


def test_laion_is_what_timm_gives(laion, photo_tiles, torch):
    """The published script, its resize done beforehand: class 0 of a softmax is the watermark."""
    import timm

    pictures = _pictures(photo_tiles, 4)
    measure = Watermark(WatermarkParams(backend="laion", weights=str(laion)))
    found = _scores(measure, pictures, 2, "watermark_p")
    model = timm.create_model("efficientnet_b3", pretrained=False, num_classes=2)
    nn = torch.nn
    model.classifier = nn.Sequential(
        nn.Linear(in_features=1536, out_features=625), nn.ReLU(), nn.Dropout(p=0.3),
        nn.Linear(in_features=625, out_features=256), nn.ReLU(), nn.Linear(in_features=256, out_features=2),
    )  # fmt: skip
    model.load_state_dict(torch.load(laion, weights_only=True))
    model.eval()
    resized = [Image.fromarray(p).resize((256, 256), Image.Resampling.BILINEAR) for p in pictures]
    pixels = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        outputs = model((pixels - mean[:, None, None]) / std[:, None, None])
    assert np.abs(found - outputs.softmax(1)[:, 0].numpy()).max() < 1e-4
    assert measure.writes()[0].backend == "laion efficientnet_b3"


def test_batches_agree_within_the_quantum(vit, laion, photo_tiles):
    for measure, name, count in (
        (Classify(ClassifyParams(name="aigc", weights=str(vit), label="human")), "aigc_p", 12),
        (Watermark(WatermarkParams(backend="laion", weights=str(laion))), "watermark_p", 4),
    ):
        one, many = (_scores(measure, _pictures(photo_tiles, count), batch, name) for batch in (1, 8))
        assert np.abs(one - many).max() < QUANTUM / 2


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_the_head_on_clip_vectors_is_the_published_network(torch, tmp_path, suffix):
    """The layers as LAION's h14_nsfw_model.py lists them: no ReLU between the last two."""
    import pyarrow as pa
    from safetensors.torch import save_file

    linear, relu, drop = torch.nn.Linear, torch.nn.ReLU, torch.nn.Dropout
    network = torch.nn.Module()
    network.layers = torch.nn.Sequential(
        linear(1024, 1024), relu(), drop(0.2), linear(1024, 2048), relu(), drop(0.2),
        linear(2048, 1024), relu(), drop(0.2), linear(1024, 256), relu(), drop(0.2),
        linear(256, 128), relu(), drop(0.2), linear(128, 16), linear(16, 1),
    ).eval()  # fmt: skip
    for layer in network.layers[::3]:
        torch.nn.init.kaiming_normal_(layer.weight)
    with torch.no_grad():
        vectors = torch.nn.functional.normalize(torch.randn(20, WIDTHS[0]), dim=1)
        network.layers[16].bias += 0.5 - network.layers(vectors).mean()
    vectors = vectors.numpy().astype(np.float16)
    file = tmp_path / f"h14_nsfw{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(network.state_dict(), file)
    measure = Nsfw(NsfwParams(backend="clip-head", weights=str(file)))
    table = pa.table({"clip": pa.array(list(vectors), pa.list_(pa.float16()))})
    inputs = measure.prepare(Batch([None] * 20, {}, table))
    found = np.array(Resident(measure, "cpu", batch=8).run(inputs)["nsfw_p"])
    with torch.inference_mode():
        wanted = network.layers(torch.from_numpy(vectors.astype(np.float32)))[:, 0].numpy()
    assert np.abs(found - wanted.clip(0, 1)).max() < 1e-5 and found.std() > 0.01
    short = [vector[:768] for vector in vectors]
    with pytest.raises(ThresherError, match=r"vectors of 1024 numbers, the column has 768.*ViT-H-14"):
        Resident(measure, "cpu", batch=8).run(short)


@pytest.mark.parametrize("fault", ["another head", "no head", "no config", "text"])
def test_a_wrong_checkpoint_is_told(vit, laion, torch, tmp_path, fault):
    import shutil

    if fault == "another head":
        state = torch.load(laion, weights_only=True)
        state["classifier.weight"] = state.pop("classifier.0.weight")
        torch.save(state, tmp_path / "w.pt")
        measure: Scored = Watermark(WatermarkParams(backend="laion", weights=str(tmp_path / "w.pt")))
        told = "classifier.0.weight is missing"
    elif fault == "text":
        (tmp_path / "w.pt").write_text("not found")
        measure = Watermark(WatermarkParams(backend="laion", weights=str(tmp_path / "w.pt")))
        told = "cannot be read"
    else:
        from safetensors.torch import load_file, save_file

        shutil.copytree(vit, tmp_path / "vit")
        weights = load_file(vit / "model.safetensors")
        kept = {name: value for name, value in weights.items() if not name.startswith("classifier")}
        save_file(kept, tmp_path / "vit/model.safetensors", metadata={"format": "pt"})
        if fault == "no config":
            (tmp_path / "vit/config.json").unlink()
        measure = Classify(ClassifyParams(name="aigc", weights=str(tmp_path / "vit"), label="human"))
        told = (
            "no readable config.json" if fault == "no config" else r"classifier\.bias is missing \(2 in all\)"
        )
    with pytest.raises(ThresherError, match=told):
        measure.load("cpu")


@pytest.mark.parametrize(
    ("make", "path", "told"),
    [
        (lambda f: Classify(ClassifyParams(name="aigc", weights=f, label="humen")), "label", "'human'"),
        (
            lambda f: Watermark(WatermarkParams(backend="transformers", weights=f)),
            "label",
            "labels are artif",
        ),
        (
            lambda f: Watermark(
                WatermarkParams(backend="transformers", weights=f, label="human", logo="logos")
            ),
            "logo",
            "no label 'logos'",
        ),
        (lambda f: Watermark(WatermarkParams(backend="laion")), "backend", "needs `weights`"),
        (lambda f: Watermark(WatermarkParams(weights=f)), "weights", "has no weights"),
        (lambda f: Watermark(WatermarkParams(logo="x")), "logo", "knows no logos"),
        (lambda f: Nsfw(NsfwParams(weights=f)), "weights", "has no weights"),
        (lambda f: Nsfw(NsfwParams(backend="clip-head", weights=f)), "backend", "column 'clip'"),
        (
            lambda f: Nsfw(NsfwParams(backend="transformers", weights=f + "/none")),
            "weights",
            "no file or folder",
        ),
        (lambda f: Classify(ClassifyParams(name="a", weights="hf:a/b@main", label="x")), "weights", "COMMIT"),
    ],
)
def test_wrong_parameters_are_told_at_plan_time(vit, make, path, told):
    with pytest.raises(FieldError, match=told) as caught:
        make(str(vit)).check({})
    assert caught.value.path == (path,)


def test_a_missing_package_is_told_at_plan_time(vit, monkeypatch):
    from thresher.operators.models import weights

    monkeypatch.setattr(weights, "package_version", lambda module: "absent")
    for backend, package in (("laion", "timm"), ("transformers", "transformers")):
        with pytest.raises(FieldError, match=rf"'{package}' is not installed.*thresher\[models\]"):
            Watermark(WatermarkParams(backend=backend, weights=str(vit))).check({})


def test_logos_have_a_column_of_their_own(vit, photo_tiles):
    params = WatermarkParams(backend="transformers", weights=str(vit), label="human", logo="artificial")
    measure = Watermark(params)
    measure.check({})
    assert [column.name for column in measure.writes()] == ["watermark_p", "logo_p"]
    pictures = _pictures(photo_tiles)
    marks, logos = (_scores(measure, pictures, 4, name) for name in ("watermark_p", "logo_p"))
    assert (marks + logos <= 1 + 1e-6).all() and not np.allclose(marks, logos)


def _line(text: str, x: float = 0.1, y: float = 0.1) -> dict:
    return {"text": text, "box": [x, y, x + 0.1, y + 0.05]}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("shutterstock", AGENCY), ("Getty Images", AGENCY), ("视觉中国", AGENCY), ("iStock by Getty", AGENCY),
        ("PREVIEW", WORD), ("Sample image", WORD), ("样图", WORD), ("PROOF PROOF", WORD), ("禁止转载", WORD),
        ("© 2019 Jane Doe", COPYRIGHT), ("(c) jane doe", COPYRIGHT), ("All rights reserved", COPYRIGHT),
        ("www.example.com", ADDRESS), ("photos.example.net", ADDRESS), ("@jane.doe", ADDRESS),
        ("jane@example.com", 0), ("(c) the lessee shall pay the rent in full", 0), ("free sample inside", 0),
        ("OPEN 24 HOURS", 0), ("Samples of rocks", 0), ("@", 0), ("水印分类模型", 0), ("3.5 km", 0),
    ],
)  # fmt: skip
def test_words_of_watermarks(text, wanted):
    assert score([_line("hello"), _line(text)]) == wanted


def test_a_word_tiled_over_the_picture():
    spread = [_line("Jane Doe", x, y) for x in (0.05, 0.4, 0.8) for y in (0.1, 0.5, 0.8)]
    assert score(spread) == TILED
    assert score([_line("jane jane jane", 0.0, 0.0) | {"box": [0, 0, 1, 0.1]}]) == 0, "one line"
    assert score([_line("the cat and the dog of the house", 0.1, y / 10) for y in range(9)]) == 0, "a page"
    assert score([]) == 0


def _tiled(picture: np.ndarray, text: str) -> Image.Image:
    """`picture` with half-transparent words in rows."""
    font = ImageFont.load_default(34)
    image = Image.fromarray(picture).convert("RGBA")
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    for y in range(30, image.height - 40, 110):
        for x in range(20 + y % 3 * 20, image.width - 160, 230):
            draw.text((x, y), text, fill=(255, 255, 255, 150), font=font)
    return Image.alpha_composite(image, layer).convert("RGB")


@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
def test_a_tiled_preview_is_seen_and_its_clean_twin_is_not(name):
    import pyarrow as pa

    clean = getattr(skimage.data, name)()
    pictures = [clean, np.asarray(_tiled(clean, "PREVIEW")), np.asarray(_tiled(clean, "Jane Doe"))]
    lines = Ocr().measure(Batch([None] * 3, {NATIVE: pictures})).columns["ocr"]
    table = pa.table({"ocr": [*lines, None]})
    values = Watermark().measure(Batch([None] * 4, {}, table)).columns["watermark_p"]
    assert values[0] == 0 and values[1] >= WORD and values[2] == TILED and values[3] is None
    (column,) = Watermark().writes()
    assert (column.backend, column.unit) == ("ocr patterns", "score")


def test_skin_is_no_verdict():
    """A face has more of it than a galaxy, and so has a cat; the column is never `nsfw_p`."""
    face = skimage.data.astronaut()[0:200, 150:300]
    assert skin_share(face) > 0.3 > 0.05 > skin_share(skimage.data.hubble_deep_field())
    assert skin_share(np.full((8, 8, 3), 128, np.uint8)) == 0
    assert skin_share(skimage.data.chelsea()) > 0.99, "a ginger cat"
    values = Nsfw().measure(Batch([None], {RGB: [face]}))
    assert values.columns == {"skin_share": [skin_share(face)]}
    assert [column.name for column in Nsfw().writes()] == ["skin_share"]


RECIPE = """
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - quality
      - ocr
      - watermark
      - nsfw
      - classify: CLASSIFY
      - select:
          drop:
            watermark: "watermark_p >= 0.8"
            aigc: "aigc_p > 1"
            custom.grey: "skin_share < 0.5"
    export: {shard_size: 1MB}
"""


def test_a_run_drops_what_is_marked(cli, tmp_path, recipe, vit, ledger_of):
    (tmp_path / "photos").mkdir()
    cat = skimage.data.chelsea()
    Image.fromarray(cat).save(tmp_path / "photos/clean.png")
    _tiled(cat, "PREVIEW").save(tmp_path / "photos/marked.png")
    params = {"name": "aigc", "weights": str(vit), "label": "artificial"}
    path = recipe(text=RECIPE.replace("CLASSIFY", json.dumps(params)))
    cli.run(path, "--run", "r", "--local")
    reasons = {row["key"]: row["reason"] for row in ledger_of(tmp_path / "r")}
    assert reasons["marked.png"] == "watermark" and not reasons["clean.png"]
    story = json.loads(cli("explain", "clean.png", "--run", "r", "--json"))
    made = {c["name"]: c["backend"] for c in story["columns"] if c["name"] in ("watermark_p", "aigc_p")}
    assert made == {"watermark_p": "ocr patterns", "aigc_p": "transformers"}
    params["label"] = "artificail"
    cli("plan", str(recipe(text=RECIPE.replace("CLASSIFY", json.dumps(params)))), code=2)
    assert "no label 'artificail'" in cli.err and "'artificial'?" in cli.err, cli.err


def test_the_default_says_that_it_needs_ocr(cli, tmp_path, recipe):
    (tmp_path / "photos").mkdir()
    text = RECIPE.replace("      - ocr\n", "").replace("      - classify: CLASSIFY\n", "")
    cli("plan", str(recipe(text=text)), code=2)
    assert "reads the column 'ocr'" in cli.err and "Add `- ocr` before" in cli.err, cli.err


def test_the_published_input_is_squashed_to_256():
    square = Laion("w.pt").square()
    assert (square.size, square.fit, square.kernel) == (256, "squash", 2)
