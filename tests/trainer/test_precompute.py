"""Stored latents and features: the same run as from images, which are not opened."""

import itertools
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainer.shards import plain, png, write_export
from thresher.encoders.batch import collate
from thresher.encoders.features import Features, declare_vision_operators
from thresher.encoders.latents import open_latents
from thresher.encoders.precompute import precompute
from thresher.loader.index import check_stored, open_source
from thresher.loader.plan.buckets import Buckets
from thresher.loader.plan.pattern import Realising
from thresher.loader.plan.plan import Plan, Stage
from thresher.loader.steps import Loader
from thresher.loader.tokens import BEGIN, Bytes
from thresher.pipelines.ablate import exports
from thresher.schemas import ThresherError
from thresher.trainer.model.config import ModelConfig
from thresher.trainer.model.decoder import Decoder
from thresher.trainer.model.flow import losses

STAGE = Stage("one", 0, 64, 4, Realising(Buckets(64, 16), describe=0.5), window=64, block=16)


@pytest.fixture
def export(tmp_path):
    samples = [plain(f"noise {i}", png(60 + i, 90 - i, seed=i), name=str(i)) for i in range(24)]
    return write_export(tmp_path / "export", samples, per_shard=10)


def batches(source, latents, steps=3):
    loaded = iter(Loader(Plan([source], [1], STAGE), [source], Bytes()))
    for _, one in zip(range(steps), loaded, strict=False):
        assert not one.holes
        yield collate(one.rows, latents, Bytes.vocabulary, BEGIN), one.totals


@pytest.mark.acceptance("T22")
def test_stored_latents_give_the_same_loss_without_the_images(export):
    latents = open_latents({"tokenizer": "pixels", "stride": 16})
    tars = sorted(export.glob("*.tar"))
    before = [(os.stat(tar).st_mtime_ns, os.stat(tar).st_ino) for tar in tars]
    folder, failed = precompute(str(export), latents, 64)
    assert failed == 0
    assert [(os.stat(tar).st_mtime_ns, os.stat(tar).st_ino) for tar in tars] == before
    told = []
    for stored in ("", folder.name):
        source = open_source("pool", export, Bytes(), stored=stored)
        torch.manual_seed(0)
        model = Decoder(ModelConfig(predict="x"), Bytes.vocabulary, latents.channels)
        torch.nn.init.normal_(model.latent_head.weight, std=0.1)
        if stored:
            for tar in tars:
                tar.unlink()
        told.append([losses(model(b), b, t, (1, 1, 0)).total.item() for b, t in batches(source, latents)])
    assert told[0] == told[1]
    with pytest.raises(ThresherError, match=r"no latents are stored.*thresher precompute"):
        open_source("pool", export, Bytes(), stored="other")


def test_features_of_an_encoder_lie_on_the_grid_of_the_latents(export, tmp_path):
    declare_vision_operators()
    from transformers import Dinov2Config, Dinov2Model

    shape = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    Dinov2Model(Dinov2Config(**shape, patch_size=14, image_size=56)).save_pretrained(tmp_path / "dino")
    latents, features = open_latents({"tokenizer": "pixels", "stride": 16}), Features(str(tmp_path / "dino"))
    folder, _ = precompute(str(export), latents, 64, features)
    source = open_source("pool", export, Bytes(), stored=folder.name)
    for batch, _ in batches(source, latents):
        noisy = int((batch.kind == 3).sum())
        assert batch.features.shape == (noisy, 24) and batch.features.abs().sum(dim=1).min() > 0


def test_an_image_that_cannot_be_read_is_counted_and_what_is_done_is_left_alone(tmp_path):
    samples = [plain(f"noise {i}", png(64, 64, seed=i), name=str(i)) for i in range(3)]
    samples[1].members[".png"] = samples[1].members[".png"][:200]
    export = write_export(tmp_path / "export", samples)
    latents = open_latents({"tokenizer": "pixels", "stride": 16})
    folder, failed = precompute(str(export), latents, 64)
    assert failed == 1
    made = os.stat(folder / "all-00000-of-00001.tar").st_mtime_ns
    assert precompute(str(export), latents, 64) == (folder, 1)
    assert os.stat(folder / "all-00000-of-00001.tar").st_mtime_ns == made


def test_a_view_of_fewer_rows_reads_its_own_records(export, tmp_path):
    folder, _ = precompute(str(export), open_latents({"tokenizer": "pixels", "stride": 16}), 64)
    whole = exports.open_export("whole", export)
    exports.write_view(whole, np.arange(24) % 3 == 1, tmp_path / "view")
    texts = []
    for stored in ("", folder.name):
        source = open_source("pool", tmp_path / "view", Bytes(), stored=stored)
        loaded = Loader(Plan([source], [1], STAGE), [source], Bytes())
        texts.append([row.token.tolist() for one in itertools.islice(loaded, 4) for row in one.rows])
    assert texts[0] == texts[1]


def test_what_was_stored_of_other_tars_is_refused(export):
    folder, _ = precompute(str(export), open_latents({"tokenizer": "pixels", "stride": 16}), 64)
    write_export(export, [plain(f"other {i}", png(64, 64, seed=i)) for i in range(24)], per_shard=10)
    with pytest.raises(ThresherError, match=r"missing, or of another tar.*thresher precompute"):
        open_source("pool", export, Bytes(), stored=folder.name)


@pytest.mark.parametrize(
    "how, wrong",
    [
        ({"image": Buckets(32, 16)}, "needs latents stored as"),
        ({"understanding": Buckets(64, 16)}, "needs their pixels"),
        ({"long": "next_bucket"}, "needs their pixels"),
    ],
)
def test_stages_that_stored_latents_cannot_serve_are_refused(how, wrong):
    name = "pixels16-0.5-64"
    check_stored(name, "pixels16-0.5", STAGE)
    with pytest.raises(ThresherError, match=wrong):
        check_stored(name, "pixels16-0.5", replace(STAGE, how=replace(STAGE.how, **how)))
