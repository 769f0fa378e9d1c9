"""The sample on disk: ground truth in PoseTrack's form, pixel for pixel what was drawn."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from models.skeleton import COCO17
from posetrack_app.errors import OutputError
from posetrack_app.formats.annotations import JOINTS, AnnotationWriter
from posetrack_app.formats.posetrack2018 import read
from posetrack_app.sample import SampleConfig, SampleFrame, draw, write_sample
from posetrack_app.sample.files import annotate

CONFIG = SampleConfig(seconds=6.0, rate=2, width=320, height=180)


@pytest.fixture(scope="module")
def drawn() -> list[SampleFrame]:
    return list(draw(CONFIG))


@pytest.fixture(scope="module")
def truth_file(drawn: list[SampleFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.json"
    writer = AnnotationWriter(path, video="sample")
    for sample in drawn:
        writer.add(sample.frame.index, None, annotate(sample.truth, CONFIG.width, CONFIG.height))
    writer.close()
    return path


def test_ground_truth_is_what_was_drawn(drawn: list[SampleFrame], truth_file: Path) -> None:
    frames = read(truth_file)
    assert len(frames) == len(drawn)
    for frame, sample in zip(frames, drawn, strict=True):
        truth = sample.truth
        np.testing.assert_array_equal(frame.track_id, truth.track_id)
        for column, name in enumerate(JOINTS):
            if name in ("head_bottom", "head_top"):
                continue
            joint = COCO17.index(name)
            found = truth.in_frame[:, joint]
            np.testing.assert_array_equal(frame.found[:, column], found)
            np.testing.assert_allclose(frame.xy[found, column], truth.xy[found, joint], atol=1e-3)
            np.testing.assert_array_equal(frame.visible[:, column], truth.visible[:, joint])
        np.testing.assert_allclose(frame.head_box, truth.head_box, atol=2e-3)
        for name, points, seen in (
            ("head_bottom", truth.neck, truth.head_seen[:, 1]),
            ("head_top", truth.head_top, truth.head_seen[:, 0]),
        ):
            column = JOINTS.index(name)
            found = frame.found[:, column]
            np.testing.assert_allclose(frame.xy[found, column], points[found], atol=1e-3)
            np.testing.assert_array_equal(frame.visible[:, column], seen)
            assert (found >= seen).all()


def test_joints_outside_are_zeros_and_hidden_ones_are_annotated(truth_file: Path) -> None:
    hidden = outside = 0
    for annotation in json.loads(truth_file.read_text())["annotations"]:
        points = np.array(annotation["keypoints"]).reshape(17, 3)
        missing = points[:, 2] == 0
        assert not points[missing].any()
        assert set(points[:, 2]) <= {0, 1}
        x, y = points[~missing, :2].T
        assert (x >= -0.5).all()
        assert (x <= CONFIG.width - 0.5).all()
        assert (y >= -0.5).all()
        assert (y <= CONFIG.height - 0.5).all()
        assert annotation["scores"] == []
        assert annotation["bbox_head"][2] > 0
        hidden += int((~np.array(annotation["visible"]) & ~missing).sum())
        outside += int(missing.sum())
    assert hidden > 20
    assert outside > 5


def test_the_files_of_a_short_clip(tmp_path: Path) -> None:
    config = SampleConfig(seconds=0.6, rate=10, width=160, height=96, people=3)
    video, truth = write_sample(tmp_path / "new" / "folder", config)
    assert (video.name, truth.name) == ("sample.mp4", "sample.json")
    assert sorted(path.name for path in video.parent.iterdir()) == ["sample.json", "sample.mp4"]
    with av.open(str(video)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 10
    assert len(pictures) == len(read(truth)) == 6
    for picture, sample in zip(pictures, draw(config), strict=True):
        assert np.abs(picture.astype(int) - sample.frame.image).mean() < 8


def test_a_clip_without_frames(tmp_path: Path) -> None:
    (truth,) = write_sample(tmp_path, SampleConfig(seconds=0))
    assert read(truth) == []
    assert [path.name for path in tmp_path.iterdir()] == ["sample.json"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        write_sample(tmp_path / "file" / "folder", SampleConfig(seconds=0.1))
