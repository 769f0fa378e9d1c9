"""Saved poses: tracked again they have the same identities; corrections and refinements are told; they can be drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from models.skeleton import COCO17, POSETRACK15
from posetrack_app.cli import app
from posetrack_app.config import Settings, override
from posetrack_app.edits import parse_edits
from posetrack_app.errors import InputError, UsageError, UserError
from posetrack_app.formats.parquet import ParquetWriter, read_sequence, write_sequence
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.redraw import redraw
from posetrack_app.retrack import FILES, read_saved, retrack, side_groups, write_results
from posetrack_app.types import Origin, Poses
from posetrack_app.video import Source, VideoReader, VideoWriter, expand_inputs
from posetrack_app.video.stretch import Stretch
from trackers.tracker import Tracker

RATE = 25.0
BODY = np.stack([np.tile([-10.0, 10.0], 9)[:17], np.linspace(-50, 50, 17)], axis=-1)


def tracked(frames: int = 60, *, hidden: range = range(0), looks: bool = False) -> PoseSequence:
    """Three who walk through each other as the network and the tracker of a run leave them; 1 is hidden for a while."""
    rng = np.random.default_rng(4)
    tracker = Tracker(Settings().tracker, sigmas=np.array(COCO17.sigmas))
    done = []
    for index in range(frames):
        people = [(80 + 4 * index, 100), (320 - 4 * index, 110), (200, 300)]
        appearance = 255 * np.eye(3, dtype=np.uint8)
        if index in hidden:
            del people[1]
            appearance = appearance[[0, 2]]
        xy = np.array([BODY + place for place in people]) + rng.normal(0, 1, (len(people), 17, 2))
        score = rng.uniform(0.2, 0.9, len(people))
        joint_score = np.repeat(score[:, None], 17, axis=1)
        done += tracker.update(
            index=index,
            seconds=index / RATE,
            xy=xy,
            joint_score=joint_score,
            score=score,
            appearance=appearance if looks else None,
        )
    done += tracker.flush()
    posed = [
        PosedFrame(
            item.index,
            item.seconds,
            Poses(
                xy=item.xy,
                joint_score=item.joint_score,
                score=item.score,
                track_id=item.track_id,
                origin=item.origin,
                appearance=item.appearance,
            ),
        )
        for item in done
    ]
    return PoseSequence("three", COCO17, 400, 400, posed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run."""
    path = tmp_path / "run"
    path.mkdir()
    write_sequence(path / "poses.parquet", tracked(hidden=range(20, 32)))
    return path


def film(path: Path, frames: int, *, size: tuple[int, int] = (400, 400)) -> Path:
    with VideoWriter(path, width=size[0], height=size[1], rate=Fraction(25)) as writer:
        for index in range(frames):
            writer.write(np.full((size[1], size[0], 3), 60, dtype=np.uint8), index / RATE)
    return path


def same(a: PoseSequence, b: PoseSequence) -> bool:
    return all(
        (p.index, p.seconds) == (q.index, q.seconds)
        and all(np.array_equal(getattr(p.poses, name), getattr(q.poses, name)) for name in Poses.__slots__)
        for p, q in zip(a.frames, b.frames, strict=True)
    )


def test_the_same_settings_give_the_same_identities(folder: Path) -> None:
    saved = read_saved(folder)
    again = retrack(saved, Settings())
    assert same(again.sequence, read_sequence(folder / "poses.parquet"))
    assert same(retrack(saved, Settings(), keep_tracks=True).sequence, saved.sequence)
    assert [step["name"] for step in again.steps] == ["track"]
    others = retrack(saved, override(Settings(), ["tracker.death_seconds=0.1", "tracker.recent_seconds=0"]))
    assert len(others.table.ids) > len(again.table.ids)


