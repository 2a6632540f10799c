"""The trainer is a small house of its own, and so is its loader, which needs no torch."""

import ast
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = 1500
"""Of each of the two: what learns, and the loader that it stands on."""

ALONE = """
import importlib, pkgutil, sys
allowed = {"thresher", "torch", "numpy", "pyarrow"}
class Only:
    def find_spec(self, name, path=None, target=None):
        caller = sys._getframe(1)
        while caller and "importlib" in caller.f_code.co_filename:
            caller = caller.f_back
        mine = caller is not None and "/thresher/" in caller.f_code.co_filename
        mine = mine and not caller.f_code.co_filename.endswith("/commands.py")
        top = name.partition(".")[0]
        if mine and top not in allowed and top not in sys.stdlib_module_names:
            raise ImportError(f"{caller.f_code.co_filename} imports {name}")
sys.meta_path.insert(0, Only())
room = importlib.import_module("thresher." + sys.argv[1])
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    importlib.import_module(module.name)
heavy = ("ray", "transformers", "diffusers", "pydantic", *sys.argv[2:])
print(sorted(name for name in heavy if name in sys.modules))
"""


def code_lines(path: Path) -> int:
    """Lines that hold code: no blanks, comments or docstrings."""
    skipped = (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    )
    with open(path) as file:
        tokens = [t for t in tokenize.generate_tokens(file.readline) if t.type not in skipped]
    lines = {line for t in tokens for line in range(t.start[0], t.end[0] + 1)}
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


@pytest.mark.acceptance("T35")
@pytest.mark.parametrize("room", ["trainer", "loader", "encoders"])
def test_a_room_is_short(room):
    counted = {str(path.relative_to(ROOT)): code_lines(path) for path in (ROOT / room).rglob("*.py")}
    assert sum(counted.values()) <= MOST, counted


@pytest.mark.acceptance("T35")
@pytest.mark.parametrize("room, without", [("trainer", []), ("encoders", []), ("loader", ["torch"])])
def test_it_imports_with_torch_numpy_and_pyarrow_alone(room, without):
    command = [sys.executable, "-c", ALONE, room, *without]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
