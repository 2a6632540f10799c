"""Encoders: what they give, what they refuse, and that nothing depends on parts or batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from thresher.operators.base import Batch
from thresher.operators.models.embed import RGB, Embed, ModelParams
from thresher.operators.models.encoders import unit
from thresher.operators.models.resident import Resident


def _pictures(tiles, count: int = 12) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in tiles[::8][:count]]


def _embed(backend: str, place, model: str = "ViT-L-14") -> Embed:
    return Embed(ModelParams(backend=backend, model=str(model), weights=str(place)))


def test_clip_is_what_open_clip_gives(clip, photo_tiles, torch):
    import open_clip
    from safetensors.torch import load_file

    config, file = clip
    embed, pictures = _embed("clip", file, config), _pictures(photo_tiles)
    inputs = embed.prepare(Batch([None] * len(pictures), {RGB: pictures}))
    found = Resident(embed, "cpu", batch=5).run(inputs)
    model = open_clip.create_model("tiny-clip", pretrained=None)
    model.load_state_dict(load_file(file))
    model.eval()
    transform = open_clip.image_transform(32, is_train=False)
    with torch.inference_mode():
        wanted = model.encode_image(torch.stack([transform(Image.fromarray(p)) for p in pictures])).numpy()
    raw = np.stack(found["clip"]) * np.array(found["clip_norm"])[:, None]
    cosine = (unit(raw)[0] * unit(wanted)[0]).sum(axis=1)
    assert cosine.min() > 0.9995, "the same preprocessing, but for the rounding of a resize"
    assert np.allclose(np.array(found["clip_norm"]), np.linalg.norm(wanted, axis=1), rtol=0.01)


@pytest.mark.parametrize("backend", ["siglip", "dinov2"])
def test_transformers_encoders(backend, request, photo_tiles):
    embed, pictures = _embed(backend, request.getfixturevalue(backend)), _pictures(photo_tiles)
    inputs = embed.prepare(Batch([None] * len(pictures), {RGB: pictures}))
    found = Resident(embed, "cpu", batch=4).run(inputs)
    vectors = np.stack(found[backend])
    assert vectors.shape == (12, 32) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len({v.tobytes() for v in vectors}) == 12


def test_batches_agree_within_the_quantum(clip, photo_tiles):
    config, file = clip
    embed, pictures = _embed("clip", file, config), _pictures(photo_tiles)
    inputs = embed.prepare(Batch([None] * len(pictures), {RGB: pictures}))
    one, many = (np.stack(Resident(embed, "cpu", batch=b).run(inputs)["clip"]) for b in (1, 64))
    assert np.abs(one - many).max() < embed.writes()[0].quantum / 2


def test_the_classical_descriptor_knows_a_copy(photo_tiles, tmp_path):
    embed, pictures = Embed(), _pictures(photo_tiles)
    for i, picture in enumerate(list(pictures)):
        Image.fromarray(picture).save(tmp_path / f"{i}.jpg", quality=50)
        pictures.append(np.asarray(Image.open(tmp_path / f"{i}.jpg")))
    vectors = np.stack(embed.measure(Batch([None] * 24, {RGB: pictures})).columns["classical"])
    cosine = vectors[:12] @ vectors[12:].T
    assert (cosine.argmax(axis=1) == np.arange(12)).all() and np.diag(cosine).min() > 0.95


RECIPE = """
thresher: 1
name: photos
part_size: PART
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - quality
      - embed: EMBED
      - select:
          drop: {custom.long: "clip_norm < 0.0001"}
    export: {shard_size: 100KB}
