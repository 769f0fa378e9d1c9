"""PoseTrack's figures of a folder of predictions: sequence by sequence, and of all."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from posetrack_app.errors import InputError, some_of
from posetrack_app.evaluation.annotated import FramePair, Protocol, annotate, pair_frames
from posetrack_app.evaluation.average_precision import AveragePrecision, Ranking, average_precision, join, rank
from posetrack_app.evaluation.checks import checked_frames
from posetrack_app.evaluation.clear_mot import Counts, Record, Tracking, follow, tracking
from posetrack_app.evaluation.hota import HotaParts, combine, hota
from posetrack_app.evaluation.timeline import Timeline, timeline
from posetrack_app.evaluation.tracks import TrackCounts, count_tracks
from posetrack_app.formats.posetrack import LabelledFile, read_labelled

__all__ = ["Evaluation", "Scope", "Stamp", "WorstFrame", "evaluate", "read_pairs"]

_LISTED = 5  # names in a message
_WORST = 20  # frames


@dataclass(frozen=True, slots=True)
class Stamp:
    """What was evaluated, and how."""

    gt: str
    """Folder of the ground truth."""

    pred: str
    """Folder of the prediction."""

    gt_form: str
    """Form of its files: 2017, 2018, or both."""

    pred_form: str
    """The same of the prediction."""

    sequences: int
    """Number of sequences."""

    labelled_frames: int
    """Number of frames that count."""

    protocol: Protocol
    """Whose rules."""

    version: str
    """Version of this program."""


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """The figures of one sequence, or of all."""

    labelled_frames: int
    """Number of frames that count."""

    accuracy: AveragePrecision
    """Average precision; curves in the scope of all sequences only."""

    tracking: Tracking | None
    """MOTA and its like; None: there is nothing to compute it from."""

    counts: Counts
    """What those come from, int64 (15,)."""

    tracks: TrackCounts
    """Of whole tracks."""

    hota: HotaParts
    """Of joints, as in PoseTrack21."""


@dataclass(frozen=True, slots=True, order=True)
class WorstFrame:
    """A frame in which much went wrong with tracking."""

    errors: int
    """The three below together, all joints."""

    sequence: str
    """Name of the sequence."""

    frame: str
    """The ground truth's name of the picture."""

    misses: int
    """Annotated joints without a prediction."""

    false_positives: int
    """Predicted joints without an annotation."""

    switches: int
    """Joints found under another identity than the last time."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All figures of a folder."""

    stamp: Stamp
    """What they are of."""

    total: Scope
    """All sequences together."""

    sequences: dict[str, Scope]
    """By name, without .json."""

    worst: list[WorstFrame]
    """Worst first."""

    notes: list[str]
    """What a reader of the figures must know, a sentence each."""

    timelines: dict[str, Timeline] = field(default_factory=dict)
    """Who was followed when, by name of the sequence; only where asked for."""


@dataclass(slots=True)
class _Sum:
    """What is kept of the sequences that were read."""

    rankings: list[list[Ranking]] = field(default_factory=list)
    hotas: list[HotaParts] = field(default_factory=list)
    forms: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))
    worst: list[WorstFrame] = field(default_factory=list)
    timelines: dict[str, Timeline] | None = None


