"""The main job."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from posetrack_app.commands.options import (
    ColorOption,
    ConfigOption,
    DeviceOption,
    MirrorOption,
    PrecisionOption,
    QuietOption,
    SetOption,
    ShortSideOption,
    StyleOption,
    TrailsOption,
    WeightsOption,
    estimator_of,
    frames_bar,
    network_options,
    refuse_existing,
    render_options,
    settings_of,
)
from posetrack_app.errors import UserError

if TYPE_CHECKING:
    from posetrack_app.config import Settings
    from posetrack_app.estimator import PoseEstimator
    from posetrack_app.pipeline import RunReport
    from posetrack_app.video import Source


def run(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Videos, folders of pictures, globs, camera:0, or the address of a stream.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Results go to DIR/<input name>/.")] = Path(
        "out"
    ),
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    short_side: ShortSideOption = None,
    mirror: MirrorOption = None,
    render: StyleOption = None,
    color_by: ColorOption = None,
    trails: TrailsOption = None,
    video: Annotated[bool | None, typer.Option("--video/--no-video", help="Write tracked.mp4. [video]")] = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results of an earlier run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    quiet: QuietOption = False,
) -> int:
    """Find and follow every person: tracked.mp4, poses.json, poses.parquet, doubts.json and run.json for each input."""
    settings = settings_of(
        config,
        assignments,
        **{
            **network_options(weights, device, precision, short_side, mirror),
            **render_options(render, color_by, trails),
            "video.enabled": video,
        },
    )
    from posetrack_app.video import expand_inputs

    jobs = _with_folders(expand_inputs(inputs), out)
    if dry_run:
        return _dry_run(jobs, settings, overwrite=overwrite)
    estimator = estimator_of(settings)
    failed: dict[str, UserError] = {}
    for source, folder in jobs:
        try:
            _refuse_existing(folder, overwrite=overwrite)
            report = _run_one(source, folder, settings, estimator, quiet=quiet)
        except UserError as error:
            failed[source.shown] = error
            print(f"error: {error}", file=sys.stderr)
            continue
        if not quiet:
            _print_report(report, folder)
    if len(jobs) > 1 and not quiet:
        print(f"{len(jobs) - len(failed)} of {len(jobs)} inputs done")
    if len(jobs) > 1 and failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return max((error.exit_code for error in failed.values()), default=0)


def _with_folders(sources: list[Source], out: Path) -> list[tuple[Source, Path]]:
    """A folder of its own for each input; inputs of the same name are told apart by a number."""
    taken: set[str] = set()
    jobs = []
    for source in sources:
        name, count = source.name, 1
        while name.casefold() in taken:
            count += 1
            name = f"{source.name}-{count}"
        taken.add(name.casefold())
        jobs.append((source, out / name))
    return jobs


_FINAL_NAMES = ("tracked.mp4", "poses.json", "poses.parquet", "doubts.json", "run.json")


def _refuse_existing(folder: Path, *, overwrite: bool) -> None:
    refuse_existing([folder / name for name in _FINAL_NAMES], overwrite=overwrite)


def _run_one(source: Source, folder: Path, settings: Settings, estimator: PoseEstimator, *, quiet: bool) -> RunReport:
    """One input, with a progress bar where somebody watches."""
    from posetrack_app import pipeline
    from posetrack_app.video import VideoInfo

    with frames_bar(source.name, quiet=quiet) as bar:

        def opened(info: VideoInfo) -> pipeline.Progress:
            bar.reset(total=info.frames_expected)
            return lambda: bar.update() and None

        return pipeline.run(source, folder, settings=settings, estimator=estimator, opened=opened)


def _print_report(report: RunReport, folder: Path) -> None:
    seconds = report.seconds
    print(
        f"{folder}: {report.frames_written} frames, {report.people} people, "
        f"{seconds['total']:.1f} s, {report.fps:.1f} frames/s"
    )
    if report.doubts:
        print(f"  {report.doubts} doubts about who is who: python -m posetrack_app view {shlex.quote(str(folder))}")
    for warning in report.warnings:
        print(f"  warning: {warning}")


def _dry_run(jobs: list[tuple[Source, Path]], settings: Settings, *, overwrite: bool) -> int:
    """Open each input and say what would become of it."""
    from posetrack_app.estimator import resolve_device, resolve_precision
    from posetrack_app.video import VideoReader

    device = resolve_device(settings.network.device)
    precision = resolve_precision(settings.network.precision, device)
    print(
        f"network '{settings.network.weights}' on {device} in {precision}, "
        f"short side {settings.network.short_side} pixels"
    )
    code = 0
    for source, folder in jobs:
        try:
            _refuse_existing(folder, overwrite=overwrite)
            with VideoReader(source) as reader:
                info = reader.info
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            code = max(code, error.exit_code)
            continue
        length = f"about {info.frames_expected} frames" if info.frames_expected else "unknown length"
        rate = f", {float(info.average_rate):.2f} frames/s" if info.average_rate else ""
        print(f"{source.shown}: {info.width}x{info.height}, {length}{rate} -> {folder}/")
    return code
