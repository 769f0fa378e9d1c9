"""Edits by hand: what they say is done, what is wrong is named with its line, and swaps come back right."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posetrack_app.edits import Edit, clock, parse_edits, read_edits, replay, seconds_of
from posetrack_app.errors import InputError
from trackers.table import COASTED, OBSERVED, TrackTable


def video(people: dict[int, range], frames: int = 100) -> TrackTable:
    """People by identity and the frames in which they are; 100 pixels apart; ten frames a second."""
    rows = sorted((frame, track) for track, seen in people.items() for frame in seen)
    place = {track: 100.0 * number for number, track in enumerate(people)}
    xy = np.array([[[place[track], 0], [place[track] + 20, 40]] for _, track in rows], dtype=np.float32)
    xy = xy.reshape(-1, 2, 2)
    return TrackTable(
        times=np.arange(frames) / 10,
        frame=np.array([frame for frame, _ in rows], dtype=np.int64),
        xy=xy,
        joint_score=np.ones(xy.shape[:2], dtype=np.float32),
        score=np.ones(len(xy), dtype=np.float32),
        track_id=np.array([track for _, track in rows], dtype=np.int64),
        origin=np.zeros(len(xy), dtype=np.uint8),
        raw_xy=np.full_like(xy, np.nan),
    )


def done(table: TrackTable, text: str) -> TrackTable:
    return replay(table, parse_edits(text))[0]


def frames_of(table: TrackTable, track: int) -> list[int]:
    return table.frame[table.track_id == track].tolist()


TWO = {3: range(100), 5: range(100)}


def test_a_file_is_read_with_remarks_blank_lines_and_any_case(tmp_path: Path) -> None:
    path = tmp_path / "edits.txt"
    path.write_text(
        "\ufeff# corrected on Monday\n\nSwap 3  5 from 00:12.4   # they cross\nmerge 7 into 2\ndelete 9\n"
        "split 4 at 00:04.0\nsplit 4 at 1:00:04 as 20\ndelete 6 from 3 until 5.5\nswap 1 and 2 until 9\n"
        "person 3 at 1.5 near 320.5, 180\n",
        encoding="utf-8",
    )
    edits = read_edits(path)
    assert [(edit.line, edit.verb, edit.first, edit.second) for edit in edits] == [
        (3, "swap", 3, 5), (4, "merge", 7, 2), (5, "delete", 9, None), (6, "split", 4, None), (7, "split", 4, 20),
        (8, "delete", 6, None), (9, "swap", 1, 2), (10, "person", 3, None),
    ]  # fmt: skip
    assert edits[0].begin == 12.4
    assert edits[4].begin == 3604
    assert (edits[5].begin, edits[5].end) == (3, 5.5)
    assert edits[7].place == (320.5, 180)
    assert parse_edits("") == parse_edits("\n# nothing\n") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("swop 3 5", "line 2: 'swop' is no edit; did you mean 'swap'?"),
        ("swap 3", "it should look like: swap 3 5 from 00:12.4"),
        ("swap 3 x from 1", "it should look like"),
        ("swap 3 3", "names 3 twice"),
        ("swap 3 5 from 1:75", "'1:75' is no time; write seconds, mm:ss.s or hh:mm:ss.s"),
        ("merge 7 in 2", "merge 7 into 2"),
        ("split 4", "split 4 at 00:04.0"),
        ("delete -1", "delete 9"),
        ("delete 3 from 5 until 4", "ends before it begins"),
        ("person 3 at 4", "near 320,180"),
    ],
)
def test_what_is_no_edit_is_named(line: str, message: str) -> None:
    with pytest.raises(InputError, match="my.txt, line 2") as caught:
        parse_edits(f"delete 1\n{line}\n", name="my.txt")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none.txt cannot be read"):
        read_edits(tmp_path / "none.txt")


@given(seconds=st.floats(-1e5, 1e5))
@example(seconds=-0.5)
@example(seconds=-0.0001)
def test_times_are_read_as_they_are_written(seconds: float) -> None:
    text = clock(seconds)
    read = seconds_of(text)
    assert read == pytest.approx(seconds, abs=6e-4)
    assert read is not None
    assert clock(read) == text
    assert seconds_of(text.replace("-", "\N{MINUS SIGN}")) == read


def test_times_before_0_have_a_minus_in_front() -> None:
    assert [clock(seconds) for seconds in (-0.5, -62.25, -3600, -0.0001)] == [
        "-00:00.500", "-01:02.250", "-1:00:00.000", "00:00.000",
    ]  # fmt: skip
    assert [seconds_of(text) for text in ("-0.5", "-1:02.25", "--1", "1:-2", "-")] == [-0.5, -62.25, None, None, None]
    table = replace(video(TWO), times=np.arange(-50, 50) / 10)
    assert frames_of(done(table, "delete 3 from -00:04.9 until -4.7"), 3) == [0, *range(3, 100)]
    assert frames_of(done(table, "person 7 at -5 near 110,20\ndelete 7"), 3) == list(range(100))


RATES = [24000 / 1001, 25, 30000 / 1001, 30, 50, 60000 / 1001, 120, 240]


@given(rate=st.sampled_from(RATES), number=st.integers(1, 10**6), up=st.booleans())
@example(rate=30000 / 1001, number=3945, up=True)  # 131.6315 s
@example(rate=30000 / 1001, number=3945, up=False)
def test_a_time_that_is_printed_means_its_own_frame(rate: float, number: int, up: bool) -> None:
    """Whichever way the last digit is rounded: what lies right between two is rounded up by the page."""
    table = video({1: range(3)}, frames=3)
    table = replace(table, times=(number + np.array([-1, 0, 1])) / rate)
    seconds = float(table.times[1])
    printed = f"{math.floor(seconds * 1000 + 0.5) / 1000:.3f}" if up else clock(seconds)
    assert frames_of(done(table, f"delete 1 from {printed}"), 1) == [0]
    assert frames_of(done(table, f"delete 1 until {printed}"), 1) == [1, 2]
    assert frames_of(done(table, f"split 1 at {printed} as 2"), 2) == [1, 2]


def test_swaps_that_were_put_in_by_hand_come_back_right() -> None:
    true = video({**TWO, 8: range(20, 60)})
    wrong = true.track_id.copy()
    for a, b, begin, end in ((3, 5, 31, 100), (5, 8, 40, 50)):
        inside = (true.frame >= begin) & (true.frame < end)
        wrong[inside] = np.select([wrong[inside] == a, wrong[inside] == b], [b, a], wrong[inside])
    text = "swap 5 8 from 4 until 5\nswap 3 5 from 00:03.1"
    assert (done(replace(true, track_id=wrong), text).track_id == true.track_id).all()


def test_each_edit_does_what_it_says() -> None:
    table = video({3: range(40), 7: range(50, 100), 9: range(10, 20)})
    assert frames_of(done(table, "merge 7 into 3"), 3) == [*range(40), *range(50, 100)]
    assert frames_of(done(table, "merge 7 into 3 until 6"), 7) == list(range(60, 100))
    gone = done(table, "delete 9")
    assert gone.ids == [3, 7]
    assert len(gone) == len(table)
    assert frames_of(done(table, "delete 3 from 1 until 2"), 3) == [*range(10), *range(20, 40)]
    split = done(table, "split 3 at 2")
    assert split.ids == [3, 7, 9, 10]
    assert frames_of(split, 10) == list(range(20, 40))
    assert done(table, "split 3 at 2 as 33\nsplit 33 at 3\nmerge 34 into 3").ids == [3, 7, 9, 33]
    assert done(table, "swap 3 7").ids == [3, 7, 9]
    assert frames_of(done(table, "swap 3 7"), 7) == list(range(40))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("swap 3 4", "there is no 4; there are: 3, 5, 7"),
        ("swap 3 7 from 10", "3 is there from 00:00.000 to 00:09.900 only"),
        ("delete 7 from 6", "7 is there from 00:00.000 to 00:04.900 only"),
        ("merge 5 into 3", "both seen in 100 frames, from 00:00.000 to 00:09.900"),
        ("split 3 at 0", "begins at 00:00.000, there is nothing before"),
        ("split 3 at 1 as 5", "5 is somebody already; the next free identity is 8"),
        ("person 3 at 1 near 900,900", "nobody with an identity is at 900,900"),
        ("person 3 at 99:00 near 10,20", "the video lasts from 00:00.000 to 00:09.900"),
        ("person 3 at 10.2 near 10,20", "the video lasts from 00:00.000 to 00:09.900"),
        ("person 3 at -0.2 near 10,20", "the video lasts from 00:00.000 to 00:09.900"),
        ("split 3 at 99:00", "3 is there from 00:00.000 to 00:09.900 only"),
        ("split 3 at -1", "3 begins at 00:00.000, there is nothing before"),
        ("delete 3 until -1", "3 is there from 00:00.000 to 00:09.900 only"),
    ],
)
def test_an_edit_that_no_longer_applies_is_named(line: str, message: str) -> None:
    table = video({3: range(100), 5: range(100), 7: range(50)})
    with pytest.raises(InputError, match="my.txt, line 1: ") as caught:
        replay(table, parse_edits(line, name="my.txt"), name="my.txt")
    assert message in str(caught.value)


def test_a_person_held_to_a_place_is_found_under_any_number() -> None:
    text = "person 3 at 2 near 10,20\nperson 5 at 2 near 110,20\nswap 3 5 from 5"
    table = video(TWO)
    wanted = done(table, text)
    assert (wanted.track_id == done(table, "swap 3 5 from 5").track_id).all()
    renamed = replace(table, track_id=np.where(table.track_id == 3, 40, 30))
    again, notes = replay(renamed, parse_edits(text))
    assert (np.where(again.track_id == 40, 3, 5) == wanted.track_id).all()
    assert notes[0] == "person 3 at 2 near 10,20: that is 40"


def test_times_may_lie_a_frame_outside_and_ranges_may_reach_beyond() -> None:
    table = video(TWO)
    assert done(table, "person 7 at 10 near 10,20\ndelete 7").ids == [5]
    assert done(table, "person 7 at -0.1 near 10,20\ndelete 7").ids == [5]
    assert frames_of(done(table, "delete 3 from 8 until 99:00"), 3) == list(range(80))
    assert frames_of(done(table, "delete 3 from -5 until 2"), 3) == list(range(20, 100))
    one = video({3: range(1)}, frames=1)
    assert done(one, "person 7 at 0 near 10,20\ndelete 7").ids == []
    for times, text in ((one, "person 7 at 1 near 10,20"), (video({}, frames=0), "person 7 at 0 near 10,20")):
        with pytest.raises(InputError, match="line 1: .*the video"):
            done(times, text)


def test_predictions_make_way_and_have_no_life_of_their_own() -> None:
    table = video({3: range(60), 7: range(50, 100)})
    origin = np.where((table.track_id == 3) & (table.frame >= 50), COASTED, OBSERVED).astype(np.uint8)
    table = replace(table, origin=origin)
    merged = done(table, "merge 7 into 3")
    assert frames_of(merged, 3) == list(range(100))
    assert (merged.origin == OBSERVED).all()
    assert len(done(table, "delete 3")) == len(table) - 10


@given(
    lines=st.lists(
        st.tuples(st.sampled_from([1, 2, 3]), st.sampled_from([1, 2, 3]), st.floats(0, 12), st.floats(0.01, 12)),
        max_size=6,
    )
)
def test_swaps_undo_themselves_backwards_and_lose_nobody(lines: list[tuple[int, int, float, float]]) -> None:
    table = video({1: range(100), 2: range(100), 3: range(100)})
    edits = [
        Edit(line=number, text="swap", verb="swap", first=a, second=b, begin=begin, end=begin + length)
        for number, (a, b, begin, length) in enumerate(lines)
        if a != b and begin < 9.8 and length > 0.2
    ]
    forth, _ = replay(table, edits)
    assert sorted(forth.track_id.tolist()) == sorted(table.track_id.tolist())
    back, _ = replay(forth, edits[::-1])
    assert (back.track_id == table.track_id).all()
