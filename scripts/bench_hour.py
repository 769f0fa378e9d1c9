"""Does a long video slow the run, or fill the memory? `python scripts/bench_hour.py CLIP [--minutes 60] [--no-video]`.

Loops a clip to the length, tracks it in this process, and prints for its minutes: frames a second by the clock,
milliseconds of the processor a frame, and the peak of memory so far. Linux and macOS.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import av
from bench_memory import loop

from posetrack_app.config import Settings
from posetrack_app.estimator import PoseEstimator
from posetrack_app.pipeline import run
from posetrack_app.video import VideoInfo, expand_inputs


class Minutes:
    """Counts finished frames, and prints a line for each minute of the video."""

    def __init__(self, frames: int, shown: int) -> None:
        self.lines: list[tuple[float, float]] = []
        """Frames a second and milliseconds of the processor a frame, by minute."""
        self._frames, self._shown, self._count = frames, shown, 0
        self._clock, self._work = time.perf_counter(), time.process_time()

    def opened(self, info: VideoInfo) -> Minutes:
        """Begin."""
        return self

    def __call__(self) -> None:
        """A frame is done."""
        self._count += 1
        if self._count % self._frames:
            return
        clock, work = time.perf_counter(), time.process_time()
        self.lines.append((self._frames / (clock - self._clock), 1000 * (work - self._work) / self._frames))
        self._clock, self._work = clock, work
        if len(self.lines) <= 2 or len(self.lines) % self._shown == 0:
            unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
            print(f"{len(self.lines):>6}{self.lines[-1][0]:>12.1f}{self.lines[-1][1]:>12.1f}{peak:>10.0f}", flush=True)


def main() -> None:
    """Parse, loop, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--no-video", action="store_true")
    arguments = parser.parse_args()
    with av.open(str(arguments.clip)) as container:
        rate = container.streams.video[0].average_rate
    frames = round(60 * float(rate or 25))
    settings = Settings()
    settings = replace(settings, video=replace(settings.video, enabled=not arguments.no_video))
    estimator = PoseEstimator.from_settings(settings)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / f"long{arguments.clip.suffix}"
        loop(arguments.clip, frames * arguments.minutes, video)
        (source,) = expand_inputs([str(video)])
        minutes = Minutes(frames, shown=max(1, arguments.minutes // 6))
        print(f"{'minute':>6}{'frames/s':>12}{'CPU ms':>12}{'peak MiB':>10}")
        run(source, Path(folder) / "out", settings=settings, estimator=estimator, opened=minutes.opened)
    second, last = minutes.lines[1], minutes.lines[-1]
    print(
        f"last minute against the second: {last[0] / second[0]:.3f} of the speed, {last[1] / second[1]:.3f} of the work"
    )


if __name__ == "__main__":
    main()
