"""Doubts against the truth: `python scripts/bench_doubts.py --gt DIR [--json FILE]`, 2 minutes on one core.

Tracks the scenes of `bench_tracking.py` (PoseTrack's ground truth from DIR, spoilt, and drawn crossings), notes where a
person's identity changes, and counts how many of these places are among the doubts, and how many doubts are true.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tracking_scenes import DISTURBANCES, MIRROR, SIGMAS, STORIES, Scene, read_scene

from trackers.doubts import Doubt, DoubtFinder
from trackers.tracker import TrackedFrame, Tracker, TrackerConfig

NEAR_SECONDS = 0.5
"""A doubt so near to a change of identity means it."""

SPOILT = ("clean", "jitter", "missed_people", "occlusions", "exits", "rate_50", "rate_20", "all")
STORY_SEEDS = 12
LEVELS = (0.2, 0.4, 0.6, 0.8)


class Change(NamedTuple):
    """A person has another identity than when they were seen last, or an identity another person."""

    kind: str
    """`break`: a person goes on under a new identity; `swap`: under one that was there before; `taken`: an identity
    goes on with another person."""
    before: float
    after: float
    tracks: tuple[int, int]


def scenes(folder: Path) -> Iterator[tuple[str, Scene]]:
    """All scenes by the name of what was done to them."""
    for name in SPOILT:
        for path in sorted(folder.glob("*.json")):
            rng = np.random.default_rng(5)
            scene = read_scene(path, rng)
            DISTURBANCES[name](rng, scene)
            yield name, scene
    for name, story in STORIES.items():
        for seed in range(STORY_SEEDS):
            yield name, story(np.random.default_rng(seed))


def track(scene: Scene) -> tuple[list[TrackedFrame], list[list[int]]]:
    """The tracked frames, and who each pose in them is: -1 is nobody."""
    tracker = Tracker(TrackerConfig(), sigmas=SIGMAS, mirror=MIRROR)
    people = scene.xy.shape[1]
    owner: dict[tuple[int, bytes], int] = {}
    frames: list[TrackedFrame] = []
    for index in range(len(scene)):
        rows = np.flatnonzero(scene.seen[index].any(axis=1))
        found, score = scene.seen[index, rows], scene.score[index, rows].astype(np.float32)
        xy = (scene.seen_xy[index, rows] * found[..., None]).astype(np.float32)
        owner |= {
            (index, pose.tobytes()): row if row < people else -1 for row, pose in zip(rows.tolist(), xy, strict=True)
        }
        frames += tracker.update(
            index=index, seconds=float(scene.seconds[index]), xy=xy, joint_score=found * score[:, None], score=score
        )
    frames += tracker.flush()
    return frames, [[owner.get((frame.index, pose.tobytes()), -1) for pose in frame.xy] for frame in frames]


def changes(frames: list[TrackedFrame], owners: list[list[int]]) -> list[Change]:
    """Where people change their identity, and identities their person."""
    last: dict[int, tuple[int, float]] = {}
    first: dict[int, float] = {}
    owner: dict[int, tuple[int, float]] = {}
    found = []
    for frame, people in zip(frames, owners, strict=True):
        for track_id, person in zip(frame.track_id.tolist(), people, strict=True):
            if track_id < 0 or person < 0:
                continue
            began = first.setdefault(track_id, frame.seconds)
            if person in last and last[person][0] != track_id:
                before, seconds = last[person]
                kind = "break" if began == frame.seconds else "swap"
                found.append(Change(kind, seconds, frame.seconds, (before, track_id)))
            if owner.get(track_id, (person, 0.0))[0] != person:
                found.append(Change("taken", owner[track_id][1], frame.seconds, (track_id, track_id)))
            last[person] = track_id, frame.seconds
            owner[track_id] = person, frame.seconds
    return found


def means(doubt: Doubt, change: Change) -> bool:
    """Whether a doubt is about a change."""
    near = change.before - NEAR_SECONDS <= doubt.seconds <= change.after + NEAR_SECONDS  # either end may be shown
    both = set(doubt.tracks) == set(change.tracks)
    return near and (both if doubt.kind == "break" else not set(change.tracks).isdisjoint(doubt.tracks))


def doubts_of(frames: list[TrackedFrame]) -> list[Doubt]:
    """The doubts of one scene."""
    finder = DoubtFinder(joints=len(SIGMAS))
    for frame in frames:
        finder.add(
            index=frame.index,
            seconds=frame.seconds,
            xy=frame.xy,
            joint_score=frame.joint_score,
            score=frame.score,
            track_id=frame.track_id,
            origin=frame.origin,
        )
    return finder.close()


def main() -> None:
    """Parse, track, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--gt", type=Path, required=True, metavar="DIR", help="ground-truth sequences, PoseTrack2018 JSON"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()

    true, caught, told, right = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    seconds, count = 0.0, 0
    for name, scene in scenes(arguments.gt):
        frames, owners = track(scene)
        started = time.perf_counter()
        doubts = doubts_of(frames)
        seconds += time.perf_counter() - started
        count += len(frames)
        real = changes(frames, owners)
        for change in real:
            true[f"{name} {change.kind}"] += 1
            caught[f"{name} {change.kind}"] += any(means(doubt, change) for doubt in doubts)
        for doubt in doubts:
            level = max((level for level in LEVELS if level <= doubt.confidence), default=0.0)
            told[f"{doubt.kind} {level}"] += 1
            right[f"{doubt.kind} {level}"] += any(means(doubt, change) for change in real)
    print(f"{'changes of identity':<28}{'true':>6}{'among the doubts':>18}")
    for key in sorted(true):
        print(f"{key:<28}{true[key]:>6}{caught[key]:>18}")
    print(f"{'all':<28}{sum(true.values()):>6}{sum(caught.values()):>18}")
    print(f"\n{'doubts, confidence from':<28}{'told':>6}{'true':>18}")
    for key in sorted(told):
        print(f"{key:<28}{told[key]:>6}{right[key] / told[key]:>18.0%}")
    print(f"{'all':<28}{sum(told.values()):>6}{sum(right.values()) / max(sum(told.values()), 1):>18.0%}")
    print(f"\n{count} frames, {1000 * seconds / max(count, 1):.2f} ms a frame")
    if arguments.json:
        content = {"true": true, "caught": caught, "told": told, "right": right}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
