"""Time of grouping a picture on one core: `OMP_NUM_THREADS=1 python scripts/bench_grouping.py [PHOTO...]`.

Without photos, synthetic crowds: bodies with noise in places and tags, joints missing, and echoes of left and right.
With photos, the peaks that the network finds in each, at a short side of 384 pixels.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from models.grouping import GroupingConfig, group
from models.peaks import Peaks, find_peaks
from models.skeleton import COCO17
from posetrack_app.engines import TorchEngine, maps_of
from posetrack_app.letterbox import Letterbox

_STANDING = np.array(
    [[.50, .07], [.52, .05], [.48, .05], [.55, .06], [.45, .06], [.60, .18], [.40, .18], [.65, .33], [.35, .33],
     [.66, .46], [.34, .46], [.56, .48], [.44, .48], [.57, .72], [.43, .72], [.57, .95], [.43, .95]]
)  # fmt: skip


def crowd(people: int, rng: np.random.Generator, *, tags: int = 1) -> Peaks:
    """Peaks as a network might give them for so many standing people."""
    K = 17
    xy = np.zeros((1, K, 3 * people, 2), dtype=np.float32)
    score = np.zeros((1, K, 3 * people), dtype=np.float32)
    tag = np.zeros((1, K, 3 * people, tags), dtype=np.float32)
    for person in range(people):
        size, place = rng.uniform(15, 40), rng.uniform(0, (150, 60), 2)
        joints = place + size * _STANDING + rng.normal(0, 0.4, (K, 2))
        for joint in range(K):
            if rng.random() > 0.1:
                xy[0, joint, person] = joints[joint]
                score[0, joint, person] = rng.uniform(0.3, 0.95)
            if rng.random() < 0.3:
                xy[0, joint, people + person] = joints[COCO17.mirror[joint]]
                score[0, joint, people + person] = rng.uniform(0.05, 0.3)
            if rng.random() < 0.3:
                xy[0, joint, 2 * people + person] = rng.uniform(0, (180, 96), 2)
                score[0, joint, 2 * people + person] = rng.uniform(0.05, 0.15)
        tag[0, :, [person, people + person]] = 2.0 * person + rng.normal(0, 0.15, (2, K, tags))
        tag[0, :, 2 * people + person] = rng.uniform(0, 2 * people, (K, tags))
    return Peaks(xy=xy, score=score, tags=tag)


def of_photo(path: Path, engine: TorchEngine) -> Peaks:
    """The peaks of a photo."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        sys.exit(f"error: {path} is no picture")
    height, width = image.shape[:2]
    box = Letterbox.fit(width, height, short_side=384, max_long_side=1536, multiple=engine.config.multiple)
    canvas = np.empty((1, box.canvas[1], box.canvas[0], 3), dtype=np.uint8)
    box.draw(image[..., ::-1], canvas[0])
    return find_peaks(*maps_of(engine, canvas))


def measure(peaks: Peaks, *, seconds: float = 1.0) -> tuple[int, int, float]:
    """Number of peaks, people found, and the least milliseconds of grouping: what other processes disturb least."""
    config = GroupingConfig()
    arguments: tuple[npt.NDArray[np.float32], ...] = (peaks.xy[0], peaks.score[0], peaks.tags[0])
    found = group(*arguments, skeleton=COCO17, config=config)
    times = []
    while sum(times) < seconds:
        started = time.perf_counter()
        group(*arguments, skeleton=COCO17, config=config)
        times.append(time.perf_counter() - started)
    return int((peaks.score >= config.peak_threshold).sum()), len(found.score), 1000 * min(times)


def main() -> None:
    """Measure and print."""
    print(f"{'picture':<32}{'peaks':>8}{'found':>8}{'ms':>8}")
    if len(sys.argv) > 1:
        engine = TorchEngine("small", device="cpu", precision="float32")
        cases = [(Path(name).name, of_photo(Path(name), engine)) for name in sys.argv[1:]]
    else:
        rng = np.random.default_rng(0)
        cases = [(f"{people} people", crowd(people, rng)) for people in (0, 1, 2, 5, 10, 20, 30)]
    for name, peaks in cases:
        print("{:<32}{:>8}{:>8}{:>8.2f}".format(name, *measure(peaks)))


if __name__ == "__main__":
    main()
