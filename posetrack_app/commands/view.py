"""A run as a page to look at and correct it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posetrack_app.errors import OutputError


def view(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder of a run or a retrack.", show_default=False),
    ],
    video: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The video of the poses. [what run.json names, where it is near; else tracked.mp4]"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to. [DIR/view.html]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Write a page that shows a run and writes corrections of it."""
    from posetrack_app.formats.saving import save_file
    from posetrack_app.view.page import make_page

    path = out or folder / "view.html"
    if path.exists() and not overwrite:
        raise OutputError(f"{path} is there already; --overwrite replaces it, --out writes elsewhere")
    page = make_page(folder, out=path, video=video)
    save_file(path, [page.html])
    print(f"{path}: {page.frames} frames, {page.people} people, {page.doubts} doubts")
    for name in page.videos[:1]:
        print(f"  video: {name}")
    for note in page.notes:
        print(f"  note: {note}")
