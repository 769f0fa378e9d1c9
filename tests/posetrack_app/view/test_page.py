"""The page of a folder: which video it names, what it says where something is missing, that names are harmless."""

from __future__ import annotations

import json
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from models.skeleton import COCO17
from posetrack_app.cli import app
from posetrack_app.errors import InputError
from posetrack_app.formats.parquet import write_sequence
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.types import Poses
from posetrack_app.video import VideoWriter
from posetrack_app.view.media import look_at, shown_times
from posetrack_app.view.page import make_page


def run_folder(folder: Path, *, frames: int = 3, name: str = "clip") -> Path:
    """The folder of a run with one person."""
    folder.mkdir(parents=True)
    poses = Poses.untracked(xy=np.full((1, 17, 2), 20), joint_score=np.ones((1, 17)), score=[1]).with_tracks([4])
    posed = [PosedFrame(t, t / 25, poses) for t in range(frames)]
    write_sequence(folder / "poses.parquet", PoseSequence(name, COCO17, 64, 48, posed))
    return folder


def film(path: Path, times: list[float], *, size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width=size[0], height=size[1], rate=Fraction(25)) as writer:
        for time in times:
            writer.write(np.zeros((*size[::-1], 3), dtype=np.uint8), time)
    return path


def content(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', html, re.DOTALL)
    assert found
    result: dict[str, Any] = json.loads(found[1])
    return result


def report(folder: Path, location: object, kind: str = "video") -> None:
    (folder / "run.json").write_text(json.dumps({"input": {"location": str(location), "kind": kind}}))


def videos(folder: Path, out: Path | None = None, video: Path | None = None) -> list[tuple[str, bool]]:
    page = make_page(folder, out=out or folder / "view.html", video=video)
    return [(media["src"], media["burnt"]) for media in content(page.html)["media"]]


def test_which_video(tmp_path: Path) -> None:
    times = [0, 0.04, 0.08]
    folder = run_folder(tmp_path / "out" / "clip")
    assert videos(folder) == []
    film(folder / "tracked.mp4", times)
    assert videos(folder) == [("./tracked.mp4", True)]
    source = film(tmp_path / "a b#c?.mp4", times)
    report(folder, source)
    assert videos(folder) == [("../../a%20b%23c%3F.mp4", False), ("./tracked.mp4", True)]
    far = folder / "a" / "view.html"  # three folders up: a path that tells of the machine
    assert videos(folder, far) == [("../tracked.mp4", True)]
    assert videos(folder, far, source) == [("../../../a%20b%23c%3F.mp4", False), ("../tracked.mp4", True)]
    assert str(tmp_path) not in make_page(folder, out=far).html
    report(folder, source, kind="images")
    assert videos(folder) == [("./tracked.mp4", True)]
    report(folder, tmp_path / "gone.mp4")
    assert videos(folder) == [("./tracked.mp4", True)]


def test_a_retrack_beside_its_run_shows_the_runs_video(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "clip")
    film(run / "tracked.mp4", [0, 0.04, 0.08])
    retracked = run_folder(run / "retracked")
    assert videos(retracked) == []
    (retracked / "retrack.json").write_text("{}")
    assert videos(retracked) == [("../tracked.mp4", True)]


@pytest.mark.parametrize(
    ("size", "frames", "fits"),
    [((64, 48), 3, True), ((64, 48), 5, True), ((32, 24), 3, True), ((48, 64), 3, True),
     ((32, 24), 5, False), ((64, 64), 3, False), ((128, 48), 3, False), ((320, 180), 90, False)],
)  # fmt: skip
def test_a_video_of_other_pictures_is_refused(
    size: tuple[int, int], frames: int, *, fits: bool, tmp_path: Path
) -> None:
    folder = run_folder(tmp_path / "clip")
    other = film(tmp_path / "other.mp4", [t / 25 for t in range(frames)], size=size)
    report(folder, other)
    asked = make_page(folder, out=folder / "view.html")
    if fits:
        assert videos(folder, video=other) == videos(folder) == [("../other.mp4", False)]
        assert any("matched by time" in note for note in asked.notes) == (frames != 3)
        return
    with pytest.raises(InputError, match=rf"other.mp4 has {frames} frames of {size[0]}x{size[1]}.*of 3 of 64x48; --v"):
        make_page(folder, out=folder / "view.html", video=other)
    assert asked.videos == []
    assert "it is not shown" in asked.notes[0]


def test_what_is_older_than_what_it_was_made_from_is_told(tmp_path: Path) -> None:
    def notes(folder: Path) -> list[str]:
        return make_page(folder, out=folder / "view.html").notes

    run = run_folder(tmp_path / "clip")
    film(run / "tracked.mp4", [0, 0.04, 0.08])
    retracked = run_folder(run / "retracked")
    (retracked / "retrack.json").write_text("{}")
    assert notes(run) == notes(retracked) == []
    later = (run / "poses.parquet").stat().st_mtime + 60
    os.utime(run / "poses.parquet", (later, later))
    (drawn,) = notes(run)
    assert drawn.startswith("tracked.mp4 is older than the poses")
    assert [drawn, f"these poses are older than the run beside them: retrack {run} again"] == notes(retracked)


def test_folders_without_a_table_say_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not the folder of a run: it has no poses.parquet"):
        make_page(tmp_path, out=tmp_path / "view.html")
    run_folder(tmp_path / "clip")
    with pytest.raises(InputError, match="has the folders of runs; name one of them: .*clip"):
        make_page(tmp_path, out=tmp_path / "view.html")
    (tmp_path / "seen.partial").mkdir()
    with pytest.raises(InputError, match="is not finished: the same `run` command goes on with it"):
        make_page(tmp_path, out=tmp_path / "view.html")
    assert not (tmp_path / "view.html").exists()


def test_times_are_those_of_the_file(tmp_path: Path) -> None:
    """Variable rate, a negative start that the writer moved, and a late one that it kept."""
    for first in (-0.5, 0.0, 2.5):
        seconds = first + np.array([0, 0.1, 0.15, 1.0, 1.04])
        media = look_at(film(tmp_path / f"{first}.mp4", seconds.tolist()))
        shown = shown_times(media, seconds)
        assert shown.sure
        assert shown.around == (None, None)
        np.testing.assert_allclose(shown.seconds, seconds - min(first, 0), atol=1e-4)
    fewer = shown_times(media, np.append(seconds, 3.6))
    assert not fewer.sure
    np.testing.assert_allclose(fewer.seconds, [*seconds, 3.6], atol=1e-4)


def test_a_stretch_lies_in_the_whole_video_where_it_belongs(tmp_path: Path) -> None:
    seconds = np.array([0, 0.1, 0.15, 1.0, 1.001, 1.002, 1.12])
    media = look_at(film(tmp_path / "whole.mp4", seconds.tolist()))
    index = np.arange(2, 5)
    shown = shown_times(media, seconds[2:5], index=index)
    assert shown.sure
    np.testing.assert_allclose(shown.seconds, seconds[2:5], atol=1e-4)
    np.testing.assert_allclose(np.array(shown.around, dtype=float), seconds[[1, 5]], atol=1e-4)
    start = shown_times(media, seconds[:2], index=np.arange(2))
    assert start.around == (None, pytest.approx(0.15, abs=1e-4))
    # A time that the reader moved, since the one before was not earlier, is still that of its frame.
    moved = shown_times(media, seconds[2:5] + [0, 0.001, 0.001], index=index)
    np.testing.assert_allclose(moved.seconds, seconds[2:5], atol=1e-4)
    # Where frames before are broken, positions do not count, but times still do.
    other = shown_times(media, seconds[3:6], index=index)
    assert not other.sure
    np.testing.assert_allclose(other.seconds, seconds[3:6], atol=1e-4)
    np.testing.assert_allclose(np.array(other.around, dtype=float), [0.15, 1.12], atol=1e-4)
    own = look_at(film(tmp_path / "tracked.mp4", (seconds[2:5] - 0.15).tolist()))
    shown = shown_times(own, seconds[2:5], index=index)
    assert shown.sure
    assert shown.around == (None, None)
    np.testing.assert_allclose(shown.seconds, seconds[2:5] - 0.15, atol=1e-4)
    assert len(shown_times(media, np.zeros(0), index=np.arange(0)).seconds) == 0


def test_names_are_harmless(tmp_path: Path) -> None:
    name = '</script><img src=x onerror="alert(1)">{{ 7 * 7 }}'
    folder = run_folder(tmp_path / "a; rm -rf '<b>'", name=name)
    evil = {"seconds": 0.04, "frame": 1, "kind": "swap", "tracks": [4], "why": "<!--<script>" + name, "confidence": 1}
    (folder / "doubts.json").write_text(json.dumps({"doubts": [evil]}))
    html = make_page(folder, out=folder / "view.html").html
    assert html.count("<script") == html.count("</script>") == 2
    assert "<img" not in html
    assert "<!--" not in html
    assert content(html)["doubts"][0]["why"] == evil["why"]
    assert content(html)["command"].count("'") > 2  # quoted for a shell


def test_the_command(tmp_path: Path) -> None:
    folder, runner = run_folder(tmp_path / "clip"), CliRunner()
    result = runner.invoke(app, ["view", str(folder)])
    assert result.exit_code == 0, result.output
    assert "3 frames, 1 people, 0 doubts" in result.output
    assert "no video" in result.output
    again = runner.invoke(app, ["view", str(folder)])
    assert again.exit_code != 0
    assert "is there already" in str(again.exception)
    assert runner.invoke(app, ["view", str(folder), "--overwrite"]).exit_code == 0
    assert [path.name for path in folder.iterdir() if "view" in path.name] == ["view.html"]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it has no poses\.parquet"):
        make_page(tmp_path, out=tmp_path / "view.html")
    folder = run_folder(tmp_path / "clip")
    (folder / "doubts.json").write_text('{"doubts": [{"seconds": "soon"}]}')
    with pytest.raises(InputError, match="doubts.json is not a list of doubts"):
        make_page(folder, out=folder / "view.html")
    (folder / "doubts.json").unlink()
    with pytest.raises(InputError, match="cannot be read as a video"):
        make_page(folder, out=folder / "view.html", video=folder / "poses.parquet")
