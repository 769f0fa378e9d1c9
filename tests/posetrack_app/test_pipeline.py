"""The main job, with a network that sees a planted person: frames in are frames out, whatever happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from models.skeleton import COCO17, Skeleton
from posetrack_app import pipeline
from posetrack_app.config import Settings, override
from posetrack_app.errors import InputError, OutputError
from posetrack_app.formats import csv_table, parquet
from posetrack_app.redraw import redraw
from posetrack_app.render import Renderer
from posetrack_app.retrack import read_saved, retrack
from posetrack_app.types import Frame, Origin, Poses
from posetrack_app.video import VideoWriter, expand_inputs
from posetrack_app.video.encoders import HARDWARE, works


class PlantedEstimator:
    """Stands in for the network: sees one standing person wherever the picture is bright."""

    skeleton: Skeleton = COCO17
    batch = 4
    beside = True

    def __init__(self, on_frame: Callable[[int], None] = lambda index: None) -> None:
        self.seconds = {"prepare": 0.0, "network": 0.0, "peaks": 0.0, "grouping": 0.0}
        self.on_frame = on_frame
        self.batches: list[int] = []

    def describe(self) -> dict[str, Any]:
        return {"weights": "planted"}

    def settle(self, width: int, height: int) -> None:
        pass

    def begin(self, frames: Sequence[Frame]) -> Callable[[], list[Poses]]:
        return partial(self.estimate, frames)

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        self.batches.append(len(frames))
        return [self._see(frame) for frame in frames]

    def _see(self, frame: Frame) -> Poses:
        self.on_frame(frame.index)
        column = frame.image[..., 0].max(axis=0) > 128
        if not column.any():
            return Poses.empty(17)
        x = float(np.flatnonzero(column).mean())
        body = np.stack([np.linspace(-8, 8, 17), np.linspace(20, 100, 17)], axis=-1)
        return Poses.untracked(xy=[body + [x, 0]], joint_score=np.full((1, 17), 0.9), score=[0.9])


class SlowEstimator(PlantedEstimator):
    """The same, with the time it takes counted."""

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        started = time.perf_counter()
        try:
            return super().estimate(frames)
        finally:
            self.seconds["network"] += time.perf_counter() - started


class Telling(PlantedEstimator):
    """The same, and what it begins and finishes is written down."""

    def __init__(self, *, beside: bool) -> None:
        super().__init__()
        self.beside = beside
        self.told: list[tuple[str, int]] = []

    def begin(self, frames: Sequence[Frame]) -> Callable[[], list[Poses]]:
        self.told.append(("begun", frames[0].index))

        def finish() -> list[Poses]:
            self.told.append(("done", frames[0].index))
            return self.estimate(frames)

        return finish


def draw(path: Path, frames: int, *, nobody: Sequence[int] = ()) -> Path:
    """A bright bar that walks to the right; absent in the frames `nobody`."""
    with VideoWriter(path, width=160, height=120, rate=Fraction(25)) as writer:
        for index in range(frames):
            image = np.full((120, 160, 3), 30, dtype=np.uint8)
            if index not in nobody:
                image[20:100, 20 + index : 36 + index] = 220
            writer.write(image, index / 25)
    return path


def run(path: Path, out: Path, *, estimator: Any = None, assignments: Sequence[str] = ()) -> pipeline.RunReport:
    (source,) = expand_inputs([str(path)])
    settings = override(Settings(), list(assignments))
    return pipeline.run(source, out, settings=settings, estimator=estimator or PlantedEstimator())


def interrupt_at(frame: int) -> Callable[[int], None]:
    def stop(index: int) -> None:
        if index == frame:
            raise KeyboardInterrupt

    return stop


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(timeout=5)
    assert not [thread.name for thread in left if thread.is_alive()]


def test_a_gpu_has_its_next_frames_before_these_are_grouped(tmp_path: Path) -> None:
    clip = draw(tmp_path / "walk.mp4", 10)
    told, tables = [], []
    for beside in (True, False):
        estimator = Telling(beside=beside)
        run(clip, tmp_path / str(beside), estimator=estimator)
        told.append(estimator.told)
        tables.append((tmp_path / str(beside) / "poses.parquet").read_bytes())
    assert told[0] == [("begun", 0), ("begun", 4), ("done", 0), ("begun", 8), ("done", 4), ("done", 8)]
    assert told[1] == [(what, index) for index in (0, 4, 8) for what in ("begun", "done")]
    assert tables[0] == tables[1]


def test_every_frame_comes_out_once_and_the_person_keeps_an_id(tmp_path: Path, no_threads_left: None) -> None:
    report = run(draw(tmp_path / "walk.mp4", 40), tmp_path / "out")
    assert report.complete
    assert report.frames_decoded == report.frames_estimated == report.frames_written == 40
    assert report.people == 1
    rows = list(parquet.read(tmp_path / "out" / "poses.parquet"))
    assert [index for index, _, _ in rows] == list(range(40))
    assert {int(poses.track_id[0]) for _, _, poses in rows} == {0}
    for index, seconds, poses in rows:
        assert seconds == pytest.approx(index / 25, abs=1e-3)
        assert poses.xy[0, :, 0].mean() == pytest.approx(27.5 + index, abs=3)
    document = json.loads((tmp_path / "out" / "poses.json").read_text())
    assert len(document["images"]) == 40
    assert len(document["annotations"]) == 40
    with av.open(str(tmp_path / "out" / "tracked.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 40
    assert not list((tmp_path / "out").glob("*.partial*"))
    written = json.loads((tmp_path / "out" / "run.json").read_text())
    assert written["frames_written"] == 40
    stages = "decode prepare network peaks grouping tracking render tables encode total"
    assert set(written["seconds"]) == set(stages.split())
    assert [stage["name"] for stage in written["stages"]] == ["decode", "network", "draw", "encode"]
    assert written["bottleneck"] in {"decode", "network", "draw", "encode"}
    assert written["advice"]


def test_nobody_at_all(tmp_path: Path) -> None:
    report = run(draw(tmp_path / "empty.mp4", 10, nobody=range(10)), tmp_path / "out")
    assert (report.frames_written, report.people, report.poses) == (10, 0, 0)
    assert list(parquet.read(tmp_path / "out" / "poses.parquet")) == []
    assert len(json.loads((tmp_path / "out" / "poses.json").read_text())["images"]) == 10


def test_one_frame_has_its_person(tmp_path: Path) -> None:
    report = run(draw(tmp_path / "one.mp4", 1), tmp_path / "out")
    assert (report.frames_written, report.people) == (1, 1)


def test_data_only(tmp_path: Path) -> None:
    report = run(draw(tmp_path / "walk.mp4", 5), tmp_path / "out", assignments=["video.enabled=false"])
    assert report.frames_written == 5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "doubts.json",
        "poses.json",
        "poses.parquet",
        "run.json",
    ]


def test_the_batch_size_changes_nothing(tmp_path: Path) -> None:
    clip = draw(tmp_path / "walk.mp4", 11, nobody=[4])
    found = []
    for batch in (1, 3, 32):
        estimator = PlantedEstimator()
        run(clip, tmp_path / str(batch), estimator=estimator, assignments=[f"network.batch={batch}"])
        assert max(estimator.batches) == min(batch, 11)
        found.append(
            [
                (i, p.track_id.tolist(), p.xy.tolist())
                for i, _, p in parquet.read(tmp_path / str(batch) / "poses.parquet")
            ]
        )
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("the network fell over")])
def test_an_interruption_keeps_what_was_finished(
    error: BaseException | type[BaseException], tmp_path: Path, no_threads_left: None
) -> None:
    def stop(index: int) -> None:
        if index == 30:
            raise error

    with pytest.raises((KeyboardInterrupt, InputError)):
        run(draw(tmp_path / "walk.mp4", 40), tmp_path / "out", estimator=PlantedEstimator(on_frame=stop))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        f"{name}.partial.{form}"
        for name, form in (
            ("tracked", "mp4"), ("poses", "json"), ("poses", "parquet"), ("doubts", "json"), ("run", "json"),
        )
    } | {"seen.partial"}  # fmt: skip
    rows = list(parquet.read(tmp_path / "out" / "poses.partial.parquet"))
    assert 15 <= len(rows) <= 30
    written = json.loads((tmp_path / "out" / "run.partial.json").read_text())
    assert written["complete"] is False
    assert written["frames_written"] == len(rows)
    assert len(json.loads((tmp_path / "out" / "poses.partial.json").read_text())["images"]) == len(rows)
    with av.open(str(tmp_path / "out" / "tracked.partial.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == len(rows)


def test_an_error_of_the_disk_reaches_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_threads_left: None
) -> None:
    def full(*arguments: object, cut: bool) -> None:
        raise OutputError("cannot write poses.parquet: No space left on device")

    monkeypatch.setattr(parquet.ParquetWriter, "add", full)
    with pytest.raises(OutputError, match="No space left"):
        run(draw(tmp_path / "walk.mp4", 60), tmp_path / "out")


def test_a_run_without_a_video_leaves_none_of_an_earlier_one(tmp_path: Path) -> None:
    walk, out = draw(tmp_path / "walk.mp4", 40), tmp_path / "out"
    run(walk, out)
    with pytest.raises(KeyboardInterrupt):
        run(walk, out, estimator=PlantedEstimator(on_frame=interrupt_at(30)))
    assert {"tracked.mp4", "tracked.partial.mp4"} <= {path.name for path in out.iterdir()}
    (out / "view.html").write_text("mine")
    run(walk, out, assignments=["video.enabled=false"])
    files = {"poses.parquet", "poses.json", "doubts.json", "run.json"}
    assert {path.name for path in out.iterdir()} == files | {"view.html"}


def test_where_no_frame_came_out_nothing_is_left(tmp_path: Path) -> None:
    walk, out = draw(tmp_path / "walk.mp4", 4), tmp_path / "out"
    for name in HARDWARE:
        if not works(name):
            with pytest.raises(OutputError, match=name):
                run(walk, out, assignments=[f"video.encoder={name}"])
            assert not out.exists()
    with pytest.raises(KeyboardInterrupt):
        run(walk, out, estimator=PlantedEstimator(on_frame=interrupt_at(0)))
    assert {path.name for path in out.iterdir()} == {"run.partial.json", "seen.partial"}


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        run(draw(tmp_path / "walk.mp4", 2), tmp_path / "file" / "out")


def test_pictures_of_a_folder_keep_their_names(tmp_path: Path) -> None:
    import cv2

    (tmp_path / "frames").mkdir()
    for number in (1, 2, 10):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), np.full((48, 64, 3), 10, dtype=np.uint8))
    report = run(tmp_path / "frames", tmp_path / "out")
    assert report.frames_written == 3
    names = [image["file_name"] for image in json.loads((tmp_path / "out" / "poses.json").read_text())["images"]]
    assert [Path(name).name for name in names] == ["1.png", "2.png", "10.png"]


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    clip = draw(tmp_path / "walk.mp4", 20)
    refused: list[str] = []

    def again(frame: int) -> None:
        with pytest.raises(OutputError) as raised:
            run(clip, tmp_path / "out")
        refused.append(str(raised.value))

    report = run(clip, tmp_path / "out", estimator=PlantedEstimator(on_frame=again))
    assert refused == [f"another run is writing into {tmp_path / 'out'}; wait for it, or choose another --out"] * 20
    assert (report.complete, report.frames_written) == (True, 20)
    with av.open(str(tmp_path / "out" / "tracked.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 20
    assert run(clip, tmp_path / "out").complete


def x_of(out: Path) -> dict[int, tuple[float, str]]:
    """Where the person of each frame is, and how the pose came to be."""
    rows = parquet.read(out / "poses.parquet")
    return {index: (float(poses.xy[0, :, 0].mean()), Origin(int(poses.origin[0])).name) for index, _, poses in rows}


@pytest.mark.parametrize("every", [1, 2, 3, 7, 39, 100])
@pytest.mark.parametrize("batch", [1, 4])
def test_between_frames_that_the_network_sees_people_are_on_a_line(every: int, batch: int, tmp_path: Path) -> None:
    clip = draw(tmp_path / "walk.mp4", 40)
    shown: list[int] = []
    report = run(
        clip,
        tmp_path / "out",
        estimator=PlantedEstimator(on_frame=shown.append),
        assignments=[f"network.every={every}", f"network.batch={batch}"],
    )
    assert shown == sorted({*range(0, 40, every), 39})
    assert (report.frames_estimated, report.frames_written, report.people) == (len(shown), 40, 1)
    found = x_of(tmp_path / "out")
    assert list(found) == list(range(40))
    for index, (x, origin) in found.items():
        assert origin == ("OBSERVED" if index in shown else "INTERPOLATED")
        before, after = max(i for i in shown if i <= index), min(i for i in shown if i >= index)
        part = (index - before) / max(after - before, 1)
        assert x == pytest.approx(found[before][0] * (1 - part) + found[after][0] * part, abs=1e-3)
        assert x == pytest.approx(27.5 + index, abs=3)  # who walks evenly is where they would have been seen
    with av.open(str(tmp_path / "out" / "tracked.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 40


@pytest.mark.parametrize("every", [1, 4])
def test_a_stretch_is_that_part_of_the_whole(every: int, tmp_path: Path) -> None:
    clip = draw(tmp_path / "walk.mp4", 40)
    shown: list[int] = []
    report = run(
        clip,
        tmp_path / "out",
        estimator=PlantedEstimator(on_frame=shown.append),
        assignments=["input.start=0.2", "input.end=1.2", f"network.every={every}"],
    )
    assert shown == sorted({5, *(index for index in range(5, 30) if index % every == 0), 29})
    assert (report.frames_decoded, report.frames_written, report.people) == (25, 25, 1)
    for index, seconds, poses in parquet.read(tmp_path / "out" / "poses.parquet"):
        assert seconds == pytest.approx(index / 25, abs=1e-3)
        assert poses.xy[0, :, 0].mean() == pytest.approx(27.5 + index, abs=3)
    saved = read_saved(tmp_path / "out")
    assert [frame.index for frame in saved.sequence.frames] == list(range(5, 30))
    images = json.loads((tmp_path / "out" / "poses.json").read_text())["images"]
    assert [image["frame_id"] for image in images] == list(range(5, 30))
    with av.open(str(tmp_path / "out" / "tracked.mp4")) as video:
        times = [float(frame.time or 0) for frame in video.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(25) / 25, atol=1e-3)
    again = retrack(saved, Settings()).sequence
    assert again.is_stretch
    for before, after in zip(saved.sequence.frames, again.frames, strict=True):
        np.testing.assert_array_equal(before.poses.xy, after.poses.xy)
        np.testing.assert_array_equal(before.poses.track_id, after.poses.track_id)
    (source,) = expand_inputs([str(clip)])
    assert redraw(again, source, tmp_path / "again.mp4", settings=Settings()).frames == 25
    with av.open(str(tmp_path / "again.mp4")) as video, av.open(str(tmp_path / "out" / "tracked.mp4")) as first:
        for one, other in zip(video.decode(video=0), first.decode(video=0), strict=True):
            np.testing.assert_array_equal(one.to_ndarray(), other.to_ndarray())
            assert one.pts == other.pts
    for length in (3, 20):
        (short,) = expand_inputs([str(draw(tmp_path / "short.mp4", length))])
        with pytest.raises(InputError, match=f"has {length} frames, the poses are of a video of 30"):
            redraw(again, short, tmp_path / "no.mp4", settings=Settings())


def test_a_csv_is_drawn_although_nobody_is_in_the_last_frames(tmp_path: Path) -> None:
    clip = draw(tmp_path / "walk.mp4", 14, nobody=range(9, 14))
    run(clip, tmp_path / "out")
    sequence = read_saved(tmp_path / "out").sequence
    gone = replace(sequence, frames=sequence.frames[:9])  # the tracker may go on for some frames
    csv_table.write(tmp_path / "poses.csv", gone)
    (source,) = expand_inputs([str(clip)])
    saved = csv_table.read(tmp_path / "poses.csv")
    assert redraw(saved, source, tmp_path / "again.mp4", settings=Settings()).frames == 14


@pytest.mark.parametrize("every", [1, 4, 100])
def test_nobody_is_followed_into_another_shot(every: int, tmp_path: Path) -> None:
    """Two shots of one person each, at the same place; between frames that the network saw nobody crosses the cut."""
    rng = np.random.default_rng(2)
    # Red is where a person is seen.
    scenes = rng.integers(0, [110, 256, 256], (2, 6, 8, 3)).astype(np.uint8).repeat(20, axis=1).repeat(20, axis=2)
    clip = tmp_path / "two.mp4"
    with VideoWriter(clip, width=160, height=120, rate=Fraction(25)) as writer:
        for index in range(40):
            image = scenes[int(index >= 22)].copy()
            image[20:100, 20 + index : 36 + index] = 220
            writer.write(image, index / 25)
    shown: list[int] = []
    estimator = PlantedEstimator(on_frame=shown.append)
    report = run(clip, tmp_path / "out", estimator=estimator, assignments=[f"network.every={every}"])
    assert shown == sorted({*range(0, 40, every), 21, 22, 39})
    assert report.people == 2
    assert report.cuts == pytest.approx([22 / 25])
    assert report.doubts == 0
    saved = read_saved(tmp_path / "out")
    assert [frame.index for frame in saved.sequence.frames if frame.cut] == [22]
    again = retrack(saved, Settings()).sequence
    for before, after in zip(saved.sequence.frames, again.frames, strict=True):
        assert before.poses.track_id.tolist() == after.poses.track_id.tolist() == [int(before.index >= 22)]
        assert before.cut == after.cut
        np.testing.assert_array_equal(before.poses.xy, after.poses.xy)
    parquet.write_sequence(tmp_path / "copy.parquet", again)
    copy = parquet.read_sequence(tmp_path / "copy.parquet")
    assert [frame.index for frame in copy.frames if frame.cut] == [22]
    assert run(clip, tmp_path / "one", assignments=["input.cuts=false"]).people == 1


def test_nobody_is_put_beyond_where_they_were_seen(tmp_path: Path) -> None:
    """Seen in frames 8 to 20 of those that the network sees: not in front of 8, not after 20."""
    clip = draw(tmp_path / "walk.mp4", 40, nobody=[*range(7), *range(22, 40)])
    run(clip, tmp_path / "out", assignments=["network.every=4"])
    assert sorted(x_of(tmp_path / "out")) == list(range(8, 21))


@pytest.mark.parametrize("every", [1, 2, 5])
def test_a_run_tracked_again_is_the_same(every: int, tmp_path: Path) -> None:
    """Births take three frames that the network saw: the tracker must not count those in between."""

    class Unsure(PlantedEstimator):
        def _see(self, frame: Frame) -> Poses:
            poses = super()._see(frame)
            return replace(poses, score=poses.score * np.float32(0.5))

    clip = draw(tmp_path / "walk.mp4", 42, nobody=[20])
    report = run(clip, tmp_path / "out", estimator=Unsure(), assignments=[f"network.every={every}"])
    assert report.people == 1
    saved = read_saved(tmp_path / "out")
    assert saved.sequence.every == every
    again = retrack(saved, Settings())
    assert again.sequence.every == every
    csv_table.write(tmp_path / "poses.csv", saved.sequence)
    by_csv = retrack(read_saved(tmp_path / "poses.csv"), Settings())
    assert by_csv.sequence.every == every
    for one, other in zip(again.sequence.frames, by_csv.sequence.frames, strict=True):
        np.testing.assert_array_equal(one.poses.track_id, other.poses.track_id)
        np.testing.assert_array_equal(one.poses.origin, other.poses.origin)
        np.testing.assert_allclose(one.poses.xy, other.poses.xy, atol=0.01)
    for before, after in zip(saved.sequence.frames, again.sequence.frames, strict=True):
        for name in ("track_id", "origin", "xy", "joint_score", "score"):
            np.testing.assert_array_equal(getattr(before.poses, name), getattr(after.poses, name), name)


def test_a_piece_of_a_run_is_tracked_again(tmp_path: Path) -> None:
    """Its first frame may be one that the network did not see: nobody is put there from a later one."""
    clip = draw(tmp_path / "walk.mp4", 40)
    run(clip, tmp_path / "out", assignments=["network.every=4"])
    saved = read_saved(tmp_path / "out")
    parquet.write_sequence(tmp_path / "piece.parquet", replace(saved.sequence, frames=saved.sequence.frames[3:30]))
    piece = read_saved(tmp_path / "piece.parquet")
    whole = {frame.index: frame.poses for frame in retrack(saved, Settings()).sequence.frames}
    for frame in retrack(piece, Settings()).sequence.frames:
        if 4 <= frame.index <= 28:
            np.testing.assert_allclose(frame.poses.xy, whole[frame.index].xy, atol=1e-3)
        else:
            assert len(frame.poses) == 0


def test_times_count_between_frames_and_not_their_numbers(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.9, 1.0, 1.5, 1.9, 2.0]
    with VideoWriter(tmp_path / "c.mp4", width=160, height=120, rate=None) as writer:
        for seconds in times:
            image = np.full((120, 160, 3), 30, dtype=np.uint8)
            x = 20 + round(20 * seconds)
            image[20:100, x : x + 16] = 220
            writer.write(image, seconds)
    run(tmp_path / "c.mp4", tmp_path / "out", assignments=["network.every=3"])
    found = x_of(tmp_path / "out")
    ends = found[0][0], found[3][0]
    for index in (1, 2):
        assert found[index][0] == pytest.approx(ends[0] + times[index] * (ends[1] - ends[0]), abs=0.01)


def test_a_smaller_video_leaves_the_poses_as_they_are(tmp_path: Path) -> None:
    clip = draw(tmp_path / "walk.mp4", 12)
    run(clip, tmp_path / "full")
    run(clip, tmp_path / "half", assignments=["video.scale=0.5", "render.labels=false"])
    full, half = tmp_path / "full" / "poses.parquet", tmp_path / "half" / "poses.parquet"
    assert full.read_bytes() == half.read_bytes()
    with av.open(str(tmp_path / "half" / "tracked.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 12
    assert {frame.shape for frame in frames} == {(60, 80, 3)}
    # The skeleton stands on its person: colours are only there where the bar is.
    coloured = np.ptp(frames[6].astype(int), axis=2) > 60
    columns = np.flatnonzero(coloured.any(axis=0))
    assert len(columns)
    assert 9 <= columns.min() <= columns.max() <= 26


@pytest.mark.parametrize("slow", ["network", "draw"])
def test_the_slow_stage_is_named_and_the_others_wait(
    slow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(index: int = 0) -> None:
        time.sleep(0.03)

    if slow == "draw":
        draw_ = Renderer.draw

        def slowly(self: Renderer, frame: Frame, poses: Poses) -> Any:
            sleep()
            return draw_(self, frame, poses)

        monkeypatch.setattr(Renderer, "draw", slowly)
    report = run(
        draw(tmp_path / "walk.mp4", 40),
        tmp_path / "out",
        estimator=SlowEstimator(on_frame=sleep if slow == "network" else lambda index: None),
    )
    stages = {stage.name: stage for stage in report.stages}
    assert report.bottleneck == slow
    assert ("network" if slow == "network" else "Drawing") in report.advice
    assert stages[slow].work > 0.03 * 40
    if slow == "network":
        assert stages["draw"].waits_for_frames > 0.6
        assert stages["decode"].waits_for_room > 0.6
    else:
        assert stages["network"].waits_for_room > 0.6
    for stage in report.stages:
        assert stage.work + stage.waits_for_frames + stage.waits_for_room <= report.seconds["total"] + 0.1