def test_who_came_back_by_their_looks_comes_back_again(tmp_path: Path) -> None:
    """They were away for longer than anybody is followed by place."""
    sequence = tracked(190, hidden=range(30, 160), looks=True)
    assert {int(track) for frame in sequence.frames for track in frame.poses.track_id} == {0, 1, 2}
    write_sequence(tmp_path / "poses.parquet", sequence)
    saved = read_saved(tmp_path / "poses.parquet")
    again = retrack(saved, Settings())
    assert same(again.sequence, sequence)
    settings = override(Settings(), ["refine.fill_seconds=20", "refine.smooth=butterworth"])
    write_results(tmp_path / "out", retrack(saved, settings), report={})
    written = read_saved(tmp_path / "out")
    filled = written.table.origin == Origin.INTERPOLATED
    assert filled.sum() >= 130
    assert not written.table.appearance[filled].any()
    assert same(retrack(written, Settings()).sequence, sequence)
    blind = replace(saved.table, appearance=np.zeros((len(saved.table), 0), dtype=np.uint8))
    assert retrack(replace(saved, table=blind), Settings()).table.ids == [0, 1, 2, 3]


def test_everything_at_once_is_written_and_told(folder: Path, tmp_path: Path) -> None:
    settings = override(
        Settings(),
        ["tracker.death_seconds=0.1", "refine.join=true", "refine.fill_seconds=1", "refine.smooth=butterworth"],
    )
    result = retrack(read_saved(folder), settings, edits=parse_edits("split 2 at 1.2 as 30"), edits_name="my.txt")
    write_results(tmp_path / "out", result, report={"input": "run"})
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    told = json.loads((tmp_path / "out" / "retrack.json").read_text())
    assert [step["name"] for step in told["steps"]] == ["track", "edits", "join", "fill", "smooth"]
    assert told["input"] == "run"
    metadata = pq.read_metadata(tmp_path / "out" / "poses.parquet").metadata
    assert json.loads(metadata[b"steps"])[1]["changed"] == {"edits": 1}
    document = json.loads((tmp_path / "out" / "poses.json").read_text())
    assert len(document["images"]) == 60
    assert set(json.loads((tmp_path / "out" / "doubts.json").read_text())) == {"doubts"}
    written = read_saved(tmp_path / "out")
    assert same(written.sequence, result.sequence)
    assert np.array_equal(written.table.raw_xy, result.table.raw_xy, equal_nan=True)
    assert (written.table.origin == Origin.INTERPOLATED).any()


def test_smoothed_poses_are_tracked_by_what_was_seen(folder: Path, tmp_path: Path) -> None:
    plain = retrack(read_saved(folder), Settings())
    smoothed = retrack(read_saved(folder), override(Settings(), ["refine.smooth=savgol", "refine.fill_seconds=1"]))
    assert not same(plain.sequence, smoothed.sequence)
    write_results(tmp_path / "out", smoothed, report={})
    assert same(retrack(read_saved(tmp_path / "out"), Settings()).sequence, plain.sequence)


def test_nobody_and_no_frames(tmp_path: Path) -> None:
    for frames in ([], [PosedFrame(0, 0.0, Poses.empty(17)), PosedFrame(1, 0.04, Poses.empty(17))]):
        path = tmp_path / f"{len(frames)}.parquet"
        write_sequence(path, PoseSequence("none", COCO17, 64, 48, frames))
        result = retrack(read_saved(path), override(Settings(), ["refine.join=true", "refine.smooth=butterworth"]))
        write_results(tmp_path / f"out{len(frames)}", result, report={})
        assert len(read_sequence(tmp_path / f"out{len(frames)}" / "poses.parquet").frames) == len(frames)


def test_times_that_run_backwards_are_named(tmp_path: Path) -> None:
    frames = [PosedFrame(0, 1.0, Poses.empty(17)), PosedFrame(1, 0.5, Poses.empty(17))]
    write_sequence(tmp_path / "x.parquet", PoseSequence("x", COCO17, 64, 48, frames))
    with pytest.raises(InputError, match=r"frame 1 is at 0.500 s, before .* 1.000 s"):
        retrack(read_saved(tmp_path / "x.parquet"), Settings())


