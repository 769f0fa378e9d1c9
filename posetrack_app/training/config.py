"""All settings of a training as one typed tree, read from TOML; `configs/training/` has some."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from models.cluster_net import ClusterNetConfig
from models.losses import LossConfig
from posetrack_app.config import override_tree, read_tree
from posetrack_app.training.augmentation import AugmentationConfig

__all__ = [
    "DataSettings",
    "DevSettings",
    "NetworkPart",
    "OptimizerSettings",
    "PhotoSet",
    "RunSettings",
    "TrainingSettings",
    "differences",
    "length_of",
    "load",
    "override",
    "read_network",
]

_ROOT = Path(__file__).parents[2]

_FREE = {
    "data.storage",
    "data.workers",
    "run.compile",
    "run.log_every",
    "run.check_every",
    "run.save_every",
    "run.keep",
}
"""Settings that may change when a training goes on: they do not change what becomes of it."""


def _require(right: bool, message: str) -> None:
    if not right:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class NetworkPart:
    """Which network is trained, and from where it begins."""

    configuration: str | dict[str, Any] = "small"
    """Its shape: the name of a file of configs/models, the path of such a file, or a table with the same keys."""

    init: str = ""
    """Weights to begin with: a shipped name or a file; empty begins with random numbers. Weights of the same shape for
    another skeleton are taken over joint by joint."""


@dataclass(frozen=True, kw_only=True)
class PhotoSet:
    """Photos and what is known of them."""

    annotations: str
    """A file of COCO keypoints, one of PoseTrack2018 or a folder of those; from the current folder."""

    images: str = ""
    """Folder of the photos; empty for that of the annotations, from which their names count then."""

    name: str = ""
    """What the photos are called in `shares` and reports, where the file names no source."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What is learned from."""

    sets: tuple[PhotoSet, ...] = ()
    """All of them are shuffled together."""

    shares: dict[str, float] = field(default_factory=dict)
    """How often a photo of a source is taken, as a multiple of the others: 0 leaves the source out; far above 1, its
    photos are learned by heart. By name of the source or the set."""

    side: int = 256
    """Pixels of the square that the network sees: more shows smaller people, and takes time with its square."""

    storage: Literal["auto", "device", "stream"] = "auto"
    """Where the photos lie: all on the device, which is fastest, or read as they are needed. `auto` takes the device
    where there is room."""

    workers: int = 2
    """Threads that read photos; of `stream`, all the time, of `device`, at the beginning."""

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        _require(self.side >= 32, f"side is {self.side}, it must be at least 32 pixels")
        _require(self.workers >= 1, f"workers is {self.workers}, it must be at least 1")
        for source, share in self.shares.items():
            _require(0 <= share < math.inf, f"shares of '{source}' is {share}, it must not be below 0")


