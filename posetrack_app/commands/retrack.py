"""Identities once more from saved poses, and saved poses drawn once more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from posetrack_app.commands.options import (
    ColorOption,
    ConfigOption,
    QuietOption,
    SetOption,
    StyleOption,
    TrailsOption,
    frames_bar,
    refuse_existing,
    render_options,
    settings_of,
)
from posetrack_app.errors import OutputError, UsageError

if TYPE_CHECKING:
    from posetrack_app.config import Settings
    from posetrack_app.formats.sequence import PoseSequence
    from posetrack_app.video import Source

PosesArgument = Annotated[
    Path,
    typer.Argument(
        metavar="POSES",
        help="The folder of a run, its poses.parquet, or poses of another program: see docs/formats.md.",
        show_default=False,
    ),
]
RateOption = Annotated[
    float, typer.Option(metavar="FPS", help="Frames a second, where POSES is of a form without times.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def retrack(
    poses: PosesArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Where to. [retracked, beside the poses]")
    ] = None,
    edits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Corrections by hand, done after tracking: see docs/after.md.")
    ] = None,
    keep_tracks: Annotated[
        bool, typer.Option("--keep-tracks", help="Take the identities that are there instead of tracking.")
    ] = False,
    people: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many people there are, where it is known.")
    ] = None,
    join: Annotated[bool | None, typer.Option("--join/--no-join", help="Join tracks over gaps. [no-join]")] = None,
    fill: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Fill gaps of at most this long. [0]")
    ] = None,
    smooth: Annotated[
        Literal["none", "butterworth", "savgol", "one-euro"] | None, typer.Option(help="Smooth joints. [none]")
    ] = None,
    cutoff: Annotated[
        float | None, typer.Option(metavar="HZ", help="Quicker movements are taken for tremor. [6]")
    ] = None,
    repair_sides: Annotated[
        bool | None, typer.Option("--repair-sides/--no-repair-sides", help="Undo exchanged sides. [no-repair-sides]")
    ] = None,
    min_seconds: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Shorter tracks lose their identity. [0]")
    ] = None,
    video: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The video of the poses: also write tracked.mp4.")
    ] = None,
    render: StyleOption = None,
    color_by: ColorOption = None,
    trails: TrailsOption = None,
    rate: RateOption = 25.0,
    config: ConfigOption = None,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Give saved poses their identities again, corrected and refined, without the network."""
    settings = settings_of(
        config,
        assignments,
        **{
            "refine.people": people,
            "refine.join": join,
            "refine.fill_seconds": fill,
            "refine.smooth": smooth,
            "refine.cutoff_hz": cutoff,
            "refine.repair_sides": repair_sides,
            "refine.min_seconds": min_seconds,
            **render_options(render, color_by, trails),
        },
    )
    from dataclasses import asdict

    from posetrack_app import retrack as job
    from posetrack_app.edits import read_edits
    from posetrack_app.pipeline import versions

    _check_rate(rate)
    folder = out or (poses / "retracked" if poses.is_dir() else poses.parent / f"{poses.stem}-retracked")
    refuse_existing([folder / name for name in (*job.FILES, "tracked.mp4")], overwrite=overwrite)
    saved = job.read_saved(poses, rate=rate)
    corrections = read_edits(edits) if edits is not None else []
    result = job.retrack(saved, settings, keep_tracks=keep_tracks, edits=corrections, edits_name=str(edits))
    report: dict[str, Any] = {"input": str(poses), "settings": asdict(settings), "versions": versions()}
    doubts = job.write_results(folder, result, report=report)
    if not quiet:
        print(f"{folder}: {len(result.sequence.frames)} frames, {len(result.table.ids)} people")
        for step in result.steps:
            counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in step["changed"].items())
            print(f"  {step['name']}: {counts}")
        print(f"  doubts: {len(doubts)}")
        for warning in result.warnings:
            print(f"  warning: {warning}")
    if video is not None:
        _draw(result.sequence, _source(video), folder / "tracked.mp4", settings, quiet=quiet)


def render(
    poses: PosesArgument,
    video: Annotated[
        Path,
        typer.Option(metavar="FILE", help="The video, or the folder of pictures, of the poses.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.mp4", help="Where to. [tracked.mp4, beside the poses]")
    ] = None,
    style: StyleOption = None,
    color_by: ColorOption = None,
    trails: TrailsOption = None,
    rate: RateOption = 25.0,
    config: ConfigOption = None,
    assignments: SetOption = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw saved poses onto their video, without the network."""
    settings = settings_of(
        config,
        assignments,
        **render_options(style, color_by, trails),
    )
    from posetrack_app.formats.reading import read_poses

    _check_rate(rate)
    path = out or (poses if poses.is_dir() else poses.parent) / "tracked.mp4"
    if path.suffix.lower() != ".mp4":
        raise UsageError(f"--out is {path}, its name must end in .mp4: that is what is written")
    source = _source(video)
    if path.exists() and video.exists() and path.samefile(video):
        raise UsageError(f"{path} is the video itself; --out writes elsewhere")
    refuse_existing([path], overwrite=overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path.parent}: {error.strerror or error}") from None
    _draw(read_poses(poses, rate=rate), source, path, settings, quiet=quiet)


def _draw(sequence: PoseSequence, source: Source, path: Path, settings: Settings, *, quiet: bool) -> None:
    """With a progress bar where somebody watches."""
    from posetrack_app.redraw import redraw
    from posetrack_app.video import VideoInfo

    with frames_bar(source.name, quiet=quiet) as bar:

        def opened(info: VideoInfo) -> Any:
            bar.reset(total=len(sequence.frames))
            return lambda: bar.update() and None

        done = redraw(sequence, source, path, settings=settings, opened=opened)
    if not quiet:
        print(f"{path}: {done.frames} frames")
        for warning in done.warnings:
            print(f"  warning: {warning}")


def _source(video: Path) -> Source:
    """The one input that the user named."""
    from posetrack_app.video import expand_inputs

    sources = expand_inputs([str(video)])
    if len(sources) != 1:
        raise UsageError(f"--video {video} names {len(sources)} inputs; it must name the one that the poses are of")
    return sources[0]


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1e6:
        raise UsageError(f"--rate is {rate:g}, it must be above 0 and below a million")
