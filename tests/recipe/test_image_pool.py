"""The recipe for a pool of photographs: it runs as it stands, and its learned part is a valid one."""

import itertools
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from thresher.operators.models.aesthetic import WIDTHS
from thresher.operators.models.embed import Embed, ModelParams
from thresher.operators.models.head import HeadFile, Origin
from thresher.operators.models.torch_setup import setup_torch

RECIPE = Path(__file__).parents[2] / "configs" / "image_pool.yaml"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Twelve photographs of 512 px and one of 200 px."""
    import skimage.data

    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        image = Image.fromarray(getattr(skimage.data, name)()[..., :3])
        side = min(image.size)
        for i, left in enumerate((0, image.width - side, 1)):
            box = (left, i, left + side - 2, i + side - 2)
            turned = image.crop(box).rotate(90 * i).resize((512, 512))
            turned.save(folder / f"{name}-{i}.jpg", quality=92)
    Image.open(folder / "rocket-0.jpg").resize((200, 200)).save(folder / "small.jpg")
    return folder


def test_it_runs_as_it_stands(cli, images, ledger_of):
    cli.run(RECIPE, "--run", "r", "--local", "--set", f"tables.images.ingest.folder={images}")
    rows = {row["key"]: row for row in ledger_of(cli.cwd / "r")}
    assert rows["small.jpg"]["reason"] == "too_small" and len(rows) == 13
    assert sum(row["status"] == "kept" for row in rows.values()) >= 4


def test_its_learned_part_is_valid(cli, images, tmp_path):
    """Without the comment signs, and with files where it names weights."""
    text = RECIPE.read_text()
    head, learned = text.split("      # The learned checks", 1)
    learned, export = learned.split("    export:", 1)
    uncommented = re.sub(r"^      # ", "      ", learned.partition("\n")[2], flags=re.M)
    assert uncommented.count("- ") >= 4
    (tmp_path / "pool.yaml").write_text(f"{head}{uncommented}    export:{export}")
    _weights(tmp_path, uncommented)
    cli("plan", "pool.yaml")
    for step in ("ocr", "watermark", "faces", "embed", "aesthetic", "nsfw", "head", "clarity", "learned"):
        assert step in cli.out


def _weights(folder: Path, recipe: str) -> None:
    """Files that a plan takes for weights: of the right form, and small."""
    torch = setup_torch()
    from safetensors.torch import save_file

    clip, nsfw = folder / "weights/clip-l14.safetensors", folder / "weights/nsfw-vit"
    nsfw.mkdir(parents=True)
    for file in (clip, nsfw / "model.safetensors"):
        save_file({"x": torch.zeros(1)}, file)
    labels = {"0": "normal", "1": "nsfw"}
    (nsfw / "config.json").write_text(json.dumps({"model_type": "vit", "id2label": labels}))
    (nsfw / "preprocessor_config.json").write_text("{}")
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise((768, *WIDTHS))]
    pth = re.search(r"\./(weights/\S+\.pth)", recipe)[1]
    torch.save(torch.nn.Sequential(*layers).state_dict(), folder / pth)
    embed = Embed(ModelParams(backend="clip", model="ViT-L-14-quickgelu", weights=str(clip))).writes()[0]
    origin = Origin(column="clip", backend=embed.backend, revision=embed.revision)
    fitted = dict(name="generated", kind="logistic", positive="yes", on=[origin], weights=[0.0] * 768)
    head = HeadFile(**fitted, bias=0, bound=None, labels={}, metrics={})
    (folder / "generated.head.json").write_text(head.model_dump_json())
