"""The drawn clip: pictures with exact ground truth, and the files that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from posetrack_app.errors import UsageError
from posetrack_app.sample.body import Build, Part, pose_body
from posetrack_app.sample.paint import Texture, make_texture
from posetrack_app.sample.pillar import PILLAR_PLACE
from posetrack_app.sample.raycast import Cone, cast
from posetrack_app.sample.scenery import Backdrop, paint_backdrop
from posetrack_app.sample.shade import MELT, shade_person
from posetrack_app.sample.shadow import cast_shadows
from posetrack_app.sample.space import Camera, Real
from posetrack_app.sample.story import MOST_PEOPLE, Walk, path_of, walk
from posetrack_app.sample.truth import Layer, SampleTruth, View, observe
from posetrack_app.sample.wardrobe import Clothing, choose_person, dress
from posetrack_app.types import Frame

__all__ = ["SampleConfig", "SampleFrame", "draw"]

_WIDEST_TURN = np.radians(2.5)
_TURN_SECONDS = 8.0
_NEAREST_PERSON = 1.5  # metres; who is nearer is beside or behind the camera


@dataclass(frozen=True, slots=True)
class SampleConfig:
    """What to draw. The same settings give the same pictures."""

    seed: int = 0
    """Chooses people, clothes and the place; the story stays (see `posetrack_app.sample.story`)."""

    seconds: float = 10.0
    """Length of the clip; 0 gives no frame."""

    rate: int = 25
    """Frames a second."""

    width: int = 640
    """Pixels."""

    height: int = 360
    """Pixels."""

    people: int = 5
    """How many of the story's people take part, from A on; 0 leaves the place empty."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        for name, value, low, high in (
            ("seconds", self.seconds, 0, 3600),
            ("rate", self.rate, 1, 240),
            ("width", self.width, 32, 4096),
            ("height", self.height, 32, 4096),
            ("people", self.people, 0, MOST_PEOPLE),
        ):
            if not low <= value <= high:
                raise UsageError(f"sample: {name} is {value}, it must be from {low} to {high}")

    @property
    def frames(self) -> int:
        """Number of frames."""
        return round(self.seconds * self.rate)


@dataclass(frozen=True, slots=True, eq=False)
class SampleFrame:
    """One picture and what is true of it."""

    frame: Frame
    """The picture, at its time in the clip."""

    truth: SampleTruth
    """Everybody in it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Actor:
    """One person of the clip."""

    build: Build
    clothing: Clothing
    cones: tuple[Cone, ...]
    walk: Walk
    texture: Texture


def draw(config: SampleConfig) -> Iterator[SampleFrame]:
    """Draw the clip of `posetrack_app.sample.story`, frame by frame."""
    # One stream of chance for each subject: place, grain and first people are the same however many take part.
    for_place, for_people, for_grain = np.random.default_rng(config.seed).spawn(3)
    camera = _camera(config)
    backdrop = paint_backdrop(camera, widest_turn=_WIDEST_TURN, rng=for_place)
    actors = _choose_actors(config.people, for_people)
    grain = for_grain.normal(0.0, 1.8, (config.height + 64, config.width + 64, 3)).astype(np.float32)
    for index in range(config.frames):
        seconds = index / config.rate
        turned = _turned(camera, seconds)
        linear, truth = _draw_moment(actors, backdrop, turned, seconds)
        row, column = for_grain.integers(64, size=2)
        noisy = np.sqrt(np.clip(linear, 0, 1)) * np.float32(255)
        noisy += grain[row : row + config.height, column : column + config.width]
        image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        yield SampleFrame(Frame(index=index, pts=seconds, image=image), truth)


def _camera(config: SampleConfig) -> Camera:
    """The camera at rest: a person at 6 m is 0.56 of the picture high, whatever the picture's shape."""
    return Camera(
        width=config.width,
        height=config.height,
        focal=1.92 * config.height,
        elevation=1.5,
        pitch=np.radians(6.0),
    )


def _turned(camera: Camera, seconds: float) -> Camera:
    """The camera as it slowly looks left and right."""
    return replace(camera, yaw=_WIDEST_TURN * float(np.sin(2 * np.pi * seconds / _TURN_SECONDS)))


def _choose_actors(people: int, rng: np.random.Generator) -> list[_Actor]:
    texture = make_texture(rng)
    actors = []
    for index, own in enumerate(rng.spawn(people)):
        build, clothing = choose_person(own, index)
        way = walk(path_of(index, own), build, start_phase=float(own.uniform()))
        actors.append(_Actor(build, clothing, dress(build), way, texture))
    return actors


def _draw_moment(
    actors: Sequence[_Actor], backdrop: Backdrop, camera: Camera, seconds: float
) -> tuple[Real, SampleTruth]:
    """Linear colours (H, W, 3) of one moment, and the truth of it."""
    picture, column = backdrop.seen_by(camera)
    pillar_depth = float(camera.project(np.array([PILLAR_PLACE[0], 0.0, PILLAR_PLACE[1]]))[1])
    whole = (slice(0, camera.height), slice(0, camera.width))
    layers = [Layer(pillar_depth, whole, column[..., :3], column[..., 3])]
    views: list[View] = []
    posed = []
    for track_id, actor in enumerate(actors):
        step = actor.walk.at(seconds)
        bones = pose_body(actor.build, place=step.place, heading=step.heading, phase=step.phase, vigour=step.vigour)
        depth = float(camera.project(bones[Part.PELVIS].origin)[1])
        if depth < _NEAREST_PERSON:
            continue
        posed.append((actor.cones, bones))
        surface = cast(actor.cones, bones, camera, melt=MELT)
        if surface is None:
            continue
        shaded = shade_person(surface, actor.cones, bones, camera, actor.clothing, actor.texture)
        layers.append(Layer.of(surface, depth, *shaded))
        views.append(View(track_id, actor.build, actor.cones, bones, surface, layers[-1]))
    cast_shadows(picture, posed, camera)
    for layer in sorted(layers, key=lambda layer: -layer.depth):
        part = picture[layer.window]
        part *= 1 - layer.cover[..., None]
        part += layer.colour
    return picture, observe(views, layers, camera)
