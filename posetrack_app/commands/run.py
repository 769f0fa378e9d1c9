"""The main job."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from posetrack_app.commands.grouped import LIVE, MANY, NETWORK, PICTURE
from posetrack_app.commands.many import Plan, frames_on, print_outcome, run_many
from posetrack_app.commands.options import (
    ColorOption,
    ConfigOption,
    DeviceOption,
    EncoderOption,
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
from posetrack_app.errors import InputError, UsageError, UserError

if TYPE_CHECKING:
    from posetrack_app.config import Settings
    from posetrack_app.jobs.ledger import Job


def run(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Videos, folders, globs, camera:0, the address of a stream, or a .txt file with one of these a line.",
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
    video: Annotated[
        bool | None, typer.Option("--video/--no-video", help="Write tracked.mp4. [video]", rich_help_panel=PICTURE)
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="Track from this time on, counted from the first frame, as 90 or 1:30.5."
        ),
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Track up to this time.")] = None,
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Show the network every Nth frame: faster, less exact. [1]",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Size of tracked.mp4, as 0.5; poses stay as they are. [1]", rich_help_panel=PICTURE
        ),
    ] = None,
    encoder: EncoderOption = None,
    live: Annotated[
        bool | None,
        typer.Option(
            "--live/--no-live",
            help="Show the network the newest frame and drop those that it does not come to. [cameras and streams]",
            rich_help_panel=LIVE,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0, metavar="N", help="Stop a live input after N seconds. [0: never]", rich_help_panel=LIVE),
    ] = None,
    show: Annotated[
        bool | None,
        typer.Option(
            "--show/--no-show", help="Serve the drawn picture to browsers of this machine.", rich_help_panel=LIVE
        ),
    ] = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results of an earlier run.")] = False,
    resume: Annotated[bool, typer.Option("--resume/--no-resume", help="Go on with a run that was broken off.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Inputs that are done at a time, each by a process of its own.",
            rich_help_panel=MANY,
        ),
    ] = 1,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="K/N", help="Only the K-th of N parts of the inputs, as in a Slurm array.", rich_help_panel=MANY
        ),
    ] = None,
    cluster: Annotated[
        Literal["ray"] | None,
        typer.Option(help="Do the inputs on a cluster, which sees the same folders.", rich_help_panel=MANY),
    ] = None,
    address: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="The cluster's; local makes one of this machine.", rich_help_panel=MANY),
    ] = "auto",
    task_cpus: Annotated[
        float, typer.Option(min=0.1, metavar="CORES", help="Cores of the cluster for each input.", rich_help_panel=MANY)
    ] = 2.0,
    task_gpus: Annotated[
        float,
        typer.Option(
            min=0.01, metavar="SHARE", help="Part of a GPU of the cluster for each input.", rich_help_panel=MANY
        ),
    ] = 0.5,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Also write DIR/poses.parquet: the poses of all inputs that are done.", rich_help_panel=MANY
        ),
    ] = False,
    quiet: QuietOption = False,
) -> int:
    """Find and follow every person: tracked.mp4, poses.json, poses.parquet, doubts.json and run.json for each input.

    Of several inputs those that are done are left alone: the same command again goes on where it was.
    """
    start, end = _seconds_of(from_, "--from"), _seconds_of(to, "--to")
    if start is not None and end is not None and end <= start:
        raise UsageError(f"--to {to} is not after --from {from_}")
    settings = settings_of(
        config,
        assignments,
        **{
            **network_options(weights, device, precision, short_side, mirror),
            **render_options(render, color_by, trails),
            "input.start": start,
            "input.end": end,
            "video.enabled": video,
            "network.every": every,
            "video.scale": scale,
            "video.encoder": encoder,
            "live.mode": None if live is None else "always" if live else "never",
            "live.seconds": seconds,
            "live.show": show,
        },
    )
    from posetrack_app.jobs.ledger import check_apart, jobs_of
    from posetrack_app.journal import forget
    from posetrack_app.video import expand_inputs

    jobs = jobs_of(expand_inputs(_listed(inputs)), out)
    if not jobs:
        raise InputError(f"{' '.join(inputs)}: there are only results of runs; name such a video itself to track it")
    check_apart(jobs)
    chosen = _part(jobs, part)
    several = len(jobs) > 1 or workers > 1 or cluster is not None or part is not None or merge
    if dry_run:
        return _dry_run(chosen, settings, overwrite=overwrite, several=several)
    if not resume:
        for job in chosen:
            forget(job.folder)
    if settings.live.show and several:
        raise UsageError("--show shows one input: name a single one")
    if not several:
        return _run_one(chosen[0], settings, overwrite=overwrite, quiet=quiet)
    plan = Plan(
        known=jobs, chosen=chosen, out=out, workers=workers, cluster=cluster, address=address,
        task_cpus=task_cpus, task_gpus=task_gpus, overwrite=overwrite, merge=merge, quiet=quiet,
    )  # fmt: skip
    return run_many(plan, settings)


def _listed(inputs: list[str]) -> list[str]:
    """The inputs, with those of lists in the place of each list; paths in it count from where the command is given."""
    found: list[str] = []
    for text in inputs:
        path = Path(text)
        if path.suffix.casefold() != ".txt" or not path.is_file():
            found.append(text)
            continue
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the list {path}: {error}") from None
        named = [line for line in lines if line and not line.startswith("#")]
        if not named:
            raise InputError(f"the list {path} names no input: write one a line")
        found += named
    return found


def _seconds_of(time: str | None, option: str) -> float | None:
    """Seconds of a time that a user wrote.

    >>> _seconds_of("90.5", "--to"), _seconds_of("1:30", "--to"), _seconds_of("1:00:00.25", "--to")
    (90.5, 90.0, 3600.25)
    """
    if time is None:
        return None
    from posetrack_app.edits import seconds_of

    seconds = seconds_of(time)
    if seconds is None or seconds < 0:
        raise UsageError(f"{option} {time}: write seconds as 90 or 90.5, or a time as 1:30 or 0:01:30.5")
    if option == "--to" and not seconds:
        raise UsageError(f"--to {time}: there is nothing before the first frame")
    return seconds


def _part(jobs: list[Job], part: str | None) -> list[Job]:
    """Each N-th job, beginning with the K-th: parts are as even as the inputs are."""
    if part is None:
        return jobs
    match = re.fullmatch(r"(\d+)/(\d+)", part)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--part {part}: write K/N with K from 1 to N, as in 3/10")
    return jobs[int(match[1]) - 1 :: int(match[2])]


def _run_one(job: Job, settings: Settings, *, overwrite: bool, quiet: bool) -> int:
    """The only input."""
    from posetrack_app import pipeline
    from posetrack_app.jobs.ledger import Outcome
    from posetrack_app.screen import Screen
    from posetrack_app.stages import table

    _refuse_existing(job.folder, overwrite=overwrite)
    estimator = estimator_of(settings)
    with frames_bar(job.source.name, quiet=quiet) as bar, ExitStack() as shown:
        tell = bar.write if not quiet else lambda line: None
        screen = shown.enter_context(Screen(port=settings.live.port)) if settings.live.show else None
        if screen is not None:
            tell(f"the picture is at {screen.address}")
        report = pipeline.run(
            job.source,
            job.folder,
            settings=settings,
            estimator=estimator,
            opened=frames_on(bar),
            tell=tell,
            status=lambda text: bar.set_postfix_str(text, refresh=False),
            show=screen.show if screen is not None else None,
        )
    if not quiet:
        print_outcome(Outcome.of_run(job.folder, asdict(report)), job.folder)
        print("\n".join(f"  {line}" for line in [*table(report.stages), *wrap(report.advice, 100)]))
    return 0


def _refuse_existing(folder: Path, *, overwrite: bool) -> None:
    """Refuse results that are there; what a run left that was broken off, maybe while it gave names, is none."""
    from posetrack_app.jobs.ledger import RESULTS
    from posetrack_app.journal import unfinished

    refuse_existing([folder / name for name in RESULTS], overwrite=overwrite or unfinished(folder))


def _dry_run(jobs: list[Job], settings: Settings, *, overwrite: bool, several: bool) -> int:
    """Open each input and say what would become of it."""
    from posetrack_app.engines import load_network
    from posetrack_app.estimator import resolve_device, resolve_precision
    from posetrack_app.jobs.ledger import is_open
    from posetrack_app.video import VideoReader, open_reader

    device = resolve_device(settings.network.device)
    precision = resolve_precision(settings.network.precision, device)
    load_network(settings.network.weights, device="cpu")  # as they are loaded, weights are checked
    print(
        f"network '{settings.network.weights}' on {device} in {precision}, "
        f"short side {settings.network.short_side} pixels"
    )
    code = 0
    for job in jobs:
        try:
            if not several:
                _refuse_existing(job.folder, overwrite=overwrite)
            elif not overwrite and not is_open(job, settings):
                print(f"{job.source.shown}: done already in {job.folder}/")
                continue
            with open_reader(job.source, input_=settings.input, live=settings.live) as reader:
                info, stretch = reader.info, ""
                if isinstance(reader, VideoReader):
                    reader.check_stretch()
                    stretch = f", {reader.stretch}" if settings.input.is_stretch else ""
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            code = max(code, error.exit_code)
            continue
        length = "unknown length" if info.frames_expected is None else f"about {info.frames_expected} frames"
        rate = f", {float(info.average_rate):.2f} frames/s" if info.average_rate else ""
        print(f"{job.source.shown}: {info.width}x{info.height}{stretch}, {length}{rate} -> {job.folder}/")
    return code
