"""How training changes photos: settings, and what is drawn by chance for the photos of a batch.

Letters: B batch, V views: one photo laid into one picture. A picture of a batch has one view or two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CELL", "AugmentationConfig", "Views", "draw_views"]

CELL = 4
"""Pixels of a picture for each cell of the network's maps."""

_CUT = (0.35, 0.65)
"""Where a picture is cut in two, as a share of its side."""

_LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey (ITU-R BT.601)."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AugmentationConfig:
    """How far photos are turned, scaled, moved and coloured."""

    rotation_degrees: float = 25.0
    """Photos are turned by up to so much to either side. At 0 people who lean are learnt only as they were
    photographed; when too high, the corners of pictures are empty, and what is above and below is no help."""

    min_zoom: float = 0.6
    """Smallest size of a photo, where at 1 it is as large as the picture, pixel for pixel of their areas; sizes are
    drawn evenly on a logarithmic scale. Above 0. When too low much of the picture is empty and people are too small to
    be seen; at `max_zoom` photos have one size."""

    max_zoom: float = 1.8
    """Largest size. When too high only parts of people are seen; at `min_zoom` photos have one size."""

    person_centred: float = 0.7
    """Share of photos that are laid so that one of their people is near the middle. At 0 large photos are often seen
    where nobody is; at 1 there is somebody in nearly every picture, and what is no person is learnt too little."""

    shift: float = 0.2
    """How far from the middle that person may be, as a share of the picture's side. At 0 the middle itself is a hint
    that somebody is there; when too high, people are outside as if `person_centred` were 0."""

    mirror: float = 0.5
    """Share of photos that are mirrored. At 0 and at 1 half of what may be learnt is left out."""

    brightness: float = 0.25
    """Pixels are multiplied by 1, more or less up to this. At 0 dark videos suffer; when too high, pictures are black
    or white."""

    contrast: float = 0.25
    """The same for distances from middle grey. At 0 hazy videos suffer; when too high, pictures are flat or white."""

    saturation: float = 0.4
    """The same for distances from each pixel's own grey. At 0 unusual light suffers; when too high, skin is green."""

    grey: float = 0.05
    """Share of pictures without colour. At 0 black and white videos suffer; when too high colours are not learnt."""

    mosaic: float = 0.35
    """Share of pictures of which a part shows a second photo. At 0 photos of one person teach nothing about telling
    people apart; when too high most people are cut."""

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        if not 0 < self.min_zoom <= self.max_zoom:
            raise ValueError(f"min_zoom {self.min_zoom} must be above 0 and at most max_zoom {self.max_zoom}")
        for name in ("person_centred", "mirror", "grey", "mosaic"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} must be from 0 to 1")


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What of which photo is seen where in the pictures of a batch. The first B views lie below the others."""

    picture: npt.NDArray[np.intp]
    """(V,): the picture of the batch; 0, 1, ... B - 1 of the first B views."""

    photo: npt.NDArray[np.intp]
    """(V,): the photo."""

    forward: Floats
    """(V, 2, 3): from pixels of the photo to pixels of the picture; both count from the centre of the first."""

    backward: Floats
    """(V, 2, 3): the way back."""

    scale: Floats
    """(V,): pixels of the picture for each pixel of the photo."""

    mirrored: npt.NDArray[np.bool_]
    """(V,): left is right."""

    window: npt.NDArray[np.int64]
    """(V, 4): left, top, right, bottom, the part of the picture where the view is; pixels, multiples of `CELL`, the
    last two excluded."""

    colour: Floats
    """(B, 3, 4): red, green and blue (0..255) of a picture out of those of its photos and 1."""

    def part(self, start: int, stop: int) -> Views:
        """The views of some of the pictures, which are numbered from 0 again."""
        mine = (self.picture >= start) & (self.picture < stop)
        return Views(
            picture=self.picture[mine] - start,
            photo=self.photo[mine],
            forward=self.forward[mine],
            backward=self.backward[mine],
            scale=self.scale[mine],
            mirrored=self.mirrored[mine],
            window=self.window[mine],
            colour=self.colour[start:stop],
        )


def draw_views(
    rng: np.random.Generator,
    config: AugmentationConfig,
    *,
    photos: npt.NDArray[np.intp],
    seconds: npt.NDArray[np.intp],
    photo_size: npt.NDArray[np.int64],
    centres: Floats,
    first_centre: npt.NDArray[np.int64],
    size: tuple[int, int],
) -> Views:
    """What is seen of the photos of a batch.

    Args:
        rng: where chance comes from.
        config: how far photos are changed.
        photos: (B,): the photo of each picture.
        seconds: (B,): the photo of its other part, where it becomes a mosaic.
        photo_size: (P, 2): width and height of all photos, pixels.
        centres: (T, 2): middles of all people, pixels of their photo, in the order of the photos.
        first_centre: (P + 1,): where the people of each photo begin in `centres`.
        size: width and height of the pictures, multiples of `CELL`.
    """
    B = len(photos)
    is_mosaic = rng.random(B) < config.mosaic
    window = _windows(rng, is_mosaic, size)
    photo = np.concatenate([photos, seconds])
    mirrored = rng.random(2 * B) < config.mirror
    zoom = np.exp(rng.uniform(math.log(config.min_zoom), math.log(config.max_zoom), 2 * B))
    scale = zoom * np.sqrt(math.prod(size) / photo_size[photo].prod(axis=1))
    turned = np.radians(rng.uniform(-1, 1, 2 * B) * config.rotation_degrees)
    linear = _linear(scale, turned, mirrored)
    middle = _middles(rng, config, photo, photo_size, centres, first_centre, linear, scale, window)
    offset = middle - np.einsum("vij,vj->vi", linear, (photo_size[photo] - 1) / 2)
    backward = np.linalg.inv(linear)
    kept = np.concatenate([np.ones(B, dtype=bool), is_mosaic])
    return Views(
        picture=np.tile(np.arange(B), 2)[kept],
        photo=photo[kept],
        forward=np.concatenate([linear, offset[..., None]], axis=2)[kept],
        backward=np.concatenate([backward, -(backward @ offset[..., None])], axis=2)[kept],
        scale=scale[kept],
        mirrored=mirrored[kept],
        window=window[kept],
        colour=_colours(rng, config, B),
    )


def _windows(
    rng: np.random.Generator, is_mosaic: npt.NDArray[np.bool_], size: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """(2 B, 4): the parts of each picture; the second is of use only in a mosaic."""
    B = len(is_mosaic)
    axis = rng.integers(0, 2, B)
    side = np.array(size)[axis]
    cut = np.round(side * rng.uniform(*_CUT, B) / CELL).astype(np.int64) * CELL
    rows = np.arange(B)
    before = np.tile(np.array([0, 0, *size]), (B, 1))
    after = before.copy()
    before[rows, 2 + axis] = cut
    after[rows, axis] = cut
    swapped = (rng.random(B) < 0.5)[:, None]
    first = np.where(swapped, after, before)
    first[~is_mosaic] = 0, 0, *size
    return np.concatenate([first, np.where(swapped, before, after)])


def _linear(scale: Floats, turned: Floats, mirrored: npt.NDArray[np.bool_]) -> Floats:
    """(2 B, 2, 2): mirror, then turn, then scale."""
    cosine, sine = scale * np.cos(turned), scale * np.sin(turned)
    sign = np.where(mirrored, -1.0, 1.0)
    return np.stack([sign * cosine, -sine, sign * sine, cosine], axis=1).reshape(-1, 2, 2)


def _middles(
    rng: np.random.Generator,
    config: AugmentationConfig,
    photo: npt.NDArray[np.intp],
    photo_size: npt.NDArray[np.int64],
    centres: Floats,
    first_centre: npt.NDArray[np.int64],
    linear: Floats,
    scale: Floats,
    window: npt.NDArray[np.int64],
) -> Floats:
    """(2 B, 2): where the middle of each photo comes to lie, pixels of the picture.

    Unless it is turned, a photo that is larger than its window fills it, and a smaller one lies within.
    """
    V = len(photo)
    chance = rng.random((V, 2))  # is it laid by a person, and by which
    shift = rng.uniform(-1, 1, (V, 2)) * config.shift
    anywhere = rng.uniform(-0.5, 0.5, (V, 2))
    room = (window[:, 2:] - window[:, :2]).astype(np.float64)
    slack = np.abs(scale[:, None] * photo_size[photo] - room)
    move = anywhere * slack
    people = first_centre[photo + 1] - first_centre[photo]
    by_person = np.flatnonzero((chance[:, 0] < config.person_centred) & (people > 0))
    person = first_centre[photo[by_person]] + (chance[by_person, 1] * people[by_person]).astype(np.int64)
    from_middle = centres[person] - (photo_size[photo[by_person]] - 1) / 2
    wanted = shift[by_person] * room[by_person] - np.einsum("vij,vj->vi", linear[by_person], from_middle)
    move[by_person] = wanted.clip(-slack[by_person] / 2, slack[by_person] / 2)
    return (window[:, :2] + window[:, 2:] - 1) / 2 + move


def _colours(rng: np.random.Generator, config: AugmentationConfig, B: int) -> Floats:
    """(B, 3, 4): saturation, then contrast, then brightness."""
    change = rng.uniform(-1, 1, (3, B)) * [[config.saturation], [config.contrast], [config.brightness]]
    saturation, contrast, brightness = (1 + change).clip(0)[..., None, None]
    saturation = np.where((rng.random(B) < config.grey)[:, None, None], 0, saturation)
    colour = saturation * np.eye(3) + (1 - saturation) * np.array(_LUMA)
    offset = np.broadcast_to(127.5 * (1 - contrast), (B, 3, 1))
    changed: Floats = np.concatenate([colour * contrast, offset], axis=2) * brightness
    return changed
