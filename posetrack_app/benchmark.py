"""What runs the network best here: engines, precisions and sizes on the same frames, side by side.

Letters: N, M persons, K joints.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment

from models.count import count_macs
from posetrack_app.engines import DeviceName, make_engine, resolve_device, resolve_precision
from posetrack_app.errors import InputError
from posetrack_app.estimator import PoseEstimator
from posetrack_app.evaluation.coco import evaluate_coco
from posetrack_app.sample import SampleConfig, draw
from posetrack_app.types import Frame, Poses
from posetrack_app.video import VideoReader, expand_inputs
from trackers.oks import body_size, joint_variance, oks

__all__ = ["Row", "Variant", "bench", "best", "drawn_frames", "joint_drift", "product_rate", "read_frames", "variants"]

EngineChoice = Literal["pytorch", "openvino"]
Precision = Literal["float32", "bfloat16", "float16"]

_LEAST_ROUNDS = 8
_SAME_PERSON = 0.5
"""OKS from which two poses are of the same person."""

# What is told from PyTorch in float32 by more than this is not called the best, however fast.
_MOST_AP_LOST = 0.5
_MOST_DRIFT = 0.01
"""95th percentile, as a share of the frame's short side."""
_LEAST_SHARE = 0.9
"""Of people found by either, those that both find."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to run the network."""

    engine: EngineChoice
    """What runs it."""

    device: Literal["cpu", "cuda", "mps"]
    """Where."""

    precision: Precision
    """In which arithmetic."""

    short_side: int
    """Pixels of the short side of what it sees."""

    batch: int | None = None
    """Frames that go through together; None is what `run` takes on that device."""

    @property
    def is_reference(self) -> bool:
        """Whether the others of this size are compared with it."""
        return (self.engine, self.device, self.precision) == ("pytorch", "cpu", "float32")

    def assignments(self) -> list[str]:
        """Settings that make `run` do the same."""
        chosen = {"engine": self.engine, "device": self.device, "precision": self.precision}
        numbers = {"short_side": self.short_side} | ({"batch": self.batch} if self.batch else {})
        return [f"network.{key}={value}" for key, value in {**chosen, **numbers}.items()]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one variant."""

    variant: Variant
    """The variant."""

    network_ms: float
    """Milliseconds of the network for a frame, median over batches."""

    peak_share: float
    """Multiply-accumulates of the network a second, as a share of those of a large product of matrices in PyTorch on
    that device in that precision."""

    frame_ms: float
    """Milliseconds for a frame from its pixels to people, median over batches."""

    people: int
    """People found in all frames together."""

    shared: float
    """Of the people found by it or by the reference, the share that both found; 1 where there is nobody."""

    drift_median: float | None
    """Pixels of the frame between a joint and the reference's, median over joints that both found; None without any."""

    drift_95: float | None
    """As `drift_median`, 95th percentile."""

    ap: float | None = None
    """Average precision on labelled photos, percent; None where there are none."""


@dataclass
class _Running:
    """A variant while it is measured."""

    variant: Variant
    estimator: PoseEstimator
    network_ms: list[float] = field(default_factory=list)
    frame_ms: list[float] = field(default_factory=list)
    poses: list[Poses] = field(default_factory=list)


def variants(
    *, engines: Sequence[EngineChoice] | None = None, short_sides: Sequence[int] = (256,), device: DeviceName = "auto"
) -> list[Variant]:
    """What is to be had here, for each size; first the reference, PyTorch in float32 on the processor.

    Args:
        engines: Those to try; None takes all that are installed. The reference is always there.
        short_sides: Pixels of the short side of what the network sees.
        device: Only this one; auto takes all.

    Raises:
        DeviceError: a device or an engine is not to be had here.
    """
    engines = engines or (("pytorch", "openvino") if find_spec("openvino") else ("pytorch",))
    accelerator = resolve_device(device)
    halves: tuple[Precision, ...] = ("bfloat16",) if resolve_precision("auto", "cpu") == "bfloat16" else ()
    every: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
    found: list[Variant] = []
    for short_side in short_sides:
        of_size = [Variant(engine="pytorch", device="cpu", precision="float32", short_side=short_side)]
        if accelerator == "cpu" or device == "auto":
            of_size += [
                Variant(engine=engine, device="cpu", precision=precision, short_side=short_side)
                for engine in engines
                for precision in (every[0], *halves)
            ]
        if accelerator != "cpu" and "pytorch" in engines:
            of_size += [
                Variant(engine="pytorch", device=accelerator, precision=precision, short_side=short_side, batch=batch)
                for precision in every
                if accelerator == "cuda" or precision != "bfloat16"
                for batch in (1, 8, 32)
            ]
        found += dict.fromkeys(of_size)
    return found