@dataclass(frozen=True, kw_only=True)
class DevSettings:
    """Photos that are not learned from, on which the network is measured now and then."""

    annotations: str = ""
    """As of a set: for a network of COCO's joints a file of COCO keypoints. Empty measures nothing; then there are no
    best weights, only the last."""

    images: str = ""
    """As of a set."""

    short_side: int = 256
    """Pixels of the short side of what the network sees, as in `evaluate coco`."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """How the weights follow the gradient."""

    name: Literal["adam", "adamw"] = "adam"
    """Adam as in the paper, or AdamW, whose decay does not depend on the gradient."""

    rate: float = 2e-4
    """Learning rate. Near 0 nothing is learned; too high, the loss jumps and stays high."""

    encoder_factor: float = 1.0
    """Of the `mobilenet_fpn` stem: learning rate of the encoder as a multiple of `rate`; a trained one needs less. At 0
    it stays as it is, which halves the work on a processor."""

    schedule: Literal["steps", "cosine"] = "steps"
    """How the rate falls: at once, by `factor` at each of the milestones, or gently, along a cosine to `floor`."""

    milestones: tuple[float, ...] = (0.75,)
    """Of `steps`: where the rate falls, in parts of the training: 0.75 is after 150 of 200 epochs."""

    factor: float = 0.05
    """Of `steps`: what the rate is multiplied by."""

    floor: float = 0.01
    """Of `cosine`: the last rate as a part of the first. At 0 the last steps change nothing; at 1 the rate stays."""

    warmup_steps: int = 0
    """Steps in which the rate rises from 0. With 0, the first steps of Adam are large and can spoil trained weights;
    too many are time lost."""

    weight_decay: float = 0.0
    """How strongly weights are drawn to 0, biases and norms apart. Too high, the network cannot follow the photos."""

    clip: float = 1.0
    """Longest gradient: a longer one is shortened. At 0 none is; too low, all steps are alike and slow."""

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        _require(self.rate > 0, f"rate is {self.rate}, it must be above 0")
        for name in ("encoder_factor", "weight_decay", "clip", "warmup_steps"):
            _require(getattr(self, name) >= 0, f"{name} is {getattr(self, name)}, it must not be below 0")
        _require(
            all(0 < part < 1 for part in self.milestones),
            f"milestones are {list(self.milestones)}, they must be parts of the training, between 0 and 1",
        )
        for name in ("factor", "floor"):
            _require(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name)}, it must be from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How long, how much at once, and how it is watched."""

    epochs: float = 0.0
    """Length of the training in times that all photos are seen; 0 where `steps` says it."""

    steps: int = 0
    """Length of the training in steps; 0 where `epochs` says it."""

    batch: int = 8
    """Pictures that go through the network together, over all processes. Few make for noise, and batch norms need
    some; many need memory."""

    accumulate: int = 1
    """Batches whose gradients are added up for one step: as a larger batch in less memory, but for batch norms."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the network; weights and losses stay float32. `auto` takes bfloat16 where the device has it."""

    channels_last: bool = True
    """Keep the channels of a pixel together in memory: faster nearly everywhere, with the same result."""

    compile: bool = False
    """Compile the network first: minutes of waiting, then faster on a GPU."""

    average: float = 0.999
    """What is kept of the averaged weights at each step; these are measured and saved. At 0 they are the last
    weights; too near 1 for the number of steps, they are those of long ago. In the first steps less is kept."""

    freeze_norms: bool = False
    """Batch norms use what they learned before instead of the batch: for fine-tuning with few pictures a batch."""

    seed: int = 0
    """Of random weights, of the order of photos and of their augmentation."""

    log_every: int = 20
    """Steps between rows of the log, each a mean over them."""

    check_every: int = 1000
    """Steps between measurements on the dev set, each with a checkpoint, weights and a new picture of the log."""

    save_every: int = 200
    """Steps between checkpoints: what is lost at most when the power fails. Few of them cost time."""

    keep: int = 2
    """Checkpoints that are kept, the newest; each is four times as large as the network."""

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        for name in ("epochs", "steps"):
            _require(getattr(self, name) >= 0, f"{name} is {getattr(self, name)}, it must not be below 0")
        for name in ("batch", "accumulate", "log_every", "check_every", "save_every", "keep"):
            _require(getattr(self, name) >= 1, f"{name} is {getattr(self, name)}, it must be at least 1")
        _require(0 <= self.average < 1, f"average is {self.average}, it must be from 0 to below 1")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The whole tree."""

    network: NetworkPart = field(default_factory=NetworkPart)
    data: DataSettings = field(default_factory=DataSettings)
    dev: DevSettings = field(default_factory=DevSettings)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    run: RunSettings = field(default_factory=RunSettings)


def load(path: Path) -> TrainingSettings:
    """Settings of a training from a TOML file; errors as of `posetrack_app.config.read_tree`."""
    return read_tree(path, TrainingSettings())


def override(settings: TrainingSettings, assignments: list[str]) -> TrainingSettings:
    """The settings with `key=value` assignments laid over them; errors as of `posetrack_app.config.override_tree`."""
    return override_tree(settings, assignments, example="optimizer.rate=1e-4")


def read_network(configuration: str | Mapping[str, Any]) -> ClusterNetConfig:
    """The shape of a network: from a table, the path of a file, or the name of one in configs/models.

    Raises:
        ValueError: no such file, or not a configuration.
    """
    if not isinstance(configuration, str):
        return ClusterNetConfig.from_values(configuration)
    named = Path("configs", "models", f"{configuration}.toml")
    places = [Path(configuration), named, _ROOT / named]
    path = next(filter(Path.is_file, places), None)
    if path is None:
        looked = ", ".join(str(place.absolute()) for place in dict.fromkeys(place.absolute() for place in places))
        raise ValueError(f"network.configuration '{configuration}' is no file; looked for {looked}")
    try:
        return ClusterNetConfig.from_values(tomllib.loads(path.read_text(encoding="utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, ValueError, TypeError) as error:
        raise ValueError(f"network.configuration {path}: {error}") from None


def differences(before: Mapping[str, Any], now: TrainingSettings) -> list[str]:
    """In which settings a training that goes on would differ from what it was, those apart that do not matter.

    Args:
        before: The settings as `msgspec.to_builtins` gave them.
        now: The settings that are asked for.
    """
    old, new = _flat(before), _flat(msgspec.to_builtins(now))
    return [
        f"{key} is {_shown(new.get(key))}, it was {_shown(old.get(key))}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and key not in _FREE
    ]


def _flat(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Values by full name; lists as lists, as they come from a file."""
    return {
        f"{section}.{key}": list(value) if isinstance(value, tuple) else value
        for section, values in sections.items()
        for key, value in values.items()
    }


def _shown(value: Any) -> str:
    return "not there" if value is None else repr(value)


def length_of(run: RunSettings, photos: int) -> int:
    """Steps of the whole training.

    Raises:
        ValueError: neither epochs nor steps say it, or both.
    """
    if (run.epochs > 0) == (run.steps > 0):
        both = f"run.epochs is {run.epochs:g} and run.steps is {run.steps}"
        raise ValueError(f"{both}: one of them must say how long the training is, and the other be 0")
    return run.steps or max(1, round(run.epochs * photos / (run.batch * run.accumulate)))
