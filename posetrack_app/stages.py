"""Where the time of a run goes: work and waiting of its threads, and what would make it faster."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = ["Clock", "Stage", "advice", "bottleneck", "table"]

Item = TypeVar("Item")

_SMALL, _MUCH = 0.03, 0.2
"""Shares of a stage's work."""


class Clock:
    """Seconds of work, seconds of waiting, and frames, by name; each name belongs to one thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {"tracking": 0.0, "render": 0.0, "tables": 0.0}
        self.waits: Counter[str] = Counter()
        self.frames: Counter[str] = Counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started

    @contextmanager
    def wait(self, name: str) -> Iterator[None]:
        """Add the time of a block to what was waited for."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.waits[name] += time.perf_counter() - started  # type: ignore[assignment]

    def waiting(self, name: str, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; the time that they let wait is added up."""
        stream = iter(items)
        while True:
            with self.wait(name):
                try:
                    item = next(stream)
                except StopIteration:
                    return
            yield item


@dataclass(frozen=True)
class Stage:
    """One thread of a run. Frames go from one to the next; all stages work at the same time."""

    name: str
    """decode, network, draw or encode."""

    work: float
    """Seconds of work; where the processor is busy with others, also of waiting for it."""

    waits_for_frames: float
    """Seconds in which the stage before had nothing for it."""

    waits_for_room: float
    """Seconds in which the stage after could take nothing more."""

    parts: dict[str, float] = field(default_factory=dict)
    """Seconds of work by part, where there are several."""


def bottleneck(stages: Iterable[Stage]) -> Stage:
    """The stage that all others wait for: the one that works most."""
    return max(stages, key=lambda stage: stage.work)


def table(stages: Iterable[Stage]) -> list[str]:
    """A line for each stage under a line of headings, in seconds; small parts are left out."""
    lines = [f"{'seconds':<9}{'work':>8}{'waits for frames':>19}{'waits for room':>17}"]
    for stage in stages:
        line = f"{stage.name:<9}{stage.work:>8.1f}{stage.waits_for_frames:>19.1f}{stage.waits_for_room:>17.1f}"
        parts = sorted(stage.parts.items(), key=lambda part: -part[1])
        shown = [f"{name} {seconds:.1f}" for name, seconds in parts if seconds > _SMALL * stage.work]
        lines.append(f"{line}   {', '.join(shown)}".rstrip())
    return lines


def advice(stages: Iterable[Stage], *, network: Mapping[str, Any], every: int, live: bool) -> str:
    """What holds a run up, and what would help, in a sentence or two.

    Args:
        stages: All stages.
        network: What `PoseEstimator.describe` says.
        every: The network sees every so-manieth frame.
        live: The input is a camera or a stream, which gives frames at its own pace.
    """
    stages = list(stages)
    slowest = bottleneck(stages)
    if live and max(stage.waits_for_frames for stage in stages if stage.name == "network") > slowest.work:
        return "The input sets the pace: everything else waits for its next frame."
    if slowest.name == "decode":
        return "Decoding takes longest: a smaller copy of the video decodes faster."
    if slowest.name == "draw":
        return "Drawing takes longest: --scale 0.5 draws a quarter of the pixels, --no-video none."
    if slowest.name == "encode":
        return "Encoding takes longest: --scale 0.5 encodes a quarter of the pixels, --no-video none."
    part = max(slowest.parts, key=lambda name: slowest.parts[name], default="network")
    if part != "network":
        return f"The step '{part}' takes longest: --every {2 * every} spares it half of the frames."
    drawing = sum(stage.work for stage in stages if stage.name in ("draw", "encode"))
    helps = _network_advice(network, every=every, shares=drawing > _MUCH * slowest.work)
    return f"The network takes longest: {', '.join(helps)}." if helps else "The network takes longest."


def _network_advice(network: Mapping[str, Any], *, every: int, shares: bool) -> list[str]:
    """What makes the network faster, without much harm; `shares`: drawing and encoding are much work, too."""
    helps = [f"--every {2 * every} spares it half of the frames"] if every <= 2 else []
    side = network.get("short_side", 0)
    if network.get("mirror"):
        helps.append("--no-mirror halves its work")
    elif side > 192:
        smaller = max(192, side * 3 // 4 // 32 * 32)
        helps.append(f"--short-side {smaller} does with {(smaller / side) ** 2 * 100:.0f} % of its work")
    if network.get("device") == "cpu":
        if shares:
            helps.append("--no-video leaves it more of the processor")
        pytorch = "PyTorch" in str(network.get("engine"))
        helps.append("OpenVINO (pip install openvino) is twice as fast" if pytorch else "a GPU is many times faster")
    return helps
