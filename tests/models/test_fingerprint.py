"""What counts of weights is what they hold: a moved file computes nothing anew, a changed one everything."""

import json

import pytest

from thresher.operators.captions.caption import Caption, CaptionParams
from thresher.operators.captions.reason.reason import CaptionReason, ReasonParams
from thresher.operators.models.chat.params import ChatParams
from thresher.operators.models.clarity import Clarity
from thresher.operators.models.classify import Classify, ClassifyParams
from thresher.operators.models.embed import Embed, ModelParams
from thresher.operators.models.ground import Ground, GroundParams
from thresher.pipelines.plan.fingerprint import operator_fingerprint

COMMIT = "1a2b3c4"


def _embed(place: str):
    return Embed(ModelParams(backend="clip", weights=place))


def _classify(place: str):
    return Classify(ClassifyParams(name="aigc", weights=place, label="human"))


def _detector(place: str):
    return Ground(GroundParams(backend="owlv2", weights=place, prompts=("a cat",)))


def _outliner(place: str):
    return Ground(GroundParams(backend="owlv2", weights="hf:lab/d@abcdef0", sam=place, prompts=("a cat",)))


def _talker(place: str):
    return Clarity(ChatParams(backend="transformers", weights=place))


def _reasoner(place: str):
    return CaptionReason(ReasonParams(backend="transformers", weights=place))


def _captioner(place: str):
    return Caption(CaptionParams(backend="transformers", weights=place))


MAKERS = [_embed, _classify, _detector, _outliner, _talker, _captioner, _reasoner]


@pytest.mark.parametrize("make", MAKERS)
def test_repository_commit_and_file_count(make):
    """Nothing is fetched: the fingerprint of a plan is known without a network."""
    places = [f"hf:lab/a@{COMMIT}", f"hf:lab/b@{COMMIT}", "hf:lab/a@1a2b3c5"]
    places += [f"hf:lab/a@{COMMIT}/one.safetensors", f"hf:lab/a@{COMMIT}/two.safetensors"]
    found = {operator_fingerprint(make(place), {}, None) for place in places}
    assert len(found) == len(places)
    assert operator_fingerprint(make(places[0]), {}, None) in found, "the same twice"


@pytest.mark.parametrize("make", MAKERS)
def test_the_bytes_of_a_local_place_count_and_its_path_does_not(make, tmp_path):
    found = []
    for folder, data in (("a", b"x"), ("b", b"x"), ("c", b"y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.safetensors").write_bytes(data)
        found.append(operator_fingerprint(make(str(tmp_path / folder)), {}, None))
    assert found[0] == found[1] != found[2]


def test_phrases_to_look_for_count():
    made = [Ground(GroundParams(backend="owlv2", weights="hf:lab/d@abcdef0", prompts=(p,))) for p in "ab"]
    assert len({operator_fingerprint(one, {}, None) for one in made}) == 2


RECIPE = """
thresher: 1
name: photos
tables:
  images:
    ingest: {folder: ./photos}
    steps:
      - embed: EMBED
      - clip_score: EMBED
      - select: {drop: {custom.short: "clip_norm < 0"}}
"""


def test_a_moved_architecture_is_cached_and_a_changed_one_is_not(cli, pool, clip, recipe, tmp_path):
    def plan(config: str, weights: str) -> set[str]:
        """The steps that a run would do."""
        params = json.dumps({"backend": "clip", "model": config, "weights": weights})
        path = recipe(text=RECIPE.replace("EMBED", params))
        if not (tmp_path / "r").exists():
            cli.run(path, "--run", "r", "--local")
        (table,) = json.loads(cli("plan", str(path), "--run", "r", "--json"))["tables"].values()
        return {step["step"] for step in table["steps"] if step["state"] == "will run"}

    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    config, file = tmp_path / "one" / "tiny.json", tmp_path / "one" / "w.safetensors"
    config.write_bytes(clip[0].read_bytes())
    file.write_bytes(clip[1].read_bytes())
    assert not plan("one/tiny.json", "one/w.safetensors")
    config.rename(tmp_path / "two" / "renamed.json")
    file.rename(tmp_path / "two" / "v.safetensors")
    assert not plan("two/renamed.json", "two/v.safetensors"), "moved and renamed"
    changed = json.loads(clip[0].read_text())
    changed["vision_cfg"]["head_width"] = 32  # of the same shapes: no weight tells
    (tmp_path / "two" / "renamed.json").write_text(json.dumps(changed))
    assert {"embed", "clip_score"} <= plan("two/renamed.json", "two/v.safetensors")
