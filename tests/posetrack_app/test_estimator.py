"""Frames in, people out: places come back to the pixel, and neither batch nor neighbours change a result."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.cluster_net import ClusterNetConfig
from models.skeleton import COCO17
from posetrack_app.appearance import SIZE, looks
from posetrack_app.engines import OfMaps, TorchEngine, Wait
from posetrack_app.errors import DeviceError, WeightsError
from posetrack_app.estimator import PoseEstimator
from posetrack_app.sample import SampleConfig, draw
from posetrack_app.types import Frame, Poses

_BODY = np.array(
    [(0, 0), (1, -1), (-1, -1), (2, 0), (-2, 0), (4, 6), (-4, 6), (6, 12), (-6, 12), (6, 17), (-6, 17),
     (2, 18), (-2, 18), (3, 27), (-3, 27), (3, 36), (-3, 36)], dtype=float,
) / 6  # fmt: skip
"""A person about their nose, in cells; small, so that it fits into any picture."""


class BlobEngine:
    """Sees a person whose nose is at the centre of the red in the picture; padding is grey and has none."""

    beside = False

    def __init__(self) -> None:
        self.config = ClusterNetConfig(name="blob", depth=3, sparse=(17,))
        self.shapes: list[tuple[int, ...]] = []

    def begin(self, images: npt.NDArray[np.uint8], *, mirror: bool, then: OfMaps) -> Wait:
        self.shapes.append(images.shape)
        B, height, width = images.shape[:3]
        red = images[..., 0].astype(float) - images[..., 1]
        rows, columns = np.mgrid[: height // 4, : width // 4]
        heatmaps = np.zeros((B, 17, height // 4, width // 4), dtype=np.float32)
        for number in range(B):
            total = red[number].sum()
            if total > 0:
                x = (red[number].sum(axis=0) * np.arange(width)).sum() / total
                y = (red[number].sum(axis=1) * np.arange(height)).sum() / total
                # A cell is four pixels: the centre of the first is at pixel 1.5.
                places = _BODY + [(x - 1.5) / 4, (y - 1.5) / 4]
                for joint, (px, py) in enumerate(places):
                    heatmaps[number, joint] = np.exp(-((columns - px) ** 2 + (rows - py) ** 2) / (2 * 1.5**2))
        found = then(torch.from_numpy(heatmaps), torch.zeros(B, 1, *heatmaps.shape[1:])).numpy()
        return lambda: found

    def describe(self) -> dict[str, str]:
        return {"engine": "blob", "device": "cpu", "precision": "float32"}


def with_blob(width: int, height: int, x: float, y: float, *, index: int = 0) -> Frame:
    """A frame with a soft red blob around a place, wide enough to survive shrinking."""
    sigma = 0.05 * min(width, height)
    rows, columns = np.mgrid[:height, :width]
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[..., 0] = np.rint(255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)))
    return Frame(index=index, pts=0.0, image=image)


@pytest.mark.parametrize(
    ("width", "height"),
    [(640, 427), (333, 999), (1001, 777), (2400, 301), (211, 1603), (1280, 720), (97, 61), (256, 256), (257, 255),
     (1080, 1920), (2704, 1520), (1536, 770)],
)  # fmt: skip
@pytest.mark.parametrize("place", [(0.3, 0.4), (0.71, 0.25), (0.5, 0.6)])
def test_a_place_comes_back_to_a_tenth_of_a_pixel(width: int, height: int, place: tuple[float, float]) -> None:
    x, y = place[0] * width + 0.37, place[1] * height + 0.21
    (poses,) = PoseEstimator(engine=BlobEngine()).estimate([with_blob(width, height, x, y)])
    assert len(poses) == 1
    np.testing.assert_allclose(poses.xy[0, 0], (x, y), atol=0.1)


class SimulatedGPU(BlobEngine):
    """Works beside the processor: so long for each batch and each picture in it; its memory holds `room` of them."""

    beside = True

    def __init__(self, *, batch_seconds: float, picture_seconds: float, room: int = 1000) -> None:
        super().__init__()
        self.batch_seconds, self.picture_seconds, self.room = batch_seconds, picture_seconds, room

    def begin(self, images: npt.NDArray[np.uint8], *, mirror: bool, then: OfMaps) -> Wait:
        self.shapes.append(images.shape)
        if len(images) > self.room:
            raise torch.OutOfMemoryError
        done = time.perf_counter() + self.batch_seconds + self.picture_seconds * len(images)

        def wait() -> npt.NDArray[np.float32]:
            time.sleep(max(0.0, done - time.perf_counter()))
            return np.zeros(1, dtype=np.float32)

        return wait


@pytest.mark.parametrize(
    ("gpu", "size", "best"),
    [
        (SimulatedGPU(batch_seconds=0.02, picture_seconds=0.0005), (640, 360), 64),
        (SimulatedGPU(batch_seconds=0.001, picture_seconds=0.02), (640, 360), 1),
        (SimulatedGPU(batch_seconds=0.02, picture_seconds=0.0005, room=5), (640, 360), 4),
        # 3840 x 2160 x 3 bytes are 25 MB: 10 of them may wait.
        (SimulatedGPU(batch_seconds=0.02, picture_seconds=0.0005), (3840, 2160), 8),
        (SimulatedGPU(batch_seconds=0.02, picture_seconds=0.0005, room=0), (640, 360), 1),
    ],
)
def test_a_gpu_gets_as_many_frames_as_pay(gpu: SimulatedGPU, size: tuple[int, int], best: int) -> None:
    estimator = PoseEstimator(engine=gpu, short_side=64)
    estimator.settle(*size)
    assert estimator.batch == best
    tried = len(gpu.shapes)
    estimator.settle(*size)
    assert (estimator.batch, len(gpu.shapes)) == (best, tried), "it is tried once"


def test_who_told_the_batch_has_it() -> None:
    for engine, batch, expected in ((SimulatedGPU(batch_seconds=1, picture_seconds=1), 3, 3), (BlobEngine(), None, 2)):
        estimator = PoseEstimator(engine=engine, batch=batch)
        estimator.settle(640, 360)
        assert estimator.batch == expected
        assert not engine.shapes


def test_no_frames() -> None:
    engine = BlobEngine()
    assert PoseEstimator(engine=engine).estimate([]) == []
    assert engine.shapes == []


def test_nobody_in_the_frame() -> None:
    (poses,) = PoseEstimator(engine=BlobEngine()).estimate([Frame(0, 0.0, np.zeros((90, 120, 3), dtype=np.uint8))])
    assert len(poses) == 0
    assert poses.xy.shape == (0, 17, 2)


class SmallGPU(BlobEngine):
    """Its memory holds so many pictures at a time."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def begin(self, images: npt.NDArray[np.uint8], *, mirror: bool, then: OfMaps) -> Wait:
        if len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return super().begin(images, mirror=mirror, then=then)