def bench(
    frames: Sequence[Frame],
    variants: Sequence[Variant],
    *,
    weights: str | Path = "small",
    labelled: tuple[Path, Path] | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> list[Row]:
    """Measure each variant on the same frames.

    They take turns, a few frames each, so that whatever else the machine does hits all alike.

    Args:
        frames: At least one.
        variants: As `variants` gives them.
        weights: Name of shipped weights, or path of a file.
        labelled: A file of COCO keypoints and the folder of its photos, for the AP of each variant.
        progress: Told what is being done.

    Raises:
        DeviceError: device, precision or engine is not to be had here.
        WeightsError: no such weights, or they are damaged or of another kind.
        UserError: the labelled photos cannot be used.
    """
    precision: dict[Variant, float | None] = {}
    if labelled is not None:
        for number, variant in enumerate(variants, start=1):
            progress(f"AP {number}/{len(variants)}")
            # With a network of its own: OpenVINO keeps something for each size of photo.
            same = replace(variant, batch=None)
            if same not in precision:
                precision[same] = evaluate_coco(*labelled, _estimator(same, weights)).ap
    running = [_Running(variant, _estimator(variant, weights)) for variant in variants]
    progress("products of matrices")
    rate = {kind: product_rate(*kind) for kind in {(one.variant.device, one.variant.precision) for one in running}}
    canvases = [one.estimator.canvas(*frames[0].image.shape[1::-1]) for one in running]
    config = running[0].estimator.engine.config
    macs = {(width, height): count_macs(config, height=height, width=width) for width, height in {*canvases}}
    size = max(one.estimator.batch for one in running)
    for number, one in enumerate(running, start=1):
        progress(f"warming up {number}/{len(running)}")
        one.estimator.estimate([frames[index % len(frames)] for index in range(size)])
    rounds = max(_LEAST_ROUNDS, math.ceil(len(frames) / size))
    for turn in range(rounds):
        progress(f"round {turn + 1}/{rounds}")
        some = [frames[index % len(frames)] for index in range(turn * size, (turn + 1) * size)]
        for one in running[turn % len(running) :] + running[: turn % len(running)]:
            _take_turn(one, some)
    # The first of each size.
    reference = {one.variant.short_side: one.poses for one in reversed(running) if one.variant.is_reference}
    return [
        _row(
            one,
            reference[one.variant.short_side],
            len(frames),
            macs=macs[canvas],
            rate=rate[one.variant.device, one.variant.precision],
            ap=precision.get(replace(one.variant, batch=None)),
        )
        for one, canvas in zip(running, canvases, strict=True)
    ]


def best(rows: Sequence[Row], *, frame_side: int) -> list[Row]:
    """For each size of the network's input, the fastest row that finds what the reference finds.

    Args:
        rows: As `bench` gives them.
        frame_side: Pixels of the short side of the frames.
    """
    found = []
    for short_side in dict.fromkeys(row.variant.short_side for row in rows):
        of_size = [row for row in rows if row.variant.short_side == short_side]
        (reference,) = (row for row in of_size if row.variant.is_reference)
        faithful = [row for row in of_size if row is reference or _is_faithful(row, reference, frame_side)]
        found.append(min(faithful, key=lambda row: row.frame_ms))
    return found


def product_rate(device: str, precision: Precision) -> float:
    """Multiply-accumulates a second of a large product of matrices in PyTorch: about what the device can do at most."""
    side = 1024 if device == "cpu" else 8192
    matrix = torch.zeros((side, side), dtype=getattr(torch, precision), device=device)
    best = math.inf
    for _ in range(10):
        started = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # which waits for it
        best = min(best, time.perf_counter() - started)
    return side**3 / best


def joint_drift(a: Poses, b: Poses, sigmas: npt.NDArray[np.float64]) -> tuple[int, npt.NDArray[np.float64]]:
    """People of one frame that two found, and the distances in pixels, (P,), of the joints that both found of them.

    People are of one another where OKS says so, each of one at most.
    """
    if not len(a) or not len(b):
        return 0, np.zeros(0)
    first, second = np.divmod(np.arange(len(a) * len(b)), len(b))
    xy, other = a.xy.astype(np.float64), b.xy.astype(np.float64)
    shared = (a.joint_score[first] > 0) & (b.joint_score[second] > 0)
    size = np.maximum(body_size(xy, a.joint_score > 0), 1.0)  # of a person of one joint, a pixel
    alike, _ = oks(xy[first], other[second], shared, joint_variance(size, sigmas)[first])
    table = alike.reshape(len(a), len(b))
    rows, columns = linear_sum_assignment(table, maximize=True)
    same = table[rows, columns] >= _SAME_PERSON
    rows, columns = rows[same], columns[same]
    apart = np.linalg.norm(xy[rows] - other[columns], axis=2)
    return len(rows), apart[(a.joint_score[rows] > 0) & (b.joint_score[columns] > 0)]


def read_frames(clip: str, count: int) -> list[Frame]:
    """The first frames of a clip, at most `count`.

    Raises:
        InputError: it cannot be read, or is more than one clip.
    """
    sources = expand_inputs([clip])
    if len(sources) != 1:
        raise InputError(f"{clip} holds {len(sources)} inputs; name one of them")
    frames = []
    with VideoReader(sources[0]) as reader:
        for frame in reader:
            frames.append(frame)
            if len(frames) == count:
                break
    return frames


def drawn_frames(count: int) -> list[Frame]:
    """Frames of the drawn clip, a third of a second apart, from when most people are there."""
    skipped, rate = 6, 3
    config = SampleConfig(seconds=(skipped + count) / rate, rate=rate)
    return [sample.frame for sample in draw(config)][skipped:]


def _estimator(variant: Variant, weights: str | Path) -> PoseEstimator:
    engine = make_engine(variant.engine, weights, device=variant.device, precision=variant.precision)
    return PoseEstimator(weights=weights, engine=engine, short_side=variant.short_side, batch=variant.batch)


def _take_turn(one: _Running, frames: Sequence[Frame]) -> None:
    """Time a variant's way through some frames, in its batches; one after the other, so that nothing overlaps."""
    before, started = one.estimator.seconds["network"], time.perf_counter()
    for begin in range(0, len(frames), one.estimator.batch):
        one.poses += one.estimator.estimate(frames[begin : begin + one.estimator.batch])
    one.frame_ms.append((time.perf_counter() - started) / len(frames) * 1000)
    one.network_ms.append((one.estimator.seconds["network"] - before) / len(frames) * 1000)


def _row(one: _Running, reference: Sequence[Poses], count: int, *, macs: int, rate: float, ap: float | None) -> Row:
    """The figures of one variant, over each frame once; `macs` of the network for a frame, of `rate` a second."""
    network_ms = float(np.median(one.network_ms))
    sigmas = np.array(one.estimator.skeleton.sigmas)
    pairs = list(zip(reference[:count], one.poses[:count], strict=True))
    found = [joint_drift(theirs, ours, sigmas) for theirs, ours in pairs]
    both = sum(matched for matched, _ in found)
    either = sum(len(theirs) + len(ours) for theirs, ours in pairs) - both
    apart = np.concatenate([distances for _, distances in found])
    return Row(
        variant=one.variant,
        network_ms=network_ms,
        peak_share=macs / (network_ms / 1000) / rate,
        frame_ms=float(np.median(one.frame_ms)),
        people=sum(len(ours) for _, ours in pairs),
        shared=both / either if either else 1.0,
        drift_median=float(np.median(apart)) if len(apart) else None,
        drift_95=float(np.percentile(apart, 95)) if len(apart) else None,
        ap=ap,
    )


def _is_faithful(row: Row, reference: Row, frame_side: int) -> bool:
    """Whether a row finds what the reference finds; where there is AP, that decides about precision."""
    if row.ap is not None and reference.ap is not None:
        return reference.ap - row.ap <= _MOST_AP_LOST
    drift = row.drift_95 or 0.0
    return row.shared >= _LEAST_SHARE and drift <= _MOST_DRIFT * frame_side
