"""From pixels of photos and labels to the pictures and maps of a batch, on the device.

Letters: B batch, V views (see `augmentation`), K joints, H W height and width, T regions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.targets import Labels
from posetrack_app.training.augmentation import CELL, Views
from posetrack_app.training.decoding import Pixels
from posetrack_app.training.labels import People, Regions
from posetrack_app.training.sampling import Batch

__all__ = ["PADDING", "halvings", "render_batch", "render_pictures", "render_unknown"]

PADDING = 127
"""What is seen outside of photos, as in the estimator."""

_SHARPNESS = 0.25
"""Photos are halved from 2 ** (1 - this) on, so a little before 2, beyond which bilinear sampling leaves out pixels;
much earlier, what is left of the photo would be enlarged and blurred."""

_PEAK = 3
"""Cells to each side of a labelled joint in which its map is known: two widths of the usual peak."""

_AT_ONCE = {"cpu": 1 << 18, "cuda": 1 << 24}
"""Pixels, and tests of cells, that go through together: what fits into the cache, or is no burden to the memory."""


def halvings(shrink: npt.NDArray[np.float64] | float) -> npt.NDArray[np.int64]:
    """How often a photo is to be halved before it is shrunk by bilinear sampling.

    >>> halvings(np.array([0.5, 1, 1.6, 1.7, 3.3, 3.4])).tolist()
    [0, 0, 0, 1, 1, 2]
    """
    return np.floor(np.log2(np.maximum(shrink, 1)) + _SHARPNESS).astype(np.int64)


def render_batch(
    pixels: Pixels,
    rows: npt.NDArray[np.intp],
    *,
    views: Views,
    photo_size: npt.NDArray[np.int64],
    people: People,
    boxes: Regions,
    discs: Regions,
    size: tuple[int, int],
) -> Batch:
    """The batch that views show.

    Args:
        pixels: where the pixels of the photos are, on the device.
        rows: (V,): which photo of `pixels` each view shows.
        views: what is seen where.
        photo_size: (V, 2): width and height that the labels of each view's photo count in, pixels.
        people: the people of the pictures.
        boxes: boxes where nothing is known.
        discs: discs where nothing is known.
        size: width and height of the pictures, pixels.
    """
    device = pixels.flat.device
    unknown = render_unknown(boxes, discs, views=views, photo_size=photo_size, size=size, device=device)
    _clear_peaks(unknown, people)
    return Batch(
        images=render_pictures(pixels, rows, views=views, photo_size=photo_size, size=size),
        labels=Labels(
            xy=torch.from_numpy(people.xy).to(device),
            labelled=torch.from_numpy(people.labelled).to(device),
            size=torch.from_numpy(people.size).to(device),
            unknown=unknown,
        ),
    )


def render_pictures(
    pixels: Pixels,
    rows: npt.NDArray[np.intp],
    *,
    views: Views,
    photo_size: npt.NDArray[np.int64],
    size: tuple[int, int],
) -> Tensor:
    """float32 (B, 3, H, W), RGB 0..255."""
    device = pixels.flat.device
    W, H = size
    B = len(views.colour)
    shrink = pixels.size[rows, 0].max(axis=1) / photo_size.max(axis=1) / views.scale
    level = np.minimum(halvings(shrink), pixels.size.shape[1] - 1)
    stored = pixels.size[rows, level]
    ratio = stored / photo_size
    # Pixels count from the centre of the first: (x + 1/2) / width is the same place at every size.
    backward = views.backward * ratio[..., None]
    backward[..., 2] += 0.5 * ratio - 0.5
    start = pixels.start[rows, level]
    images = torch.empty((B, 3, H, W), device=device)
    together = max(1, _AT_ONCE.get(device.type, 1 << 24) // (W * H))
    for first in range(0, B, together):
        last = min(first + together, B)
        mine = (views.picture >= first) & (views.picture < last)
        images[first:last] = _pictures(
            pixels.flat,
            picture=views.picture[mine] - first,
            window=views.window[mine],
            backward=_to(backward[mine], device, torch.float32),
            start=_to(start[mine], device, torch.int64),
            stored=_to(stored[mine], device, torch.int64),
            colour=_to(views.colour[first:last], device, torch.float32),
            size=size,
        )
    return images


def _pictures(
    flat: Tensor,
    *,
    picture: npt.NDArray[np.intp],
    window: npt.NDArray[np.int64],
    backward: Tensor,
    start: Tensor,
    stored: Tensor,
    colour: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """(B, 3, H, W) of a few pictures; `backward` (V, 2, 3) leads to pixels of the level that is used."""
    W, H = size
    B = len(colour)
    x, y = _places(backward, torch.arange(W, device=flat.device), torch.arange(H, device=flat.device))
    width, height = stored[:, 0, None, None], stored[:, 1, None, None]
    outside = (x < -0.5) | (x >= width - 0.5) | (y < -0.5) | (y >= height - 0.5)  # (V, H, W)
    x = x.clamp(min=0).minimum(width - 1)
    y = y.clamp(min=0).minimum(height - 1)
    left, top = x.floor(), y.floor()
    right_weight, lower_weight = x - left, y - top
    left, top = left.long(), top.long()
    corner = start[:, None, None] + top * width + left
    right = (left < width - 1).long()  # in the last column and row the weight is 0, but the index must be valid
    below = torch.where(top < height - 1, width, 0)
    layers = [corner, right, below, right_weight, lower_weight, outside]
    corner, right, below, right_weight, lower_weight, outside = (_laid(layer, picture, window, B) for layer in layers)
    upper = torch.lerp(_gather(flat, corner), _gather(flat, corner + right), right_weight[:, None])
    lower = torch.lerp(_gather(flat, corner + below), _gather(flat, corner + below + right), right_weight[:, None])
    seen = torch.lerp(upper, lower, lower_weight[:, None]).view(B, 3, H * W)
    coloured = torch.baddbmm(colour[..., 3:], colour[..., :3], seen).view(B, 3, H, W).clamp_(0, 255)
    return coloured.masked_fill_(outside[:, None], PADDING)


def render_unknown(
    boxes: Regions,
    discs: Regions,
    *,
    views: Views,
    photo_size: npt.NDArray[np.int64],
    size: tuple[int, int],
    device: torch.device,
) -> Tensor:
    """Bool (B, K, H, W) in cells: those whose centre lies in a box or disc of a joint; outside of photos nothing is
    unknown, as nobody can be there.
    """
    W, H = size[0] // CELL, size[1] // CELL
    B, V, K = len(views.colour), len(views.photo), boxes.joints.shape[1]
    backward = _to(views.backward, device, torch.float32)
    column, row = (torch.arange(n, device=device) * CELL + (CELL - 1) / 2 for n in (W, H))
    x, y = (places.reshape(V, H * W) for places in _places(backward, column, row))
    count = torch.zeros((V, K, H * W), device=device)  # how many regions hold a cell
    together = max(1, _AT_ONCE.get(device.type, 1 << 24) // (H * W))
    for first in range(0, len(boxes.view), together):
        some = slice(first, first + together)
        view, shape = _to(boxes.view[some], device, torch.int64), _to(boxes.shape[some, :, None], device, torch.float32)
        across, down = x[view], y[view]
        inside = (across >= shape[:, 0]) & (across <= shape[:, 2]) & (down >= shape[:, 1]) & (down <= shape[:, 3])
        _count(count, inside, boxes.view[some], boxes.joints[some])
    for first in range(0, len(discs.view), together):
        some = slice(first, first + together)
        view, shape = _to(discs.view[some], device, torch.int64), _to(discs.shape[some, :, None], device, torch.float32)
        inside = (x[view] - shape[:, 0]) ** 2 + (y[view] - shape[:, 1]) ** 2 <= shape[:, 2] ** 2
        _count(count, inside, discs.view[some], discs.joints[some])
    width, height = (_to(side[:, None], device, torch.float32) for side in photo_size.T)
    photo = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    unknown = ((count > 0) & photo[:, None]).view(V, K, H, W)
    return _laid(unknown, views.picture, views.window // CELL, B)


def _clear_peaks(unknown: Tensor, people: People) -> None:
    """Around a joint that is labelled the map is known, whoever's region it lies in."""
    H, W = unknown.shape[2:]
    picture, person, joint = np.nonzero(people.labelled)
    x, y = np.round(people.xy[picture, person, joint]).astype(np.int64).T
    around = np.arange(-_PEAK, _PEAK + 1)
    across, down = np.broadcast_arrays(x[:, None, None] + around, y[:, None, None] + around[:, None])
    inside = np.nonzero((across >= 0) & (across < W) & (down >= 0) & (down < H))
    cells = ((picture * unknown.shape[1] + joint)[inside[0]] * H + down[inside]) * W + across[inside]
    unknown.view(-1)[_to(cells, unknown.device, torch.int64)] = False


