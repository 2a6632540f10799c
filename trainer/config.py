"""A training run as one YAML file: strict, every fault with its line and the nearest right spelling."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal

from thresher.loader.plan import plan
from thresher.loader.plan.buckets import Buckets
from thresher.loader.plan.pattern import Realising
from thresher.schemas.errors import UsageError, nearest
from thresher.trainer.model.config import ModelConfig

Keys = tuple[str | int, ...]


@dataclass
class Image:
    """How images become tokens."""

    tokenizer: str = "pixels"
    """`pixels`, or `convae:`, `tiny:`, `vae:`, `dc:`, `vq:` and a path."""
    stride: int = 16
    """Side of a token of pixels, px; other tokenizers know theirs."""
    std: float = 0.5
    """Of the values of pixels in [-1, 1]."""
    stored: str = ""
    """Name of the latents that `thresher precompute` stored beside the exports, to be read for the images."""
    features: int = 0
    """Values of each feature that is stored with them, for `losses.repa`."""


@dataclass
class Source:
    """An export and its share of every step."""

    export: str
    share: float = 1.0
    where: str | None = None
    """A predicate over the columns of the index."""
    split: str = "train"


@dataclass
class Losses:
    """Weights of cross-entropy, velocity error and feature alignment (BAGEL, arXiv 2505.14683: .25 and 1)."""

    ce: float = 0.25
    mse: float = 1.0
    repa: float = 0.0


@dataclass
class Drops:
    """Chances that a condition is left out, decided in the plan."""

    text: float = 0.1
    clean: float = 0.1
    vit: float = 0.5


@dataclass
class Stage:
    """Some steps at one resolution and one mixture."""

    name: str
    steps: int
    row: int
    """Tokens of a row."""
    rows: int
    """Rows of a step, over all ranks."""
    image: int
    """Side of a square image, px."""
    lr: float
    micro: int = 1
    """Rows that a device holds at once."""
    see: int | None = None
    """Side of an image that is understood, px; that of `image` by default."""
    warmup: int = 0
    """Steps over which the learning rate rises; it is constant after them."""
    tail: int = 0
    """Last steps, over which it falls to 0 in a line."""
    eps: float = 1e-8
    decay: float = 0.0
    clip: float = 1.0
    ema: float = 0.9999
    shift: float = 1.0
    losses: Losses = field(default_factory=Losses)
    describe: float = 0.5
    drops: Drops = field(default_factory=Drops)
    captions: dict[str, float] = field(default_factory=dict)
    mix: dict[str, float] = field(default_factory=dict)
    """Shares of this stage where they differ from those of `sources`; 0 leaves a source out."""
    long: Literal["fail", "drop", "cut_at_segment", "next_bucket"] = "fail"
    weighting: Literal["token", "sample", "sqrt"] = "token"
    code_weight: float = 1.0
    share: Literal["tokens", "samples"] = "tokens"
    window: int = 4096
    block: int = 1024
    chunk: int = 64


@dataclass
class Config:
    """Everything that decides a run."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    sources: dict[str, Source]
    stages: list[Stage]
    seed: int = 0
    out: str = ""
    tokenizer: str = "bytes"
    image: Image = field(default_factory=Image)
    model: ModelConfig = field(default_factory=ModelConfig)
    hold: int = 20
    """Per mille of contents that are kept out of training."""
    save: int = 500
    """Steps between checkpoints."""
    keep: int = 3
    """Checkpoints that are kept."""
    workers: int = 0
    prefetch: int = 2
    track: list[Literal["tensorboard", "wandb"]] = field(default_factory=list)

    def shares(self, stage: Stage) -> dict[str, float]:
        """Share of each source in the stage."""
        return {name: stage.mix.get(name, source.share) for name, source in self.sources.items()}

    def planned(self, stage: Stage, stride: int, codes: bool, encoders: Sequence[str]) -> plan.Stage:
        """The stage as plans know it. `stride`: side of an image's token, px; `codes`: it is a code."""
        see = Buckets(stage.see or stage.image, self.model.und_stride) if self.model.und != "none" else None
        realising = ("describe", "weighting", "code_weight", "long")
        planning = ("name", "row", "rows", "window", "block", "chunk", "share", "shift")
        how = Realising(
            Buckets(stage.image, stride),
            see,
            codes,
            variants=stage.captions,
            **{f"drop_{name}": chance for name, chance in vars(stage.drops).items()},
            **{name: getattr(stage, name) for name in realising},
        )
        return plan.Stage(
            seed=self.seed,
            how=how,
            losses=(stage.losses.ce, stage.losses.mse, stage.losses.repa),
            encoders=tuple(encoders),
            **{name: getattr(stage, name) for name in planning},
        )


