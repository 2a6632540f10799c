"""The trainer is a small house of its own."""

import ast
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[2] / "trainer"
MOST = 1500

ALONE = """
import importlib, pkgutil, sys
allowed = {"thresher", "torch", "numpy", "pyarrow"}
class Only:
    def find_spec(self, name, path=None, target=None):
        caller = sys._getframe(1)
        while caller and "importlib" in caller.f_code.co_filename:
            caller = caller.f_back
        mine = caller is not None and "/thresher/" in caller.f_code.co_filename
        top = name.partition(".")[0]
        if mine and top not in allowed and top not in sys.stdlib_module_names:
            raise ImportError(f"{caller.f_code.co_filename} imports {name}")
sys.meta_path.insert(0, Only())
import thresher.trainer
for module in pkgutil.walk_packages(thresher.trainer.__path__, "thresher.trainer."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(sorted(name for name in ("ray", "transformers", "diffusers", "pydantic") if name in sys.modules))
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
def test_the_trainer_is_short():
    counted = {str(path.relative_to(ROOM)): code_lines(path) for path in ROOM.rglob("*.py")}
    assert sum(counted.values()) <= MOST, counted


@pytest.mark.acceptance("T35")
def test_it_imports_with_torch_numpy_and_pyarrow_alone():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
