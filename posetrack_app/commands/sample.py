"""The drawn clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the clip and its ground truth.")],
    seed: Annotated[int, typer.Option(help="Another seed draws other people.")] = 0,
    seconds: Annotated[float | None, typer.Option(min=0.04, help="Length of the clip.")] = None,
) -> None:
    """Draw a clip of walking people, with exact ground truth in PoseTrack's form."""
    from dataclasses import replace

    from posetrack_app.sample import SampleConfig, write_sample

    config = SampleConfig(seed=seed)
    if seconds is not None:
        config = replace(config, seconds=seconds)
    for path in write_sample(out, config):
        print(path)