def test_sides_go_together_in_arms_legs_and_faces() -> None:
    assert sorted(map(len, side_groups(COCO17))) == [2, 3, 3]
    assert sorted(map(len, side_groups(POSETRACK15))) == [3, 3]
    assert sorted(pair for group in side_groups(COCO17) for pair in group) == sorted(COCO17.mirror_pairs)


def test_poses_are_drawn_onto_their_video(folder: Path, tmp_path: Path) -> None:
    (source,) = expand_inputs([str(film(tmp_path / "three.mp4", 60))])
    sequence = read_sequence(folder / "poses.parquet")
    assert redraw(sequence, source, tmp_path / "out.mp4", settings=Settings()).frames == 60
    with av.open(str(tmp_path / "out.mp4")) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(images) == 60
    for image, frame in zip(images, sequence.frames, strict=True):
        changed = np.abs(image.astype(int) - 60).max(axis=2) > 40
        for x, y in frame.poses.xy[frame.poses.track_id >= 0].mean(axis=1).astype(int).tolist():
            assert changed[max(y - 30, 0) : y + 30, max(x - 20, 0) : x + 20].any()


@pytest.mark.parametrize(
    ("frames", "size", "message"),
    [
        (60, (300, 400), "has frames of 300x400 pixels, the poses are of a video of 400x400"),
        (50, (400, 400), "has 50 frames, the poses are of a video of 60"),
        (70, (400, 400), "has more than 60 frames, the poses are of a video of 60"),
    ],
)
def test_another_video_is_refused(
    frames: int, size: tuple[int, int], message: str, folder: Path, tmp_path: Path
) -> None:
    (source,) = expand_inputs([str(film(tmp_path / "other.mp4", frames, size=size))])
    with pytest.raises(InputError) as caught:
        redraw(read_sequence(folder / "poses.parquet"), source, tmp_path / "out.mp4", settings=Settings())
    assert message in str(caught.value)
    assert not (tmp_path / "out.mp4").exists()


def timed(path: Path, times: Sequence[float]) -> Source:
    with VideoWriter(path, width=64, height=48, rate=Fraction(25)) as writer:
        for seconds in times:
            writer.write(np.full((48, 64, 3), 60, dtype=np.uint8), seconds)
    (source,) = expand_inputs([str(path)])
    return source


def copied(path: Path, to: Path) -> Source:
    """The same pictures in another container, from 0 on."""
    with av.open(str(path)) as read, av.open(str(to), "w") as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        first: int | None = None
        for packet in read.demux(read.streams.video[0]):
            if packet.dts is not None and packet.pts is not None:
                first = packet.pts if first is None else first
                packet.pts, packet.dts, packet.stream = packet.pts - first, packet.dts - first, stream
                written.mux(packet)
    (source,) = expand_inputs([str(to)])
    return source


def stretch_of(source: Source, stretch: Stretch) -> PoseSequence:
    """What a run over a stretch saves, of nobody."""
    with VideoReader(source, stretch=stretch) as reader:
        frames = [PosedFrame(frame.index, frame.pts, Poses.empty(17), frame.name) for frame in reader]
    return PoseSequence(source.name, COCO17, 64, 48, frames, is_stretch=True)


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "flv", "ts"])
def test_a_stretch_is_drawn_onto_copies_of_its_film(kind: str, tmp_path: Path) -> None:
    steps = np.random.default_rng(0).uniform(0.01, 0.08, 80)
    source = timed(tmp_path / "film.mp4", (1.5 + np.cumsum(steps)).tolist())
    sequence = stretch_of(source, Stretch(0.4, 2.2))
    copy = copied(tmp_path / "film.mp4", tmp_path / f"copy.{kind}")
    for film_, warnings in [(source, 0), (copy, 1)]:  # which has another name
        done = redraw(sequence, film_, tmp_path / "out.mp4", settings=Settings())
        assert done.frames == len(sequence.frames) > 30
        assert ["'film', not 'copy'" in line for line in done.warnings] == [True] * warnings
    done = redraw(stretch_of(copy, Stretch(0.4, 2.2)), source, tmp_path / "out.mp4", settings=Settings())
    assert done.frames == len(sequence.frames)