@pytest.mark.parametrize("room", [1, 2, 3, 5, 16])
def test_a_gpu_with_little_memory_takes_fewer_frames_together(room: int) -> None:
    frames = [with_blob(320 - 40 * (index % 2), 240, 100 + 10 * index, 90, index=index) for index in range(9)]
    engine = SmallGPU(room)
    estimator = PoseEstimator(engine=engine, batch=8)
    for found, alone in zip(
        estimator.estimate(frames), PoseEstimator(engine=BlobEngine()).estimate(frames), strict=True
    ):
        np.testing.assert_array_equal(found.xy, alone.xy)
        np.testing.assert_array_equal(found.score, alone.score)
    assert max(shape[0] for shape in engine.shapes) <= room
    assert estimator.describe()["batch"] == estimator.batch
    seen = estimator.batch
    estimator.estimate(frames)
    assert estimator.batch == seen, "it is found once"


def test_a_gpu_with_no_memory_for_one_frame_says_so() -> None:
    with pytest.raises(DeviceError, match="GPU's memory does not hold .* 352x256: use a smaller --short-side"):
        PoseEstimator(engine=SmallGPU(0), batch=4).estimate([with_blob(320, 240, 100, 90)])


def test_looks_do_not_depend_on_the_batch() -> None:
    frames = [with_blob(320, 200, 90 + 20 * i, 70 + 5 * i, index=i) for i in range(5)]
    frames.append(Frame(5, 0.0, np.zeros((200, 320, 3), dtype=np.uint8)))
    together = PoseEstimator(engine=BlobEngine(), batch=4).estimate(frames)
    alone = [PoseEstimator(engine=BlobEngine(), batch=1).estimate([frame])[0] for frame in frames]
    for a, b in zip(together, alone, strict=True):
        assert a.appearance is not None
        assert a.appearance.shape == (len(a), SIZE)
        assert a.appearance.any(axis=1).all()
        np.testing.assert_array_equal(a.appearance, b.appearance)
    assert len(together[5]) == 0


def test_looks_are_those_of_the_pixels_where_people_are_found() -> None:
    """In a frame that needs no scaling, with a colour of its own in each pixel."""
    frame = with_blob(320, 256, 150.3, 60.8)
    frame.image[..., 2] = np.random.default_rng(0).integers(0, 256, (256, 320))
    estimator = PoseEstimator(engine=BlobEngine())
    (poses,) = estimator.estimate([frame])
    np.testing.assert_array_equal(
        poses.appearance, looks(frame.image, poses.xy, poses.joint_score, skeleton=estimator.skeleton)
    )
    assert len(poses) == 1


