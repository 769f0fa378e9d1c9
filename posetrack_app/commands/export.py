"""Saved poses in the forms of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posetrack_app.errors import UsageError
from posetrack_app.formats.forms import Form


def export(
    poses: Annotated[
        Path,
        typer.Argument(
            metavar="POSES",
            help="poses.parquet or the folder of a run, or poses of another program: see docs/formats.md.",
            show_default=False,
        ),
    ],
    form: Annotated[Form, typer.Option("--to", help="What to write.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE|DIR", help="Where to: a folder for openpose and trc. [beside POSES]"),
    ] = None,
    rate: Annotated[
        float, typer.Option(metavar="FPS", help="Frames a second, where POSES is of a form without times.")
    ] = 25.0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Write saved poses in the form of another program."""
    from posetrack_app.formats.reading import read_poses, table_of
    from posetrack_app.formats.saving import partial_of
    from posetrack_app.formats.writing import default_path, write_poses

    if not 0 < rate < 1e6:
        raise UsageError(f"--rate is {rate:g}, it must be above 0 and below a million")
    sequence = read_poses(poses, rate=rate)
    path = out if out is not None else default_path(poses, form)
    source = table_of(poses) or poses
    if any(place.exists() and place.samefile(source) for place in (path, partial_of(path))):
        raise UsageError(f"{path} is what the poses were read from; --out writes elsewhere")
    write_poses(path, sequence, form, overwrite=overwrite, source=poses)
    people = {int(track) for frame in sequence.frames for track in frame.poses.track_id if track >= 0}
    print(f"{path}: {len(sequence.frames)} frames, {len(people)} people")
