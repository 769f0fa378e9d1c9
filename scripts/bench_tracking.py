"""What each piece of the tracker is worth: `OMP_NUM_THREADS=1 python scripts/bench_tracking.py --gt DIR [--json FILE]`.

Tracks real ground truth (a folder of PoseTrack files) with seeded disturbances, and drawn walkers, with simple trackers
and with ours, piece by piece and without each piece; prints and writes id switches, fragments, MOTA, HOTA, AssA and
IDF1 by our evaluator (strict), all sequences together. Switches and fragments are of joints, of which a person has 14.
Where people were away, also how many got their identity back, a new one, or somebody else's.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from tracking_scenes import DISTURBANCES, MIRROR, SIGMAS, STORIES, Array, Mask, Scene, read_scene

import trackers.tracker
from posetrack_app.evaluation.annotated import NO_SCORE, FramePair, People
from posetrack_app.evaluation.clear_mot import Counts, Record, follow, tracking
from posetrack_app.evaluation.hota import HotaParts, combine, hota
from posetrack_app.evaluation.tracks import TrackCounts, count_tracks
from trackers.association import MIN_SHARED, Bodies, similarity
from trackers.motion import Motion
from trackers.oks import body_boxes, body_size, box_iou, joint_variance, oks
from trackers.tracker import TrackedFrame, Tracker, TrackerConfig

Tracked = tuple[Array, Mask, np.ndarray[Any, np.dtype[np.int64]]]
"""What a tracker says of one frame: xy (N, K, 2), found (N, K) and identities (N,)."""

Variant = Callable[[Scene], list[Tracked]]

DRAWN = 4
"""Clips of each drawn story."""


# Simple trackers.


class Still(Motion):
    """Joints stay where they were seen last."""

    def predict(self, seconds: float, *, acceleration: Array, damping_seconds: float) -> None:
        super().predict(seconds, acceleration=0 * acceleration, damping_seconds=0)

    def correct(self, rows: np.ndarray, xy: Array, found: Mask, noise: Array, *, start: Array) -> None:
        self.known[rows] &= ~found
        super().correct(rows, xy, found, noise, start=start)
        self.velocity[rows] = self.covariance[:, rows] = 0


def last_frame(scene: Scene, *, measure: str = "oks", greedy: bool = False, shared: bool = False) -> list[Tracked]:
    """People of this frame take the identities of those of the last one, or, from a score of 0.3 on, new ones.

    OKS counts joints that one of the two lacks as apart, unless only `shared` ones count.
    """
    result: list[Tracked] = []
    number, before = 0, (np.zeros((0, 15, 2)), np.zeros((0, 15), dtype=bool), np.zeros(0, dtype=np.int64))
    for xy, found, score, _ in _frames(scene):
        size = np.maximum(body_size(xy, found), 16)
        M, N = len(before[0]), len(xy)
        a, b = np.repeat(np.arange(M), N), np.tile(np.arange(N), M)
        if measure == "oks":
            both = before[1][a] & found[b]
            variance = joint_variance(np.maximum(np.maximum(body_size(before[0], before[1]), 16)[a], size[b]), SIGMAS)
            value, count = oks(before[0][a], xy[b], both, variance)
            if not shared:
                value *= count / np.maximum((before[1][a] | found[b]).sum(axis=1), 1)
        else:
            old = body_boxes(*before[:2], 0.15 * np.maximum(body_size(*before[:2]), 16))
            value = box_iou(old[a], body_boxes(xy, found, 0.15 * size)[b])
        ids = np.full(N, -1, dtype=np.int64)
        for m, n in _pairs(value.reshape(M, N), greedy=greedy, minimum=0.2):
            ids[n] = before[2][m]
        new = (ids < 0) & (score >= 0.3)
        ids[new] = number + np.arange(new.sum())
        number += int(new.sum())
        has = ids >= 0
        before = (xy[has], found[has], ids[has])
        result.append(before)
    return result


def _pairs(value: Array, *, greedy: bool, minimum: float) -> list[tuple[int, int]]:
    if not value.size:
        return []
    if not greedy:
        rows, columns = linear_sum_assignment(np.where(value >= minimum, value, 0), maximize=True)
        return [(m, n) for m, n in zip(rows.tolist(), columns.tolist(), strict=True) if value[m, n] >= minimum]
    pairs, value = [], value.copy()
    while value.max() >= minimum:
        m, n = np.unravel_index(value.argmax(), value.shape)
        pairs.append((int(m), int(n)))
        value[m], value[:, n] = 0, 0
    return pairs


def _any_share(tracks: Bodies, poses: Bodies, sigmas: Array, *, variance: Array, reach: Array) -> Array:
    """The tracker's similarity without the factor for the share of the joints that are shared."""
    value = similarity(tracks, poses, sigmas, variance=variance, reach=reach)
    count = tracks.found.astype(np.float64) @ poses.found.T
    share = count / np.maximum(np.maximum.outer(tracks.found.sum(axis=1), poses.found.sum(axis=1)), 1)
    return np.where(count >= MIN_SHARED, value / np.sqrt(np.maximum(share, 1e-3)), value)


