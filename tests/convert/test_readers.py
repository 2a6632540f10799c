"""The real readers on what a conversion wrote, each in a Python of its own, since their pins clash with ours.

THRESHER_READERS: a Python that has megatron-energon, datasets, pandas, protobuf and imageio.
THRESHER_BAGEL, THRESHER_EMU: checkouts of ByteDance-Seed/Bagel and baaivision/Emu3.5.
"""

import json
import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.convert import samples
from tests.convert.samples import picture
from thresher.pipelines.convert import convert

pytestmark = pytest.mark.slow


def needed(name: str) -> str:
    if name not in os.environ:
        pytest.skip(f"the real reader was NOT run: set {name} (see {Path(__file__).name})")
    return os.environ[name]


def read(script: str, *args: object, path: str = "") -> list:
    """What the script prints as JSON lines in the readers' Python."""
    env = os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [needed("THRESHER_READERS"), "-c", script, *map(str, args)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "["))]


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    many = [samples.caption(f"c{n}") for n in range(11)] + [samples.edit(f"e{n}", 100 + n) for n in range(9)]
    return samples.export(tmp_path_factory.mktemp("readers") / "export", samples.every_kind() + many)


def pixels(number: int) -> str:
    import io

    from PIL import Image

    return sha256(Image.open(io.BytesIO(picture(number))).tobytes()).hexdigest()


BAGEL = """
import json, sys
from hashlib import sha256
import numpy as np, torch
from data.interleave_datasets import UnifiedEditIterableDataset
from data.t2i_dataset import T2IIterableDataset
from data.vlm_dataset import SftJSONLIterableDataset

class Transform:
    stride = 16
    def __call__(self, image, img_num=1):
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)

class Tokenizer:
    def encode(self, text):
        return list(text.encode())

made = {"t2i": T2IIterableDataset, "edit": UnifiedEditIterableDataset, "vlm": SftJSONLIterableDataset}
info = json.load(open(sys.argv[1] + "/dataset_info.json"))
for part, group in (("t2i", "t2i_pretrain"), ("edit", "unified_edit"), ("vlm", "vlm_sft")):
    about = info[group]["thresher"]
    more = {"num_used_data": [about.get("num_files", about["num_total_samples"])]}
    more["data_dir_list"] = [about["data_dir"]]
    if part == "edit":
        more |= {"parquet_info": json.load(open(about["parquet_info_path"])), "vit_transform": Transform()}
    if part == "vlm":
        more |= {"jsonl_path_list": [about["jsonl_path"]], "frame_sampler": None}
    world = 1 if part == "vlm" else int(sys.argv[2])
    for rank in range(world):
        data = made[part](part, Transform(), Tokenizer(), local_rank=rank, world_size=world, **more)
        seen = set()
        for sample in data:
            place = json.dumps(sample["data_indexes"])
            if place in seen:
                break
            seen.add(place)
            images = [t.permute(1, 2, 0).contiguous().numpy().tobytes() for t in sample["image_tensor_list"]]
            print(json.dumps({
                "part": part,
                "images": [sha256(data).hexdigest() for data in images],
                "texts": [bytes(ids).decode() for ids in sample["text_ids_list"]],
                "plan": [(p["type"], p["loss"]) for p in sample["sequence_plan"]],
            }))
"""


def test_bagels_own_readers_get_every_record_on_four_ranks(export, tmp_path):
    made = convert(export, "bagel", tmp_path / "out", 4)
    found = read(BAGEL, made.folder, 4, path=needed("THRESHER_BAGEL"))
    counts = {part: sum(s["part"] == part for s in found) for part in made.parts}
    assert counts == made.parts == {"edit": 11, "t2i": 12, "vlm": 3}
    drawn = {"a red square", "a red square, café behind", "红色方块"}
    assert all(s["images"] == [pixels(1)] and s["texts"][0] in drawn for s in found if s["part"] == "t2i")
    known = {pixels(10 + n) for n in range(2)} | {pixels(20 + n) for n in range(4)}
    known |= {pixels(100 + n) for n in range(10)}
    edits = [s for s in found if s["part"] == "edit"]
    assert {image for s in edits for image in s["images"]} <= known
    assert all(s["plan"][-1] == ["vae_image", 1] for s in edits)
    talks = {tuple(s["texts"]): s for s in found if s["part"] == "vlm"}
    both = talks["question 0?", "answer 0.", "question 1?", "answer 1."]
    assert both["images"] == [pixels(60)]
    assert both["plan"] == [["vit_image", 0], *([["text", 0], ["text", 1]] * 2)]
    assert talks["Only words.",]["plan"] == [["text", 1]]


