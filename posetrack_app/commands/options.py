"""What several commands share: options, the settings that they make, files of figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from posetrack_app.commands.grouped import NETWORK, PICTURE
from posetrack_app.errors import OutputError, UsageError

if TYPE_CHECKING:
    from tqdm import tqdm

    from posetrack_app.config import Settings
    from posetrack_app.estimator import PoseEstimator

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings in TOML; configs/run.toml shows all of them."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, as in tracker.birth_frames=5."),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE", help="Weights that ship with the project, or a file. [small]", rich_help_panel=NETWORK
    ),
]
DeviceOption = Annotated[Device | None, typer.Option(help="Where the network runs. [auto]", rich_help_panel=NETWORK)]
PrecisionOption = Annotated[
    Precision | None, typer.Option(help="Arithmetic of the network. [auto]", rich_help_panel=NETWORK)
]
ShortSideOption = Annotated[
    int | None,
    typer.Option(
        min=32,
        metavar="PIXELS",
        help="Short side of what the network sees: more finds smaller people. [256]",
        rich_help_panel=NETWORK,
    ),
]
MirrorOption = Annotated[
    bool | None,
    typer.Option(
        "--mirror/--no-mirror", help="Average with the mirrored picture: better, slower.", rich_help_panel=NETWORK
    ),
]
EncoderOption = Annotated[
    Literal["auto", "libx264", "h264_nvenc", "h264_qsv", "h264_amf", "h264_videotoolbox"] | None,
    typer.Option(help="What encodes the video; auto tries graphics cards. [libx264]", rich_help_panel=PICTURE),
]
StyleOption = Annotated[
    Literal["skeleton", "boxes", "blur-faces", "black"] | None,
    typer.Option("--render", help="How people are drawn. [skeleton]", rich_help_panel=PICTURE),
]
ColorOption = Annotated[
    Literal["identity", "side"] | None, typer.Option(help="What colours tell. [identity]", rich_help_panel=PICTURE)
]
TrailsOption = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="Draw where people came from. [0]", rich_help_panel=PICTURE),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures here.")]


def settings_of(config: Path | None, assignments: list[str] | None, **overrides: object) -> Settings:
    """Defaults, then the file, then --set, then the options of their own."""
    from posetrack_app import config as configuration

    settings = configuration.Settings()
    try:
        if config is not None:
            settings = configuration.load(config)
        settings = configuration.override(settings, assignments or [])
        given = {key: value for key, value in overrides.items() if value is not None}
        return configuration.override(settings, [f"{key}={json.dumps(value)}" for key, value in given.items()])
    except ValueError as error:
        raise UsageError(str(error)) from None


def network_options(
    weights: str | None, device: str | None, precision: str | None, short_side: int | None, mirror: bool | None
) -> dict[str, object]:
    """The options about the network as settings."""
    return {
        "network.weights": weights,
        "network.device": device,
        "network.precision": precision,
        "network.short_side": short_side,
        "network.mirror": mirror,
    }


def short_sides_of(text: str) -> list[int]:
    """Sizes in pixels that --short-sides lists.

    >>> short_sides_of("256,384")
    [256, 384]
    """
    try:
        numbers = list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 32:
        raise UsageError(f"--short-sides is '{text}': it must be pixels from 32 on with commas between, as in 256,384")
    return numbers


def render_options(style: str | None, color_by: str | None, trails: float | None) -> dict[str, object]:
    """The options about drawing as settings."""
    return {"render.style": style, "render.color_by": color_by, "render.trails_seconds": trails}


def estimator_of(settings: Settings) -> PoseEstimator:
    """The network that the settings ask for."""
    from posetrack_app.estimator import PoseEstimator

    return PoseEstimator.from_settings(settings)


def frames_bar(name: str | None = None, *, quiet: bool, of: str = "frames") -> tqdm[None]:
    """A progress bar of frames, or what else is named, where somebody watches."""
    from tqdm import tqdm

    shown = sys.stderr.isatty() and not quiet
    return tqdm(desc=name, unit=f" {of}", disable=not shown, dynamic_ncols=True, leave=False)


def refuse_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Raise OutputError where one of the files is there and is not to be replaced."""
    for path in paths:
        if path.exists() and not overwrite:
            raise OutputError(f"{path} is there already; --overwrite replaces it, --out writes elsewhere")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write figures."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text, or raise OutputError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