def without(name: str, value: object) -> Variant:
    """The whole with another value of something in the tracker's module."""
    usual = getattr(trackers.tracker, name)

    def track(scene: Scene) -> list[Tracked]:
        setattr(trackers.tracker, name, value)
        try:
            return ours(WHOLE)(scene)
        finally:
            setattr(trackers.tracker, name, usual)

    return track


def ours(config: TrackerConfig, *, still: bool = False, camera: bool = False, looks: bool = False) -> Variant:
    """The tracker with some settings; without prediction, told of the camera, and of what people look like."""

    def track(scene: Scene) -> list[Tracked]:
        tracker = Tracker(config, sigmas=SIGMAS, mirror=MIRROR)
        if still:
            tracker._motion = Still(len(SIGMAS))
        done: list[TrackedFrame] = []
        moved = np.diff(scene.camera, axis=0, prepend=scene.camera[:1])
        for index, (xy, found, score, look) in enumerate(_frames(scene)):
            done += tracker.update(
                index=index,
                seconds=float(scene.seconds[index]),
                xy=xy,
                joint_score=np.where(found, score[:, None], 0),
                score=score,
                camera=np.column_stack([np.eye(2), moved[index]]) if camera else None,
                appearance=look if looks else None,
            )
        result = []
        for frame in done + tracker.flush():
            has = frame.track_id >= 0
            result.append((frame.xy[has].astype(np.float64), frame.joint_score[has] > 0, frame.track_id[has]))
        return result

    return track


def _frames(scene: Scene) -> list[tuple[Array, Mask, Array, Array]]:
    """xy, found, score and look of who is seen, frame by frame."""
    rows = [seen.any(axis=1) for seen in scene.seen]
    return [
        (scene.seen_xy[t][row], scene.seen[t][row], scene.score[t][row], scene.look[t][row])
        for t, row in enumerate(rows)
    ]


def oracle(scene: Scene) -> list[Tracked]:
    """Everybody's true identity: what no tracker can do better."""
    P = scene.xy.shape[1]
    rows = [np.flatnonzero(seen[:P].any(axis=1)) for seen in scene.seen]
    return [(scene.seen_xy[t][row], scene.seen[t][row], row) for t, row in enumerate(rows)]


WHOLE = TrackerConfig()

_BARE = replace(
    WHOLE,
    duplicate_oks=9,
    strong_score=0,
    sure_score=0,
    overlay_sizes=0,
    recent_seconds=9,
    max_sizes_per_second=0,
    coast_seconds=0,
)
_TWO_STEPS = replace(_BARE, duplicate_oks=WHOLE.duplicate_oks, strong_score=WHOLE.strong_score)
_BORN = replace(_TWO_STEPS, sure_score=WHOLE.sure_score)
_RECENT = replace(_BORN, recent_seconds=WHOLE.recent_seconds)
_WIDE = replace(_RECENT, max_sizes_per_second=WHOLE.max_sizes_per_second)

