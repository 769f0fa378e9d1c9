"""Suspected mistakes of identity, as they are found and as a file: `doubts.json`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from posetrack_app.formats.saving import saving
from posetrack_app.types import Poses
from trackers.doubts import Doubt, DoubtFinder

__all__ = ["DoubtsWriter", "write_doubts"]


class DoubtsWriter:
    """Looks at poses as they come; the file gets its final name when it is complete."""

    def __init__(self, path: Path, *, joints: int) -> None:
        """Start the file of a video whose poses have so many joints."""
        self._path = path
        self._finder = DoubtFinder(joints=joints)
        self.count = 0
        """Doubts that were written; 0 until the end."""

    def add(self, index: int, seconds: float, poses: Poses, *, cut: bool = False) -> None:
        """The people of one frame, possibly nobody; `cut` where it begins a new shot."""
        self._finder.add(
            index=index,
            seconds=seconds,
            xy=poses.xy,
            joint_score=poses.joint_score,
            score=poses.score,
            track_id=poses.track_id,
            origin=poses.origin,
            cut=cut,
        )

    def close(self) -> None:
        """Write the file under its final name."""
        self._write(complete=True)

    def abort(self) -> None:
        """Write what was found, under its partial name."""
        self._write(complete=False)

    def _write(self, *, complete: bool) -> None:
        doubts = self._finder.close()
        write_doubts(self._path, doubts, complete=complete)
        self.count = len(doubts)


def write_doubts(path: Path, doubts: Iterable[Doubt], *, complete: bool = True) -> None:
    """Write `{"doubts": [{"seconds", "frame", "kind", "tracks", "why", "confidence"}]}`, in order of time.

    Raises:
        OutputError: it cannot be written.
    """
    content = {"doubts": [asdict(doubt) for doubt in doubts]}
    with saving(path, complete=complete) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