def evaluate(gt: Path, pred: Path, *, protocol: Protocol = "poseval", timelines: bool = False) -> Evaluation:
    """The figures of the predictions in `pred` against the ground truth in `gt`, files of equal names.

    Args:
        gt: folder.
        pred: folder.
        protocol: whose rules.
        timelines: whether to keep who was followed when, for a report.

    Raises:
        InputError: a folder or file is missing, cannot be read or does not fulfil what the protocol asks.
    """
    names, notes = _names(gt, pred)
    kept, sequences = _Sum(timelines={} if timelines else None), {}
    for name in names:
        sequences[name.removesuffix(".json")] = _sequence(gt / name, pred / name, protocol, kept)
    untracked = [name for name, scope in sequences.items() if scope.tracking is None]
    if untracked:
        few = "fewer than two frames that count (the reference fails there)" if protocol == "poseval" else "no frame"
        total_is = "there is none in total" if len(untracked) == len(sequences) else "the total is that of the others"
        notes.append(f"no tracking figures of sequences with {few}, {total_is}: {some_of(untracked, most=_LISTED)}")
    counts = sum((scope.counts for scope in sequences.values()), Counts.nothing())
    total = Scope(
        labelled_frames=sum(scope.labelled_frames for scope in sequences.values()),
        accuracy=average_precision(join(kept.rankings), protocol=protocol),
        tracking=tracking(counts, protocol=protocol) if len(untracked) < len(sequences) else None,
        counts=counts,
        tracks=sum((scope.tracks for scope in sequences.values()), TrackCounts.nothing()),
        hota=combine(kept.hotas),
    )
    stamp = Stamp(
        gt=str(gt),
        pred=str(pred),
        gt_form=" and ".join(sorted(kept.forms[0])),
        pred_form=" and ".join(sorted(kept.forms[1])),
        sequences=len(sequences),
        labelled_frames=total.labelled_frames,
        protocol=protocol,
        version=_version(),
    )
    return Evaluation(
        stamp=stamp,
        total=total,
        sequences=sequences,
        worst=sorted(kept.worst, reverse=True),
        notes=notes,
        timelines=kept.timelines or {},
    )


def read_pairs(gt: Path, pred: Path, protocol: Protocol) -> tuple[LabelledFile, LabelledFile, list[FramePair]]:
    """Both files of a sequence, and what is judged in it.

    Raises:
        InputError: a file cannot be read or does not fulfil what the protocol asks.
    """
    truth, predicted = read_labelled(gt), read_labelled(pred)
    frames, others = checked_frames(truth, predicted, protocol=protocol)
    try:
        return truth, predicted, pair_frames(annotate(frames), annotate(others), protocol=protocol)
    except ValueError as error:
        raise InputError(f"{gt}: {error}") from None


def _names(gt: Path, pred: Path) -> tuple[list[str], list[str]]:
    """Names of the files that are evaluated, and notes."""
    for folder in (gt, pred):
        if not folder.is_dir():
            raise InputError(f"{folder} is {'no folder' if folder.exists() else 'not there'}; it must be a folder")
    names = sorted(path.name for path in gt.glob("*.json"))
    if not names:
        raise InputError(f"{gt} has no .json files; each sequence needs one")
    predicted = {path.name for path in pred.glob("*.json")}
    missing = [name for name in names if name not in predicted]
    if missing:
        raise InputError(f"{pred} lacks {len(missing)} of {len(names)} files: {some_of(missing, most=_LISTED)}")
    beside = sorted(predicted - set(names))
    return names, [f"left out, without ground truth: {some_of(beside, most=_LISTED)}"] if beside else []


def _sequence(gt: Path, pred: Path, protocol: Protocol, kept: _Sum) -> Scope:
    """The figures of one file; what the total needs goes into `kept`."""
    name = gt.name.removesuffix(".json")
    truth, predicted, pairs = read_pairs(gt, pred, protocol)
    kept.forms[0].add(truth.form)
    kept.forms[1].add(predicted.form)
    rankings = rank(pairs)
    record = follow(pairs, protocol=protocol)
    counts = record.counts.sum()
    kept.rankings.append(rankings)
    kept.hotas.append(hota(pairs, protocol=protocol))
    kept.worst = heapq.nlargest(_WORST, [*kept.worst, *_errors(name, record)])
    if kept.timelines is not None and record.frames:
        kept.timelines[name] = timeline(record)
    return Scope(
        labelled_frames=len(pairs),
        accuracy=replace(average_precision(rankings, protocol=protocol), curves=()),
        tracking=tracking(counts, protocol=protocol) if record.frames else None,
        counts=counts,
        tracks=count_tracks(record),
        hota=kept.hotas[-1],
    )


def _errors(sequence: str, record: Record) -> Iterable[WorstFrame]:
    """The frames of a sequence in which anything went wrong."""
    counts = record.counts
    columns = (counts.misses.sum(axis=1), counts.false_positives.sum(axis=1), counts.switches.sum(axis=1))
    for pair, *wrong in zip(record.frames, *(column.tolist() for column in columns), strict=True):
        if any(wrong):
            yield WorstFrame(sum(wrong), sequence, pair.name, *wrong)


def _version() -> str:
    try:
        return version("posetrack-app")
    except PackageNotFoundError:
        return "not installed"