LADDER: dict[str, Variant] = {
    "greedy_iou": lambda scene: last_frame(scene, measure="iou", greedy=True),
    "oks_last_frame": last_frame,
    "plus_normalised": lambda scene: last_frame(scene, shared=True),
    "plus_memory": ours(_BARE, still=True),
    "plus_kalman": ours(_BARE),
    "plus_duplicates": ours(replace(_BARE, duplicate_oks=WHOLE.duplicate_oks)),
    "plus_strong_weak": ours(_TWO_STEPS),
    "plus_birth": ours(_BORN),
    "plus_recent_first": ours(_RECENT),
    "plus_wide": ours(_WIDE),
    "plus_coasting": ours(replace(_WIDE, coast_seconds=WHOLE.coast_seconds)),
    "whole": ours(WHOLE),
    "whole_camera": ours(WHOLE, camera=True),
    # Drawn looks are vectors with noise, less alike than colours of clothes are.
    "whole_looks": ours(replace(WHOLE, min_likeness=0.85, min_likeness_near=0.85), looks=True),
    "oracle": oracle,
}
"""Each with all above it, and what would be perfect."""

TOLD: dict[str, list[str]] = {"whole_camera": ["pan"], "whole_looks": ["occlusions", "exits", *STORIES]}
"""Variants that are told more than poses, and where there is more."""

WITHOUT: dict[str, Variant] = {
    "without_kalman": ours(WHOLE, still=True),
    "without_duplicates": ours(replace(WHOLE, duplicate_oks=9)),
    "without_overlaid": ours(replace(WHOLE, overlay_sizes=0)),
    "without_strong_weak": ours(replace(WHOLE, strong_score=0)),
    "without_birth": ours(replace(WHOLE, sure_score=0)),
    "without_sure": ours(replace(WHOLE, sure_score=9)),
    "without_recent_first": ours(replace(WHOLE, recent_seconds=9)),
    "without_wide": ours(replace(WHOLE, max_sizes_per_second=0)),
    "without_share": without("similarity", _any_share),
    "without_stray": without("STRAY", 0.0),
    "without_coasting": ours(replace(WHOLE, coast_seconds=0)),
    "without_damping": ours(replace(WHOLE, damping_seconds=9)),
}
"""The whole without one piece."""


# Figures.


@dataclass(slots=True, eq=False)
class Tally:
    """What one tracker did in many scenes."""

    counts: Counts = field(default_factory=Counts.nothing)
    tracks: TrackCounts = field(default_factory=TrackCounts.nothing)
    parts: list[HotaParts] = field(default_factory=list)
    back: dict[str, int] = field(default_factory=lambda: {"away": 0, "returned": 0, "mistaken": 0})

    def add(self, scene: Scene, tracked: list[Tracked]) -> None:
        """Judge one scene."""
        pairs = [_pair(scene, t, *frame) for t, frame in enumerate(tracked)]
        record = follow(pairs, protocol="strict")
        self.counts += record.counts.sum()
        self.tracks += count_tracks(record)
        self.parts.append(hota(pairs, protocol="strict"))
        for key, value in _returns(scene, record).items():
            self.back[key] += value

    def figures(self) -> dict[str, float]:
        """The six, and what became of those who were away."""
        total = combine(self.parts).figures()
        figures = {
            "switches": int(self.counts.switches.sum()),
            "fragments": int(self.tracks.fragments.sum()),
            "mota": float(tracking(self.counts, protocol="strict").mota[-1]),
            "hota": 100 * float(total["hota"][-1]),
            "assa": 100 * float(total["ass_a"][-1]),
            "idf1": float(self.tracks.idf1()[-1]),
        }
        return figures | self.back if self.back["away"] else figures


