"""Scenes for `bench_tracking.py`: real ground truth spoilt as a network and a video spoil it, and drawn walkers.

Everything is dense: column p of every array is person p, in whichever frames there is one. Letters: T frames, P true
persons, Q persons as seen (the true ones first, then those who are nobody), K joints in the evaluator's order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.skeleton import POSETRACK15
from posetrack_app.evaluation.annotated import JOINTS, annotate
from posetrack_app.formats.posetrack import read_labelled

__all__ = ["DISTURBANCES", "MIRROR", "SIGMAS", "STORIES", "Scene", "read_scene"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rng = np.random.Generator

_PLACES = [POSETRACK15.index({"neck": "head_bottom"}.get(joint, joint)) for joint in JOINTS]

SIGMAS = np.array([POSETRACK15.sigmas[place] for place in _PLACES])
"""(15,): OKS's sigmas in the evaluator's order."""

MIRROR = np.array([_PLACES.index(POSETRACK15.mirror[place]) for place in _PLACES])
"""(15,): for each joint the one that takes its place in a mirrored picture."""

RATE = 25.0
"""Frames a second that every sequence is taken to have."""

K = len(JOINTS)


@dataclass(slots=True, eq=False)
class Scene:
    """One sequence: who is there, and what is seen of it."""

    name: str
    seconds: Array
    """(T,)."""
    xy: Array
    """(T, P, K, 2): true places in pixels."""
    there: Mask
    """(T, P, K): joints that are judged."""
    head: Array
    """(T, P): head sizes in pixels."""
    seen_xy: Array
    """(T, Q, K, 2)."""
    seen: Mask
    """(T, Q, K)."""
    score: Array
    """(T, Q)."""
    camera: Array
    """(T, 2): where the camera has gone, pixels; it is part of all places."""
    look: Array
    """(T, Q, D): what each person looks like, as a network may tell."""
    exits: list[tuple[int, int, int]] = field(default_factory=list)
    """Person, last frame before and first frame after an absence."""

    def __len__(self) -> int:
        return len(self.seconds)

    def body(self) -> Array:
        """(T, P): root of the area of each person, pixels; the median of the person's frames where it is not known."""
        count = np.maximum(self.there.sum(axis=2), 1)[..., None]
        centred = self.xy - (self.xy * self.there[..., None]).sum(axis=2, keepdims=True) / count[..., None]
        size: Array = 1.8 * np.sqrt(((centred**2).sum(axis=3) * self.there).sum(axis=2) / count[..., 0])
        return np.maximum(size, 16)

    def keep_frames(self, rows: npt.NDArray[np.intp]) -> None:
        """Drop all other frames, as if the video never had them."""
        for name in ("seconds", "xy", "there", "head", "seen_xy", "seen", "score", "camera", "look"):
            setattr(self, name, getattr(self, name)[rows])
        place = np.searchsorted(rows, np.arange(rows[-1] + 2))
        self.exits = [(who, int(place[a + 1]) - 1, int(place[b])) for who, a, b in self.exits if b <= rows[-1]]


def _scene(rng: Rng, name: str, xy: Array, there: Mask, seen: Mask, head: Array) -> Scene:
    """With scores as a network gives them: a level for each person, and noise that lasts a few frames."""
    T, P = xy.shape[:2]
    noise = rng.normal(0, 0.08, (T, P))
    for t in range(1, T):
        noise[t] = 0.8 * noise[t - 1] + 0.6 * noise[t]
    return Scene(
        name=name,
        seconds=np.arange(T) / RATE,
        xy=xy,
        there=there,
        head=head,
        seen_xy=xy.copy(),
        seen=seen.copy(),
        score=(rng.uniform(0.4, 0.7, P) + noise).clip(0.2, 0.8),
        camera=np.zeros((T, 2)),
        look=_looks(rng, T, P),
    )


def _looks(rng: Rng, T: int, P: int) -> Array:
    """People are alike in much, differ in some, and look a little different in every frame: D = 16.

    The cosine of two views of one person is 0.94 on average, of two people 0.59.
    """
    common = np.full(16, 0.25)
    own = rng.normal(0, 0.2, (P, 16))
    look: Array = common + own + rng.normal(0, 0.08, (T, P, 16))
    return look


