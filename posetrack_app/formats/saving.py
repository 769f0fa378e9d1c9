"""Files and folders that get their final names only when they are complete."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from posetrack_app.errors import OutputError

if sys.platform != "win32":
    import fcntl

__all__ = ["alone_in", "partial_folder_of", "partial_of", "save_file", "save_folder", "saving"]


def partial_of(path: Path) -> Path:
    """Where a file is written until it is complete.

    >>> partial_of(Path("out/poses.json")).name
    'poses.partial.json'
    """
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def partial_folder_of(path: Path) -> Path:
    """Where a folder is written until it is complete.

    >>> partial_folder_of(Path("out/frames.v2")).name
    'frames.v2.partial'
    """
    return path.with_name(f"{path.name}.partial")


@contextmanager
def saving(path: Path, *, complete: bool = True) -> Iterator[Path]:
    """Where to write a file, which gets its final name at the end of the block, if it is `complete`.

    Raises:
        OutputError: it cannot be written.
    """
    partial = partial_of(path)
    try:
        yield partial
        if complete:
            partial.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let nobody else who asks write into a folder, which is made where it is missing.

    The system ends this with the process, however it ends; where a disk cannot do it, everybody is let in.

    Raises:
        OutputError: somebody is writing there, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY) if sys.platform != "win32" else None
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    try:
        if handle is not None and not _locked(handle):
            raise OutputError(f"another run is writing into {folder}; wait for it, or choose another --out")
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _locked(handle: int) -> bool:
    """Whether nobody else has what is open here; True where the system cannot tell.

    Windows has no such lock for a folder, but refuses by itself to rename what somebody else has open.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # as on some disks of a network
            return True
    return True


def save_file(path: Path, parts: Iterable[str], *, complete: bool = True) -> None:
    """Write the parts of a text, which gets its final name if it is `complete`.

    Raises:
        OutputError: it cannot be written.
    """
    with saving(path, complete=complete) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        file.writelines(parts)


def save_folder(path: Path, files: Iterable[tuple[str, Iterable[str]]], *, pattern: str) -> None:
    """Write files, each a name and the parts of its text, into a folder, which is made where it is missing.

    Files of an earlier time that match `pattern` are removed from it; others stay.

    Raises:
        OutputError: it cannot be written.
    """
    partial = partial_folder_of(path)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for name, parts in files:
            with (partial / name).open("w", encoding="utf-8", newline="") as file:
                file.writelines(parts)
        if path.is_dir():
            for old in path.glob(pattern):
                old.unlink()
            for new in partial.iterdir():
                new.replace(path / new.name)
            partial.rmdir()
        else:
            partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            shutil.rmtree(partial)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
