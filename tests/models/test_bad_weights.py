"""Checkpoints with faults, by the command line: what can be known without loading is told by `plan`, at the
line of the recipe; the rest by the run, with the file and the first name that does not fit."""

import json
import shutil
from pathlib import Path

import pytest

from thresher.operators.models.aesthetic import WIDTHS
from thresher.pipelines.runview import open_run

HEAD = """
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./photos}
    steps:
"""


@pytest.fixture
def steps(cli, tmp_path):
    """`steps((operator, parameters), ...)`: a recipe of these steps over a folder for pictures."""
    (tmp_path / "photos").mkdir(exist_ok=True)

    def write(*given):
        lines = [f"      - {operator}: {json.dumps(params)}\n" for operator, params in given]
        (tmp_path / "photos.yaml").write_text(HEAD + "".join(lines))
        return "photos.yaml"

    return write


def _cut(file: Path, by: int = 1000) -> None:
    file.write_bytes(file.read_bytes()[:-by])


@pytest.fixture
def broken(tmp_path, clip, siglip, vit, owl, sam, torch):
    """Folder with copies of models and what is wrong with each in its name."""
    from safetensors.torch import save_file

    shutil.copy(clip[1], tmp_path / "cut.safetensors")
    _cut(tmp_path / "cut.safetensors")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    for name in ("text.pt", "text.pth", "text.safetensors"):
        (tmp_path / name).write_text("not found")
    for name, model in (("siglip", siglip), ("vit", vit), ("owl", owl), ("sam", sam)):
        for fault in ("cut", "bare", "list"):
            shutil.copytree(model, tmp_path / f"{name}-{fault}")
        _cut(tmp_path / f"{name}-cut" / "model.safetensors")
        (tmp_path / f"{name}-bare" / "model.safetensors").unlink()
        (tmp_path / f"{name}-list" / "config.json").write_text("[]")
        (tmp_path / name).symlink_to(model)
    torch.save(torch.nn.Linear(768, 1).state_dict(), tmp_path / "linear.pth")
    torch.save(torch.nn.Linear(768, 1000).state_dict(), tmp_path / "cut.pth")
    _cut(tmp_path / "cut.pth")
    save_file(
        {f"layers.{i}.weight": torch.zeros(n) for i, n in enumerate(WIDTHS)}, tmp_path / "w.safetensors"
    )
    _cut(tmp_path / "w.safetensors", 1)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "other.json").write_text('{"embed_dim": 32}')
    (tmp_path / "clip.json").write_bytes(clip[0].read_bytes())
    shutil.copy(clip[1], tmp_path / "clip.safetensors")
    return tmp_path


