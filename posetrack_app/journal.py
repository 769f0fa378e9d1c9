"""What the network saw, kept while a run is under way, so that a run that was broken off can go on.

A folder of segments, each a file that is there as a whole or not at all. They hold poses as they come from the
network: tracker, tables and video are made again from them, which makes the same files as a run at one go.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from posetrack_app.config import Settings
from posetrack_app.errors import OutputError
from posetrack_app.report import versions
from posetrack_app.types import Frame, Poses
from posetrack_app.video import Source

__all__ = ["NAME", "SEGMENT_SECONDS", "WRITER", "Journal", "file_key", "forget", "key_of", "unfinished"]

NAME = "seen.partial"
"""Name of the folder, beside the results of the run."""

WRITER = "writer.json"
"""File in it that tells which process writes there, or did last."""

SEGMENT_SECONDS = 10.0
"""Work that is lost at most when a run is killed."""

_HEAD = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame that the network saw."""

    index: int
    """Position in the stream."""

    seconds: float
    """Presentation time."""

    poses: Poses
    """Who is in it, without identities."""


def unfinished(folder: Path) -> bool:
    """Whether a run into this folder was broken off: what is in it is not complete, whatever its name."""
    return (folder / NAME).is_dir() and not (folder / "run.json").exists()


def forget(folder: Path) -> None:
    """Remove what a run into this folder left, so that the next one begins anew.

    Raises:
        OutputError: it cannot be removed.
    """
    try:
        shutil.rmtree(folder / NAME)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot_write(folder, error) from None


