"""Settings of tracker, refinement and output that give saved poses the best figures, found one setting after the other.

Average precision wants every joint that may be right, MOTA only those that are: each goal has settings of its own.
The network does not run; what it saw is tracked again and judged again with each candidate.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from posetrack_app import config
from posetrack_app.config import OutputSettings, Settings
from posetrack_app.errors import InputError
from posetrack_app.evaluation.annotated import AnnotatedFrame, annotate, pair_frames
from posetrack_app.evaluation.average_precision import average_precision, join, rank
from posetrack_app.evaluation.clear_mot import Counts, follow, tracking
from posetrack_app.evaluation.hota import combine, hota
from posetrack_app.formats.sequence import PoseSequence
from posetrack_app.retrack import SavedPoses, read_saved, retrack
from posetrack_app.submission import Target, match_names, predict, targets_of

__all__ = ["GRID", "Figures", "Goal", "Judge", "Material", "Search", "Value", "load", "search", "setting"]

Goal = Literal["map", "mota", "hota"]

Value = float | int | bool | str
"""Of a setting that can be tuned."""

GRID: Mapping[str, tuple[Value, ...]] = {
    "output.min_joint_score": (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7),
    "output.min_person_score": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
    "output.untracked": (False, True),
    "tracker.strong_score": (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6),
    "tracker.weak_score": (0.0, 0.05, 0.1, 0.15, 0.2, 0.25),
    "tracker.sure_score": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "tracker.birth_frames": (1, 2, 3, 4, 5, 8),
    "tracker.min_similarity": (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5),
    "tracker.coast_seconds": (0.0, 0.08, 0.15, 0.25, 0.5),
    "tracker.duplicate_oks": (0.4, 0.5, 0.6, 0.7, 0.8),
    "tracker.recent_seconds": (0.0, 0.1, 0.3, 0.6, 1.0),
    "tracker.death_seconds": (0.5, 1.0, 2.0, 4.0, 8.0),
    "tracker.max_sizes_per_second": (0.2, 0.35, 0.5, 1.0, 2.0),
    "refine.join": (False, True),
    "refine.min_seconds": (0.0, 0.2, 0.5, 1.0),
    "refine.fill_seconds": (0.0, 0.1, 0.3, 0.6, 1.0),
    "refine.repair_sides": (False, True),
    "refine.smooth": ("none", "butterworth", "savgol"),
}
"""What is tried of each setting, in this order."""

_LEAST_GAIN = 0.01  # percent; less is chance


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A sequence to tune on."""

    target: Target
    """What the ground truth asks for."""

    truth: list[AnnotatedFrame]
    """Its people."""

    poses: SavedPoses
    """Whom the network saw."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Percent, the mean of joints; NaN where there is nothing to compute it from."""

    map: float
    mota: float
    hota: float

    def of(self, goal: Goal) -> float:
        """One of them."""
        return float(getattr(self, goal))


@dataclass(slots=True, eq=False)
class Search:
    """What a search found."""

    goal: Goal
    """Figure that was to be made large."""

    start: Settings
    """Where it began."""

    best: Settings
    """Where it ended."""

    gains: dict[str, float] = field(default_factory=dict)
    """By setting: what changing it gained, percent, over all rounds."""

    curves: dict[str, list[tuple[Value, float]]] = field(default_factory=dict)
    """By setting: figure at each value, with the others as they were when it was tried last."""

    tries: int = 0
    """Candidates that were judged."""

    complete: bool = False
    """The last round changed nothing; False: the budget ended before."""


def load(gt: Path, poses: Path) -> tuple[list[Material], list[str]]:
    """Sequences of a ground truth with their saved poses, and names of those without.

    Args:
        gt: Folder of the ground truth.
        poses: Folder with NAME/poses.parquet or NAME.parquet for each sequence.

    Raises:
        InputError: a file cannot be read, or no sequence has poses.
    """
    if not poses.is_dir():
        raise InputError(f"{poses} is {'no folder' if poses.exists() else 'not there'}; it must be a folder")
    files = {path.stem: path for path in sorted(poses.glob("*.parquet"))}
    files |= {path.parent.name: path for path in sorted(poses.glob("*/poses.parquet"))}
    targets = targets_of(gt)
    matched = match_names(targets, list(files))
    if not matched:
        raise InputError(
            f"{poses} has no poses of the sequences in {gt}; it must have NAME/poses.parquet or NAME.parquet, "
            f"as in {targets[0].name}.parquet"
        )
    materials = [
        Material(target, annotate(target.frames), read_saved(files[matched[target.name]]))
        for target in targets
        if target.name in matched
    ]
    for material in materials:
        predict(material.poses.sequence, material.target, OutputSettings())  # do frames and poses belong together?
    return materials, [target.name for target in targets if target.name not in matched]


