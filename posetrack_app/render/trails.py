"""The paths along which people came, fading into the past."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.render.canvas import Strokes
from posetrack_app.render.colours import track_colour
from posetrack_app.render.people import People

__all__ = ["Trails"]

Floats = npt.NDArray[np.float64]

_LONGEST_GAP = 0.5
"""Seconds without the person after which the path is broken."""


class Trails:
    """Remembers where the hips of every track were."""

    def __init__(self, skeleton: Skeleton, *, seconds: float) -> None:
        self._seconds = seconds
        hips = [skeleton.index(name) for name in ("left_hip", "right_hip") if name in skeleton.joints]
        self._hips = np.array(hips, dtype=np.intp)
        self._paths: dict[int, deque[tuple[float, float, float, bool]]] = {}

    def add(self, people: People, *, seconds: float, width: int, height: int) -> None:
        """Note where everybody is at a time, and forget what is too long ago.

        Places are kept as shares of the picture's width and height: its size may change.
        """
        for index in np.flatnonzero(people.seen.any(axis=1) & (people.track_id >= 0)):
            seen = people.seen[index]
            hips = self._hips[seen[self._hips]]
            joints = hips if len(hips) else np.flatnonzero(seen)
            x, y = people.xy[index, joints].mean(axis=0) / (width, height)
            path = self._paths.setdefault(int(people.track_id[index]), deque())
            if path and path[-1][0] > seconds:  # time starts anew
                path.clear()
            path.append((seconds, float(x), float(y), len(hips) > 0))
        for track, path in list(self._paths.items()):
            while path and not seconds - self._seconds <= path[0][0] <= seconds:
                path.popleft()
            if not path:
                del self._paths[track]

    def clear(self) -> None:
        """Forget all: another shot begins."""
        self._paths.clear()

    def strokes(self, *, seconds: float, width: int, height: int, radius: float) -> Strokes:
        """The paths as they look at a time, for a picture of this size; `radius` is half of their largest width."""
        starts, ends, fresh, tracks = [np.empty((0, 2))], [np.empty((0, 2))], [np.empty((0, 2))], [np.empty(0, int)]
        for track, path in sorted(self._paths.items()):
            points = np.array([point[:3] for point in path])
            at_hips = np.array([point[3] for point in path])
            # The middle of the body is elsewhere than the hips: a path keeps to one of them.
            points = points[at_hips] if 2 * at_hips.sum() >= len(points) else points[~at_hips]
            for piece in np.split(points, np.flatnonzero(np.diff(points[:, 0]) > _LONGEST_GAP) + 1):
                xy = _smooth(piece[:, 1:] * (width, height))
                young = np.clip(1 - (seconds - piece[:, 0]) / self._seconds, 0, 1)
                starts.append(xy[:-1])
                ends.append(xy[1:])
                fresh.append(np.stack([young[:-1], young[1:]], axis=1))
                tracks.append(np.full(len(piece) - 1, track))
        young, track_ids = np.concatenate(fresh), np.concatenate(tracks)
        colours = [track_colour(track) for track in track_ids.tolist()]
        return Strokes(
            start=np.concatenate(starts),
            end=np.concatenate(ends),
            radius=radius * (0.35 + 0.65 * young),
            colour=np.array(colours, dtype=np.uint8).reshape(-1, 3),
            opacity=0.85 * young[:, 1],
            rim=np.zeros(len(young)),
            figure=track_ids,
        )


def _smooth(xy: Floats) -> Floats:
    """(T, 2): places averaged with their neighbours, which takes out the tremor of the joints."""
    if len(xy) < 3:
        return xy
    for _ in range(3):
        middle = (xy[:-2] + 2 * xy[1:-1] + xy[2:]) / 4
        xy = np.concatenate([xy[:1], middle, xy[-1:]])
    return xy
