"""Heads on stored vectors: the affine map equals the layers, and the encoder runs once for all of them."""

import itertools
import json

import numpy as np
import pytest

from thresher.operators.models.aesthetic import WIDTHS, affine
from thresher.schemas.errors import ThresherError


def _network(torch, inputs: int):
    """The published head: five linear layers with dropout between them and no activations."""
    widths = [inputs, *WIDTHS]
    layers: list = []
    for i, (a, b) in enumerate(itertools.pairwise(widths)):
        layers.append(torch.nn.Linear(a, b))
        if i < 3:
            layers.append(torch.nn.Dropout(0.2 if i < 2 else 0.1))
    network = torch.nn.Module()
    network.layers = torch.nn.Sequential(*layers)
    return network.eval()


@pytest.mark.acceptance("I12")
@pytest.mark.parametrize("inputs", [768, 1152])
def test_the_collapsed_head_is_the_network(torch, tmp_path, monkeypatch, inputs):
    network = _network(torch, inputs)
    torch.save(network.state_dict(), tmp_path / "head.pth")
    vectors = torch.nn.functional.normalize(torch.randn(1000, inputs, dtype=torch.float64), dim=1)
    with torch.inference_mode():
        wanted = network.double().layers(vectors)[:, 0].numpy()
    import pickle

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_: pytest.fail("it was unpickled"))
    monkeypatch.setattr(torch, "load", lambda *_: pytest.fail("it was unpickled"))
    weight, bias = affine(tmp_path / "head.pth")
    assert weight.shape == (inputs,) and np.abs(vectors.numpy() @ weight + bias - wanted).max() < 1e-5


@pytest.mark.parametrize("fault", ["cut", "other layers", "text"])
def test_a_wrong_head_is_told(torch, tmp_path, fault):
    file = tmp_path / "head.pth"
    if fault == "other layers":
        torch.save(torch.nn.Linear(768, 1).state_dict(), file)
    elif fault == "text":
        file.write_text("not found")
    else:
        torch.save(_network(torch, 768).state_dict(), file)
        file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ThresherError, match=r"head\.pth.*(layers|cannot be read)"):
        affine(file)


RECIPE = """
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - quality
      - embed: EMBED
      - aesthetic: {weights: HEAD}
      - clip_score: EMBED
      - select:
          drop:
            unaesthetic: "aesthetic < quantile(aesthetic, 0.1)"
            text_mismatch: "clip_score < -0.99"
    export: {shard_size: 100KB}
"""


@pytest.fixture
def heads(clip, torch, recipe, pool, cli, tmp_path):
    """A recipe with an embedding and two Measures that read it; half of the pool has captions."""
    for i, path in enumerate(sorted(pool.glob("*.jpg"))):
        if i % 2 and path.stat().st_size > 100:
            path.with_suffix(".txt").write_text(f"a photo of {path.stem.replace('-', ' ')}")
    tensors = _network(torch, 32).state_dict()
    torch.save(tensors | {"layers.7.weight": 1000 * tensors["layers.7.weight"]}, tmp_path / "head.pth")
    params = {"backend": "clip", "model": str(clip[0]), "weights": str(clip[1])}
    return recipe(
        text=RECIPE.replace("EMBED", json.dumps(params)).replace("HEAD", str(tmp_path / "head.pth"))
    )


def test_the_picture_is_encoded_once_for_all_that_read_its_vector(cli, heads, tmp_path, ledger_of):
    """Counted in a wrapper of the image tower that a site module installs in every process."""
    (tmp_path / "sitecustomize.py").write_text(
        "from thresher.operators.models import encoders as e\n"
        "whole = e.OpenClip.images\n"
        "def counted(self, model, pixels):\n"
        f"    open({str(tmp_path / 'forwards')!r}, 'a').write(f'{{len(pixels)}}\\n')\n"
        "    return whole(self, model, pixels)\n"
        "e.OpenClip.images = counted\n"
    )
    cli.env["PYTHONPATH"] = f"{tmp_path}:{cli.env.get('PYTHONPATH', '')}"
    (tmp_path / "batch.yaml").write_text("batch: 7\n")
    cli.run(heads, "--run", "r", "--local", "--profile", "./batch.yaml")
    assert (tmp_path / "forwards").read_text().split() == ["1"] + ["7"] * 14, "98 pictures"
    rows = {r["key"]: r for r in ledger_of(tmp_path / "r")}
    assert sum(r["reason"] == "unaesthetic" for r in rows.values()) in range(1, 11)
    story = json.loads(cli("explain", "astronaut-01.jpg", "--run", "r", "--json"))
    columns = {c["name"]: c["value"] for c in story["columns"]}
    assert len(columns["clip"]) == 32 and "aesthetic" in columns
    change = "tables.images.steps.select.drop.unaesthetic=aesthetic < quantile(aesthetic, 0.2)"
    cli.run(heads, "--run", "r", "--local", "--profile", "./batch.yaml", "--set", change)
    assert len((tmp_path / "forwards").read_text().split()) == 15, "another bound asks no model"


def test_a_missing_caption_has_no_score(cli, heads, tmp_path):
    from thresher.pipelines.runview import open_run

    cli.run(heads, "--run", "r", "--local")
    run = open_run(tmp_path / "r")
    rows = [
        r for p in run.parts("images")
        for r in run.reader("images").read_all(p, ["key", "text", "clip_score"]).to_pylist()
        if r["key"] not in ("empty.jpg", "text.jpg")
    ]  # fmt: skip
    assert all((r["text"] is None) == (r["clip_score"] is None) for r in rows)
    assert sum(r["clip_score"] is not None for r in rows) > 40


def test_a_text_tower_of_another_model_is_refused(cli, heads, clip, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(clip[1])
    save_file({name: value + 1e-3 for name, value in tensors.items()}, tmp_path / "other.safetensors")
    cli(
        "plan",
        str(heads),
        "--set",
        f"tables.images.steps.clip_score.weights={tmp_path / 'other.safetensors'}",
        code=2,
    )
    assert "was made by" in cli.err, cli.err


def test_a_head_for_other_vectors_stops_the_run(cli, heads, torch, tmp_path):
    torch.save(_network(torch, 768).state_dict(), tmp_path / "head.pth")
    cli("run", str(heads), "--run", "r", "--local", code=1)
    assert "vectors of 768 numbers, the column has 32" in cli.err, cli.err
