"""All settings of a run as one typed tree, read from TOML.

Defaults live here and in the rooms that use them (`trackers`, `models.grouping`); `configs/run.toml` shows
them all. Errors are `ValueError`s of one line that name the place and what would be right.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_type_hints

import msgspec

from models.grouping import GroupingConfig
from trackers.refine import RefineConfig
from trackers.tracker import TrackerConfig

__all__ = [
    "InputSettings",
    "LiveSettings",
    "NetworkSettings",
    "OutputSettings",
    "RenderSettings",
    "Settings",
    "VideoSettings",
    "load",
    "names",
    "override",
    "override_tree",
    "read_tree",
]

Tree = TypeVar("Tree")
"""A frozen dataclass of settings, or of sections of them."""


def _require(right: bool, message: str) -> None:
    if not right:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class InputSettings:
    """How inputs are read."""

    image_rate: float = 25.0
    """Pictures a second that a folder of pictures is taken to have."""

    queue_frames: int = 6
    """Decoded frames that may wait for the network: more smooths the flow, and takes memory."""

    cuts: bool = True
    """Whether a picture that has nothing in common with the one before it begins a new shot, into which nobody is
    followed by where they were. False: there is one shot, whatever happens in it."""

    start: float = 0.0
    """Seconds from the first frame to the first that is tracked. What is before it is decoded, and not looked at."""

    end: float = 0.0
    """Seconds from the first frame to the first that is not tracked any more; 0 goes on to the end."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        _require(self.image_rate > 0, f"image_rate is {self.image_rate}, it must be above 0")
        _require(self.queue_frames >= 1, f"queue_frames is {self.queue_frames}, it must be at least 1")
        _require(0 <= self.start < math.inf, f"start is {self.start}, it must be a number of seconds from 0 on")
        _require(
            self.end == 0 or self.start < self.end < math.inf,
            f"end is {self.end:g}, it must be after start ({self.start:g}), or 0 for the end of the input",
        )

    @property
    def is_stretch(self) -> bool:
        """Whether a part of the input is asked for, and not the whole."""
        return self.start > 0 or self.end > 0


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """How live inputs are read: the network sees the newest frame, and frames that it does not come to are dropped."""

    mode: Literal["auto", "always", "never"] = "auto"
    """Which inputs are live: auto takes cameras and streams, but for files that are read over the network; always takes
    files, too, at the pace of their times; never reads all frames of anything, however late that becomes."""

    seconds: float = 0.0
    """How long a live input is read, from its first frame on; 0 reads until it ends or is stopped."""

    give_up_seconds: float = 60.0
    """How long a camera or stream that broke off is tried again, from its last frame on, before the run is completed:
    0 tries for ever; too short a time ends it where a camera starts anew."""

    show: bool = False
    """Whether to serve the drawn picture to browsers of this machine while it is made."""

    port: int = 8765
    """Port at which it is served; 0, or one that is taken, gives a free one."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        _require(self.seconds >= 0, f"seconds is {self.seconds}, it must be at least 0")
        _require(self.give_up_seconds >= 0, f"give_up_seconds is {self.give_up_seconds}, it must be at least 0")
        _require(0 <= self.port <= 65535, f"port is {self.port}, it must be from 0 to 65535")


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Which network runs, where and how."""

    weights: str = "small"
    """Name of weights that ship with the project, or path of a .safetensors file."""

    engine: Literal["auto", "pytorch", "openvino"] = "auto"
    """What runs it; auto takes OpenVINO on a processor where it is installed: about twice as fast."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the network runs; auto takes a GPU where there is one."""

    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic of the network; auto takes half precision where the device is faster at it."""

    short_side: int = 256
    """Pixels of the short side of what the network sees: more finds smaller people, and takes longer."""

    mirror: bool = False
    """Average with the mirrored picture: better, at twice the time."""

    batch: int = 0
    """Frames that go through the network together; 0 chooses by device."""

    every: int = 1
    """The network sees every so-manieth frame, and the first and last of each shot; in between people are put on
    straight lines. At 1 it sees all; the higher, the faster, and the more quick movements are cut short: eight frames a
    second that it sees are enough for people who walk. `tracker.birth_frames` counts frames that the network sees."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        _require(self.short_side >= 32, f"short_side is {self.short_side}, it must be at least 32 pixels")
        _require(self.short_side <= 4096, f"short_side is {self.short_side}, it must be at most 4096 pixels")
        _require(self.batch >= 0, f"batch is {self.batch}, it must be at least 1, or 0 to choose by device")
        _require(self.every >= 1, f"every is {self.every}, it must be at least 1")