def _pair(scene: Scene, t: int, xy: Array, found: Mask, ids: np.ndarray[Any, np.dtype[np.int64]]) -> FramePair:
    row = np.flatnonzero(scene.there[t].any(axis=1))
    nobody = np.full((len(ids), 15), NO_SCORE)
    truth = People(
        scene.xy[t, row], scene.there[t, row], np.full((len(row), 15), NO_SCORE), row, scene.head[t, row],
        np.ones(len(row), dtype=bool),
    )  # fmt: skip
    return FramePair.of(truth, People(xy, found, nobody, ids, np.full(len(ids), np.nan), np.ones(len(ids), dtype=bool)))


def _returns(scene: Scene, record: Record) -> dict[str, int]:
    """Of the people who were away: how many there were, got their identity back, and got somebody else's."""
    matches = record.matches
    frame, truth, predicted = matches.frame, record.truth_ids[matches.truth], matches.predicted
    result = {"away": 0, "returned": 0, "mistaken": 0}
    for person, last, first in scene.exits:
        mine = truth == person
        before = predicted[mine & (frame <= last)][-1:]
        after = predicted[mine & (frame >= first) & (frame < first + 25)]
        if not len(before) or not len(after):
            continue
        name = np.bincount(after).argmax()
        others = predicted[(truth != person) & (frame < first)]
        result["away"] += 1
        result["returned"] += int(name == before[0])
        result["mistaken"] += int(name != before[0] and name in others)
    return result


def scenes(folder: Path, disturbance: str) -> list[Scene]:
    """All scenes of a class; the same ones in every run."""

    def generator(*names: str) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(" ".join(names).encode()))

    if disturbance in STORIES:
        return [STORIES[disturbance](generator(disturbance, str(number))) for number in range(DRAWN)]
    result = []
    for path in sorted(folder.glob("*.json")):
        for number in range(3 if disturbance == "exits" else 1):
            rng = generator(disturbance, path.stem, str(number))
            scene = read_scene(path, rng)
            DISTURBANCES[disturbance](rng, scene)
            if disturbance != "exits" or scene.exits:
                result.append(scene)
    return result


def main() -> None:
    """Parse, track, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gt", type=Path, required=True, metavar="DIR", help="PoseTrack ground truth, 2017 or 2018")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--variants", nargs="+", default=[*LADDER, *WITHOUT], metavar="NAME")
    parser.add_argument("--disturbances", nargs="+", default=[*DISTURBANCES, *STORIES], metavar="NAME")
    arguments = parser.parse_args()
    if not any(arguments.gt.glob("*.json")):
        parser.error(f"{arguments.gt} has no .json files; it must be a folder of PoseTrack ground truth")

    started, variants = time.perf_counter(), LADDER | WITHOUT
    figures: dict[str, dict[str, dict[str, float]]] = {name: {} for name in arguments.variants}
    for disturbance in arguments.disturbances:
        some = scenes(arguments.gt, disturbance)
        print(f"\n{disturbance}: {len(some)} sequences, {sum(map(len, some))} frames")
        print(f"{'':<22}{'switches':>9}{'fragments':>10}{'MOTA':>7}{'HOTA':>7}{'AssA':>7}{'IDF1':>7}")
        for name in arguments.variants:
            if disturbance not in TOLD.get(name, [disturbance]):
                continue  # the tracker would be told nothing
            tally = Tally()
            for scene in some:
                tally.add(scene, variants[name](scene))
            row = figures[name][disturbance] = tally.figures()
            rest = "".join(f"{row[key]:>7.1f}" for key in ("mota", "hota", "assa", "idf1"))
            away = f"   {row['returned']} of {row['away']} back, {row['mistaken']} mistaken" if "away" in row else ""
            print(f"{name:<22}{row['switches']:>9}{row['fragments']:>10}{rest}{away}", flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