def read_scene(path: Path, rng: Rng) -> Scene:
    """A ground-truth file, seen as it is."""
    frames = annotate(read_labelled(path).frames)
    ids = np.unique(np.concatenate([frame.people.track_id for frame in frames]))
    T, P = len(frames), len(ids)
    xy, there, head = np.zeros((T, P, K, 2)), np.zeros((T, P, K), dtype=bool), np.ones((T, P))
    for t, frame in enumerate(frames):
        row = np.searchsorted(ids, frame.people.track_id)
        xy[t, row], there[t, row], head[t, row] = frame.people.xy, frame.people.found, frame.people.head_size
    return _scene(rng, path.stem, xy, there, there, head)


# Disturbances: each changes a scene in place.


def clean(rng: Rng, scene: Scene) -> None:
    """Nothing."""


def jitter(rng: Rng, scene: Scene, amount: float = 0.25) -> None:
    """Joints beside their places, as a network puts them: `amount` of OKS's `2 * sigma * size`."""
    P = scene.xy.shape[1]
    scale = amount * scene.body()[..., None] * (2 * SIGMAS)
    scene.seen_xy[:, :P] += rng.normal(size=scene.xy.shape) * scale[..., None]


def _runs(rng: Rng, shape: tuple[int, ...], share: float, longest: int) -> Mask:
    """(T, ...): true in runs of 1 to `longest` frames that cover about `share` of everything."""
    begins = rng.random(shape) < share / ((longest + 1) / 2)
    length = rng.integers(1, longest + 1, shape)
    result = np.zeros(shape, dtype=bool)
    for ago in range(min(longest, shape[0])):
        result[ago:] |= begins[: shape[0] - ago] & (length[: shape[0] - ago] > ago)
    return result


def missed_people(rng: Rng, scene: Scene, share: float = 0.2) -> None:
    """People who are not found for 1 to 5 frames."""
    P = scene.xy.shape[1]
    scene.seen[:, :P] &= ~_runs(rng, scene.there.shape[:2], share, 5)[..., None]


def missed_joints(rng: Rng, scene: Scene, share: float = 0.35) -> None:
    """Joints that are not found for 1 to 8 frames."""
    P = scene.xy.shape[1]
    scene.seen[:, :P] &= ~_runs(rng, scene.there.shape, share, 8)


def false_people(rng: Rng, scene: Scene, rate: float = 0.12) -> None:
    """For each person and frame with the chance `rate`: beside them, for 1 to 4 frames, somebody who is nobody."""
    T, P = scene.there.shape[:2]
    size = scene.body()
    begins, of = np.nonzero((rng.random((T, P)) < rate / 2.5) & scene.there.any(axis=2))
    for begin, person in zip(begins.tolist(), of.tolist(), strict=True):
        time = slice(begin, min(begin + int(rng.integers(1, 5)), T))
        seen = (scene.there[begin, person] & (rng.random(K) < rng.uniform(0.3, 1)))[None].repeat(T, axis=0)
        seen[: time.start] = seen[time.stop :] = False
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 2) * size[begin, person]
        place = scene.xy[begin, person] + away * np.array([np.cos(angle), np.sin(angle)])
        xy = place + rng.normal(0, 0.05 * size[begin, person], (T, K, 2))
        _add(scene, xy, seen, rng.uniform(0.1, 0.4) + rng.normal(0, 0.03, T), rng)


def doubles(rng: Rng, scene: Scene, rate: float = 0.1) -> None:
    """For each person and frame with the chance `rate`: they, or a part of them, are found a second time."""
    T, P = scene.there.shape[:2]
    size = scene.body()
    for person in range(P):
        double = rng.random(T) < rate
        seen = scene.there[:, person] & double[:, None] & (rng.random((T, K)) < rng.uniform(0.3, 1, (T, 1)))
        noise = rng.normal(size=(T, K, 2)) * (0.6 * size[:, person, None] * (2 * SIGMAS))[..., None]
        _add(scene, scene.xy[:, person] + noise, seen, scene.score[:, person] * rng.uniform(0.4, 0.9, T), rng)


