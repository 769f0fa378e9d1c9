"""The main job: frames in, people with identities out, as data and as a picture.

    VideoReader or LiveReader - PoseEstimator - Tracker - Sink (tables, Renderer, VideoWriter)

The decoder, the encoder and the sink each run in a thread of their own beside the network; bounded queues
join them, so memory does not grow with the length of the video.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from posetrack_app.between import Between
from posetrack_app.config import Settings
from posetrack_app.errors import OutputError, UserError
from posetrack_app.estimator import PoseEstimator
from posetrack_app.formats.saving import alone_in
from posetrack_app.journal import NAME, Journal, key_of
from posetrack_app.report import RunReport, described, versions
from posetrack_app.sink import Sink
from posetrack_app.stages import Clock, Stage, advice, bottleneck
from posetrack_app.types import Frame, Poses
from posetrack_app.video import LiveReader, Source, VideoInfo, VideoReader, open_reader
from posetrack_app.video.cuts import marked
from posetrack_app.watch import Watch, until_signal
from trackers.tracker import Tracker

__all__ = ["RunReport", "run", "versions"]

Item = TypeVar("Item")
Progress = Callable[[], None]
"""Called once for each frame that is on its way to the files."""
Lot = tuple[list[Frame], Callable[[], list[Poses | None]]]
"""Frames that go through the network together, and what waits for the people of each."""


def run(
    source: Source,
    folder: Path,
    *,
    settings: Settings,
    estimator: PoseEstimator,
    opened: Callable[[VideoInfo], Progress] = lambda info: lambda: None,
    tell: Callable[[str], None] = lambda line: None,
    kept: Path | None = None,
    status: Callable[[str], None] = lambda text: None,
    show: Callable[[npt.NDArray[np.uint8]], None] | None = None,
) -> RunReport:
    """Track the people of one input and write the results into `folder`.

    Where an earlier run of the same input was broken off, frames that its network saw are not shown to it again.

    Args:
        source: What to read.
        folder: Where to write; made where it is missing. Files of the same names are replaced.
        settings: The whole tree of settings.
        estimator: The network, made from the same settings; it may serve many inputs.
        opened: Called when the input is open; gives the function to call for each finished frame.
        tell: Called with a line where an earlier run goes on, or cannot, and where a live input breaks and is back.
        kept: Folder in which what the network saw is kept, for the caller to remove; None: one inside of `folder`,
            which goes when the run is complete.
        status: Called before each finished frame of a live input with its age and the number of those dropped.
        show: Called with each drawn picture, uint8 (H, W, 3), RGB, from another thread.

    A live input is completed when it ends, and by Ctrl-C or SIGTERM.

    Raises:
        UserError: The input or the output fails. What was finished stays, readable, under `.partial` names.
        KeyboardInterrupt: After the same clean-up.
    """
    started = time.perf_counter()
    clock = Clock()
    before = Counter(estimator.seconds)
    every = settings.network.every
    failure: BaseException | None = None
    with (
        open_reader(source, input_=settings.input, live=settings.live, tell=tell) as reader,
        alone_in(folder),
        until_signal(reader),
    ):
        watch = Watch(reader) if isinstance(reader, LiveReader) else None
        progress = opened(reader.info)
        if watch is None:
            estimator.settle(reader.info.width, reader.info.height)
        room = estimator.batch
        sink = Sink(
            folder, source=source, info=reader.info, estimator=estimator, settings=settings, clock=clock, show=show
        )
        tracker = Tracker(
            settings.tracker, sigmas=np.array(estimator.skeleton.sigmas), mirror=estimator.skeleton.mirror
        )
        journal = Journal.nothing()
        try:
            if watch is None:
                journal = _journal(source, kept or folder / NAME, settings, estimator, tell)
            together = settings.network.batch or (1 if watch else estimator.batch)
            batch = -(-together // every)  # frames in between wait, too
            arriving = clock.waiting("network for frames", reader)
            if settings.input.cuts and watch is None:  # live, frames that were dropped would look like cuts
                arriving = marked(arriving)
            frames = _chosen(arriving, every)
            seen = _estimated(frames, estimator, journal, clock, batch=batch, ahead=estimator.beside and watch is None)
            for frame, poses in _tracked(seen, tracker, clock):
                if watch is not None:
                    status(watch.ready(frame))
                with clock.wait("network for room"):
                    sink.put(frame, poses)
                progress()
            sink.close()
        except BaseException as error:
            failure = error
            with suppress(OutputError):  # the disk may be what failed
                journal.flush()
            sink.abort()
    total = time.perf_counter() - started
    estimating = {name: seconds - before[name] for name, seconds in estimator.seconds.items()}
    stages = _stages(reader, estimating, clock, sink, total=total)
    network = estimator.describe()
    report = RunReport(
        complete=failure is None,
        input=described(source, reader.info),
        network=network,
        frames_decoded=reader.frames_decoded,
        frames_estimated=clock.frames["network"] + journal.kept,
        frames_resumed=journal.kept,
        frames_written=sink.frames,
        people=len(sink.people),
        poses=sink.poses,
        cuts=sink.cuts,
        doubts=sink.doubts,
        seconds={
            name: round(seconds, 4)
            for name, seconds in {
                "decode": reader.decode_seconds,
                **estimating,
                **clock.seconds,
                "encode": sink.encode_seconds,
                "total": total,
            }.items()
        },
        stages=stages,
        bottleneck=bottleneck(stages).name,
        advice=advice(stages, network=network, every=every, live=watch is not None),
        fps=round(sink.frames / total, 2),
        warnings=[*reader.warnings, *sink.warnings, *_about_memory(estimator, room)],
        settings=asdict(settings),
        versions=versions(),
        live=watch.report() if watch else None,
    )
    if failure is not None:
        with suppress(OutputError):  # the disk may be what failed
            report.write(folder)
        raise failure
    report.write(folder)
    if kept is None:
        journal.remove()
    else:
        journal.flush()
    return report


def _about_memory(estimator: PoseEstimator, before: int) -> list[str]:
    """A line where fewer frames went through the network together than were to."""
    if estimator.batch >= before:
        return []
    return [
        f"the GPU's memory held {estimator.batch} frames at a time, not {before}: --set network.batch={estimator.batch}"
    ]


def _journal(
    source: Source, kept: Path, settings: Settings, estimator: PoseEstimator, tell: Callable[[str], None]
) -> Journal:
    """What an earlier run left, and where this one keeps what it sees."""
    key = key_of(source, settings=settings, network=estimator.describe())
    if key is None:
        return Journal.nothing()
    journal = Journal(kept, key)
    if journal.anew_because:
        tell(f"{source.shown}: the run that was broken off does not go on, it begins anew: {journal.anew_because}")
    elif (last := journal.last) is not None:
        tell(f"{source.shown}: the run that was broken off goes on; the network saw its frames up to {last} already")
    return journal


def _chosen(frames: Iterable[Frame], every: int) -> Iterator[tuple[Frame, bool]]:
    """Each frame, and whether the network is to see it: every `every`-th, and the first and the last of each shot."""
    if every == 1:
        yield from ((frame, True) for frame in frames)
        return
    held: Frame | None = None
    begun = False
    failures: list[UserError] = []
    for frame in _until_error(frames, failures):
        if held is not None:
            yield held, frame.cut
        held = frame
        if frame.index % every == 0 or frame.cut or not begun:
            yield frame, True
            held = None
        begun = True
    if held is not None:
        yield held, True
    if failures:
        raise failures[0]


def _estimated(
    chosen: Iterable[tuple[Frame, bool]],
    estimator: PoseEstimator,
    journal: Journal,
    clock: Clock,
    *,
    batch: int,
    ahead: bool,
) -> Iterator[tuple[Frame, Poses | None]]:
    """Each frame with the people that the network sees in it; None where it does not see it.

    With `ahead`, the network works on the next frames already while these are grouped and tracked.
    """
    failures: list[UserError] = []
    lots = _until_error(_lots(_until_error(chosen, failures), estimator, journal, clock, batch), failures)
    for frames, people in _one_later(lots) if ahead else lots:
        yield from zip(frames, people(), strict=True)
    if failures:
        raise failures[0]


def _lots(
    chosen: Iterable[tuple[Frame, bool]], estimator: PoseEstimator, journal: Journal, clock: Clock, batch: int
) -> Iterator[Lot]:
    """The frames in lots, each when the network has begun with it."""
    waiting: list[tuple[Frame, bool]] = []

    def begun() -> Lot:
        lot = waiting.copy()
        waiting.clear()
        together = [frame for frame, seen in lot if seen]
        people = estimator.begin(together)

        def finish() -> list[Poses | None]:
            found = people()
            journal.add(together, found)
            clock.frames["network"] += len(found)
            poses = iter(found)
            return [next(poses) if seen else None for _, seen in lot]

        return [frame for frame, _ in lot], finish

    for frame, seen in chosen:
        known = journal.take(frame) if seen else None
        if known is not None or (not seen and not waiting):
            yield [frame], partial(list, [known])
            continue
        waiting.append((frame, seen))
        if sum(seen for _, seen in waiting) == batch:
            yield begun()
    if waiting:
        yield begun()


def _one_later(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each when the next is there."""
    held: list[Item] = []
    for item in items:
        yield from held
        held = [item]
    yield from held