"""


def _recipe(clip, part: int = 1000) -> str:
    params = json.dumps({"backend": "clip", "model": str(clip[0]), "weights": str(clip[1])})
    return RECIPE.replace("EMBED", params).replace("PART", str(part))


def _columns(run: Path) -> dict[str, list]:
    from thresher.pipelines.runview import open_run

    opened = open_run(run)
    reader = opened.reader("images")
    rows = [
        r for p in opened.parts("images") for r in reader.read_all(p, ["id", "clip", "clip_norm"]).to_pylist()
    ]
    return {r["id"].hex(): (r["clip"], r["clip_norm"]) for r in rows}


def test_values_do_not_depend_on_parts_or_on_ray(cli, pool, clip, recipe):
    """One batch size, fixed by a profile: every batch is filled up to it. 1,060 records, 12 broken."""
    for path in sorted(pool.glob("*.jpg"))[:96]:
        for copy in range(10):
            (pool / f"{path.stem}-{copy}.jpg").write_bytes(path.read_bytes() + bytes([copy]))
    (cli.cwd / "batch.yaml").write_text("batch: 48\n")
    found = []
    for part, options in ((7, ["--local"]), (100, ["--local"]), (1000, ["--local"]), (1000, [])):
        path = recipe(text=_recipe(clip, part), name=f"r{len(found)}.yaml")
        run = f"run{len(found)}"
        cli.run(path, "--run", run, "--profile", "./batch.yaml", *options)
        found.append(_columns(cli.cwd / run))
    assert len(found[0]) == 1060
    assert sum(v[0] is None for v in found[0].values()) == 12, "empty.jpg, its copies, text.jpg"
    assert all(other == found[0] for other in found[1:])


def test_vectors_stay_in_the_run(cli, pool, clip, recipe):
    path = recipe(text=_recipe(clip))
    cli.run(path, "--run", "r", "--local")
    record = next(iter((cli.cwd / "r/export/images/latest").resolve().glob("*.tar")))
    import tarfile

    with tarfile.open(record) as tar:
        member = next(m for m in tar.getmembers() if m.name.endswith(".json"))
        shown = json.loads(tar.extractfile(member).read())
    assert "clip" not in shown and shown["clip_norm"] > 0
    story = json.loads(cli("explain", member.name.removesuffix(".json"), "--run", "r", "--json"))
    column = next(c for c in story["columns"] if c["name"] == "clip")
    assert len(column["value"]) == 32 and column["backend"].startswith("open_clip")


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"backend": "clip"}, "needs `weights`"),
        ({"weights": "w.safetensors"}, "has no weights"),
        ({"backend": "clip", "weights": "nowhere.safetensors"}, "nowhere.safetensors"),
        ({"backend": "clip", "weights": "hf:openai/clip@main"}, "hf:ORG/NAME@COMMIT"),
        ({"backend": "clop", "weights": "w"}, "clop"),
    ],
)
def test_wrong_weights_are_told_at_plan_time(cli, pool, recipe, params, told):
    text = RECIPE.replace("EMBED", json.dumps(params)).replace("PART", "1000")
    cli("plan", str(recipe(text=text)), code=2)
    assert told in cli.err and "photos.yaml:10" in cli.err, cli.err


@pytest.mark.parametrize("fault", ["wrong shape", "missing layer", "pickle"])
def test_a_wrong_checkpoint_stops_the_run_and_says_why(cli, pool, clip, recipe, tmp_path, torch, fault):
    from safetensors.torch import load_file, save_file

    tensors = load_file(clip[1])
    file = tmp_path / ("bad.pt" if fault == "pickle" else "bad.safetensors")
    if fault == "wrong shape":
        tensors["text_projection"] = torch.zeros(3, 3)
    if fault == "missing layer":
        del tensors["text_projection"]
    save_file(tensors, file)
    if fault == "pickle":
        torch.save({"a": Path("x")}, file)
    text = _recipe((clip[0], file))
    cli("run", str(recipe(text=text)), "--run", "r", "--local", code=1)
    told = {
        "pickle": "cannot be read",
        "missing layer": "text_projection is missing",
    }
    assert told.get(fault, "shape (3, 3), not (32, 32)") in cli.err and str(file) in cli.err, cli.err


def test_what_a_model_did_is_in_the_metrics_and_the_report(cli, pool, clip, recipe):
    cli.run(recipe(text=_recipe(clip)), "--run", "r", "--local")
    lines = [json.loads(line) for line in (cli.cwd / "r/metrics.jsonl").read_text().splitlines()]
    (used,) = [line for line in lines if line["event"] == "model"]
    assert used["step"] == "embed" and used["device"] == "cpu" and used["batch"] >= 1
    assert used["records_per_s"] > 0 and 0 <= used["idle_share"] <= 1 and used["tflops"] > 0
    assert "idle share" in (cli.cwd / "r/report.html").read_text()


def test_part_files_say_what_made_them(cli, pool, clip, recipe):
    cli.run(recipe(text=_recipe(clip)), "--run", "r", "--local")
    file = next((cli.cwd / "r/columns/images").glob("embed@*/part-*.parquet"))
    metadata = pq.read_schema(file).field("clip").metadata
    assert metadata[b"backend"].startswith(b"open_clip") and len(metadata[b"revision"]) == 33


def test_a_repository_at_a_commit_is_read_from_the_cache(tmp_path):
    """As the hub's own library lays it out: a link in the snapshot to a blob that its SHA-256 names."""
    import hashlib

    from thresher.operators.models import weights

    commit, data = "1a2b3c4" * 5 + "12345", b"the weights"
    repository = tmp_path / "hub/models--lab--model"
    blob = repository / "blobs" / hashlib.sha256(data).hexdigest()
    link = repository / "snapshots" / commit / "model.safetensors"
    for path in (blob, link):
        path.parent.mkdir(parents=True)
    blob.write_bytes(data)
    link.symlink_to(blob)
    script = (
        "import sys; from thresher.operators.models import weights\n"
        "print(weights.locate(sys.argv[1]).read_bytes())"
    )
    place = f"hf:lab/model@{commit}/model.safetensors"

    def locate(name: str) -> subprocess.CompletedProcess:
        env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
        return subprocess.run([sys.executable, "-c", script, name], capture_output=True, text=True, env=env)

    assert locate(place).stdout.strip() == repr(data), locate(place).stderr
    assert weights.revision(place) == f"lab/model@{commit}/model.safetensors"
    blob.write_bytes(b"the weighty")
    assert "damaged" in locate(place).stderr and blob.name in locate(place).stderr
    absent = locate(place.replace("lab/model", "lab/other")).stderr
    assert "cannot be had" in absent and "hf download lab/other" in absent


@pytest.mark.parametrize("backend", ["clip", "siglip"])
def test_a_plan_loads_no_model(cli, pool, request, recipe, tmp_path, backend):
    """With the model in the first pass, of which a plan of a new pool measures a few files in a child."""
    heavy = ("torch", "transformers", "open_clip", "timm", "onnxruntime")
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os, sys\n"
        "def note():\n"
        f"    found = [m for m in {heavy!r} if m in sys.modules]\n"
        f"    open({str(tmp_path / 'modules')!r}, 'a').write(' '.join([str(os.getpid()), *found]) + '\\n')\n"
        "atexit.register(note)\n"
    )
    cli.env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    place = request.getfixturevalue(backend)
    text = _recipe(place) if backend == "clip" else RECIPE.replace("PART", "1000")
    params = json.dumps({"backend": "siglip", "weights": str(place)})
    path = recipe(("      - quality\n", ""), text=text.replace("EMBED", params))
    cli("plan", str(recipe(("clip_norm", f"{backend}_norm"), text=path.read_text())), "--run", "r")
    assert "embed" in cli.out
    noted = [line.split() for line in (tmp_path / "modules").read_text().splitlines()]
    assert noted and all(len(line) == 1 for line in noted), noted