def _add(scene: Scene, xy: Array, seen: Mask, score: Array, rng: Rng) -> None:
    """One more column: somebody who is nobody."""
    scene.seen_xy = np.concatenate([scene.seen_xy, xy[:, None]], axis=1)
    scene.seen = np.concatenate([scene.seen, seen[:, None]], axis=1)
    scene.score = np.concatenate([scene.score, score.clip(0.02, 0.8)[:, None]], axis=1)
    scene.look = np.concatenate([scene.look, _looks(rng, len(xy), 1)], axis=1)


def mixed_limbs(rng: Rng, scene: Scene, share: float = 0.3) -> None:
    """Where two people overlap, an arm or a leg of one is taken from the other, for 1 to 5 frames."""
    T, P = scene.there.shape[:2]
    size = scene.body()
    weight = scene.there / np.maximum(scene.there.sum(axis=2, keepdims=True), 1)
    centre = (scene.xy * weight[..., None]).sum(axis=2)
    limbs = ([0, 1], [4, 5], [6, 7], [10, 11], [0, 1, 2], [3, 4, 5])
    for a in range(P):
        for b in range(P):
            if a == b:
                continue
            near = np.hypot(*(centre[:, a] - centre[:, b]).T) < 0.6 * size[:, a]
            for t in np.flatnonzero(near & (rng.random(T) < share / 3)):
                time, limb = slice(t, t + int(rng.integers(1, 6))), limbs[rng.integers(len(limbs))]
                both = scene.there[time, b][:, limb] & scene.seen[time, a][:, limb]
                wrong = np.where(both[..., None], scene.xy[time, b][:, limb], scene.seen_xy[time, a][:, limb])
                scene.seen_xy[time, a, limb] = wrong


def dropped_frames(rng: Rng, scene: Scene, share: float = 0.2) -> None:
    """Frames that the video lacks; the others keep their times."""
    keep = rng.random(len(scene)) >= share
    keep[0] = True
    scene.keep_frames(np.flatnonzero(keep))


def _rate(share: float) -> Callable[[Rng, Scene], None]:
    def lower(rng: Rng, scene: Scene) -> None:
        scene.keep_frames(np.arange(0, len(scene), round(1 / share)))

    lower.__doc__ = f"{share:.0%} of the frame rate."
    return lower


def occlusions(rng: Rng, scene: Scene) -> None:
    """Everybody is hidden once, for 0.4 to 1.2 seconds, and not judged while they are."""
    for person in range(scene.xy.shape[1]):
        _hide(rng, scene, person, rng.uniform(0.4, 1.2))