ENERGON = """
import dataclasses, json, sys
from hashlib import sha256
from megatron.energon import WorkerConfig, get_loader, get_train_dataset

def plain(value):
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, str) or value is None:
        return value
    data = (value * 255).round().byte().permute(1, 2, 0).contiguous().numpy().tobytes()
    return sha256(data).hexdigest()

config = WorkerConfig(rank=0, world_size=1, num_workers=0)
for name in sys.argv[2:]:
    data = get_train_dataset(
        f"{sys.argv[1]}/{name}", worker_config=config, batch_size=None, shuffle_buffer_size=None,
        max_samples_per_sequence=None, repeat=False,
    )
    for sample in get_loader(data):
        fields = [f.name for f in dataclasses.fields(sample) if not f.name.startswith("__")]
        told = {f: plain(getattr(sample, f)) for f in fields if hasattr(sample, f)}
        print(json.dumps(told | {"set": name, "type": type(sample).__name__}))
"""


def test_energon_opens_every_dataset(export, tmp_path):
    made = convert(export, "energon", tmp_path / "out")
    found = read(ENERGON, made.folder, *made.parts)
    assert {name: sum(s["set"] == name for s in found) for name in made.parts} == made.parts
    by_set = {name: [s for s in found if s["set"] == name] for name in made.parts}
    assert {(s["type"], s["image"], s["caption"]) for s in by_set["captioning"]} == {
        ("CaptioningSample", pixels(1), "a red square")
    }
    (asked,) = by_set["vqa"]
    assert (asked["type"], asked["image"]) == ("VQASample", pixels(70))
    assert (asked["context"], asked["answers"]) == ("question 0?", ["answer 0."])
    assert [(s["type"], s["text"]) for s in by_set["text"]] == [("TextSample", "Only words.")]
    sequences = [s["sequence"] for s in by_set["interleaved"]]
    assert ["First.", pixels(40), "Then.", pixels(41)] in sequences
    assert [pixels(10), "make it blue", pixels(11)] in sequences


HF = """
import json, sys
from hashlib import sha256
import datasets

for config in ("caption", "sequence"):
    data = datasets.load_dataset(sys.argv[1], config, split="train", cache_dir=sys.argv[2])
    for row in data:
        images = [row.pop("image")] if config == "caption" else row.pop("images")
        found = [sha256(image.tobytes()).hexdigest() for image in images]
        print(json.dumps(row | {"config": config, "images": found}))
"""


def test_datasets_opens_both_configs_with_images(export, tmp_path):
    made = convert(export, "hf", tmp_path / "out")
    found = read(HF, made.folder, tmp_path / "cache")
    assert {name: sum(row["config"] == name for row in found) for name in made.parts} == made.parts
    captioned = [row for row in found if row["config"] == "caption"]
    assert {(row["text"], *row["images"]) for row in captioned} == {("a red square", pixels(1))}
    chained = next(row for row in found if row.get("kind") == "chain")
    assert chained["images"] == [pixels(20 + n) for n in range(4)]
    assert [s["image"] for s in chained["segments"]] == [0, None, 1, None, 2, None, 3]


def test_emus_own_tool_shows_every_story(export, tmp_path):
    made = convert(export, "emu", tmp_path / "out")
    tool = Path(needed("THRESHER_EMU")) / "src" / "utils" / "vis_proto.py"
    script = f"import runpy, sys; sys.argv[0] = {str(tool)!r}; runpy.run_path(sys.argv[0], None, '__main__')"
    read(script, "--input", made.folder / "proto", "--output", tmp_path / "shown")
    folders = {file.parent for file in (tmp_path / "shown").rglob("000_question.txt")}
    assert len(folders) == made.parts["proto"]
    told = next(p.parent for f in folders for p in f.glob("001_text.txt") if p.read_text() == "First.\n")
    assert (told / "001_00_image.png").read_bytes() == picture(40)
    assert (told / "002_text.txt").read_text() == "Then.\n"
    assert (told / "002_00_image.png").read_bytes() == picture(41)
