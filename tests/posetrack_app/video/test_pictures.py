"""Folders of pictures, lone pictures, animated ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from posetrack_app.errors import InputError, UsageError
from posetrack_app.types import Frame
from posetrack_app.video import VideoReader, expand_inputs
from posetrack_app.video.pictures import missing_numbers


def paint(path: Path, value: int = 100, size: tuple[int, int] = (16, 12)) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)
    return path


def read(*inputs: Path, image_rate: float = 25.0) -> tuple[list[Frame], list[str]]:
    (source,) = expand_inputs([str(path) for path in inputs])
    with VideoReader(source, image_rate=image_rate) as reader:
        frames = list(reader)
        assert reader.frames_decoded == len(frames)
    return frames, reader.warnings


def test_a_sequence_in_number_order(tmp_path: Path) -> None:
    for number in (8, 9, 10, 11):
        paint(tmp_path / "walk" / f"{number}.png", number)
    frames, warnings = read(tmp_path / "walk", image_rate=50)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [8, 9, 10, 11]
    assert [frame.name for frame in frames] == ["8.png", "9.png", "10.png", "11.png"]
    assert [frame.pts for frame in frames] == pytest.approx([0, 0.02, 0.04, 0.06])
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert warnings == []


def test_what_is_known_of_a_sequence(tmp_path: Path) -> None:
    for number in range(3):
        paint(tmp_path / "walk" / f"{number}.png")
    (source,) = expand_inputs([str(tmp_path / "walk")])
    with VideoReader(source, image_rate=10) as reader:
        info = reader.info
    assert (info.width, info.height, info.frames_expected, info.average_rate) == (16, 12, 3, 10)
    assert (info.has_audio, info.codec, info.duration_seconds) == (False, "png", pytest.approx(0.3))


def test_a_gap_in_the_numbers_is_told(tmp_path: Path) -> None:
    for number in (1, 2, 3, 6, 7):
        paint(tmp_path / "walk" / f"img_{number:04}.png")
    frames, warnings = read(tmp_path / "walk")
    assert len(frames) == 5
    assert warnings == ["numbers are missing among the pictures: 2 between img_0003.png and img_0006.png"]


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["a.png"],
        ["a_0.png", "a_5.png", "a_10.png"],
        ["t_1000.png", "t_1033.png", "t_1067.png"],
        ["left_1.png", "left_2.png", "right_9.png"],
        ["1.png", "2.png", "cover.png"],
    ],
)
def test_steady_or_unnumbered_names_have_no_gaps(names: list[str]) -> None:
    assert missing_numbers([Path(name) for name in names]) == []


def test_a_damaged_picture_is_skipped_and_keeps_its_place_in_time(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = [paint(tmp_path / "walk" / f"{number}.png", number, (64, 48)) for number in range(5)]
    paths[0].write_bytes(b"")
    paths[2].write_bytes(paths[2].read_bytes()[:60])
    data = bytearray(paths[3].read_bytes())
    data[len(data) // 2] ^= 0xFF
    paths[3].write_bytes(data)
    frames, warnings = read(tmp_path / "walk")
    assert [(frame.index, frame.name) for frame in frames] == [(0, "1.png"), (1, "4.png")]
    assert [frame.pts for frame in frames] == pytest.approx([0.04, 0.16])
    assert warnings == ["3 of 5 pictures could not be read and were skipped: 0.png, 2.png, 3.png"]
    assert capfd.readouterr().err == ""


def test_damaged_pictures_of_other_kinds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for extension in ("jpg", "webp", "bmp", "tif"):
        path = paint(tmp_path / f"photo.{extension}", size=(64, 48))
        paint(tmp_path / f"other.{extension}", size=(64, 48))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        frames, warnings = read(tmp_path / f"other.{extension}", path)
        assert [frame.name for frame in frames] == [f"other.{extension}"]
        assert f"skipped: photo.{extension}" in warnings[-1]
    assert capfd.readouterr().err == ""


def test_mixed_sizes_are_kept_and_told(tmp_path: Path) -> None:
    paint(tmp_path / "walk" / "1.png", size=(20, 10))
    paint(tmp_path / "walk" / "2.png", size=(30, 10))
    frames, warnings = read(tmp_path / "walk")
    assert [frame.image.shape for frame in frames] == [(10, 20, 3), (10, 30, 3)]
    assert "2 different sizes" in warnings[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["jpg", "png"])
def test_exif_orientation(orientation: int, extension: str, tmp_path: Path) -> None:
    stored = np.zeros((32, 48, 3), dtype=np.uint8)
    stored[:16, :24], stored[:16, 24:], stored[16:, :24] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / f"photo.{extension}", exif=exif, quality=95)
    # EXIF 2.32, tag 274: where row 0 and column 0 of the stored picture are to be seen.
    shown = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).transpose(1, 0, 2),
        8: np.rot90(stored, 1),
    }[orientation]
    ((frame,), _) = read(tmp_path / f"photo.{extension}")
    assert frame.image.shape == shown.shape
    assert np.abs(frame.image.astype(int) - shown).mean() < 4


def test_kinds_of_pixels(tmp_path: Path) -> None:
    colour = (200, 40, 90)
    clear = Image.new("RGBA", (16, 12), (*colour, 10))
    clear.save(tmp_path / "alpha.png")
    Image.new("RGB", (16, 12), colour).quantize(4).save(tmp_path / "palette.png")
    Image.new("CMYK", (16, 12), (55, 215, 165, 0)).save(tmp_path / "cmyk.jpg", quality=98)
    Image.new("L", (16, 12), 77).save(tmp_path / "gray.jpg")
    cv2.imwrite(str(tmp_path / "gray16.png"), np.full((12, 16), 77 * 257, dtype=np.uint16))
    Image.new("1", (16, 12), 1).save(tmp_path / "bits.png")
    for name, expected in {
        "alpha.png": colour, "palette.png": colour, "cmyk.jpg": colour,
        "gray.jpg": (77,) * 3, "gray16.png": (77,) * 3, "bits.png": (255,) * 3,
    }.items():  # fmt: skip
        ((frame,), _) = read(tmp_path / name)
        np.testing.assert_allclose(frame.image.reshape(-1, 3), np.full((192, 3), expected), atol=3, err_msg=name)


def test_an_animated_picture_gives_all_its_frames(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 12), (value, 0, 0)) for value in (50, 100, 150)]
    path = tmp_path / "moving.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 80, 40], lossless=True)
    read_back, _ = read(path)
    assert [int(frame.image[0, 0, 0]) for frame in read_back] == [50, 100, 150]
    assert [frame.pts for frame in read_back] == pytest.approx([0, 0.04, 0.12])


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        read(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "inside").mkdir()
    with pytest.raises(InputError, match="neither pictures nor videos; name its 1 folders"):
        read(tmp_path)


@pytest.mark.parametrize(("content", "says"), [(b"", "is empty"), (b"text", "is not a picture")])
def test_a_lone_picture_that_is_none(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(InputError, match=f"photo.jpg.*{says}|{says}.*photo.jpg"):
        read(tmp_path / "photo.jpg")


def test_a_sequence_of_damaged_pictures(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"none of the 9 pictures .*: 0.jpg, 1.jpg, 2.jpg and 6 more"):
        read(tmp_path)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_must_be_above_zero(rate: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="image_rate"):
        read(paint(tmp_path / "1.png"), image_rate=rate)
