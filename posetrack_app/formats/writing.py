"""Saved poses in the forms of other programs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from posetrack_app.errors import OutputError
from posetrack_app.formats import coco_results, csv_table, cvat, mot, openpose, parquet, posetrack2017, trc
from posetrack_app.formats.forms import Form
from posetrack_app.formats.posetrack2018 import PoseTrack2018Writer
from posetrack_app.formats.reading import table_of
from posetrack_app.formats.saving import partial_folder_of, partial_of, saving
from posetrack_app.formats.sequence import PoseSequence

__all__ = ["default_path", "write_poses"]


class _Writer(NamedTuple):
    write: Callable[[Path, PoseSequence], None]
    ending: str
    """Of the name that a file or folder gets where none is given."""
    pattern: str | None = None
    """Names of the files where it is a folder; None: it is a file."""


def _write_posetrack2018(path: Path, sequence: PoseSequence) -> None:
    writer = PoseTrack2018Writer(path, video=sequence.video, skeleton=sequence.skeleton)
    try:
        for frame in sequence.frames:
            writer.add(frame.index, frame.name, frame.poses)
    except BaseException:
        writer.abort()
        raise
    writer.close()


_WRITERS: dict[Form, _Writer] = {
    "posetrack2018": _Writer(_write_posetrack2018, "_posetrack2018.json"),
    "posetrack2017": _Writer(posetrack2017.write, "_posetrack2017.json"),
    "coco": _Writer(coco_results.write, "_coco.json"),
    "openpose": _Writer(openpose.write, "_openpose", openpose.PATTERN),
    "csv": _Writer(csv_table.write, ".csv"),
    "parquet": _Writer(parquet.write_sequence, ".parquet"),
    "trc": _Writer(trc.write, "_trc", trc.PATTERN),
    "mot": _Writer(mot.write, "_mot.txt"),
    "cvat": _Writer(cvat.write, "_cvat.xml"),
}


def default_path(poses: Path, form: Form) -> Path:
    """Where poses go that were read from `poses`, a file or a folder of a run, if nobody says.

    >>> default_path(Path("out/clip/poses.parquet"), "coco").as_posix()
    'out/clip/poses_coco.json'
    """
    poses = table_of(poses) or poses
    if poses.is_dir():
        poses = poses.resolve()  # "." has no name
        return poses.with_name(f"{poses.name}{_WRITERS[form].ending}")
    return poses.with_name(f"{poses.stem}{_WRITERS[form].ending}")


def write_poses(
    path: Path, sequence: PoseSequence, form: Form, *, overwrite: bool = False, source: Path | None = None
) -> None:
    """Write the people of a video; the folder that it lies in is made, and nothing is left of what fails.

    Args:
        path: a file, or for `openpose` and `trc` a folder.
        sequence: what to write.
        form: what as.
        overwrite: replace a file; in a folder, the files of the form.
        source: where it was read from: of a Parquet table, or a run's folder, CSV and Parquet also get the places
            before smoothing.

    Raises:
        OutputError: it is there already, or cannot be written.
    """
    writer = _WRITERS[form]
    if writer.pattern is None:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; --out must name a file for {form}")
        taken = path.exists()
    else:
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; --out must name a folder for {form}")
        taken = path.is_dir() and any(path.glob(writer.pattern))
    if taken and not overwrite:
        raise OutputError(f"{path} is there already; --overwrite replaces it, --out writes elsewhere")
    table = None if source is None else table_of(source)
    partial = (partial_of if writer.pattern is None else partial_folder_of)(path)
    with _whole(path, partial):
        if form == "csv" and table is not None:
            csv_table.write(path, sequence, raw_xy=parquet.read_raw(table))
        elif form == "parquet" and table is not None:
            with saving(path) as copy:
                shutil.copyfile(table, copy)
        else:
            writer.write(path, sequence)


@contextmanager
def _whole(path: Path, partial: Path) -> Iterator[None]:
    """Make the folder of a path; where the block fails, remove that again, and what was written at `partial`."""
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        with suppress(OSError):
            if partial.is_dir():
                shutil.rmtree(partial)
            else:
                partial.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in made:
                folder.rmdir()
        if isinstance(error, OSError):
            raise OutputError(f"cannot make the folder {path.parent}: {error.strerror or error}") from None
        raise
