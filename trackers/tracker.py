"""The online tracker: the poses of one frame after the other go in, the same poses with identities come out.

In each frame, in this order: duplicates go; every track predicts; tracks seen lately take strong poses, then weak ones
(the order of ByteTrack, Zhang et al. 2022); what is left of tracks and strong poses is compared once more, the wider
the longer a track has not been seen; then by what people look like, where that is known; strong poses that are still
left begin tracks, unless they lie upon stronger ones.

Letters: N poses, K joints, M tracks, D numbers that tell what somebody looks like.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trackers.appearance import Gallery, clearly, directions, likeness
from trackers.association import Array, Bodies, Mask, Rows, assign, duplicates, overlaid, similarity
from trackers.config import TrackerConfig
from trackers.frames import COASTED, OBSERVED, FramePoses, TrackedFrame
from trackers.motion import Motion
from trackers.oks import body_size, joint_variance
from trackers.waiting import Queue, Unnamed, Waiting

__all__ = ["COASTED", "OBSERVED", "TrackedFrame", "Tracker", "TrackerConfig"]

TINY_STEP_SECONDS = 0.01
"""Taken for the time step where the clock stands still or runs backwards."""

MIN_SIZE_PIXELS = 16.0
"""Bodies are taken to be at least this large: one joint alone has no size, and no network is more exact."""

EXACT = 1e-6
"""Variance in square pixels of a joint that is taken to have no error: the filter divides by it."""

SHRINK_SECONDS = 1.0
"""A track's size grows at once and shrinks with this time constant: a body half hidden is not a smaller body."""

JOINT_SECONDS = 0.5
"""A joint that was not seen for so long on a body that was is forgotten."""

STRAY = 0.2
"""Body sizes by which somebody may stray from the prediction at once: a start, a stop, a jolt of the camera."""

AWAY_SECONDS = 1.0
"""Who was seen less than so long ago is not far away, whatever somebody there looks like."""

LIKELY_SCORE = 0.4
"""A pose needs at least this score to be found again by its looks: what is hardly a person may be a post."""

MOST_ELSEWHERE = 200
"""So many people of earlier shots are remembered: among pictures that have nothing to do with each other they are ever
more."""

HIDDEN_SIMILARITY = 0.5
"""A track that is not seen where somebody else stands as similar as this is hidden by them, and not drawn."""


@dataclass(slots=True, eq=False)
class _Track:
    """What is known of a track besides its motion."""

    began: int
    """Number of the frame of the first sighting."""
    number: int = -1
    """Identity; -1 while not confirmed."""
    sightings: int = 0
    strong_sightings: int = 0
    """Of poses from `strong_score` on: only they make somebody a person."""
    last_frame: int = 0
    last_seconds: float = 0.0
    """On the tracker's own clock, which never runs backwards."""
    size: float = 0.0
    score: float = 0.0
    joint_score: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    unnamed: Unnamed = field(default_factory=Unnamed)
    """Its sightings that get the identity when there is one."""
    looks: Gallery = field(default_factory=Gallery)
    elsewhere: bool = False
    """Last seen in another shot: where that was says nothing any more."""


class _Predicted(NamedTuple):
    """The tracks that there were before this frame."""

    bodies: Bodies
    """Where they are predicted."""
    variance: Array
    """(M, K), of the predictions, square pixels."""
    drift: Array
    """(M,), pixels by which each may have strayed from the prediction since it was seen."""
    unseen: Array
    """(M,), seconds since the last sighting."""

    def take(self, rows: Rows) -> _Predicted:
        """Some of them."""
        return _Predicted(self.bodies.take(rows), self.variance[rows], self.drift[rows], self.unseen[rows])


