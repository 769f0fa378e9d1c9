"""A submission to PoseTrack's server: make one, check one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from posetrack_app.commands.options import (
    ConfigOption,
    DeviceOption,
    MirrorOption,
    PrecisionOption,
    QuietOption,
    SetOption,
    ShortSideOption,
    WeightsOption,
    estimator_of,
    frames_bar,
    network_options,
    settings_of,
)
from posetrack_app.errors import OutputError, UsageError

app = typer.Typer(invoke_without_command=True, subcommand_metavar="[check FILE]")

GtOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR|FILE", help="Ground truth, or one file of it: it says which files and frames there are."),
]


@app.callback()
def submit(
    context: typer.Context,
    frames: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder with a folder of pictures for each sequence.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="The zip, submission.zip.")] = None,
    gt: GtOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    short_side: ShortSideOption = None,
    mirror: MirrorOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a zip that is there.")] = False,
    quiet: QuietOption = False,
) -> int:
    """Make a submission to PoseTrack's server: find and follow people in folders of pictures, and write a zip.

    The files of the zip are kept in a folder beside it, and with them, for `tune`, what the network saw.
    """
    if context.invoked_subcommand is not None:
        return 0
    if frames is None or out is None:
        raise UsageError("submit needs --frames DIR and --out FILE.zip; `submit check FILE` checks a zip")
    if out.suffix != ".zip":
        raise UsageError(f"--out {out} must end in .zip")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} is there already; --overwrite replaces it")
    settings = settings_of(
        config,
        assignments,
        **network_options(weights, device, precision, short_side, mirror),
    )
    if settings.input.is_stretch:
        raise UsageError("input.start and input.end are set, a submission sees every picture: leave them at 0")
    if settings.network.every != 1:
        raise UsageError(f"network.every is {settings.network.every}, a submission sees every picture: leave it at 1")
    from posetrack_app import submission
    from posetrack_app.formats.submission import check as check_zip

    with frames_bar(quiet=quiet) as bar:

        def opened(name: str, pictures: int) -> submission.Progress:
            bar.set_description(name, refresh=False)
            bar.reset(total=pictures)
            return lambda: bar.update() and None

        report = submission.submit(
            frames, out, settings=settings, estimator=estimator_of(settings), gt=gt, opened=opened
        )
    for name, why in report.failed.items():
        print(f"error: {name}: {why}", file=sys.stderr)
    if not quiet:
        print(f"{report.sequences} sequences, {report.frames} frames, {report.people} people in all frames together")
        for warning in report.warnings:
            print(f"  warning: {warning}")
    if report.failed:
        print(
            f"no zip: {len(report.failed)} sequences failed; the others are in {out.with_suffix('')}", file=sys.stderr
        )
        return 1
    if not quiet:
        for wrong in check_zip(out, gt=gt):
            print(f"  to mend: {wrong}")
        print(out)
    return 0


@app.command("check", short_help="Say what is to be mended in a submission.")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The zip.", show_default=False)],
    gt: GtOption = None,
) -> int:
    """Say what is to be mended in a submission by the server's rules, a line each; exit code 1 where anything is."""
    from posetrack_app.formats.submission import check as check_zip

    wrong = check_zip(file, gt=gt)
    print("\n".join(wrong) if wrong else f"{file}: nothing to mend")
    return 1 if wrong else 0
