"""What a config names, opened."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from thresher.encoders.latents import open_latents
from thresher.loader.index import Source, check_stored, open_source
from thresher.loader.plan.plan import Plan
from thresher.loader.tokens import SPECIAL, open_tokenizer
from thresher.schemas import UsageError
from thresher.trainer.config import Config, Stage
from thresher.trainer.model.decoder import Decoder, load_causal
from thresher.trainer.model.sample import Sampler
from thresher.trainer.run import checkpoint


class Coding:
    """A config's tokenizers of text and images, and models over their tokens. Raises UsageError."""

    def __init__(self, config: Config, device: str = "cpu") -> None:
        self.config, self.device = config, device
        self.tokenizer = open_tokenizer(config.tokenizer)
        self.latents = open_latents(asdict(config.image), device)

    def model(self) -> Decoder:
        """A new model; its weights follow from the seed, or from the language model that it begins from."""
        torch.manual_seed(self.config.seed)
        vocabulary, size = self.tokenizer.vocabulary + self.latents.codes, self.config.model.size
        model = Decoder(self.config.model, vocabulary, self.latents.channels, self.config.image.features)
        if size.startswith("hf:"):
            load_causal(model, size[3:], SPECIAL)
        return model

    def source(self, name: str, split: str = "") -> Source:
        """A source of the config, or another `split` of its export."""
        told = self.config.sources[name]
        return open_source(
            name,
            told.export,
            self.tokenizer,
            where=told.where,
            split=split or told.split,
            hold=self.config.hold,
            stored=self.config.image.stored,
        )

    def trained(self, path: Path) -> Decoder:
        """The model with the mean weights of a checkpoint. Raises UsageError where there is none."""
        model = self.model()
        model.load_state_dict(checkpoint.weights(path))
        return model.to(self.device).eval()

    def sampler(self, path: Path) -> Sampler:
        """What draws with these weights."""
        return Sampler(self.trained(path), self.latents, self.tokenizer)


class Setup(Coding):
    """The same, with sources and the plan of every stage. Raises ThresherError too."""

    def __init__(self, config: Config, device: str = "cpu") -> None:
        super().__init__(config, device)
        self.sources = {name: self.source(name) for name in config.sources}
        self.plans = [self.plan(stage) for stage in config.stages]

    def plan(self, stage: Stage) -> Plan:
        """Over the sources that the stage takes from."""
        shares = {name: share for name, share in self.config.shares(stage).items() if share > 0}
        encoders = (self.tokenizer.id, self.latents.id, self.config.image.stored, self.config.model.und)
        planned = self.config.planned(stage, self.latents.stride, self.latents.codes > 0, encoders)
        check_stored(self.config.image.stored, self.latents.id, planned)
        return Plan([self.sources[name] for name in shares], list(shares.values()), planned)

    def identity(self) -> dict[str, Any]:
        """What gives a checkpoint's weights their meaning, and what they were trained by."""
        encoding = {"tokenizer": self.tokenizer.id, "latents": self.latents.id}
        return encoding | {"model": asdict(self.config.model), "plans": [plan.hash for plan in self.plans]}

    def refuse(self, about: dict[str, Any], stages: int, fork: bool, where: str) -> None:
        """Raise UsageError if a checkpoint of stage number `stages` is not of this model and these plans."""
        mine = self.identity()
        for name in ("tokenizer", "latents", "model"):
            if about[name] != mine[name]:
                what = f"this checkpoint is of another {name}: {about[name]}, not {mine[name]}"
                raise UsageError(what, where, "Name another folder as `out`")
        if not fork and stages >= len(mine["plans"]):
            what = f"this checkpoint is of stage {stages + 1}, and the config has {len(mine['plans'])}"
            raise UsageError(what, where, "Name another folder as `out`")
        for i in range(0 if fork else stages + 1):
            if about["plans"][i] != (now := mine["plans"][i]):
                raise UsageError(
                    f"the plan of stage {self.config.stages[i].name!r} has changed since this checkpoint"
                    f" ({about['plans'][i][:8]}, now {now[:8]}): its sources, shares, seed, lengths, choices"
                    " or loss weights differ",
                    where,
                    "Undo that, name another folder as `out`, or go on from these weights with --fork",
                )