@pytest.mark.parametrize("rate", [24, 30, 50])
def test_a_stretch_is_not_drawn_onto_a_film_of_other_times(rate: int, tmp_path: Path) -> None:
    sequence = stretch_of(timed(tmp_path / "film.mp4", [index / 25 for index in range(80)]), Stretch(0.4, 2.2))
    other = timed(tmp_path / "other.mp4", [index / rate for index in range(80)])
    with pytest.raises(InputError, match=r"frame \d+ at \d\.\d+ s, where the video of the poses shows it at \d\.\d+ s"):
        redraw(sequence, other, tmp_path / "out.mp4", settings=Settings())
    assert not (tmp_path / "out.mp4").exists()


# The commands.


def call(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands(folder: Path, tmp_path: Path) -> None:
    video = film(tmp_path / "three.mp4", 60)
    edits = tmp_path / "edits.txt"
    edits.write_text("swap 0 2 from 1\n")
    out = call("retrack", folder, "--edits", edits, "--join", "--fill", "0.5", "--video", video)
    assert "edits: edits 1" in out
    names = {path.name for path in (folder / "retracked").iterdir()}
    assert names == {*FILES, "tracked.mp4"}
    before, after = (read_sequence(path / "poses.parquet") for path in (folder, folder / "retracked"))
    assert before.frames[0].poses.track_id.tolist() == after.frames[0].poses.track_id.tolist()
    assert before.frames[50].poses.track_id.tolist() != after.frames[50].poses.track_id.tolist()
    call("render", folder, "--video", video, "--render", "black")
    assert (folder / "tracked.mp4").exists()
    with pytest.raises(UserError, match="--overwrite"):
        call("retrack", folder)
    with pytest.raises(UserError, match="--overwrite"):
        call("render", folder, "--video", video)
    for name in ("w4.avi", "w4.txt", "w4"):
        with pytest.raises(UsageError, match=rf"--out is .*{name}, its name must end in \.mp4"):
            call("render", folder, "--video", video, "--out", tmp_path / "new" / name)
    assert not (tmp_path / "new").exists()
    call("retrack", folder, "--people", "2", "--overwrite", "--quiet")
    assert json.loads((folder / "retracked" / "retrack.json").read_text())["people"] == 2
    edits.write_text("swap 0 99\n")
    with pytest.raises(InputError, match=r"edits.txt, line 1: .*there is no 99"):
        call("retrack", folder, "--edits", edits, "--overwrite")


@pytest.mark.parametrize("method", ["butterworth", "savgol"])
def test_a_cutoff_that_the_rate_cannot_carry_is_told(method: str, folder: Path) -> None:
    out = call("retrack", folder, "--smooth", method, "--cutoff", "12.5")
    warning = f"{method} with a cutoff of 12.5 Hz changes nothing at 25 frames/s: the cutoff must be below 12.5 Hz"
    assert out.splitlines()[-1] == f"  warning: {warning}"
    told = json.loads((folder / "retracked" / "retrack.json").read_text())
    assert told["warnings"] == [warning]
    assert told["steps"][-1]["changed"]["joints"] == 0
    assert "warning" not in call("retrack", folder, "--smooth", method, "--cutoff", "12.4", "--overwrite")
    assert json.loads((folder / "retracked" / "retrack.json").read_text())["steps"][-1]["changed"]["joints"] > 1000


def test_a_table_of_an_older_version_has_no_raw_values(tmp_path: Path) -> None:
    writer = ParquetWriter(tmp_path / "poses.parquet", skeleton=COCO17, video="x", width=400, height=400)
    for frame in tracked(5).frames:
        writer.add(frame.index, frame.seconds, frame.poses)
    writer.close()
    assert np.isnan(read_saved(tmp_path).table.raw_xy).all()