def load(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The config in the file `path`, or the bundled one of that name; `overrides` as `stages.0.steps=9`.

    What a stage does not say is as in the stage before it. Relative paths start at the file's folder; in a
    bundled config, at the working folder. Raises UsageError with file and line.
    """
    from thresher.schemas import document
    from thresher.schemas.strict import validated

    file = document.find(path, document.CONFIGS, "training config")
    written = document.read(file)
    for override in overrides:
        way, text = document.assignment(override)
        keys = tuple(int(key) if key.isdigit() else key for key in way.split("."))
        written.set(keys, document.value(text), f"--set {way}")
    stages = written.data.get("stages")
    if isinstance(stages, list) and all(isinstance(stage, dict) for stage in stages):
        for before, stage in pairwise(stages):
            stage.update(before | stage)
    try:
        config = validated(Config, written.data, written.where)
    except UsageError as error:  # of the model's own measures
        raise (
            error if error.where else UsageError(error.what, written.where(("model",)), error.mend)
        ) from error
    for keys, wrong in _problems(config):
        raise UsageError(wrong, written.where(keys))
    base = Path.cwd() if file.parent == document.CONFIGS and file != Path(path) else file.resolve().parent
    for source in config.sources.values():
        source.export = source.export if "://" in source.export else str(base / source.export)
    config.out = str(base / (config.out or f"runs/train/{config.name}"))
    if config.tokenizer != "bytes":
        kind, colon, named = config.tokenizer.rpartition(":")
        config.tokenizer = f"{kind}{colon}{base / named}"
    return config


def restored(data: dict[str, Any]) -> Config:
    """The config that a checkpoint holds."""
    from thresher.schemas.strict import validated

    return validated(Config, data, lambda keys: ".".join(["config", *map(str, keys)]))


_LEAST = dict.fromkeys(("steps", "row", "rows", "micro", "window", "block", "chunk"), 1) | dict.fromkeys(
    ("lr", "warmup", "tail", "eps", "decay", "ema"), 0
)


def _problems(config: Config) -> Iterator[tuple[Keys, str]]:
    """What no type alone can tell."""
    for part in ("sources", "stages"):
        if not getattr(config, part):
            yield (part,), f"no {part}: there is nothing to train on"
    for name in ("save", "keep"):
        if getattr(config, name) < 1:
            yield (name,), f"{name} is {getattr(config, name)}, less than 1"
    for i, stage in enumerate(config.stages):
        if not stage.clip > 0:
            yield ("stages", i, "clip"), f"clip is {stage.clip}: no gradient would be left"
        for name, least in _LEAST.items():
            if getattr(stage, name) < least:
                yield ("stages", i, name), f"{name} is {getattr(stage, name)}, less than {least}"
        for name, chance in vars(stage.drops).items():
            if not 0 <= chance <= 1:
                yield ("stages", i, "drops", name), f"{name} is {chance}, no share from 0 to 1"
        for name in stage.mix.keys() - config.sources.keys():
            hint = nearest(name, list(config.sources))
            yield ("stages", i, "mix", name), f"there is no source {name!r}. {hint}".strip()
        shares = config.shares(stage)
        if min(shares.values()) < 0 or not 0 < sum(shares.values()) < float("inf"):
            told = ", ".join(f"{name} {share:g}" for name, share in shares.items())
            yield ("stages", i), f"shares that cannot be mixed: {told}"
