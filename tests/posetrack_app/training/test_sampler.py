"""Batches out of photos, against what is drawn in the photos: dots where joints are, paint where nothing is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.skeleton import COCO17, Skeleton
from posetrack_app.errors import InputError, UsageError
from posetrack_app.training.augmentation import CELL, AugmentationConfig
from posetrack_app.training.photos import LabelledPhoto
from posetrack_app.training.pictures import draw_batch
from posetrack_app.training.rendering import PADDING
from posetrack_app.training.sampling import Batch, Sampler
from posetrack_app.training.storage import open_sampler
from posetrack_app.training.streaming import StreamSampler

PAIR = Skeleton(
    name="pair",
    joints=("left_hand", "right_hand"),
    limbs=((0, 1),),
    mirror_pairs=((0, 1),),
    sigmas=(0.1, 0.1),
    clusters={1: ((0, 1),)},
)
PLAIN = AugmentationConfig(brightness=0, contrast=0, saturation=0, grey=0)
STILL = replace(PLAIN, rotation_degrees=0, min_zoom=1, max_zoom=1, person_centred=0, mirror=0, mosaic=0)


def _photo(
    path: Path,
    image: npt.NDArray[np.uint8],
    *,
    skeleton: Skeleton = PAIR,
    xy: object = (),
    area: float = 100,
    boxes: object = (),
    box_joints: object = (),
    discs: object = (),
    disc_joints: object = (),
    source: str = "",
) -> LabelledPhoto:
    """Write an image (H, W, 3) RGB and say what is known of it."""
    cv2.imwrite(str(path), image[..., ::-1])
    K = len(skeleton.joints)
    places = np.array(xy, dtype=np.float32).reshape(-1, K, 2)
    return LabelledPhoto(
        path=path,
        width=image.shape[1],
        height=image.shape[0],
        source=source,
        xy=places,
        labelled=np.ones(places.shape[:2], dtype=bool),
        area=np.full(len(places), area, dtype=np.float32),
        boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        box_joints=np.array(box_joints, dtype=bool).reshape(-1, K),
        discs=np.array(discs, dtype=np.float32).reshape(-1, 3),
        disc_joints=np.array(disc_joints, dtype=bool).reshape(-1, K),
    )


def _dots(path: Path, seed: int) -> LabelledPhoto:
    """A green photo with a red dot where left hands are and a blue one where right hands are, of three people."""
    rng = np.random.default_rng(seed)
    width, height = rng.integers(90, 400, 2).tolist()
    # Apart from one another and from the edge, so that each dot is seen alone.
    corners = np.stack(np.meshgrid([0.2, 0.5, 0.8], [0.25, 0.75]), axis=-1).reshape(6, 2)
    xy = (rng.permutation(corners) * [width, height] + rng.uniform(-2, 2, (6, 2))).reshape(3, 2, 2)
    image = np.zeros((height, width, 3))
    down, across = np.mgrid[:height, :width]
    for person in xy:
        for channel, (x, y) in zip((0, 2), person, strict=True):
            image[..., 1] = 10 + 10 * seed
            image[..., channel] += 255 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * 2.5**2))
    return _photo(path, image.round().clip(0, 255).astype(np.uint8), xy=xy)


def _open(photos: list[LabelledPhoto], config: AugmentationConfig = PLAIN, **options: Any) -> Sampler:
    chosen: dict[str, Any] = {"skeleton": PAIR, "side": 96, "batch": 8, "seed": 5, "device": "cpu"}
    return open_sampler(photos, config, **(chosen | options))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for one another make small tensors slow where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledPhoto]:
    folder = tmp_path_factory.mktemp("dots")
    return [_dots(folder / f"{n}.png", n) for n in range(6)]


@pytest.mark.parametrize("mirror", [0.0, 1.0])
@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_dots_lie_where_labels_say(dots: list[LabelledPhoto], mirror: float, mosaic: float) -> None:
    """Cell c is pixel 4 c + 1.5, in photos that are shrunk, halved, turned and mirrored; and mirrored left is right."""
    sampler = _open(dots, replace(PLAIN, mirror=mirror, mosaic=mosaic, rotation_degrees=40), max_side=150, batch=16)
    errors = []
    reach = 9
    for step in range(6):
        batch = sampler.batch(step)
        for picture, person, joint in np.argwhere(batch.labels.labelled.numpy()):
            x, y = batch.labels.xy[picture, person, joint].numpy() * 4 + 1.5
            left, top = round(float(x)) - reach, round(float(y)) - reach
            around = batch.images[picture, :, max(top, 0) : top + 2 * reach + 1, max(left, 0) : left + 2 * reach + 1]
            colour = 0 if joint == mirror else 2
            seen = around[colour].numpy()
            whole = seen.shape == (2 * reach + 1,) * 2 and max(seen[[0, -1]].max(), seen[:, [0, -1]].max()) < 3
            if not whole or around[1].std() > 0.1:  # cut by an edge, by another photo, or with a neighbour
                continue
            assert seen.max() > 60, f"no dot of {PAIR.joints[joint]} near {x}, {y}"
            steps = np.arange(2 * reach + 1)
            centroid = left + seen.sum(0) @ steps / seen.sum(), top + seen.sum(1) @ steps / seen.sum()
            errors += [centroid[0] - x, centroid[1] - y]
    assert len(errors) > 100
    assert abs(np.mean(errors)) < 0.02
    # Now and then the other half of a mosaic shows the same photo, so that the cut is not seen.
    assert np.quantile(np.abs(errors), 0.98) < 0.12


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_unknown_cells_are_the_painted_ones(tmp_path: Path, mosaic: float, mirror: float) -> None:
    """A box painted red is unknown of left hands, a disc painted blue of right ones, and nothing else is."""
    photos = []
    for n, (width, height) in enumerate([(450, 300), (270, 420), (600, 520)]):
        image = np.zeros((height, width, 3), dtype=np.uint8)
        left, top, right, bottom = width // 5, height // 6, width // 2, height // 2
        image[top : bottom + 1, left : right + 1, 0] = 255
        down, across = np.mgrid[:height, :width]
        x, y, radius = 0.7 * width, 0.6 * height, 0.25 * height
        image[(across - x) ** 2 + (down - y) ** 2 <= radius**2, 2] = 255
        edges = [left - 0.5, top - 0.5, right + 0.5, bottom + 0.5]
        regions: dict[str, Any] = {"boxes": [edges], "discs": [[x, y, radius]]}
        photos.append(
            _photo(tmp_path / f"{n}.png", image, **regions, box_joints=[[True, False]], disc_joints=[[False, True]])
        )
    sampler = _open(photos, replace(PLAIN, mosaic=mosaic, mirror=mirror), max_side=600)
    compared = 0
    for step in range(4):
        batch = sampler.batch(step)
        padding = (batch.images == PADDING).all(dim=1, keepdim=True)
        seen = torch.where(padding, 0, batch.images)[:, [0, 2]] / 255
        seen = seen.flip(1) if mirror else seen
        # The middle of a cell lies between its four middle pixels.
        cells = torch.nn.functional.avg_pool2d(seen[..., 1:-1, 1:-1], 2, stride=CELL)
        sure = (cells < 0.15) | (cells > 0.85)
        assert torch.equal(batch.labels.unknown[sure], cells[sure] > 0.5)
        compared += int(sure.sum())
        assert batch.labels.unknown.any()
    assert compared > 0.9 * 4 * 8 * 2 * 24 * 24


def test_unknown_joints_are_known_around_labels(tmp_path: Path) -> None:
    """A label in a crowd counts: its map is known around it, those of other joints are not."""
    image = np.zeros((96, 96, 3), dtype=np.uint8)
    photo = _photo(
        tmp_path / "a.png", image, xy=[[[41.5, 41.5], [60, 60]]], boxes=[[0, 0, 95, 95]], box_joints=[[True, True]]
    )
    unknown = _open([replace(photo, labelled=np.array([[True, False]]))], STILL, batch=1).batch(0).labels.unknown[0]
    expected = torch.ones(2, 24, 24, dtype=torch.bool)
    expected[0, 7:14, 7:14] = False  # 41.5 is cell 10
    assert torch.equal(unknown, expected)


def test_a_photo_of_the_right_size_is_left_as_it_is(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    photo = _photo(tmp_path / "a.png", image, xy=[[[1.5, 61.5], [95.6, 3]]], area=64)
    batch = _open([photo], STILL, side=(96, 64), batch=2).batch(3)
    for picture in batch.images:
        np.testing.assert_allclose(picture.permute(1, 2, 0).numpy(), image, atol=0.01)
    assert batch.labels.xy[0, 0, 0].tolist() == [0, 15]
    assert batch.labels.labelled[0, 0].tolist() == [True, False]  # the other is beyond the last pixel
    assert batch.labels.size[0].tolist() == [2]
    assert batch.labels.unknown.shape == (2, 2, 16, 24)
    assert not batch.labels.unknown.any()


def test_pictures_are_not_laid_by_people_without_labels(tmp_path: Path) -> None:
    """The only one of three who has a label is in the middle of each picture; the others have nothing but zeros."""
    image = np.zeros((400, 400, 3), dtype=np.uint8)
    photo = _photo(tmp_path / "a.png", image, xy=[[[0, 0], [0, 0]], [[260, 240], [0, 0]], [[0, 0], [0, 0]]])
    photo = replace(photo, labelled=np.array([[False, False], [True, False], [False, False]]))
    config = replace(STILL, min_zoom=4, max_zoom=4, person_centred=1, shift=0)
    alone = replace(photo, xy=photo.xy[1:2], labelled=photo.labelled[1:2], area=photo.area[1:2])
    batch, wanted = (_open([one], config, batch=32).batch(0) for one in (photo, alone))
    assert batch.labels.labelled.tolist() == [[[True, False]]] * 32
    np.testing.assert_allclose(batch.labels.xy[:, 0, 0], 11.5, atol=1e-4)  # of 24 cells
    assert _equal(batch, wanted)
    nobody = replace(photo, labelled=np.zeros_like(photo.labelled))
    assert _open([nobody], config, batch=2).batch(0).labels.labelled.shape == (2, 0, 2)


def test_colours(tmp_path: Path) -> None:
    """Grey pictures have no colour; brightness and contrast leave the order of pixels; empty parts stay grey."""
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    photo = _photo(tmp_path / "a.png", image)
    grey = _open([photo], replace(STILL, grey=1), side=64).batch(0).images
    luma = image @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey.numpy(), np.broadcast_to(luma, grey.shape), atol=0.02)
    changed = _open([photo], replace(STILL, brightness=0.3, contrast=0.3), side=64, batch=32).batch(0).images
    means = changed.mean(dim=(1, 2, 3))
    assert means.std() > 5
    assert changed.min() >= 0
    assert changed.max() <= 255
    flat = changed.permute(0, 2, 3, 1).reshape(32, -1)[:, np.argsort(image.ravel(), kind="stable")]
    assert (flat.diff(dim=1) > -0.01).all()
    small = _open([photo], replace(STILL, min_zoom=0.5, max_zoom=0.5, brightness=0.3), side=64).batch(0).images
    padding = (small == PADDING).all(dim=1).float().mean(dim=(1, 2))
    np.testing.assert_allclose(padding, 0.75, atol=0.02)


def test_shrinking_does_not_alias(tmp_path: Path) -> None:
    """A pattern of black and white pixels becomes grey, not stripes, however much it is shrunk."""
    board = (np.indices((640, 640)).sum(axis=0) % 2 * 255).astype(np.uint8)
    photo = _photo(tmp_path / "a.png", np.repeat(board[..., None], 3, axis=2))
    config = replace(STILL, rotation_degrees=10, min_zoom=0.5, max_zoom=0.7)
    images = _open([photo], config, side=160, max_side=640, batch=4).batch(0).images
    inside = images[:, :, 60:100, 60:100]
    assert inside.std() < 2
    assert abs(inside.mean() - 127.5) < 1


def test_full_pictures(tmp_path: Path) -> None:
    """Photos that are not turned and large enough fill their pictures, also as parts of mosaics."""
    photos = [
        _photo(tmp_path / f"{n}.png", np.full((*shape, 3), 255, dtype=np.uint8), xy=[[[9, 9], [70, 50]]])
        for n, shape in enumerate([(60, 200), (160, 90), (80, 80)])
    ]
    sampler = _open(photos, replace(PLAIN, rotation_degrees=0, min_zoom=1.9, max_zoom=3, mosaic=0.5, shift=1), batch=32)
    assert (sampler.batch(0).images > 254).all()


def _equal(a: Batch, b: Batch) -> bool:
    pairs = [(a.images, b.images), *((getattr(a.labels, f), getattr(b.labels, f)) for f in a.labels.__slots__)]
    return all(torch.equal(one, other) for one, other in pairs)


def test_batches_are_decided_by_seed_and_step(dots: list[LabelledPhoto]) -> None:
    config = AugmentationConfig()
    sampler = _open(dots, config)
    later = sampler.batch(7)
    sampler.batch(2)
    assert _equal(sampler.batch(7), later)
    assert _equal(_open(dots, config).batch(7), later)
    assert not torch.equal(sampler.batch(8).images, later.images)
    assert not torch.equal(_open(dots, config, seed=6).batch(7).images, later.images)


@pytest.mark.parametrize("storage", ["device", "stream"])
def test_processes_share_a_batch(dots: list[LabelledPhoto], storage: str) -> None:
    """Their parts, one after another, are the batch of one process."""
    sampler = _open(dots, AugmentationConfig(), storage=storage)
    whole = sampler.batch(3)
    parts = [sampler.batch(3, rank=rank, world=4) for rank in range(4)]
    images = torch.cat([part.images for part in parts])
    torch.testing.assert_close(images, whole.images)
    for field in whole.labels.__slots__:
        together = torch.cat([getattr(part.labels, field) for part in parts])
        assert torch.equal(together, getattr(whole.labels, field)), field
    with pytest.raises(ValueError, match="a batch of 8 cannot be shared by 3"):
        sampler.batch(3, world=3)
    sampler.close()


def test_stream_gives_the_same(dots: list[LabelledPhoto]) -> None:
    """Also where steps are asked for in another order, or twice."""
    config = AugmentationConfig(mosaic=0.5)
    stored, stream = (_open(dots, config, storage=storage) for storage in ("device", "stream"))
    for step in (0, 1, 2, 9, 9, 3):
        assert _equal(stored.batch(step), stream.batch(step))
    stored.close()
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        stored.batch(0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("storage", ["device", "stream"])
def test_gpu_gives_the_same(dots: list[LabelledPhoto], storage: str) -> None:
    here, there = _open(dots, AugmentationConfig()), _open(dots, AugmentationConfig(), device="cuda", storage=storage)
    for step in range(3):
        ours, theirs = here.batch(step), there.batch(step)
        assert theirs.images.device.type == theirs.labels.unknown.device.type == "cuda"
        assert (ours.images - theirs.images.cpu()).abs().mean() < 0.01
        torch.testing.assert_close(ours.labels.xy, theirs.labels.xy.cpu())
        assert (ours.labels.unknown != theirs.labels.unknown.cpu()).float().mean() < 1e-3
    there.close()


@pytest.mark.parametrize("skeleton", [COCO17, replace(PAIR, joints=("left_hand",), mirror_pairs=(), limbs=())])
def test_nobody(tmp_path: Path, skeleton: Skeleton) -> None:
    photos = [_photo(tmp_path / "a.png", np.zeros((3, 1, 3), dtype=np.uint8), skeleton=skeleton)]
    batch = _open(photos, AugmentationConfig(), skeleton=skeleton, side=(8, 4), batch=3).batch(0)
    K = len(skeleton.joints)
    assert batch.images.shape == (3, 3, 4, 8)
    assert batch.labels.xy.shape == (3, 0, K, 2)
    assert batch.labels.labelled.shape == (3, 0, K)
    assert batch.labels.size.shape == (3, 0)
    assert batch.labels.unknown.shape == (3, K, 1, 2)


def test_memory_decides(dots: list[LabelledPhoto]) -> None:
    told: list[tuple[int, int]] = []
    _open(dots, progress=lambda done, total: told.append((done, total)))
    assert told == [(n + 1, 6) for n in range(6)]
    sampler = _open(dots, memory_share=0)
    assert isinstance(sampler, StreamSampler)
    sampler.close()
    with pytest.raises(UsageError, match=r"6 photos take .* GB of the .* GB that cpu has free: storage 'stream'"):
        _open(dots, storage="device", memory_share=0)
    with pytest.raises(UsageError, match="98 x 98 pixels: sides must be multiples of 4"):
        _open(dots, side=98)
    with pytest.raises(UsageError, match="there is no photo to train on"):
        _open([])


@pytest.mark.parametrize("storage", ["device", "stream"])
def test_broken_photos_are_named(tmp_path: Path, storage: str) -> None:
    good = _photo(tmp_path / "a.png", np.zeros((20, 30, 3), dtype=np.uint8))
    larger = replace(good, width=31)
    (tmp_path / "b.png").write_bytes(b"no picture")
    (tmp_path / "c.png").write_bytes(b"")
    for photo, says in [
        (larger, r"photo .*a\.png is 30 x 20 pixels, its annotations say 31 x 20"),
        (replace(good, path=tmp_path / "b.png"), r"photo .*b\.png cannot be read as a picture"),
        (replace(good, path=tmp_path / "c.png"), r"photo .*c\.png cannot be read as a picture"),
        (replace(good, path=tmp_path / "d.png"), r"photo .*d\.png cannot be read: No such file"),
    ]:
        with pytest.raises(InputError, match=says):
            _open([good, photo], storage=storage).batch(0)


def test_drawn_for_the_eye(dots: list[LabelledPhoto]) -> None:
    """The sheet holds the pictures, with left joints in orange where they are."""
    batch = _open(dots, STILL).batch(0)
    sheet = draw_batch(batch, PAIR, columns=2, most=3)
    assert sheet.shape == (200, 200, 3)
    x, y = (batch.labels.xy[0, 0, 0] * 4 + 1.5).round().int().tolist()
    assert sheet[y, x].tolist() == [255, 170, 0]
    assert (sheet[:96, 96:100] == 255).all()