CLIP = {"backend": "clip", "model": "clip.json", "weights": "clip.safetensors"}
OWL = {"backend": "owlv2", "prompts": ["a cat"], "weights": "owl"}
CLASSIFY = {"name": "aigc", "label": "human"}
CUT = "cut, or no safetensors file"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([("embed", CLIP | {"weights": "none.safetensors"})], "there is no file or folder '"),
        ([("embed", CLIP | {"weights": "cut.safetensors"})], "its header speaks of "),
        ([("embed", CLIP | {"weights": "empty.safetensors"})], f"empty.safetensors': {CUT}"),
        ([("embed", CLIP | {"weights": "text.pt"})], "text.pt': cut, or no state dict of torch"),
        ([("embed", CLIP | {"weights": "vit"})], "there is no open_clip_model.safetensors in '"),
        ([("embed", CLIP | {"model": "none.json"})], "there is no readable JSON file '"),
        ([("embed", CLIP | {"model": "text.json"})], "there is no readable JSON file '"),
        ([("embed", CLIP | {"model": "list.json"})], "list.json' is no configuration of a CLIP"),
        ([("embed", CLIP | {"model": "other.json"})], "other.json' is no configuration of a CLIP"),
        ([("embed", CLIP | {"model": "ViT-L-14-quick"})], "Did you mean 'ViT-L-14-quickgelu'?"),
        ([("embed", {"backend": "siglip", "weights": "clip.safetensors"})], "' is no folder. Give the"),
        ([("embed", {"backend": "siglip", "weights": "siglip-cut"})], "its header speaks of "),
        ([("embed", {"backend": "siglip", "weights": "siglip-bare"})], "there are no safetensors in '"),
        ([("embed", {"backend": "siglip", "weights": "siglip-list"})], "config.json is no mapping"),
        ([("embed", {"backend": "siglip", "weights": "vit"})], "of the type 'vit', not 'siglip'"),
        ([("embed", {"backend": "dinov2", "weights": "vit"})], "of the type 'vit', not 'dinov2'"),
        ([("classify", CLASSIFY | {"weights": "none"})], "there is no file or folder '"),
        ([("classify", CLASSIFY | {"weights": "vit-cut"})], "its header speaks of "),
        ([("classify", CLASSIFY | {"weights": "vit-bare"})], "there are no safetensors in '"),
        ([("classify", CLASSIFY | {"weights": "vit-list"})], "config.json is no mapping"),
        ([("ground", OWL | {"weights": "none"})], "there is no file or folder '"),
        ([("ground", OWL | {"weights": "owl-cut"})], "its header speaks of "),
        ([("ground", OWL | {"weights": "owl-list"})], "config.json is no mapping"),
        ([("ground", OWL | {"sam": "none"})], "there is no file or folder '"),
        ([("ground", OWL | {"sam": "sam-cut"})], "its header speaks of "),
        ([("ground", OWL | {"sam": "sam-bare"})], "there are no safetensors in '"),
        ([("ground", OWL | {"sam": "owl"})], "of the type 'owlv2', not 'sam2'"),
        ([("watermark", {"backend": "laion", "weights": "none.pt"})], "there is no file or folder '"),
        ([("watermark", {"backend": "laion", "weights": "text.pt"})], "cut, or no state dict of torch"),
        ([("watermark", {"backend": "laion", "weights": "vit"})], "' is a folder. Give the file in it"),
        ([("watermark", {"backend": "transformers", "weights": "vit-cut"})], "its header speaks of "),
        ([("nsfw", {"backend": "transformers", "weights": "vit-bare"})], "there are no safetensors in '"),
        ([("embed", CLIP), ("nsfw", {"backend": "clip-head", "weights": "none.pth"})], "there is no file"),
        ([("embed", CLIP), ("nsfw", {"backend": "clip-head", "weights": "cut.pth"})], "cut, or no state"),
        ([("embed", CLIP), ("nsfw", {"backend": "clip-head", "weights": "vit"})], "' is a folder"),
        ([("embed", CLIP), ("aesthetic", {"weights": "none.pth"})], "there is no file or folder '"),
        ([("embed", CLIP), ("aesthetic", {"weights": "text.pth"})], "cut, or no state dict of torch"),
        ([("embed", CLIP), ("aesthetic", {"weights": "w.safetensors"})], "its header speaks of "),
        ([("embed", CLIP), ("aesthetic", {"weights": "linear.pth"})], "not a head of the layers 1024 128 64"),
        ([("embed", CLIP), ("aesthetic", {"weights": "vit"})], "' is a folder"),
    ],
)  # fmt: skip
def test_a_plan_tells_what_is_wrong_with_a_checkpoint(cli, broken, steps, given, told):
    (broken / "text.json").write_text("not found")
    cli("plan", steps(*given), "--run", "r", code=2)
    assert told in cli.err and f"photos.yaml:{7 + len(given)}: " in cli.err, cli.err
    assert cli.err.count("\n") == 1 and cli.err.rstrip()[-1] in ".?"
    assert not (broken / "r").exists()


