"""After the fact: what whole tracks allow that frames as they come do not. Each step is optional, and is recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from trackers.filling import fill_gaps
from trackers.joining import Join, join_tracks, keep_people
from trackers.sides import repair_sides
from trackers.smoothing import Smoothing, smooth
from trackers.table import TrackTable

__all__ = ["RefineConfig", "Step", "drop_short", "refine"]


@dataclass(frozen=True, kw_only=True)
class RefineConfig:
    """What `retrack` does with whole tracks, in this order. All is off until it is asked for."""

    join: bool = False
    """Join pieces of a track over gaps in which the person was not seen."""

    join_seconds: float = 3.0
    """Longest gap that is joined. At 0 nothing is; too high, those who come are taken for those who left."""

    join_confidence: float = 0.5
    """Least sure join that is made, 0..1. At 0 all that is possible is joined; at 1 next to nothing."""

    people: int = 0
    """Number of people in the video, where it is known: pieces are joined to so many tracks over gaps of any length,
    and all other poses lose their identity. 0 means that it is not known; too high, it keeps what is nobody."""

    min_seconds: float = 0.0
    """Tracks from whose first to last sighting it is less than this lose their identity. At 0 all stay; too high,
    people who pass by go."""

    repair_sides: bool = False
    """Exchange left and right again where they were exchanged for some frames."""

    fill_seconds: float = 0.0
    """Gaps of at most this long between two sightings are filled on a straight line. At 0 none is; too high, people
    glide where they walked."""

    fill_joints: bool = False
    """Fill single joints that were not found as well, in poses that were seen."""

    smooth: Smoothing = "none"
    """Filter for the places of joints: zero-phase Butterworth, Savitzky-Golay, or One-Euro, which lags."""

    cutoff_hz: float = 6.0
    """Movements quicker than this are taken for tremor: 6 suits walking, 10 to 15 sports. Near 0 nothing moves any
    more; from half of the frame rate on Butterworth and Savitzky-Golay change nothing."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        for name in ("join_seconds", "join_confidence", "people", "min_seconds", "fill_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"refine setting {name} is {value}, but must be a number from 0 on")
        if not (math.isfinite(self.cutoff_hz) and self.cutoff_hz > 0):
            raise ValueError(f"refine setting cutoff_hz is {self.cutoff_hz}, but must be above 0")


@dataclass(frozen=True)
class Step:
    """One step that was taken."""

    name: str
    """What was done."""

    parameters: dict[str, Any]
    """The settings that it went by."""

    changed: dict[str, int]
    """Counts of what it changed."""

    joins: list[Join] = field(default_factory=list)
    """The joins that it made, each with its confidence."""

    def as_dict(self) -> dict[str, Any]:
        """For a file; without joins where a step makes none."""
        values = asdict(self)
        return values if self.joins else {name: value for name, value in values.items() if name != "joins"}


def refine(
    table: TrackTable, config: RefineConfig, *, groups: Sequence[Sequence[tuple[int, int]]]
) -> tuple[TrackTable, list[Step]]:
    """Take the steps that the settings ask for, and tell of each.

    Args:
        table: All poses.
        config: What is done.
        groups: Pairs (left, right) of joints that are exchanged together.
    """
    steps: list[Step] = []
    if config.join:
        table, joins = join_tracks(
            table, max_gap_seconds=config.join_seconds, min_confidence=config.join_confidence
        )  # fmt: skip
        parameters = {"join_seconds": config.join_seconds, "join_confidence": config.join_confidence}
        steps.append(Step("join", parameters, {"joins": len(joins), "tracks": len(table.ids)}, joins))
    if config.people:
        before = int((table.track_id >= 0).sum())
        table, joins = keep_people(table, config.people)
        lost = before - int((table.track_id >= 0).sum())
        changed = {"joins": len(joins), "poses_without_identity": lost, "tracks": len(table.ids)}
        steps.append(Step("people", {"people": config.people}, changed, joins))
    if config.min_seconds > 0:
        table, gone = drop_short(table, min_seconds=config.min_seconds)
        steps.append(Step("drop_short", {"min_seconds": config.min_seconds}, {"dropped": gone}))
    if config.repair_sides:
        table, count = repair_sides(table, groups=groups)
        steps.append(Step("repair_sides", {}, {"exchanged": count}))
    if config.fill_seconds > 0:
        table, filled = fill_gaps(table, limit_seconds=config.fill_seconds, joints=config.fill_joints)
        parameters = {"fill_seconds": config.fill_seconds, "fill_joints": config.fill_joints}
        steps.append(Step("fill", parameters, filled))
    if config.smooth != "none":
        table, smoothed = smooth(table, method=config.smooth, cutoff_hz=config.cutoff_hz)
        steps.append(Step("smooth", {"smooth": config.smooth, "cutoff_hz": config.cutoff_hz}, smoothed))
    return table, steps


def drop_short(table: TrackTable, *, min_seconds: float) -> tuple[TrackTable, int]:
    """Take the identity from tracks that were seen for less than `min_seconds`; gives how many."""
    gone = [
        track
        for track, rows in table.tracks(observed=True)
        if table.times[table.frame[rows[-1]]] - table.times[table.frame[rows[0]]] < min_seconds
    ]
    return table.with_tracks(np.where(np.isin(table.track_id, gone), -1, table.track_id)), len(gone)
