"""Configs of training runs: strict, with the place of every fault, and in the hash of the plan."""

import pytest

from tests.trainer.runs import exports, write_config
from thresher.schemas import UsageError
from thresher.schemas.document import CONFIGS
from thresher.trainer.config import load
from thresher.trainer.run.setup import Setup


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    return write_config(folder, exports(folder, 8))


@pytest.mark.parametrize(
    "override, told",
    [
        ("stages.0.stepz=3", r"--set stages.0.stepz: unknown key 'stepz'. Did you mean 'steps'?"),
        ("stages.0.losses.cee=3", r"unknown key 'cee'. Did you mean 'ce'?"),
        ("stages.0.steps=many", r"steps should be a valid integer, not 'many'"),
        ("stages.0.steps=0", r"steps is 0, less than 1"),
        ("stages.0.long=fial", r"not 'fial'. Did you mean 'fail'?"),
        ("stages.0.drops.text=30", r"text is 30.0, no share from 0 to 1"),
        ("stages.0.mix.image=1", r"there is no source 'image'. Did you mean 'images'?"),
        ("stages.0.mix={images: 0, texts: 0}", r"shares that cannot be mixed: images 0, texts 0"),
        ("sources.images.share=-1", r"shares that cannot be mixed"),
        ("model.size=nanno", r"no model size is called 'nanno'"),
        ("sources={}", r"no sources: there is nothing to train on"),
        ("keep=0", r"keep is 0, less than 1"),
        ("save=0", r"save is 0, less than 1"),
        ("stages.0.clip=0", r"clip is 0.0: no gradient would be left"),
        ("stages.7.steps=1", r"leads nowhere in the config"),
        ("steps", r"--set: 'steps' sets nothing"),
    ],
)
def test_a_fault_is_told_with_its_place_and_the_right_spelling(file, override, told):
    with pytest.raises(UsageError) as error:
        load(file, [override])
    assert told.strip() in str(error.value)


def test_a_fault_in_the_file_has_its_line(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("name: a\nsources:\n  pool: {export: x}\nstages:\n  - name: one\n    setps: 3\n")
    with pytest.raises(UsageError, match=r"run.yaml:6: unknown key 'setps'. Did you mean 'steps'"):
        load(file)
    with pytest.raises(UsageError, match=r"there is no training config .*Did you mean .*run.yaml"):
        load(tmp_path / "rum.yaml")


PRESETS = sorted(CONFIGS.glob("train_*.yaml"))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_parses_and_plans_over_exports_of_the_user(preset, tmp_path_factory):
    """Its exports and what must be fetched are put in place; stages, shares and rows stay as they are."""
    held = exports(tmp_path_factory.getbasetemp() / "presets", 40)
    config = load(preset, ["tokenizer=bytes", "image={tokenizer: pixels, stride: 16}", "model.und=none"])
    for name, source in config.sources.items():
        source.export = str(held["texts" if name == "text" else "images"])
    setup = Setup(config)
    for stage, plan in zip(config.stages, setup.plans, strict=True):
        assert len(plan.step(0)) == stage.rows
        asked = [share for share in config.shares(stage).values() if share]
        assert list(plan.shares) == asked and sum(asked) > 0
    if preset.stem == "train_bagel":
        assert all(sum(config.shares(stage).values()) == pytest.approx(1) for stage in config.stages)