@pytest.mark.parametrize("name", ["siglip", "vit", "owl", "sam"])
def test_a_folder_of_other_shapes_is_told_by_name(request, torch, tmp_path, name):
    from safetensors.torch import load_file, save_file

    from thresher.operators.models.folder import load_model
    from thresher.schemas.errors import ThresherError

    kinds = {
        "siglip": "SiglipModel",
        "vit": "AutoModelForImageClassification",
        "owl": "Owlv2ForObjectDetection",
        "sam": "Sam2Model",
    }
    shutil.copytree(request.getfixturevalue(name), tmp_path / name)
    file = tmp_path / name / "model.safetensors"
    tensors = load_file(file)
    wrong = min(key for key, value in tensors.items() if value.dim() == 2)
    save_file(tensors | {wrong: torch.zeros(3, 3)}, file, metadata={"format": "pt"})
    with pytest.raises(
        ThresherError, match=r"has the shape \(3, 3\), not \(\d+, \d+\) \(1 in all\)"
    ) as caught:
        load_model(kinds[name], tmp_path / name, "cpu")
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("operator", ["embed", "watermark", "nsfw"])
def test_a_run_tells_which_weights_do_not_fit(cli, broken, steps, photo_tiles, torch, operator):
    from safetensors.torch import load_file, save_file

    shutil.copy(photo_tiles[0], broken / "photos")
    (broken / "broken").symlink_to(broken)
    if operator == "embed":
        tensors = load_file(broken / "siglip" / "model.safetensors")
        tensors["vision_model.head.probe"] = torch.zeros(1, 1, 3)
        (broken / "siglip-cut" / "model.safetensors").unlink()
        save_file(tensors, broken / "siglip-cut" / "model.safetensors", metadata={"format": "pt"})
        given = [("embed", {"backend": "siglip", "weights": "siglip-cut"})]
        told = "siglip-cut: the weights do not fit a SiglipModel: vision_model.head.probe has the shape"
    elif operator == "watermark":
        given = [("watermark", {"backend": "laion", "weights": "linear.pth"})]
        told = "linear.pth: the weights do not fit the model: conv_stem.weight is missing"
    else:
        given = [("embed", CLIP), ("nsfw", {"backend": "clip-head", "weights": "linear.pth"})]
        told = "linear.pth: the weights do not fit the model: layers.0.weight is missing"
    cli("run", steps(*given), "--run", "r", "--local", code=1)
    assert told in cli.err and "Traceback" not in cli.err, cli.err


def test_weights_that_give_no_numbers_stop_the_run(cli, broken, steps, photo_tiles, torch):
    """All values are NaN: it is the model, not the pictures."""
    from safetensors.torch import load_file, save_file

    for path in photo_tiles[:10]:
        shutil.copy(path, broken / "photos")
    tensors = load_file(broken / "clip.safetensors")
    save_file(tensors | {"visual.proj": tensors["visual.proj"] * torch.nan}, broken / "nan.safetensors")
    cli("run", steps(("embed", CLIP | {"weights": "nan.safetensors"})), "--run", "r", "--local", code=1)
    assert "embed" in cli.err and "fault of the operator, not of the images" in cli.err, cli.err


def test_a_value_that_is_no_number_costs_its_record(cli, tmp_path, steps, photo_tiles, ledger_of):
    """A head whose answer is beyond float32 for bright pictures."""
    for path in photo_tiles:
        shutil.copy(path, tmp_path / "photos")
    origin = {"column": "luma_mean", "backend": "thresher", "revision": "1"}
    head = {
        "name": "light",
        "kind": "ridge",
        "positive": None,
        "on": [origin],
        "weights": [3.4e36],
        "bias": 0,
    }
    (tmp_path / "light.json").write_text(json.dumps(head | {"bound": None, "labels": {}, "metrics": {}}))
    cli.run(steps(("quality", {}), ("head", {"weights": "light.json"})), "--run", "r", "--local")
    view = open_run(tmp_path / "r")
    rows = [
        r for p in view.parts("images") for r in view.values("images", p, ["key", "luma_mean"]).to_pylist()
    ]
    bright = {row["key"] for row in rows if row["luma_mean"] * 3.4 > 340.28}
    failed = {row["key"]: row["reason"] for row in ledger_of(tmp_path / "r") if row["status"] == "failed"}
    assert failed == dict.fromkeys(bright, "bad_value") and 10 < len(bright) < 86