def _places(backward: Tensor, column: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
    """X and y (V, H, W) in the photo of columns (W,) and rows (H,) of the picture."""
    across = backward[:, :, 0, None] * column  # (V, 2, W)
    down = backward[:, :, 1, None] * row + backward[:, :, 2, None]  # (V, 2, H)
    places = across[:, :, None, :] + down[..., None]
    return places[:, 0], places[:, 1]


def _gather(flat: Tensor, index: Tensor) -> Tensor:
    """float32 (B, 3, H, W): red, green and blue at places (B, H, W)."""
    packed = flat.index_select(0, index.reshape(-1)).view(index.shape)
    shift = torch.tensor([0, 8, 16], dtype=torch.int32, device=flat.device)[:, None, None]
    return ((packed[:, None] >> shift) & 255).float()


def _laid(layer: Tensor, picture: npt.NDArray[np.intp], window: npt.NDArray[np.int64], B: int) -> Tensor:
    """(B, ..., H, W) out of views (V, ..., H, W): the first B; in their place, windows of others over them."""
    if len(layer) == B:
        return layer
    H, W = layer.shape[-2:]
    column, row = torch.arange(W, device=layer.device), torch.arange(H, device=layer.device)[:, None]
    over = _to(window[B:], layer.device, torch.int64)[:, :, None, None]
    inside = (column >= over[:, 0]) & (column < over[:, 2]) & (row >= over[:, 1]) & (row < over[:, 3])
    inside = inside.view(len(inside), *(1,) * (layer.dim() - 3), H, W)
    under = layer[:B]
    which = _to(picture[B:], layer.device, torch.int64)
    under[which] = torch.where(inside, layer[B:], under[which])
    return under


def _count(count: Tensor, inside: Tensor, view: npt.NDArray[np.intp], joints: npt.NDArray[np.bool_]) -> None:
    """Add regions, as cells (T, H * W) that they hold, to the joints (T, K) that they are about."""
    held = inside.float()
    for joint in np.flatnonzero(joints.any(axis=0)).tolist():
        rows = np.flatnonzero(joints[:, joint])
        which = held if len(rows) == len(held) else held[_to(rows, count.device, torch.int64)]
        count[:, joint].index_add_(0, _to(view[rows], count.device, torch.int64), which)


def _to(values: npt.NDArray[np.generic], device: torch.device, kind: torch.dtype) -> Tensor:
    """An array on the device."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(kind).to(device)
