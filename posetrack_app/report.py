"""What a run did, as `run.json` tells it."""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from posetrack_app.formats.saving import saving
from posetrack_app.stages import Stage
from posetrack_app.video import Source, VideoInfo

__all__ = ["RunReport", "described", "versions"]


@dataclass(frozen=True)
class RunReport:
    """What a run did; the content of run.json."""

    complete: bool
    """False where the run was interrupted: the files then carry `.partial` in their names."""

    input: dict[str, Any]
    """What was read: location, kind and what the reader knows of it."""

    network: dict[str, Any]
    """Weights, device, precision and input size of the network."""

    frames_decoded: int
    """Frames that came out of the input."""

    frames_estimated: int
    """Frames that the network saw, in this run or before it was broken off."""

    frames_resumed: int
    """Those of them that it saw before the run was broken off."""

    frames_written: int
    """Frames in the data, and in the video where one is written."""

    people: int
    """Identities that were given."""

    poses: int
    """Poses that were written, all frames together."""

    cuts: list[float]
    """Presentation times of the frames that begin a new shot, seconds."""

    doubts: int
    """Places where identities may be wrong: doubts.json lists them."""

    seconds: dict[str, float]
    """Seconds of work by stage. Stages run side by side: their sum may exceed `total`, which is wall time."""

    stages: list[Stage]
    """Work and waiting of each thread."""

    bottleneck: str
    """Name of the stage that the others waited for."""

    advice: str
    """What held the run up, and what would help."""

    fps: float
    """Frames written a second of wall time, from opening the input to closing the last file."""

    warnings: list[str]
    """What a user should know: lost frames, repaired times, changed sizes."""

    settings: dict[str, Any]
    """The whole tree of settings of this run."""

    versions: dict[str, str]
    """Versions of this program and of what it stands on."""

    live: dict[str, Any] | None = None
    """Of a live input: ages of poses when they were ready, frames that were dropped, breaks; else None."""

    def write(self, folder: Path) -> None:
        """Write run.json; under that name only where the run is complete."""
        with saving(folder / "run.json", complete=self.complete) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def described(source: Source, info: VideoInfo) -> dict[str, Any]:
    """What is known of an input, in values that JSON has."""
    values = asdict(info)
    values["average_rate"] = float(info.average_rate) if info.average_rate else None
    return {"location": source.shown, "kind": source.kind, **values}


def versions() -> dict[str, str]:
    """Versions of this program, of Python and of the libraries that decide about results."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in (
        "posetrack-app",
        "torch",
        "openvino",
        "av",
        "opencv-python-headless",
        "numpy",
        "scipy",
        "filterpy",
    ):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
