"""What a newcomer has: a clone, and a wheel made from it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clone") / "thresher"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def _pytest(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """pytest in a folder, with nothing of this process's environment."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "HOME": str(folder.parent)}
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)


@pytest.mark.acceptance("C2")
def test_a_clone_runs_its_own_tests(clone):
    """Every test of this tree is collected in the clone, from its own rooms; a whole run passes there."""
    code = "import thresher.pipelines.explain as m, pathlib; print(pathlib.Path(m.__file__).resolve())"
    done = subprocess.run([sys.executable, "-c", code], cwd=clone, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(clone))
    counts = []
    for process in [_pytest(folder, "-q", "--collect-only") for folder in (ROOT, clone)]:
        lines = process.communicate()[0].splitlines()
        assert process.returncode == 0, lines[-20:]
        counts.append({line for line in lines if line.startswith("tests/")})
    status = subprocess.run(
        ["git", "status", "--porcelain", "-uall"], cwd=ROOT, capture_output=True, text=True
    )
    edited = tuple(line[3:] for line in status.stdout.splitlines() if line[3:].startswith("tests/"))
    here, there = ({line for line in found if not line.startswith(edited)} for found in counts)
    assert len(here) > 40 and here == there, "what is not committed is not cloned"
    process = _pytest(clone, "tests/schemas", "tests/recipe/test_load.py", "tests/engine/test_api.py")
    out = process.communicate()[0]
    assert process.returncode == 0 and "passed" in out, out[-3000:]
    dry = subprocess.run(["make", "-n", "test"], cwd=clone, capture_output=True, text=True, check=True).stdout
    for tool in ("venv", "pip install", "ruff", "mypy", "lint-imports", "pytest"):
        assert tool in dry


def test_the_wheel_holds_every_room_and_its_data(clone, tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(clone)]
    subprocess.run(command, check=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    for needed in (
        "thresher/schemas/ids.py",
        "thresher/operators/quality/__init__.py",
        "thresher/operators/models/chat/prompts/clarity.txt",
        "thresher/pipelines/cli/main.py",
        "thresher/pipelines/report/page.html",
        "thresher/pipelines/demo/check.py",
        "thresher/configs/demo.yaml",
        "thresher/configs/profiles/laptop.yaml",
    ):
        assert needed in names


def test_light_imports():
    """A decode worker or a trainer that imports schemas loads no Ray, torch or pipelines."""
    code = (
        "import sys, thresher, thresher.schemas, thresher.schemas.records, thresher.operators.base;"
        "print([m for m in ('ray', 'torch', 'thresher.pipelines', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_file_imports_the_bare_rooms():
    import re

    bare = re.compile(r"^\s*(from|import) (schemas|operators|pipelines|configs)\b", re.M)
    files = [
        p
        for room in ("schemas", "operators", "pipelines", "infra", "tests")
        for p in (ROOT / room).rglob("*.py")
    ]
    assert len(files) > 100
    assert [str(p) for p in files if bare.search(p.read_text())] == []