class Tracker:
    """Follows the people of one video. All state is here; two trackers share nothing."""

    def __init__(self, config: TrackerConfig, *, sigmas: npt.NDArray[np.floating], mirror: Rows | None = None) -> None:
        """Start with nobody.

        Args:
            config: The knobs.
            sigmas: (K,), standard deviations of labellers relative to the body size, as in COCO's OKS.
            mirror: (K,), for each joint the one that takes its place in a mirrored picture; None: each its own.
        """
        self.config = config
        self._sigmas: Array = np.array(sigmas, dtype=np.float64)
        self._mirror = np.arange(len(self._sigmas)) if mirror is None else np.array(mirror, dtype=np.intp)
        self._motion = Motion(len(self._sigmas))
        self._tracks: list[_Track] = []
        self._queue = Queue(birth_frames=config.birth_frames, coast_seconds=config.coast_seconds)
        self._next_number = 0
        self._frame = 0
        self._clock = 0.0
        self._last_seconds: float | None = None

    def update(
        self,
        *,
        index: int,
        seconds: float,
        xy: npt.NDArray[np.floating],
        joint_score: npt.NDArray[np.floating],
        score: npt.NDArray[np.floating],
        camera: npt.NDArray[np.floating] | None = None,
        appearance: npt.NDArray[np.floating] | npt.NDArray[np.uint8] | None = None,
        cut: bool = False,
    ) -> list[TrackedFrame]:
        """Take in the poses of the next frame and give the frames that are finished, in order.

        Args:
            index: Number of the frame; only handed on.
            seconds: Presentation time; may stand still or jump.
            xy: (N, K, 2), pixels.
            joint_score: (N, K), 0 where a joint was not found.
            score: (N,).
            camera: (2, 3), affine map from places in the last frame to places in this one of what does not move by
                itself; None: the camera stands still.
            appearance: (N, D), what each person looks like: alike is a small angle between two of them. Rows of zeros
                tell nothing.
            cut: A new shot begins. Who was seen before can be known by their looks, but by nothing else.
        """
        poses = FramePoses.clean(xy, joint_score, score, joints=len(self._sigmas))
        looks = None if appearance is None else directions(appearance, persons=len(score))
        if camera is not None:
            self._move(np.asarray(camera, dtype=np.float64))
        if cut:
            self._leave_shot()
        self._advance(seconds)
        gone, order, seen = self._people(poses)
        predicted = self._predicted()
        owner = self._match(predicted, seen, poses.score[order], None if looks is None else looks[order])
        found_by = (owner >= 0).nonzero()[0]
        rows = owner[found_by]
        self._learn(rows, seen if len(found_by) == len(owner) else seen.take(found_by))
        keep = (~gone).nonzero()[0]
        coasted = self._coasting(predicted, seen)
        frame = self._frame_of(index, seconds, poses, keep, coasted)
        if appearance is not None:
            nothing = np.zeros((len(coasted), appearance.shape[1]), dtype=appearance.dtype)
            frame = replace(frame, appearance=np.concatenate([appearance[keep], nothing]))
        waiting = Waiting(frame, coasted=[self._tracks[row] for row in coasted])
        self._queue.mark_returned({id(self._tracks[row]) for row in rows.tolist()})
        seen_rows = order[found_by]
        places = np.searchsorted(keep, seen_rows).tolist()
        scores, found_rows = poses.score.tolist(), seen_rows.tolist()
        for track, row, place in zip((self._tracks[row] for row in rows.tolist()), found_rows, places, strict=True):
            track.score, track.joint_score = scores[row], poses.joint_score[row]
            if looks is not None and track.score >= self.config.strong_score:
                track.looks.add(looks[row], self._clock)
            self._register(track, waiting, place)
        self._queue.append(waiting)
        self._frame += 1
        return self._queue.finished(self._clock)

    def flush(self) -> list[TrackedFrame]:
        """End the video and give the frames that are left.

        A track that was seen in every frame since it began becomes a person now: a single picture has identities.
        """
        for track in self._tracks:
            if track.number < 0 and track.sightings == self._frame - track.began:
                self._confirm(track)
        self._keep([False] * len(self._tracks))
        self._last_seconds = None
        self._clock += self.config.coast_seconds + TINY_STEP_SECONDS  # nobody can come back now
        return self._queue.finished(self._clock)

    def _leave_shot(self) -> None:
        """No track goes on where it was; people whose looks are known are remembered, the latest `MOST_ELSEWHERE`."""
        known = [track for track in self._tracks if track.number >= 0 and track.looks]
        latest = sorted(known, key=lambda track: track.last_seconds)[-MOST_ELSEWHERE:]
        for track in latest:
            track.elsewhere = True
        stay = set(map(id, latest))
        self._keep([id(track) in stay for track in self._tracks])

    def _move(self, camera: Array) -> None:
        """Move all tracks as the camera moves the picture."""
        if camera.shape != (2, 3) or not np.isfinite(camera).all():
            raise ValueError(f"camera must be (2, 3) finite numbers, got {camera.shape}")
        self._motion.move(camera)
        scale = math.sqrt(abs(np.linalg.det(camera[:, :2])))
        for track in self._tracks:
            track.size *= scale

    def _advance(self, seconds: float) -> None:
        """Move the clock and all tracks on to this frame; tracks that are over go."""
        before = self._last_seconds
        self._last_seconds = seconds if math.isfinite(seconds) else before or 0.0
        step = 0.0 if before is None else self._last_seconds - before
        if before is not None and step <= 0:
            step = TINY_STEP_SECONDS
        self._clock += step
        self._keep([self._lives(track) for track in self._tracks])
        if self._tracks:
            density = (self.config.acceleration * np.array([track.size for track in self._tracks])) ** 2
            self._motion.predict(step, acceleration=density, damping_seconds=self.config.damping_seconds)

    def _lives(self, track: _Track) -> bool:
        if track.number < 0 and self._frame - track.last_frame > 2:
            return False
        config = self.config
        limit = max(config.death_seconds, config.recall_seconds) if track.looks else config.death_seconds
        return self._clock - track.last_seconds <= limit

    def _people(self, poses: FramePoses) -> tuple[Mask, Rows, Bodies]:
        """Which poses are duplicates, (N,); rows of the others that have joints, strongest first; and their bodies."""
        order = poses.strongest_first()
        xy, found = poses.xy[order].astype(np.float64), poses.joint_score[order] > 0
        some = found.any(axis=1)
        if not some.all():
            order, xy, found = order[some], xy[some], found[some]
        bodies = Bodies.of(xy, found, np.maximum(body_size(xy, found), MIN_SIZE_PIXELS))
        double = duplicates(bodies, self._sigmas, minimum=self.config.duplicate_oks)
        gone = np.zeros(len(poses.score), dtype=bool)
        if not double.any():
            return gone, order, bodies
        gone[order[double]] = True
        return gone, order[~double], bodies.take(~double)

    def _predicted(self) -> _Predicted:
        """Where all tracks are now, and how far from there they may be found."""
        size = np.array([track.size for track in self._tracks], dtype=np.float64)
        unseen = self._clock - np.array([track.last_seconds for track in self._tracks], dtype=np.float64)
        drift = size * (STRAY + self.config.max_sizes_per_second * unseen)
        return _Predicted(
            bodies=Bodies.of(self._motion.xy, self._motion.known, size),
            variance=self._motion.covariance[0],
            drift=drift,
            unseen=unseen,
        )

    def _match(self, predicted: _Predicted, seen: Bodies, score: npt.NDArray[np.float32], looks: Array | None) -> Rows:
        """The track of each pose, (N,); new tracks are appended, -1 means none."""
        owner = np.full(len(score), -1, dtype=np.intp)
        free = np.ones(len(self._tracks), dtype=bool)
        strong = score >= self.config.strong_score
        weak = ~strong & (score >= self.config.weak_score)
        recent = np.array([self._frame - track.last_frame <= 1 for track in self._tracks], dtype=bool)
        recent |= predicted.unseen <= self.config.recent_seconds
        here = ~np.array([track.elsewhere for track in self._tracks], dtype=bool)
        recent &= here
        alive = here & (predicted.unseen <= self.config.death_seconds)
        for tracks, poses, lost in ((recent, strong, False), (recent, weak, False), (alive, strong, True)):
            m, n = (tracks & free).nonzero()[0], (poses & (owner < 0)).nonzero()[0]
            if len(m) and len(n):
                tracks_left = predicted if len(m) == len(free) else predicted.take(m)
                poses_left = seen if len(n) == len(owner) else seen.take(n)
                value = self._similarity(tracks_left, poses_left, lost=lost)
                if lost and looks is not None:
                    like = self._likeness(m, looks[n])
                    value[(like < self.config.min_likeness_near) & ~recent[m, None]] = 0
                rows, columns = assign(value, minimum=self.config.min_similarity)
                owner[n[columns]] = m[rows]
                free[m[rows]] = False
        if looks is not None:
            away = free & (predicted.unseen >= AWAY_SECONDS)
            likely = strong & (score >= LIKELY_SCORE) & (owner < 0)
            m, n = away.nonzero()[0], likely.nonzero()[0]
            if len(m) and len(n):
                rows, columns = assign(clearly(self._likeness(m, looks[n])), minimum=self.config.min_likeness)
                owner[n[columns]] = m[rows]
                self._motion.known[m[rows]] = False  # where they were says nothing about how they move
        new = (strong & (owner < 0)).nonzero()[0]
        if len(new):
            upon = overlaid(seen, self._mirror, width=self.config.overlay_sizes)[new]
            new = new[score[new] * (1 - upon) >= self.config.strong_score]
            owner[new] = len(self._tracks) + np.arange(len(new))
            self._motion.add(len(new))
            self._tracks.extend(_Track(began=self._frame) for _ in new)
        return owner

    def _likeness(self, rows: Rows, looks: Array) -> Array:
        """How much each pose looks like each track, (M, N): NaN where nothing is known."""
        return likeness([self._tracks[row].looks for row in rows.tolist()], looks)

    def _similarity(self, tracks: _Predicted, seen: Bodies, *, lost: bool) -> Array:
        """Of tracks and poses, (M, N); wider for tracks that may have strayed while they were lost."""
        variance = tracks.variance
        if lost:
            variance = variance + (tracks.drift * tracks.drift)[:, None]
        reach = tracks.bodies.size / 2 + tracks.drift
        return similarity(tracks.bodies, seen, self._sigmas, variance=variance, reach=reach)

    def _learn(self, rows: Rows, seen: Bodies) -> None:
        """Take the sightings into tracks and motion."""
        if not len(rows):
            return
        size = seen.size.copy()
        for number, row in enumerate(rows.tolist()):
            track = self._tracks[row]
            if track.size > size[number] and not track.elsewhere:
                fade = math.exp(-(self._clock - track.last_seconds) / SHRINK_SECONDS)
                size[number] += (track.size - size[number]) * fade
            track.size = float(size[number])
            track.sightings += 1
            track.elsewhere = False
            track.last_frame, track.last_seconds = self._frame, self._clock
        noise = joint_variance(size, self._sigmas) * self.config.position_noise**2 + EXACT
        start = (self.config.start_sizes_per_second * size) ** 2
        self._motion.correct(rows, seen.xy, seen.found, noise, start=start)
        self._motion.forget(rows, seconds=JOINT_SECONDS)

    def _coasting(self, predicted: _Predicted, seen: Bodies) -> list[int]:
        """Rows of the tracks to write as predicted: people unseen for a short time, and hidden by nobody else."""
        rows = [
            row
            for row, track in enumerate(self._tracks)
            if track.number >= 0
            and not track.elsewhere
            and track.last_frame < self._frame
            and 0 < self._clock - track.last_seconds <= self.config.coast_seconds
        ]
        if not rows:
            return rows
        near = self._similarity(predicted.take(np.array(rows)), seen, lost=False).max(axis=1, initial=0)
        return [row for row, value in zip(rows, near, strict=True) if value < HIDDEN_SIMILARITY]

    def _frame_of(self, index: int, seconds: float, poses: FramePoses, keep: Rows, coasting: list[int]) -> TrackedFrame:
        """The poses to keep, without identities yet, and the coasting tracks."""
        if not coasting:
            return TrackedFrame(
                index=index,
                seconds=seconds,
                xy=poses.xy[keep],
                joint_score=poses.joint_score[keep],
                score=poses.score[keep],
                track_id=np.full(len(keep), -1, dtype=np.int64),
                origin=np.full(len(keep), OBSERVED, dtype=np.uint8),
            )
        xy, joint_score, score = [poses.xy[keep]], [poses.joint_score[keep]], [poses.score[keep]]
        for row in coasting:
            track = self._tracks[row]
            fade = np.float32(0.5 ** ((self._clock - track.last_seconds) / self.config.coast_seconds))
            limit = float(np.finfo(np.float32).max)  # input as large as that may be predicted beyond
            position = np.clip(self._motion.xy[row], -limit, limit).astype(np.float32)
            xy.append(np.where(track.joint_score[:, None] > 0, position, np.float32(0))[None])
            joint_score.append(fade * track.joint_score[None])
            score.append(np.array([fade * track.score], dtype=np.float32))
        numbers = [self._tracks[row].number for row in coasting]
        return TrackedFrame(
            index=index,
            seconds=seconds,
            xy=np.concatenate(xy),
            joint_score=np.concatenate(joint_score),
            score=np.concatenate(score),
            track_id=np.concatenate([np.full(len(keep), -1, dtype=np.int64), np.array(numbers, dtype=np.int64)]),
            origin=np.repeat(np.array([OBSERVED, COASTED], dtype=np.uint8), [len(keep), len(coasting)]),
        )

    def _register(self, track: _Track, waiting: Waiting, row: int) -> None:
        """Give a sighting its identity, now or when there is one."""
        config = self.config
        track.strong_sightings += track.score >= config.strong_score
        track.unnamed.add(waiting, row, limit=config.birth_frames)
        if track.number >= 0 or track.strong_sightings >= config.birth_frames or track.score >= config.sure_score:
            self._confirm(track)

    def _confirm(self, track: _Track) -> None:
        """Make a track a person, also in the frames that wait."""
        if track.number < 0:
            track.number = self._next_number
            self._next_number += 1
        track.unnamed.name(track.number)

    def _keep(self, keep: list[bool]) -> None:
        """Drop all tracks but these M; what waits for them waits no longer."""
        if all(keep):
            return
        for track, stays in zip(self._tracks, keep, strict=True):
            if not stays:
                track.unnamed.drop()
        self._tracks = [track for track, stays in zip(self._tracks, keep, strict=True) if stays]
        self._motion.keep(np.array(keep, dtype=bool))