def exits(rng: Rng, scene: Scene) -> None:
    """Half of the people are away for two seconds."""
    P = scene.xy.shape[1]
    for person in rng.permutation(P)[: (P + 1) // 2]:
        _hide(rng, scene, int(person), 2.0)


def _hide(rng: Rng, scene: Scene, person: int, seconds: float) -> None:
    """Take somebody out for some time, where half a second is left before and after."""
    there = np.flatnonzero(scene.there[:, person].any(axis=1))
    length, margin = round(seconds * RATE), 10
    starts = [t for t in there[margin:] if t + length + margin <= there[-1] and np.isin(t + length, there)]
    if not starts:
        return
    start = int(rng.choice(starts))
    time = slice(start, start + length)
    scene.there[time, person] = scene.seen[time, person] = False
    before = int(there[there < start][-1])
    scene.exits.append((person, before, start + length))


def pan(rng: Rng, scene: Scene, amount: float = 0.5) -> None:
    """A camera that swings to and fro by hand, by `amount` of the typical body's size, and trembles."""
    T = len(scene)
    size = np.median(scene.body()[scene.there.any(axis=2)]) if scene.there.any() else 100.0
    time = scene.seconds[:, None]
    swing = np.zeros((T, 2))
    for hertz, share in ((0.4, 1.0), (0.9, 0.5), (2.3, 0.1)):
        swing += share * np.sin(2 * np.pi * (hertz * time + rng.random(2))) * np.array([1.0, 0.3])
    scene.camera = scene.camera + amount * size * swing
    scene.xy = scene.xy + amount * size * swing[:, None, None]
    scene.seen_xy = scene.seen_xy + amount * size * swing[:, None, None]


def everything(rng: Rng, scene: Scene) -> None:
    """A little of all but exits and the camera, at half of the frame rate."""
    jitter(rng, scene, 0.2)
    mixed_limbs(rng, scene, 0.15)
    missed_people(rng, scene, 0.1)
    missed_joints(rng, scene, 0.2)
    occlusions(rng, scene)
    false_people(rng, scene, 0.06)
    doubles(rng, scene, 0.05)
    dropped_frames(rng, scene, 0.1)
    scene.keep_frames(np.arange(0, len(scene), 2))


DISTURBANCES: dict[str, Callable[[Rng, Scene], None]] = {
    "clean": clean,
    "jitter": jitter,
    "missed_people": missed_people,
    "missed_joints": missed_joints,
    "false_people": false_people,
    "doubles": doubles,
    "mixed_limbs": mixed_limbs,
    "dropped_frames": dropped_frames,
    "rate_50": _rate(0.5),
    "rate_20": _rate(0.2),
    "rate_10": _rate(0.1),
    "rate_5": _rate(0.05),
    "occlusions": occlusions,
    "exits": exits,
    "pan": pan,
    "all": everything,
}
"""Of real sequences, by name."""


# Drawn walkers.

WIDTH, HEIGHT = 1280.0, 720.0


def _walkers(rng: Rng, name: str, paths: Sequence[tuple[Array, Array]], seconds: float) -> Scene:
    """People who walk along the picture, nearer ones before others; waypoints are times and x, in heights of the
    nearest.
    """
    T, P = round(seconds * RATE), len(paths)
    time = np.arange(T) / RATE
    near = rng.uniform(1, 1.5, P)
    height = 320 / near
    spread = np.exp(-0.5 * (np.arange(-8, 9) / 4) ** 2)
    x = np.stack([np.interp(time, *path) for path in paths], axis=1)
    x = np.stack([np.convolve(np.pad(x[:, p], 8, mode="edge"), spread / spread.sum(), "valid") for p in range(P)], 1)
    velocity = np.gradient(x, 1 / RATE, axis=0)
    phase = 2 * np.pi * (np.cumsum(np.abs(velocity), axis=0) / RATE / 0.8 + rng.random(P))
    swing = np.minimum(np.abs(velocity) * 1.2, 0.5) * np.sin(phase)
    xy = _bodies(swing, np.tanh(5 * velocity), rng.uniform(0.9, 1.1, (P, K, 1))) * height[:, None, None]
    xy[..., 0] += WIDTH / 2 + 320 * x[..., None]
    xy[..., 1] += 380 + 280 / near[:, None]
    there = ((xy >= 0) & (xy < (WIDTH, HEIGHT))).all(axis=3)
    centre, seen = xy[:, :, 12, 0], there.copy()
    for a in range(P):
        for b in np.flatnonzero(near < near[a]):  # b stands before a
            side = np.abs(xy[:, a, :, 0] - centre[:, b, None]) < 0.12 * height[b]
            seen[:, a] &= ~(side & (xy[:, a, :, 1] > xy[:, b, 14, 1][:, None]))
    seen &= (seen.sum(axis=2) >= 3)[..., None]
    scene = _scene(rng, name, xy, seen, seen, np.broadcast_to(0.1 * height, (T, P)).copy())
    scene.score *= np.sqrt(seen.mean(axis=2))
    for person in range(P):
        here = seen[:, person].any(axis=1)
        for frame in np.flatnonzero(here[:-1] & ~here[1:]):
            back = np.flatnonzero(here[frame + 1 :])
            if len(back) and back[0] >= 0.8 * RATE:
                scene.exits.append((person, int(frame), int(frame + 1 + back[0])))
    jitter(rng, scene, 0.15)
    missed_people(rng, scene, 0.03)
    return scene


def _bodies(swing: Array, facing: Array, build: Array) -> Array:
    """(T, P, K, 2): bodies of height 1 that stand on (0, 0), with legs and arms swung by so many radians."""
    xy = np.zeros((*swing.shape, K, 2))
    for side, (ankle, knee, hip), (wrist, elbow, shoulder) in ((1, (0, 1, 2), (6, 7, 8)), (-1, (5, 4, 3), (11, 10, 9))):
        angle, wide = side * swing, side * 0.05 * (1.2 - np.abs(facing))
        xy[..., hip, :] = np.stack([wide, np.full_like(wide, -0.52)], axis=-1)
        xy[..., shoulder, :] = np.stack([1.6 * wide, np.full_like(wide, -0.82)], axis=-1)
        bend = np.maximum(-angle, 0)
        for start, joint, length, turn in (
            (hip, knee, 0.25, angle),
            (knee, ankle, 0.25, angle - bend),
            (shoulder, elbow, 0.17, -angle),
            (elbow, wrist, 0.15, -angle + 0.3),
        ):
            step = np.stack([np.sin(turn) * np.sign(facing + 1e-9), np.cos(turn)], axis=-1)
            xy[..., joint, :] = xy[..., start, :] + length * step
    xy[..., 12, 1], xy[..., 14, 1] = -0.86, -1.0
    xy[..., 13, :] = np.stack([0.05 * facing, np.full_like(facing, -0.92)], axis=-1)
    return xy * build


def crossings(rng: Rng) -> Scene:
    """Six people walk to and fro, and turn now and then."""
    paths = []
    for _ in range(6):
        times, x, way = [0.0], [rng.uniform(-1.6, 1.6)], rng.choice([-1, 1])
        while times[-1] < 8:
            step, speed = rng.uniform(0.8, 2.5), rng.uniform(0.4, 0.9)
            x.append(float(np.clip(x[-1] + way * speed * step, -1.7, 1.7)))
            times.append(times[-1] + step)
            way = -way if abs(x[-1]) == 1.7 or rng.random() < 0.3 else way
        paths.append((np.array(times), np.array(x)))
    return _walkers(rng, "crossings", paths, 8)


def meetings(rng: Rng) -> Scene:
    """Three pairs walk towards each other, stand together, and pass, or turn back."""
    paths = []
    for middle in (-1.2, 0.0, 1.2):
        start, stay = rng.uniform(0.5, 2), rng.uniform(0.4, 1.5)
        apart, speed = rng.uniform(0, 0.15), rng.uniform(0.5, 0.9)
        turn = rng.random() < 0.5
        for side in (-1, 1):
            meet = start + 1 / speed
            x = [middle + side, middle + side, middle + side * apart]
            times = [0, start, meet, meet + stay, meet + stay + 1 / speed]
            paths.append((np.array(times), np.array([*x, x[-1], middle + (side if turn else -side)])))
    return _walkers(rng, "meetings", paths, 6)


def leavings(rng: Rng) -> Scene:
    """Five people walk about, leave the picture, and come back after about two seconds, on the same side."""
    paths = []
    for _ in range(5):
        times, x, side = [0.0], [rng.uniform(-1.4, 1.4)], rng.choice([-1, 1])
        while times[-1] < 12:
            speed = rng.uniform(0.6, 0.9)
            edge = 2.9 * side
            times += [times[-1] + abs(edge - x[-1]) / speed]
            times += [times[-1] + rng.uniform(0.2, 0.6)]
            inner = rng.uniform(-1.2, 1.2)
            x += [edge, edge, inner]
            times += [times[-1] + abs(edge - inner) / speed]
            side = -side if rng.random() < 0.5 else side
        paths.append((np.array(times), np.array(x)))
    return _walkers(rng, "leavings", paths, 12)


STORIES: dict[str, Callable[[Rng], Scene]] = {
    "drawn_crossings": crossings,
    "drawn_meetings": meetings,
    "drawn_leavings": leavings,
}
"""Drawn, by name."""
