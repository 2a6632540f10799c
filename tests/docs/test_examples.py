"""The README and the guides, followed to the letter on a small pool: recipes, commands, Python, output."""

import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def follow(cli, tmp_path: Path) -> Callable[..., str]:
    """Runs the `thresher` lines of a block of commands; returns what they printed."""

    def run(block: str, *more: str) -> str:
        lines = [shlex.split(line) for line in block.splitlines() if line.startswith("thresher ")]
        assert lines, block
        return "".join(cli(*line[1:], *more) for line in lines)

    return run


@pytest.fixture
def python(cli, tmp_path: Path) -> Callable[[str], str]:
    """Runs a block of Python in the pool's folder; returns what it printed."""

    def run(block: str) -> str:
        env = cli.env | {"PYTHONPATH": os.pathsep.join([str(tmp_path), cli.env.get("PYTHONPATH", "")])}
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def install(cli, tmp_path: Path) -> Callable[[str, str], None]:
    """Installs the package of a page: its pyproject.toml and its one module, as pip would lay them out."""

    def write(toml: str, code: str) -> None:
        project = tomllib.loads(toml)["project"]
        points = project["entry-points"]["thresher.operators"]
        module = next(iter(points.values())).partition(":")[0]
        info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        (tmp_path / f"{module}.py").write_text(code)
        named = f"Name: {project['name']}\nVersion: {project['version']}\n"
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\n{named}")
        lines = "".join(f"{name} = {where}\n" for name, where in points.items())
        (info / "entry_points.txt").write_text(f"[thresher.operators]\n{lines}")
        cli.env["PYTHONPATH"] = str(tmp_path)

    return write


