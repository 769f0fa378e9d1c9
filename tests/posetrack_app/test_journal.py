"""What is kept of a run that was broken off: taken up as it was, and only where it belongs."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posetrack_app.config import Settings, override
from posetrack_app.errors import OutputError
from posetrack_app.journal import NAME, Journal, forget, key_of, unfinished
from posetrack_app.types import Frame, Poses
from posetrack_app.video import Source, expand_inputs

KEY = {"input": {"size": 5}, "every": 1}


def frame(index: int) -> Frame:
    return Frame(index=index, pts=index / 30, image=np.zeros((2, 2, 3), dtype=np.uint8))


def poses(index: int) -> Poses:
    random = np.random.default_rng(index)
    count = index % 4
    return Poses.untracked(
        xy=random.normal(size=(count, 17, 2)),
        joint_score=random.random((count, 17)),
        score=random.random(count),
        appearance=None if index % 3 == 0 else random.integers(0, 256, (count, 12), dtype=np.uint8),
    )


def equal(a: Poses, b: Poses) -> bool:
    return all(np.array_equal(getattr(a, item.name), getattr(b, item.name)) for item in fields(Poses))


def fill(folder: Path, begin: int, end: int, *, each: int = 5) -> None:
    """Frames from `begin` on seen, in segments of `each`, by a run that is then broken off."""
    journal = Journal(folder, KEY)
    for index in range(begin):
        assert journal.take(frame(index)) is not None
    for start in range(begin, end, each):
        some = range(start, min(start + each, end))
        journal.add([frame(index) for index in some], [poses(index) for index in some])
        journal.flush()


def taken(journal: Journal, count: int) -> int:
    """Frames that a journal knows, all of them right, from the first on."""
    known = [journal.take(frame(index)) for index in range(count)]
    end = next((index for index, found in enumerate(known) if found is None), count)
    for index, found in enumerate(known):
        assert (found is not None and equal(found, poses(index))) if index < end else found is None
    assert journal.kept == end
    return end


@pytest.mark.parametrize("ends", [[0], [5], [17], [3, 4, 20]])
def test_what_was_seen_is_known_again(ends: list[int], tmp_path: Path) -> None:
    begin = 0
    for end in ends:
        fill(tmp_path / NAME, begin, end)
        begin = end
    journal = Journal(tmp_path / NAME, KEY)
    assert journal.anew_because == ""
    assert journal.last == (ends[-1] - 1 if ends[-1] else None)
    assert taken(journal, 30) == ends[-1]


def test_what_was_not_flushed_is_lost_and_nothing_else(tmp_path: Path) -> None:
    fill(tmp_path / NAME, 0, 10)
    journal = Journal(tmp_path / NAME, KEY)
    assert taken(journal, 10) == 10
    journal.add([frame(10)], [poses(10)])
    assert taken(Journal(tmp_path / NAME, KEY), 20) == 10


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(number=st.integers(0, 3), where=st.floats(0, 1), cut=st.booleans())
def test_a_damaged_segment_ends_what_is_known(number: int, where: float, cut: bool, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("run") / NAME
    fill(folder, 0, 20)
    path = sorted(folder.glob("*.npz"))[number]
    content = bytearray(path.read_bytes())
    place = int(where * (len(content) - 1))
    if cut:
        content = content[:place]
    else:
        content[place] ^= 0xFF
    path.write_bytes(content)
    known = taken(Journal(folder, KEY), 30)
    # A byte that says nothing (a date, say) may be wrong without harm.
    assert known == 5 * number or (not cut and known == 20)
    if known < 20:
        fill(folder, known, 25)
        assert taken(Journal(folder, KEY), 30) == 25


def test_a_frame_that_is_another_one_ends_what_is_known(tmp_path: Path) -> None:
    """As where a file was cut off, its last frame was shown out of turn, and the whole file came later."""
    fill(tmp_path / NAME, 0, 12)
    journal = Journal(tmp_path / NAME, KEY)
    for index in range(8):
        assert journal.take(frame(index)) is not None
    other = Frame(index=8, pts=99.0, image=np.zeros((2, 2, 3), dtype=np.uint8))
    assert journal.take(other) is None
    assert journal.take(frame(9)) is None
    journal.add([other], [poses(8)])
    journal.flush()
    again = Journal(tmp_path / NAME, KEY)
    assert [again.take(frame(index)) is not None for index in range(8)] == [True] * 8
    assert again.take(other) is not None
    assert again.take(frame(9)) is None


def test_another_key_begins_anew_and_says_why(tmp_path: Path) -> None:
    fill(tmp_path / NAME, 0, 10)
    journal = Journal(tmp_path / NAME, {"input": {"size": 6}, "every": 1})
    assert journal.anew_because == "input size was 5, and is 6"
    assert taken(journal, 10) == 0
    assert Journal(tmp_path / NAME, KEY).anew_because == "input size was 6, and is 5"
    (tmp_path / NAME / "key.json").write_text("{")
    assert "not known" in Journal(tmp_path / NAME, KEY).anew_because


def test_nothing_is_kept_where_nothing_is_to_be(tmp_path: Path) -> None:
    journal = Journal.nothing()
    journal.add([frame(0)], [poses(0)])
    journal.flush()
    assert journal.take(frame(0)) is None
    assert journal.last is None
    journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("a file")
    with pytest.raises(OutputError, match=NAME):
        Journal(tmp_path / NAME, KEY)


def test_unfinished_and_forgotten(tmp_path: Path) -> None:
    forget(tmp_path)
    assert not unfinished(tmp_path)
    Journal(tmp_path / NAME, KEY)
    assert unfinished(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    assert not unfinished(tmp_path)
    forget(tmp_path)
    assert not (tmp_path / NAME).exists()


# What belongs together


def key(path: Path, *assignments: str, **network: Any) -> dict[str, Any] | None:
    (source,) = expand_inputs([str(path)])
    return key_of(source, settings=override(Settings(), list(assignments)), network={"device": "cpu", **network})


def test_the_key_changes_with_what_decides_and_with_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, 1))
    first = key(path)
    assert first is not None
    for same in ("tracker.death_seconds=9", "video.enabled=false", "input.queue_frames=3", "input.end=9"):
        assert key(path, same) == first
    for other in ("network.every=2", "grouping.min_joints=5", "input.image_rate=9", "input.start=3"):
        assert key(path, other) != first
    assert key(path, short_side=320) != first
    os.utime(path, ns=(1, 2))
    assert key(path) != first
    path.write_bytes(b"12346")
    os.utime(path, ns=(1, 1))
    assert key(path) != first


def test_pictures_count_by_name_size_and_time(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, ns=(1, 1))
    first = key(tmp_path)
    assert first is not None
    assert key(tmp_path) == first
    os.utime(tmp_path / "2.png", ns=(1, 2))
    assert key(tmp_path) != first


@pytest.mark.parametrize("kind", ["camera", "stream", "video"])
def test_what_cannot_be_read_twice_has_no_key(kind: Any) -> None:
    assert key_of(Source("nowhere", kind, "x"), settings=Settings(), network={}) is None
