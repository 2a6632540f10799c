"""The guide's commands, run as they stand there."""

import shlex
from pathlib import Path

from tests.convert import samples
from thresher.pipelines.convert import LAYOUTS

GUIDE = Path(__file__).parents[2] / "docs" / "convert.md"


def test_the_guide_shows_each_layout_and_what_is_left_out(cli, tmp_path):
    (tmp_path / "demo" / "run" / "export" / "images").mkdir(parents=True)
    samples.export(tmp_path / "demo" / "run" / "export" / "images" / "latest")
    text = GUIDE.read_text("utf-8")
    lines = [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("thresher ")]
    assert [line[line.index("--to") + 1] for line in lines] == list(LAYOUTS)
    said = [cli(*line) for line in lines]
    told = [line for line in said[0].splitlines() if line.startswith(("edit", "t2i", "vlm", "left"))]
    assert "\n".join(told) in text
