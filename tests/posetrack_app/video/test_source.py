"""What the arguments of a command line name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack_app.video.source import Source, expand_inputs, natural_order


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(source: Source) -> list[str]:
    return [path.name for path in source.files]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("clip.mp4", "clip"),
        ("UPPER.MP4", "UPPER"),
        ("NO_EXTENSION", "NO_EXTENSION"),
        ("-leading-dash.mp4", "leading-dash"),
        ("two words.mov", "two words"),
        ("percent %03d 100%.mp4", "percent %03d 100%"),
        ("ünï 視頻 видео.mkv", "ünï 視頻 видео"),
        pytest.param(
            "colon:name.mp4", "colon_name", marks=pytest.mark.skipif(os.name != "posix", reason="no such name")
        ),
        pytest.param("a [b]*?.mp4", "a [b]__", marks=pytest.mark.skipif(os.name != "posix", reason="no such name")),
    ],
)
def test_a_path_that_exists_is_taken_as_it_is(
    file: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / file)
    assert expand_inputs([file]) == [Source(location=file, kind="video", name=name)]


def test_a_missing_file_is_a_source_that_fails_later() -> None:
    (source,) = expand_inputs(["no such file.mp4"])
    assert source == Source(location="no such file.mp4", kind="video", name="no such file")


def test_pictures_come_in_number_order(tmp_path: Path) -> None:
    touch(*(tmp_path / "walk" / f"{number}.png" for number in (10, 8, 9, 100, 11)))
    touch(tmp_path / "walk" / "notes.txt", tmp_path / "walk" / ".hidden.png")
    (source,) = expand_inputs([str(tmp_path / "walk")])
    assert (source.kind, source.name, source.location) == ("images", "walk", str(tmp_path / "walk"))
    assert names(source) == ["8.png", "9.png", "10.png", "11.png", "100.png"]


def test_a_folder_gives_each_of_its_videos(tmp_path: Path) -> None:
    touch(tmp_path / "b10.mp4", tmp_path / "b9.MKV", tmp_path / "readme.md")
    sources = expand_inputs([str(tmp_path)])
    assert [(source.kind, source.name) for source in sources] == [("video", "b9"), ("video", "b10")]


def test_a_folder_of_both_loses_nothing(tmp_path: Path) -> None:
    touch(tmp_path / "film.mp4", tmp_path / "1.jpg", tmp_path / "2.jpg")
    sources = expand_inputs([str(tmp_path)])
    assert [(source.kind, len(source.files)) for source in sources] == [("images", 2), ("video", 0)]


@pytest.mark.parametrize("beside", ["poses.parquet", "poses.partial.parquet", "run.json"])
def test_videos_that_runs_drew_are_taken_only_where_they_are_named(beside: str, tmp_path: Path) -> None:
    drawn, own = tmp_path / "a" / "tracked.mp4", tmp_path / "b" / "tracked.mp4"
    touch(drawn, drawn.parent / beside, drawn.with_name("tracked.partial.mp4"), own, tmp_path / "c.mp4")
    sources = expand_inputs([str(tmp_path / "**" / "*.mp4")])
    assert [source.location for source in sources] == [str(tmp_path / "c.mp4"), str(own)]
    assert expand_inputs([str(drawn.parent)]) == expand_inputs([str(drawn.parent / "*.mp4")]) == []
    assert [source.location for source in expand_inputs([str(drawn)])] == [str(drawn)]
    touch(drawn.with_name("1.png"))
    (source,) = expand_inputs([str(drawn.parent)])
    assert names(source) == ["1.png"]


def test_an_empty_folder_is_a_source_without_pictures(tmp_path: Path) -> None:
    (source,) = expand_inputs([str(tmp_path)])
    assert (source.kind, source.files) == ("images", ())


def test_pictures_in_a_row_are_one_sequence(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    touch(*(a / f"{number}.jpg" for number in (1, 2, 10)), b / "1.jpg", b / "film.mp4")
    given_as = [a / "10.jpg", a / "2.jpg", a / "1.jpg", b / "1.jpg", b / "film.mp4", a / "2.jpg"]
    sources = expand_inputs([str(path) for path in given_as])
    assert [(source.kind, source.name, names(source)) for source in sources] == [
        ("images", "a", ["1.jpg", "2.jpg", "10.jpg"]),
        ("images", "1", ["1.jpg"]),
        ("video", "film", []),
        ("images", "2", ["2.jpg"]),
    ]


def test_a_pattern_gives_a_sequence_for_each_folder(tmp_path: Path) -> None:
    touch(*(tmp_path / folder / f"{number}.png" for folder in ("s2", "s10") for number in (9, 10)))
    sources = expand_inputs([str(tmp_path / "*" / "*.png")])
    assert [(source.name, names(source)) for source in sources] == [
        ("s2", ["9.png", "10.png"]),
        ("s10", ["9.png", "10.png"]),
    ]
    assert expand_inputs([str(tmp_path / "s*")]) == sources
    assert expand_inputs([str(tmp_path / "**" / "*.png")]) == sources


def test_a_pattern_without_a_match_is_a_source_that_fails_later(tmp_path: Path) -> None:
    pattern = str(tmp_path / "*.mp4")
    (source,) = expand_inputs([pattern])
    assert (source.location, source.kind) == (pattern, "video")


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("camera:0", "camera", "camera0"),
        ("Camera:12", "camera", "camera12"),
        ("camera:front", "camera", "camerafront"),
        ("rtsp://10.0.0.7:554/live/1", "stream", "10.0.0.7-live-1"),
        ("rtsp://me:secret@cam.local/live?token=abc", "stream", "cam.local-live"),
        ("https://example.org/films/walk.mp4", "stream", "example.org-films-walk"),
        ("udp://@239.0.0.1:1234", "stream", "239.0.0.1"),
        ("RTMP://host/app/key", "stream", "host-app-key"),
        ("http://[broken", "stream", "[broken"),
    ],
)
def test_cameras_and_addresses(text: str, kind: str, name: str) -> None:
    assert expand_inputs([text]) == [Source(location=text, kind=kind, name=name)]  # type: ignore[arg-type]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_names_are_safe_as_folders(stem: str) -> None:
    (source,) = expand_inputs([f"nowhere/{stem.replace('/', '')}.mp4"])
    assert source.name
    assert not set(source.name) & set('<>:"/\\|?*\n\r\t')
    assert source.name == source.name.strip(".") and not source.name.startswith("-")  # noqa: PT018  # one claim
    assert len(source.name.encode()) <= 121


@given(st.lists(st.integers(min_value=0, max_value=10**6), unique=True))
def test_natural_order_is_the_order_of_numbers(numbers: list[int]) -> None:
    paths = sorted((Path(f"shot {number} of 7.png") for number in numbers), key=natural_order)
    assert [int(path.name.split()[1]) for path in paths] == sorted(numbers)