class Journal:
    """Segments of one run. Frames are asked for and added in the order of the video."""

    def __init__(self, folder: Path | None, key: dict[str, Any]) -> None:
        """Take up what is in the folder, if it was made under the same key; else begin anew.

        Args:
            folder: Where the segments lie; None keeps nothing.
            key: What decides about the poses: values that JSON has, by name.

        Raises:
            OutputError: the folder cannot be written.
        """
        self.anew_because = ""
        """Why what was in the folder is of no use, where something was."""
        self.kept = 0
        """Frames that were taken from the folder."""
        self._folder = folder
        self._segments: deque[Path] = deque()  # the first may have been read
        self._old: deque[Seen] = deque()  # of the first segment, not yet taken
        self._taken: list[Seen] = []  # of the first segment
        self._pending: list[Seen] = []
        self._flushed = time.monotonic()
        if folder is None:
            return
        try:
            self._begin(folder, json.loads(json.dumps(key)))
        except OSError as error:
            raise _cannot_write(folder, error) from None

    @classmethod
    def nothing(cls) -> Journal:
        """One that keeps nothing."""
        return cls(None, {})

    @property
    def last(self) -> int | None:
        """Index of the last frame that is kept; None where there is none."""
        segment = _read(self._segments[-1]) if self._segments else []
        return segment[-1].index if segment else None

    def take(self, frame: Frame) -> Poses | None:
        """The people of a frame that the network saw already; None from the first frame on that it did not."""
        if not self._old and not self._next_segment():
            return None
        seen = self._old.popleft()
        if (seen.index, seen.seconds) != (frame.index, frame.pts):
            # The end of a broken input that goes on now: from here on all is new, and replaces what was kept.
            self._pending = self._taken
            self._drop()
            return None
        self._taken.append(seen)
        self.kept += 1
        return seen.poses

    def add(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        """Keep what the network saw in some frames.

        Raises:
            OutputError: it cannot be written.
        """
        if self._folder is None:
            return
        self._pending += map(Seen, (f.index for f in frames), (f.pts for f in frames), poses)
        if time.monotonic() - self._flushed >= SEGMENT_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was added.

        Raises:
            OutputError: it cannot be written.
        """
        self._flushed = time.monotonic()
        if self._folder is None or not self._pending:
            return
        path = self._folder / f"{self._pending[0].index:09d}.npz"
        try:
            _write(path, _packed(self._pending))
        except OSError as error:
            raise _cannot_write(self._folder, error) from None
        self._pending = []

    def remove(self) -> None:
        """The run is complete: nothing of this is needed any more."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self, folder: Path, key: dict[str, Any]) -> None:
        notes = folder / "key.json"
        before: Any = None
        if folder.is_dir():
            with suppress(OSError, ValueError):
                before = json.loads(notes.read_text(encoding="utf-8"))
            self.anew_because = _difference(before, key)
            if self.anew_because:
                shutil.rmtree(folder)
        if folder.is_dir():
            self._segments.extend(sorted(folder.glob("*.npz")))
        else:
            folder.mkdir(parents=True)
            _write(notes, json.dumps(key, indent=2).encode())
        _write(folder / WRITER, json.dumps({"host": socket.gethostname(), "process": os.getpid()}).encode())

    def _next_segment(self) -> bool:
        """Read the next segment, if there is one; where it is damaged, those after it are of no use either."""
        if self._taken:
            self._segments.popleft()
        self._taken = []
        self._old.extend(_read(self._segments[0]) if self._segments else [])
        if not self._old:
            self._drop()
        return bool(self._old)

    def _drop(self) -> None:
        """Remove the segments that were not taken as a whole."""
        for path in self._segments:
            path.unlink(missing_ok=True)
        self._segments.clear()
        self._old.clear()
        self._taken = []


def key_of(source: Source, *, settings: Settings, network: dict[str, Any]) -> dict[str, Any] | None:
    """What decides about what the network sees in an input; None where the input cannot be read twice.

    Args:
        source: The input.
        settings: `input`, `network` and `grouping` count.
        network: What `PoseEstimator.describe` says.
    """
    from models import weights as weight_files  # loads PyTorch, which commands that only look do without

    try:
        if source.kind == "video" and Path(source.location).is_file():
            input_ = file_key(Path(source.location))
        elif source.kind == "images":
            names = [f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in source.files]
            input_ = {"pictures": len(names), "names and times": _digest("\n".join(names).encode())}
        else:
            return None
        with suppress(FileNotFoundError):
            network = {**network, "weights": file_key(weight_files.resolve(settings.network.weights))}
    except OSError:
        return None
    return {
        "input": input_,
        "image rate": settings.input.image_rate,
        "network": {name: value for name, value in network.items() if name != "batch"},  # which decides nothing
        "every": settings.network.every,
        "--from": f"{settings.input.start:.15g}",  # frames that were seen serve whatever the end is
        "grouping": asdict(settings.grouping),
        "versions": {name: value for name, value in versions().items() if name != "platform"},
    }


def file_key(path: Path) -> dict[str, Any]:
    """What tells a file from others without reading all of it."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    state = path.stat()
    return {"size": state.st_size, "time": state.st_mtime_ns, "begins with": _digest(head)}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _difference(before: Any, now: Any, name: str = "") -> str:
    """The first thing in which two keys differ, in words; empty where they are the same."""
    if before == now:
        return ""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return f"{name} was {before}, and is {now}" if name else "what it was made from is not known"
    place = next(key for key in [*now, *before] if before.get(key) != now.get(key))
    return _difference(before.get(place), now.get(place), f"{name} {place}".strip())


def _packed(segment: Sequence[Seen]) -> dict[str, Any]:
    """A segment as arrays: T frames, N people of all frames together."""
    arrays = {
        "index": np.array([seen.index for seen in segment], dtype=np.int64),  # (T,)
        "seconds": np.array([seen.seconds for seen in segment], dtype=np.float64),  # (T,)
        "persons": np.array([len(seen.poses) for seen in segment], dtype=np.int64),  # (T,)
    }
    for item in fields(Poses):
        values = [getattr(seen.poses, item.name) for seen in segment]
        known = [value for value in values if value is not None]
        arrays[f"{item.name} is known"] = np.array([value is not None for value in values], dtype=bool)  # (T,)
        arrays[item.name] = np.concatenate(known) if known else np.zeros(0)  # (N, ...)
    return arrays


def _read(path: Path) -> list[Seen]:
    """The frames of a segment; none where it is damaged."""
    try:
        with path.open("rb") as file, np.load(file) as content:
            arrays = dict(content)
        persons = arrays["persons"]
        columns: dict[str, Any] = {}
        for item in fields(Poses):
            known = arrays[f"{item.name} is known"]
            parts = np.split(arrays[item.name], np.cumsum(persons * known)[:-1])
            columns[item.name] = [part if is_known else None for part, is_known in zip(parts, known, strict=True)]
        rows = zip(arrays["index"].tolist(), arrays["seconds"].tolist(), strict=True)
        return [
            Seen(index, seconds, Poses(**{name: values[place] for name, values in columns.items()}))
            for place, (index, seconds) in enumerate(rows)
        ]
    except Exception:  # a damaged file fails in many ways
        return []


def _write(path: Path, content: bytes | dict[str, Any]) -> None:
    """Write a file that is there as a whole or not at all, even if the machine loses its power."""
    partial = path.with_name(f"{path.name}.new")
    with partial.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            np.savez(file, **content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write into {folder}: {error.strerror or error}")
