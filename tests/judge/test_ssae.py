"""The SSAE judge against a scripted server: what it asks, how it counts, what it does with bad answers."""

import json
import re
import subprocess
import sys

import pytest
from PIL import Image

from tests.captions.conftest import chat_server

__all__ = ["chat_server"]

COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220)}


def text_of(body):
    parts = body["messages"][0]["content"]
    return parts if isinstance(parts, str) else "".join(p.get("text", "") for p in parts)


def script(body):
    """Two points for each prompt; the colour is met if the prompt's file says so, the shape always."""
    said = text_of(body)
    if "painter" in said:
        colour = re.search(r"a (\w+) square", said)[1]
        points = [{"field": "primary.noun", "text": "a square"}]
        return {"points": [*points, {"field": "primary.key_attributes", "text": f"it is {colour}"}]}
    met = "met" if "it is red" in said else "missed"
    return {"marks": [{"reason": "A square.", "verdict": "met"}, {"reason": "Its colour.", "verdict": met}]}


def drawn(folder, prompts):
    folder.mkdir()
    told = []
    for i, prompt in enumerate(prompts):
        Image.new("RGB", (64, 64), (200, 0, 60 * i)).save(folder / f"{i}.png")
        told.append({"prompt": prompt, "image": f"{i}.png"})
    (folder / "samples.json").write_text(json.dumps(told))
    return folder


def run(folder, server):
    command = [sys.executable, "-m", "thresher.pipelines.judge", str(folder), server.url, "judge-7b"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_points_are_listed_once_a_prompt_and_marked_on_every_picture(tmp_path, chat_server):
    server = chat_server(script)
    folder = drawn(tmp_path / "s", ["a red square"] * 3 + ["a blue square"])
    done = run(folder, server)
    assert done.returncode == 0, done.stderr
    assert "Mean Image Accuracy 0.875" in done.stdout and "Global Accuracy 0.875" in done.stdout
    assert len(server.bodies) == 2 + 4
    held = json.loads((folder / "judged.json").read_text())
    assert [p["met"] for p in held["pictures"][3]["points"]] == [True, False]
    assert held["accuracy"]["mean_image"]["low"] < 0.875 < held["accuracy"]["mean_image"]["high"]
    run(folder, server)
    assert len(server.bodies) == 6  # kept


def test_a_picture_without_answer_is_told_and_counts_as_nothing(tmp_path, chat_server):
    def sometimes(body):
        said = text_of(body)
        if "it is blue" in said:
            return {"marks": [{"reason": "One.", "verdict": "met"}]}
        return script(body)

    folder = drawn(tmp_path / "s", ["a red square", "a blue square"])
    done = run(folder, chat_server(sometimes))
    assert "1 pictures, 1 could not be judged" in done.stdout
    assert "1 marks for 2 points" in (folder / "judged.json").read_text()


@pytest.mark.parametrize("folder_holds", [None, "[]"])
def test_a_folder_without_samples_is_told(tmp_path, chat_server, folder_holds):
    if folder_holds:
        (tmp_path / "samples.json").write_text(folder_holds)
    done = run(tmp_path, chat_server(script))
    assert done.returncode != 0 and "sample" in done.stderr + done.stdout
