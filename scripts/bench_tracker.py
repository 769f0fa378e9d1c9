"""Speed of the tracker: `OMP_NUM_THREADS=1 python scripts/bench_tracker.py [PEOPLE ...] [--frames N] [--hours H]`.

People of 17 joints walk about in a frame of 1920x1080 at 25 frames a second, with noise, missed people and false ones;
prints milliseconds a frame by the number of people. With --hours, ten people who come and go for so long, to see
whether history slows the tracker or fills the memory.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from models.skeleton import COCO17
from trackers.tracker import Tracker, TrackerConfig


def frames(people: int, count: int) -> list[dict[str, np.ndarray]]:
    """Poses of walking people."""
    rng = np.random.default_rng(0)
    K = len(COCO17.joints)
    body = np.stack([rng.uniform(-15, 15, K), np.linspace(-60, 60, K)], axis=-1)
    place = rng.uniform((0, 60), (1920, 1020), (people, 2))
    velocity = rng.normal(0, 3, (people, 2))
    result = []
    for _ in range(count):
        place += velocity
        velocity[(place < 0) | (place > (1920, 1080))] *= -1
        seen = rng.random(people) > 0.05
        false = rng.uniform((0, 60), (1920, 1020), (rng.poisson(people / 20), 2))
        xy = np.concatenate([place[seen], false])[:, None] + body
        joint_score = rng.uniform(0.6, 1, xy.shape[:2]) * (rng.random(xy.shape[:2]) > 0.1)
        joint_score[seen.sum() :] *= 0.3
        result.append(
            {
                "xy": (xy + rng.normal(0, 1.5, xy.shape)).astype(np.float32),
                "joint_score": joint_score.astype(np.float32),
                "score": joint_score.mean(axis=1).astype(np.float32),
            }
        )
    return result


def long_run(hours: float) -> None:
    """One minute of people again and again, each time after ten seconds of nobody, so that all are new people."""
    people, minute = 10, 1500
    tracker = Tracker(TrackerConfig(), sigmas=np.array(COCO17.sigmas), mirror=COCO17.mirror)
    rng = np.random.default_rng(1)
    poses = frames(people, minute)
    for each in poses:
        looks = rng.normal(size=(len(each["score"]), 64))
        each["appearance"] = (looks / np.linalg.norm(looks, axis=1, keepdims=True)).astype(np.float32)
    index, seconds = 0, 0.0
    print(f"{'hour':>8}{'median ms':>12}{'mean ms':>12}{'peak MiB':>12}")
    for number in range(1, round(60 * hours) + 1):
        taken = []
        for each in poses:
            started = time.perf_counter()
            tracker.update(index=index, seconds=seconds, **each)
            taken.append(1000 * (time.perf_counter() - started))
            index, seconds = index + 1, seconds + 1 / 25
        seconds += 10
        if number == 1 or number % 60 == 0 or number == round(60 * hours):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{number / 60:>8.2f}{np.median(taken):>12.3f}{np.mean(taken):>12.3f}{peak:>12.1f}", flush=True)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int, nargs="*", default=[1, 10, 30, 100, 300])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--hours", type=float, metavar="H", help="people who come and go for so long, instead")
    arguments = parser.parse_args()
    if arguments.hours:
        long_run(arguments.hours)
        return
    print(f"{'people':>8}{'median ms':>12}{'mean ms':>12}{'95 % ms':>12}{'tracks':>8}")
    for people in arguments.people:
        tracker = Tracker(TrackerConfig(), sigmas=np.array(COCO17.sigmas), mirror=COCO17.mirror)
        taken, ids = [], set()
        for index, poses in enumerate(frames(people, arguments.frames)):
            started = time.perf_counter()
            done = tracker.update(index=index, seconds=index / 25, **poses)
            taken.append(1000 * (time.perf_counter() - started))
            ids |= {number for frame in done for number in frame.track_id.tolist()}
        median, high = np.quantile(taken, [0.5, 0.95])
        print(f"{people:>8}{median:>12.3f}{np.mean(taken):>12.3f}{high:>12.3f}{len(ids - {-1}):>8}")


if __name__ == "__main__":
    main()