def _tracked(
    pairs: Iterator[tuple[Frame, Poses | None]], tracker: Tracker, clock: Clock
) -> Iterator[tuple[Frame, Poses]]:
    """Each frame with its people and their identities; a few frames late, since births take some.

    The tracker sees the frames that the network saw. People in between are on straight lines.
    """
    people: Between[Frame] = Between()
    failures: list[UserError] = []
    for frame, poses in _until_error(pairs, failures):
        people.wait(frame.index, frame.pts, frame)
        if poses is None:
            continue
        with clock.stage("tracking"):
            done = tracker.update(
                index=frame.index,
                seconds=frame.pts,
                xy=poses.xy,
                joint_score=poses.joint_score,
                score=poses.score,
                appearance=poses.appearance,
                cut=frame.cut,
            )
        yield from people.finished(done)
    yield from people.finished(tracker.flush())
    if failures:
        raise failures[0]


def _until_error(items: Iterable[Item], failures: list[UserError]) -> Iterator[Item]:
    """The items up to an error that a user can cause, which lands in `failures`: what came before is not lost."""
    try:
        yield from items
    except UserError as error:
        failures.append(error)


def _stages(
    reader: VideoReader | LiveReader, estimating: dict[str, float], clock: Clock, sink: Sink, *, total: float
) -> list[Stage]:
    """Work and waiting of the threads; what the first and the last did not work, they waited for their neighbour."""
    estimating = {**estimating, "tracking": clock.seconds["tracking"]}
    live, idle = isinstance(reader, LiveReader), total - reader.decode_seconds
    drawing = {"render": clock.seconds["render"], "tables": clock.seconds["tables"]}
    values: list[tuple[str, float, float, float, dict[str, float]]] = [
        ("decode", reader.decode_seconds, idle if live else 0.0, 0.0 if live else idle, {}),
        ("network", sum(estimating.values()), clock.waits["network for frames"], clock.waits["network for room"],
         estimating),
        ("draw", sum(drawing.values()), clock.waits["draw for frames"], sink.wait_seconds, drawing),
    ]  # fmt: skip
    if sink.encode_seconds:
        values.append(("encode", sink.encode_seconds, total - sink.encode_seconds, 0.0, {}))
    return [
        Stage(
            name=name,
            work=round(work, 4),
            waits_for_frames=round(max(frames, 0.0), 4),
            waits_for_room=round(max(room, 0.0), 4),
            parts={part: round(seconds, 4) for part, seconds in parts.items()},
        )
        for name, work, frames, room, parts in values
    ]