class Judge:
    """Figures of candidates; what was judged once is remembered."""

    def __init__(self, materials: Sequence[Material]) -> None:
        """Judge by all of these together."""
        self._materials = materials
        self._known: dict[tuple[object, ...], Figures] = {}
        self._tracked: tuple[object, list[PoseSequence]] = (None, [])

    def knows(self, settings: Settings) -> bool:
        """Whether this candidate was judged before."""
        return _counting(settings) in self._known

    def __call__(self, settings: Settings) -> Figures:
        """The figures by the rules of the reference (`poseval`)."""
        key = _counting(settings)
        if key not in self._known:
            self._known[key] = self._judge(settings)
        return self._known[key]

    def tracked(self, settings: Settings) -> list[PoseSequence]:
        """The sequences as `retrack` gives them with these settings; kept until others are asked for."""
        key = (settings.tracker, settings.refine)
        if self._tracked[0] != key:
            self._tracked = (key, [retrack(material.poses, settings).sequence for material in self._materials])
        return self._tracked[1]

    def _judge(self, settings: Settings) -> Figures:
        rankings, parts, counts, followed = [], [], Counts.nothing(), False
        for material, sequence in zip(self._materials, self.tracked(settings), strict=True):
            predicted = predict(sequence, material.target, settings.output)
            try:
                pairs = pair_frames(material.truth, annotate(predicted))
            except ValueError as error:
                raise InputError(f"{material.target.name}: {error}") from None
            record = follow(pairs, protocol="poseval")
            rankings.append(rank(pairs))
            parts.append(hota(pairs))
            counts += record.counts.sum()
            followed |= bool(record.frames)
        return Figures(
            map=float(average_precision(join(rankings)).ap[-1]),
            mota=float(tracking(counts).mota[-1]) if followed else math.nan,
            hota=100 * float(combine(parts).figures()["hota"][-1]),
        )


def search(
    judge: Judge,
    goal: Goal,
    start: Settings,
    *,
    grid: Mapping[str, tuple[Value, ...]] = GRID,
    budget: int = 200,
    progress: Callable[[], object] = lambda: None,
) -> Search:
    """Try the values of one setting after the other, keep the best, and go round until nothing gets better.

    Args:
        judge: Gives the figures of a candidate.
        goal: Which of them is to be large.
        start: Where to begin; of values that are as good as its own none is taken.
        grid: Values to try of each setting.
        budget: Candidates that may be judged; those that the judge knows already cost nothing.
        progress: Called for each that was judged.

    Raises:
        InputError: the ground truth has nothing to compute the figure from.
    """
    found = Search(goal, start, start, gains=dict.fromkeys(grid, 0.0))

    def figure(candidate: Settings) -> float:
        if not judge.knows(candidate):
            found.tries += 1
            progress()
        return judge(candidate).of(goal)

    here = figure(start)
    if math.isnan(here):
        raise InputError(f"the ground truth has nothing to compute {goal.upper()} from")
    while not found.complete:
        found.complete = True
        for name, values in grid.items():
            curve: list[tuple[Value, float]] = []
            for value in sorted({*values, setting(found.best, name)}):
                candidate = config.override(found.best, [f"{name}={json.dumps(value)}"])
                if found.tries >= budget and not judge.knows(candidate):
                    found.complete = False
                    return found
                curve.append((value, figure(candidate)))
            found.curves[name] = curve
            value, best = max(curve, key=lambda point: point[1])
            if best > here + _LEAST_GAIN:
                found.best = config.override(found.best, [f"{name}={json.dumps(value)}"])
                found.gains[name] += best - here
                here, found.complete = best, False
    return found


def _counting(settings: Settings) -> tuple[object, ...]:
    """What of the settings makes a difference here."""
    return settings.tracker, settings.refine, settings.output


def setting(settings: Settings, name: str) -> Any:
    """A setting by its full name."""
    section, _, key = name.partition(".")
    return getattr(getattr(settings, section), key)