@dataclass(frozen=True, kw_only=True)
class RenderSettings:
    """How people are drawn onto the picture."""

    style: Literal["skeleton", "boxes", "blur-faces", "black"] = "skeleton"
    """Skeletons; boxes around people; skeletons with faces made unrecognisable; skeletons on a black ground."""

    color_by: Literal["identity", "side"] = "identity"
    """What colours tell: who somebody is, or the left, the right and the middle of the body."""

    trails_seconds: float = 0.0
    """How long the path of each person stays in the picture: 0 draws none, many seconds cover the picture."""

    labels: bool = True
    """Whether ids, and scores of people who are large enough, are written beside people."""

    untracked: bool = False
    """Whether poses without an identity are drawn, too, in grey: what was seen too shortly or too faintly, some of it
    nobody. The data has them in any case, and blur-faces hides their faces."""

    min_joint_score: float = 0.1
    """Joints less sure than this are not drawn: 0 draws every joint that was found, a high value leaves holes in
    people. Faces are found by all joints."""

    line_width: float = 1.0
    """Width of limbs and boxes, as a multiple of what suits the person's size: near 0 leaves hairlines, a high value
    hides people behind their skeletons."""


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """The video that is written."""

    enabled: bool = True
    """Whether to write tracked.mp4 at all; data is always written."""

    quality: int = 21
    """Constant rate factor of H.264: 18 is near the source, 28 is small."""

    scale: float = 1.0
    """Sides of the video as a share of the input's: 0.5 has a quarter of the pixels, and is drawn and encoded so much
    faster. Poses stay in pixels of the input."""

    encoder: Literal["auto", "libx264", "h264_nvenc", "h264_qsv", "h264_amf", "h264_videotoolbox"] = "libx264"
    """What encodes: libx264 on the processor, or a graphics card's own encoder (NVIDIA, Intel, AMD, Apple), whose files
    are larger at the same quality; auto takes the first of those that works here, else libx264."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        _require(0 <= self.quality <= 51, f"quality is {self.quality}, it must be from 0 (best) to 51")
        _require(0 < self.scale <= 1, f"scale is {self.scale}, it must be above 0 and at most 1")


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """What `submit` hands in of the poses; `run` writes all of them. `tune` finds what suits precision or tracking."""

    min_joint_score: float = 0.0
    """Joints less sure than this are left out: 0 keeps all, which is best for average precision; a higher value spares
    MOTA false joints, and too high a one costs it right ones."""

    min_person_score: float = 0.0
    """People less sure than this are left out: 0 keeps all; too high, people who are far or half hidden go."""

    untracked: bool = False
    """Whether people without an identity stay, each with one for this frame alone: average precision may gain by them,
    MOTA counts most of them as false."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole tree."""

    input: InputSettings = field(default_factory=InputSettings)
    live: LiveSettings = field(default_factory=LiveSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    grouping: GroupingConfig = field(default_factory=GroupingConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    render: RenderSettings = field(default_factory=RenderSettings)
    video: VideoSettings = field(default_factory=VideoSettings)
    output: OutputSettings = field(default_factory=OutputSettings)


def load(path: Path) -> Settings:
    """Settings of a run from a TOML file; what the file does not say keeps its default. Errors as of `read_tree`."""
    return read_tree(path, Settings())


def override(settings: Settings, assignments: list[str]) -> Settings:
    """The settings with assignments laid over them, as in `network.short_side=384`. Errors as of `override_tree`."""
    return override_tree(settings, assignments, example="network.short_side=384")


def read_tree(path: Path, base: Tree) -> Tree:
    """`base` with what a TOML file says laid over it.

    Raises:
        ValueError: unreadable file, broken TOML, unknown key (with the nearest known one), wrong type.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"configuration {path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"configuration {path} is not TOML: {error}") from None
    return _convert(tree, base, where=str(path))


def override_tree(base: Tree, assignments: list[str], *, example: str) -> Tree:
    """`base` with `key=value` assignments laid over it; the example is for errors.

    Values are TOML; a word that is no TOML value is taken as a string.

    Raises:
        ValueError: not of that form, unknown key, wrong type.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ValueError(f"setting '{assignment}' lacks a value: write key=value, as in {example}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        for name in reversed(key.strip().split(".")):
            value = {name: value}
        base = _convert(value, base, where=f"setting '{assignment}'")
    return base


def _convert(tree: dict[str, Any], base: Tree, *, where: str) -> Tree:
    """`base` with the values of a nested dictionary laid over it, types checked."""
    _check_keys(tree, type(base), where=where, above="")
    merged = _merge(msgspec.to_builtins(base), tree)
    try:
        return msgspec.convert(merged, type(base))
    except msgspec.ValidationError as error:
        message = str(error).replace("`$.", "`").replace(" - at", ", at")
        raise ValueError(f"{where}: {message[0].lower()}{message[1:]}") from None


def _check_keys(tree: dict[str, Any], kind: type, *, where: str, above: str) -> None:
    """Refuse a key that the tree of settings does not have."""
    hints = get_type_hints(kind)
    names = [item.name for item in dataclasses.fields(kind)]
    for key, value in tree.items():
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean '{above}{close[0]}'?" if close else f"known here are: {', '.join(names)}"
            raise ValueError(f"{where}: unknown key '{above}{key}'; {hint}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise ValueError(f"{where}: '{above}{key}' is a section, not a value: write [{above}{key}]")
            _check_keys(value, hints[key], where=where, above=f"{above}{key}.")
        parts = [part for part in get_args(hints[key]) if isinstance(part, type) and dataclasses.is_dataclass(part)]
        if parts and isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    _check_keys(item, parts[0], where=where, above=f"{above}{key}[{number}].")


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """A new nested dictionary in which `above` wins."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def names() -> set[str]:
    """Every setting by its full name, as in `network.short_side`."""
    return {
        f"{section.name}.{item.name}"
        for section in dataclasses.fields(Settings)
        for item in dataclasses.fields(get_type_hints(Settings)[section.name])
    }