def test_frames_of_one_size_go_together_and_each_gets_its_own_people() -> None:
    engine = BlobEngine()
    sizes = [(320, 200), (200, 320), (320, 200), (320, 200), (321, 200), (200, 320)]
    frames = [with_blob(w, h, w * (0.3 + 0.05 * i), h * 0.4, index=i) for i, (w, h) in enumerate(sizes)]
    found = PoseEstimator(engine=engine, batch=2).estimate(frames)
    assert [len(poses) for poses in found] == [1] * 6
    for i, (poses, (w, h)) in enumerate(zip(found, sizes, strict=True)):
        np.testing.assert_allclose(poses.xy[0, 0], (w * (0.3 + 0.05 * i), h * 0.4), atol=0.1)
    assert sorted(shape[0] for shape in engine.shapes) == [2, 2, 2]


def test_joints_that_are_not_found_say_nothing() -> None:
    (poses,) = PoseEstimator(engine=BlobEngine()).estimate([with_blob(400, 300, 390, 290)])
    for person, score in zip(poses.xy, poses.joint_score, strict=True):
        assert (person[score == 0] == 0).all()


@pytest.fixture(scope="module")
def estimators() -> list[PoseEstimator]:
    engine = TorchEngine("small", device="cpu", precision="float32")
    return [PoseEstimator(engine=engine, batch=batch, short_side=192) for batch in (1, 2, 3, 5)]


@pytest.fixture(scope="module")
def clip() -> list[Frame]:
    """Frames of walking people, two sizes mixed."""
    frames = [sample.frame for sample in draw(SampleConfig(seconds=0.2, people=3))]
    portrait = [Frame(frame.index, frame.pts, np.ascontiguousarray(frame.image[:, 100:400])) for frame in frames]
    return [frame for pair in zip(frames, portrait, strict=True) for frame in pair][:7]


def assert_same(one: Poses, other: Poses, *, atol: float) -> None:
    assert len(one) == len(other)
    np.testing.assert_allclose(one.xy, other.xy, atol=atol)
    np.testing.assert_allclose(one.joint_score, other.joint_score, atol=1e-4)
    np.testing.assert_allclose(one.score, other.score, atol=1e-4)


def test_a_result_does_not_depend_on_the_batch(estimators: list[PoseEstimator], clip: list[Frame]) -> None:
    alone = [estimators[0].estimate([frame])[0] for frame in clip]
    assert sum(map(len, alone)) >= 7
    for estimator in estimators:
        for one, other in zip(alone, estimator.estimate(clip), strict=True):
            assert_same(one, other, atol=1e-3)


def test_people_of_the_mirrored_picture_are_the_mirror_of_people(clip: list[Frame]) -> None:
    estimator = PoseEstimator(precision="float32", device="cpu", mirror=True, short_side=192)
    # A width that fills the network's input, so that no padding changes sides.
    width = 360 * 256 // 192
    image = np.ascontiguousarray(clip[0].image[:, 60 : 60 + width])
    (straight,) = estimator.estimate([Frame(0, 0.0, image)])
    (mirrored,) = estimator.estimate([Frame(0, 0.0, np.ascontiguousarray(image[:, ::-1]))])
    assert len(straight) > 0
    assert len(mirrored) == len(straight)
    back = mirrored.xy[:, COCO17.mirror]
    found = mirrored.joint_score[:, COCO17.mirror] > 0
    np.testing.assert_array_equal(found, straight.joint_score > 0)
    np.testing.assert_allclose(width - 1 - back[found][:, 0], straight.xy[found][:, 0], atol=0.05)
    np.testing.assert_allclose(back[found][:, 1], straight.xy[found][:, 1], atol=0.05)


def test_stages_are_timed_and_the_settings_told() -> None:
    estimator = PoseEstimator(engine=BlobEngine(), short_side=128)
    estimator.estimate([with_blob(200, 150, 80, 60)])
    assert set(estimator.seconds) == {"prepare", "network", "peaks", "grouping", "appearance"}
    assert all(seconds > 0 for seconds in estimator.seconds.values())
    told = estimator.describe()
    assert (told["short_side"], told["max_long_side"], told["device"], told["mirror"]) == (128, 512, "cpu", False)


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(DeviceError, match="float16"):
        PoseEstimator(device="cpu", precision="float16")
    with pytest.raises(WeightsError, match="shipped"):
        PoseEstimator(weights="nothing", device="cpu")