def test_readme_and_what_a_run_leaves(cli, photos, tmp_path, blocks, follow, python):
    """README: recipe, commands in their order, the funnel that it shows; then every reader of the shards."""
    (tmp_path / "photos.yaml").write_text(blocks("README.md", "yaml")[0])
    _, first, then, *_ = blocks("README.md", "sh")
    shown = follow(first)
    assert blocks("README.md", "text")[0] in shown
    story = follow(then)
    assert "dropped at dedupe.near: duplicate_near" in story and "9 records in 1 shard," in story
    follow("thresher run photos.yaml --local")
    verify, tar = blocks("docs/shards.md", "sh")
    assert "9 records" in follow(verify)
    listed = subprocess.run(tar, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert len(listed.split()) == 28, "9 images, 9 records, 9 lists of segments, 1 caption"
    assert len(python(blocks("README.md", "python")[0]).splitlines()) == 9
    by_webdataset, by_place, opened, *_ = blocks("docs/shards.md", "python")
    assert len(python(by_webdataset).splitlines()) == 9
    assert "(" in python(by_place)
    roles = [line.split(maxsplit=2)[1] for line in python(opened).splitlines()]
    assert sorted(roles) == ["cond", *["target"] * 9], "9 images, of which one has a caption"
    trouble = "docs/troubleshooting.md"
    assert "python" in follow(blocks(trouble, "sh")[0])
    found = python(blocks(trouble, "python")[0])
    assert found.split()[1:] == ["dropped", "dedupe.near", "duplicate_near"]


def test_readme_operator(cli, photos, tmp_path, blocks, install):
    install(blocks("README.md", "toml")[0], blocks("README.md", "python")[1])
    cold = 'warmth\n      - select: {as: cold, drop: {custom.cold: "warmth < 20"}}'
    recipe = tmp_path / "photos.yaml"
    recipe.write_text(blocks("README.md", "yaml")[0].replace("dedupe.exact", cold, 1))
    funnel = cli.run(recipe, "--local")["tables"]["images"]["funnel"]
    dropped = next(step for step in funnel if step["label"] == "cold")
    assert dropped["reasons"] == {"custom.cold": dropped["dropped"]} and 0 < dropped["dropped"] < 15


def test_first_pool(cli, photos, tmp_path, blocks, follow, ledger_of):
    page = "docs/first-pool.md"
    (tmp_path / "photos.yaml").write_text(blocks(page, "yaml")[0])
    run, explain, bound, verify, grow = blocks(page, "sh")
    follow(run, "--local")
    assert blocks(page, "text")[0].strip() in follow(explain)
    planned = follow(bound, "--local")
    cached = [line for line in planned.splitlines() if line.startswith(("quality ", "hash."))]
    assert any("cached" in line for line in cached)
    assert "0 faults" in follow(verify)
    (photos / "rocket.jpg").rename(tmp_path / "away.jpg")
    (photos / "chelsea.jpg").write_bytes((photos / "coffee.jpg").read_bytes())
    follow(grow)
    rows = {(r["key"], r["reason"]) for r in ledger_of(tmp_path / "runs" / "photos")}
    assert ("rocket.jpg", "missing_source") in rows and ("chelsea.jpg", "superseded") in rows
    (tmp_path / "away.jpg").rename(photos / "rocket.jpg")
    follow("thresher run photos.yaml --local")
    rows = {(r["key"], r["reason"]) for r in ledger_of(tmp_path / "runs" / "photos")}
    assert ("rocket.jpg", "too_small") in rows


def test_recipes(cli, photos, tmp_path, blocks, follow, python):
    page = "docs/recipes.md"
    recipe, profile = blocks(page, "yaml")
    (tmp_path / "photos.yaml").write_text(recipe)
    (tmp_path / "four.yaml").write_text(profile)
    override, profiled = blocks(page, "sh")
    assert follow(override).count("Nothing was run") == 2
    shown = follow(profiled)
    assert "technical" in shown and "quota" in shown
    assert "select 12 {'too_small': 3}" in python(blocks(page, "python")[0])
    assert "cached" in follow("thresher plan from-python.yaml")


@pytest.mark.slow
def test_shards_with_wids(cli, photos, tmp_path, blocks, follow, python):
    (tmp_path / "photos.yaml").write_text(blocks("README.md", "yaml")[0])
    follow("thresher run photos.yaml --local")
    (reader,) = (block for block in blocks("docs/shards.md", "python") if "import wids" in block)
    assert python(reader).splitlines()[-1].startswith("9 ")


def test_operators_howto(cli, photos, tmp_path, blocks, install, follow, python):
    """The documented package is installed, listed, named in the recipe and run; its own test passes."""
    page = "docs/operators-howto.md"
    operator, test = blocks(page, "python")
    install(blocks(page, "toml")[0], operator)
    listed, run = blocks(page, "sh")
    assert "| `share` | `0.5` |" in follow(listed)
    (tmp_path / "centred.yaml").write_text(blocks(page, "yaml")[0])
    for wrong, said in (
        ("centre.share=2", "less than 1"),
        ("select.drop={custom.scattered: centre < 20px}", "`20px` is in px"),
        ("select.drop={custom.scattered: centre < 2}", "outside the range"),
    ):
        cli("plan", "centred.yaml", "--set", f"tables.images.steps.{wrong}", code=2)
        assert said in cli.err
    assert "centre " in follow(run)
    python(test)


def test_one_sample_by_its_place_in_any_format(cli, photos, tmp_path, blocks, python):
    """`.json` stands before `.png`, `.tif` and `.webp` among the members, and so may an unknown member."""
    for path, suffix in zip(
        sorted(photos.glob("retina-*.jpg")), (".png", ".tif", ".webp", ".gif"), strict=True
    ):
        Image.open(path).save(path.with_suffix(suffix))
    for path in photos.glob("*.jpg"):
        path.unlink()
    table = "{ingest: {folder: photos}, steps: [quality], export: {}}"
    (tmp_path / "photos.yaml").write_text(f"{{thresher: 1, name: photos, tables: {{images: {table}}}}}")
    cli("run", "photos.yaml", "--local")
    by_place = blocks("docs/shards.md", "python")[1]
    each = f"for i in range(4): exec({by_place!r}.replace('slice(0, 1)', f'slice({{i}}, 1)'))"
    assert len(python(each).splitlines()) == 4


def test_texts_and_dialogues(photos, tmp_path, blocks, follow):
    """The page's rows, recipe and commands, and the funnel that it shows."""
    (tmp_path / "talk").mkdir()
    for language, name in (("json", "talk/llava.json"), ("jsonl", "talk/texts.jsonl"), ("yaml", "talk.yaml")):
        (tmp_path / name).write_text(blocks("docs/documents.md", language)[0])
    shown = follow(blocks("docs/documents.md", "sh")[0])
    assert blocks("docs/documents.md", "text")[0] in shown
    assert "dialogue" in shown and "2 records" in shown
