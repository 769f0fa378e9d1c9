"""What the tests of many inputs share: drawn clips, and settings under which they take little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from posetrack_app.config import Settings, override
from posetrack_app.sample import SampleConfig, write_sample
from posetrack_app.video import VideoWriter


def grey(path: Path, frames: int) -> Path:
    """A clip with nobody in it."""
    with VideoWriter(path, width=96, height=64, rate=None) as writer:
        for index in range(frames):
            writer.write(np.full((64, 96, 3), 90, dtype=np.uint8), index / 25)
    return path


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of drawn people, one with nobody, a long one, and one that is no video."""
    folder = tmp_path_factory.mktemp("clips")
    for name, seconds in (("people", 0.8), ("others", 0.5)):
        write_sample(folder / name, SampleConfig(seconds=seconds, rate=10))
        (folder / name / "sample.mp4").rename(folder / f"{name}.mp4")
    grey(folder / "nobody.mp4", 5)
    grey(folder / "long.mp4", 400)
    (folder / "text.mp4").write_text("no video")
    return folder


@pytest.fixture(scope="session")
def settings() -> Settings:
    return override(Settings(), ["video.enabled=false", "network.device=cpu", "network.short_side=64"])
