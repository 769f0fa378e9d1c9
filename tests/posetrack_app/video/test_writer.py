"""Written, then read back with PyAV: pictures, colours, times and sound are what went in."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack_app.errors import OutputError
from posetrack_app.video import writer as module
from posetrack_app.video.timeline import TICKS_PER_SECOND, Timeline
from posetrack_app.video.writer import VideoWriter, fit

Image = npt.NDArray[np.uint8]
W, H = 64, 48


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert not [thread.name for thread in threading.enumerate() if thread not in before]


def grey(value: int = 90, *, width: int = W, height: int = H) -> Image:
    return np.full((height, width, 3), value, dtype=np.uint8)


def write(path: Path, times: Sequence[float], *, rate: Fraction | None = None, **options: Any) -> VideoWriter:
    """Grey pictures at these times."""
    with VideoWriter(path, width=W, height=H, rate=rate, **options) as writer:
        for index, seconds in enumerate(times):
            writer.write(grey(index * 7 % 256), seconds)
    assert writer.frames == len(times)
    return writer


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as video:
        return [float(frame.pts * frame.time_base) for frame in video.decode(video=0)]  # type: ignore[operator]


def boxes(path: Path) -> list[str]:
    """Names of the outermost parts of an MP4 file, in order."""
    content, names, at = path.read_bytes(), [], 0
    while at < len(content):
        names.append(content[at + 4 : at + 8].decode())
        at += int.from_bytes(content[at : at + 4], "big")
    return names


# Form


def test_form_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    writer = VideoWriter(path, width=W, height=H, rate=Fraction(25))
    assert [item.name for item in tmp_path.iterdir()] == ["clip.partial.mp4"]
    for index in range(120):
        writer.write(grey(index), index / 25)
    writer.close()
    writer.close()
    assert [item.name for item in tmp_path.iterdir()] == ["clip.mp4"]
    assert (writer.frames, writer.warnings) == (120, [])
    assert writer.encode_seconds > 0
    names = boxes(path)
    assert names.index("moov") < names.index("mdat")
    with av.open(str(path)) as video:
        (stream,) = video.streams.video
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt, codec.width, codec.height) == ("h264", "yuv420p", W, H)
        assert (codec.color_range, codec.colorspace, codec.color_primaries, codec.color_trc) == (1, 1, 1, 1)
        assert stream.average_rate == 25
        packets = [packet for packet in video.demux(stream) if packet.size]
    assert len(packets) == 120
    assert all(packet.pts == packet.dts for packet in packets)  # what is decoded is shown
    keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
    assert max(after - before for before, after in pairwise([*keys, 120])) <= 50  # seeking: two seconds


def test_colours_come_back(tmp_path: Path) -> None:
    """BT.709 as it says, not only in the tags: a plain conversion by the formulas of the standard gives them back."""
    patches = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    patches[0, :4] = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]]
    with VideoWriter(tmp_path / "c.mp4", width=256, height=192, rate=Fraction(25), quality=12) as writer:
        for index in range(5):
            writer.write(patches.repeat(32, axis=0).repeat(32, axis=1), index / 25)
    with av.open(str(tmp_path / "c.mp4")) as video:
        *_, frame = video.decode(video=0)
        planes = frame.to_ndarray(format="yuv420p").astype(float)
    y = (planes[:192][16::32, 16::32] - 16) / 219
    cb = (planes[192:240].reshape(96, 128)[8::16, 8::16] - 128) / 224
    cr = (planes[240:].reshape(96, 128)[8::16, 8::16] - 128) / 224
    red, blue = y + 1.5748 * cr, y + 1.8556 * cb
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    found = np.stack([red, green, blue], axis=-1) * 255
    np.testing.assert_allclose(found, patches, atol=6)
    assert planes[:192].min() >= 15
    assert planes[:192].max() <= 236


def test_the_picture_may_be_drawn_into_again(tmp_path: Path) -> None:
    image = grey()
    with VideoWriter(tmp_path / "c.mp4", width=W, height=H, rate=Fraction(25), quality=10) as writer:
        for index in range(30):
            image[:] = index * 8
            writer.write(image, index / 25)
        image[:] = 0
    with av.open(str(tmp_path / "c.mp4")) as video:
        means = [frame.to_ndarray(format="rgb24").mean() for frame in video.decode(video=0)]
    np.testing.assert_allclose(means, np.arange(30) * 8, atol=4)


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (1, 1), (17, 3), (2000, 16)])
def test_odd_sizes_are_padded(size: tuple[int, int], tmp_path: Path) -> None:
    width, height = size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    with VideoWriter(tmp_path / "c.mp4", width=width, height=height, rate=None) as writer:
        writer.write(image, 0.0)
    assert writer.warnings == []
    with av.open(str(tmp_path / "c.mp4")) as video:
        (frame,) = video.decode(video=0)
    assert (frame.width, frame.height) == (width + width % 2, height + height % 2)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_pixels_keep_their_coordinates(width: int, height: int, image_width: int, image_height: int) -> None:
    image = np.random.default_rng(1).integers(1, 256, (image_height, image_width, 3), dtype=np.uint8)
    fitted = fit(image, width, height)
    assert fitted.shape == (height + height % 2, width + width % 2, 3)
    if image_width > width or image_height > height:
        assert fitted[0, 0].any()  # made smaller, at the top left
        return
    for y in range(fitted.shape[0]):
        for x in range(fitted.shape[1]):
            inside_y, inside_x = min(y, height - 1), min(x, width - 1)
            inside = inside_y < image_height and inside_x < image_width
            expected = image[inside_y, inside_x] if inside else [0, 0, 0]
            assert fitted[y, x].tolist() == list(expected)


def test_larger_pictures_keep_their_proportions() -> None:
    fitted = fit(grey(200, width=400, height=100), 100, 100)
    assert (fitted[..., 0] == 200).sum() == 100 * 25
    assert (fitted[:25] == 200).all()


def test_pictures_of_another_size_are_told_of_once(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "c.mp4", width=W, height=H, rate=None) as writer:
        for index, (width, height) in enumerate([(W, H), (20, 30), (200, 10), (W, H)]):
            writer.write(grey(width=width, height=height), index / 25)
    assert len(writer.warnings) == 1
    assert "20x30" in writer.warnings[0]
    assert len(times_of(tmp_path / "c.mp4")) == 4


@pytest.mark.parametrize(
    ("image", "pts"), [(grey().astype(np.float32), 0.0), (grey()[..., 0], 0.0), (grey(), float("nan"))]
)
def test_what_is_no_picture_or_no_time_is_refused(image: Any, pts: float, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "c.mp4", width=W, height=H, rate=None) as writer:
        with pytest.raises(ValueError, match="must be"):
            writer.write(image, pts)
        writer.write(grey(), 0.0)


@pytest.mark.parametrize("name", ["with space é.mp4", "percent %03d.mp4", "colon:name.mp4", "-dash.mp4", "no_suffix"])
def test_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path(name), [0.0, 0.04])
    assert [item.name for item in tmp_path.iterdir()] == [name]


# Times

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize(
    ("times", "rate"),
    [
        ([i / 25 for i in range(40)], Fraction(25)),
        ([i * 1001 / 24000 for i in range(100)], Fraction(24000, 1001)),
        ([i / 120 for i in range(60)], Fraction(120)),
        ([float(i) for i in range(5)], Fraction(1)),
        ([i / 1000 for i in range(30)], Fraction(1000)),
        (np.cumsum(RANDOM.uniform(0.001, 0.3, 80)).tolist(), Fraction(7)),
        ([0.0, 0.001], None),
        ([0.0], None),
        ([0.0], Fraction(30)),
        ([2.5 + i / 30 for i in range(10)], Fraction(30)),
        ([9.99, 10.5, 11.0], None),
        ([0.0, 0.04, 60.0, 60.04, 3660.0, 3660.04], Fraction(25)),
        ([0.0, 20_000.0, 20_000.5], None),
        ([i / 25 for i in range(5)], Fraction(10**12 + 7, 10**11)),
        ([i / 25 for i in range(5)], Fraction(90_000)),
    ],
)
def test_times_stay(times: list[float], rate: Fraction | None, tmp_path: Path) -> None:
    writer = write(tmp_path / "c.mp4", times, rate=rate)
    assert (writer.shift_seconds, writer.warnings) == (0, [])
    np.testing.assert_allclose(times_of(tmp_path / "c.mp4"), times, atol=2e-5)


def test_a_gap_has_no_filler(tmp_path: Path) -> None:
    write(tmp_path / "c.mp4", [0.0, 3600.0], rate=Fraction(25))
    assert (tmp_path / "c.mp4").stat().st_size < 10_000


@pytest.mark.parametrize(
    ("first", "shift", "warned"), [(-1.0177, 1.0177, False), (500.25, -500.25, True), (10.5, -10.5, True)]
)
def test_starts_that_are_moved_to_zero(first: float, shift: float, warned: bool, tmp_path: Path) -> None:
    steps = np.array([0, 0.03, 0.1, 0.2])
    writer = write(tmp_path / "c.mp4", (first + steps).tolist(), rate=Fraction(30))
    np.testing.assert_allclose(times_of(tmp_path / "c.mp4"), steps, atol=2e-5)
    assert writer.shift_seconds == pytest.approx(shift)
    assert [f"{first:.3f} s" in line for line in writer.warnings] == [True] * warned


def test_times_that_do_not_rise_are_repaired(tmp_path: Path) -> None:
    times = [0.0, 0.0, 0.066, 0.066, 0.132, 0.13, 0.2]
    writer = write(tmp_path / "c.mp4", times)
    found = times_of(tmp_path / "c.mp4")
    assert all(before < after for before, after in pairwise(found))
    np.testing.assert_allclose(found, np.maximum.accumulate(times), atol=1e-3)
    assert len(writer.warnings) == 1
    assert writer.warnings[0].startswith("3 frames")


def test_a_clock_that_is_set_anew(tmp_path: Path) -> None:
    """As two pieces of a broadcast glued together: no pause of 26 hours, no heap of frames at one time."""
    times = [500.0, 500.04, 20.0, 20.04, 95_000.0, 95_000.04]
    writer = write(tmp_path / "c.mp4", times, rate=Fraction(25))
    np.testing.assert_allclose(times_of(tmp_path / "c.mp4"), np.arange(6) / 25, atol=1e-4)
    assert len(writer.warnings) == 3


@pytest.mark.parametrize(
    ("times", "rate", "last"),
    [
        ([0.0, 0.1], Fraction(30), 1 / 30),
        ([0.0, 0.02, 0.08], None, 0.06),
        ([0.0, 3600.0], None, 1.0),
        ([0.0], None, 0.04),
        ([0.0], Fraction(1), 1.0),
    ],
)
def test_the_last_frame_lasts(times: list[float], rate: Fraction | None, last: float, tmp_path: Path) -> None:
    write(tmp_path / "c.mp4", times, rate=rate)
    with av.open(str(tmp_path / "c.mp4")) as video:
        assert video.duration is not None
        assert video.duration / 1e6 == pytest.approx(times[-1] + last, abs=1e-3)


@given(st.floats(-10, 10), st.lists(st.floats(-2, 30_000), max_size=30))
def test_ticks_always_rise_and_follow(first: float, steps: list[float]) -> None:
    timeline = Timeline(Fraction(25))
    timeline.start(first, None)
    times = np.cumsum([first, *steps]).tolist()
    ticks = [timeline.tick(seconds) for seconds in times]
    assert ticks[0] >= 0
    assert all(before < after for before, after in pairwise(ticks))
    assert all(after - before < 2**31 for before, after in pairwise(ticks))  # MP4 holds no longer step
    if all(0.001 < step < 21_600 for step in steps):
        np.testing.assert_allclose(
            np.array(ticks) / TICKS_PER_SECOND, np.array(times) + max(0.0, -first), atol=0.6 / TICKS_PER_SECOND
        )


# Sound

RATE = 48_000


def sound(
    path: Path,
    codec: str = "aac",
    *,
    seconds: float = 3.0,
    clicks: Sequence[float] = (1.0,),
    pieces: Sequence[tuple[float, float]] = (),
    rate: int = RATE,
    start: float = 0.0,
) -> Path:
    """A file of sound that is silent but for bursts of 50 ms; optionally in pieces (from, to) with gaps between."""
    time_axis = np.arange(round(seconds * rate)) / rate
    burst = sum(((time_axis >= click) & (time_axis < click + 0.05)).astype(float) for click in clicks)
    signal = 0.7 * np.sin(2 * np.pi * 1000 * time_axis) * burst
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=rate)
        stream.codec_context.layout = "mono"
        if codec == "libmp3lame":
            stream.codec_context.format = "fltp"
        planar = stream.codec_context.format.name
        for begin, end in pieces or [(0.0, seconds)]:
            size = stream.codec_context.frame_size or 1024
            for at in range(round(begin * rate), round(end * rate), size):
                block = signal[None, at : min(at + size, round(end * rate))]
                data: Any = (block * 32767).astype(np.int16) if "s16" in planar else block.astype(np.float32)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=planar, layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = rate, at + round(start * rate), Fraction(1, rate)
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def heard(path: Path) -> tuple[str, float, float, list[float]]:
    """Codec, begin and end in seconds, and when bursts begin."""
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        name = stream.codec_context.name
        times, levels = [], []
        for frame in file.decode(stream):
            data = frame.to_ndarray().reshape(
                -1 if frame.format.is_packed else len(frame.layout.channels), frame.samples
            )
            level = np.abs(data[0].astype(float)) / (32768 if data.dtype.kind == "i" else 1)
            times.append(
                float((frame.pts or 0) * (frame.time_base or 0)) + np.arange(frame.samples) / frame.sample_rate
            )
            levels.append(level)
    at, level = np.concatenate(times), np.concatenate(levels)
    loud = at[level > 0.25]
    onsets = [float(loud[0])] if len(loud) else []
    onsets += [float(after) for before, after in pairwise(loud) if after - before > 0.1]
    return name, float(at[0]), float(at[-1]), onsets


@pytest.mark.parametrize(
    ("codec", "suffix", "expected"),
    [
        ("aac", ".mp4", "aac"),
        ("aac", ".mkv", "aac"),
        ("aac", ".ts", "aac"),
        ("libmp3lame", ".mkv", "mp3float"),
        ("libopus", ".webm", "opus"),
        ("flac", ".mkv", "flac"),
        ("pcm_s16le", ".wav", "aac"),
        ("pcm_s16le", ".mkv", "aac"),
        ("ac3", ".mkv", "aac"),
    ],
)
def test_sound_is_in_step(codec: str, suffix: str, expected: str, tmp_path: Path) -> None:
    source = sound(tmp_path / f"a{suffix}", codec, clicks=(1.0, 2.2))
    _, begin, end, onsets = heard(source)
    writer = write(tmp_path / "c.mp4", [begin + i / 25 for i in range(50)], rate=Fraction(25), audio_from=source)
    assert writer.warnings == []
    name, new_begin, new_end, found = heard(tmp_path / "c.mp4")
    assert name == expected
    np.testing.assert_allclose(found, onsets, atol=0.003)
    assert new_begin == pytest.approx(begin, abs=0.03)
    assert new_end == pytest.approx(end, abs=0.03)
    assert len(times_of(tmp_path / "c.mp4")) == 50


@pytest.mark.parametrize(("codec", "rate"), [("aac", 8000), ("libmp3lame", 12_000), ("pcm_s16le", 8000)])
def test_sound_of_low_rates(codec: str, rate: int, tmp_path: Path) -> None:
    source = sound(tmp_path / "a.mkv", codec, rate=rate)
    writer = write(tmp_path / "c.mp4", [0.0, 1.0], audio_from=source)
    assert writer.warnings == []
    np.testing.assert_allclose(heard(tmp_path / "c.mp4")[3], heard(source)[3], atol=0.005)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
@pytest.mark.parametrize(
    ("video", "start", "shift"),
    [(1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (-1.0, 0.0, 1.0), (200.0, 199.5, -199.5), (200.0, 205.0, -200.0)],
)
def test_sound_and_picture_are_shifted_together(
    codec: str, video: float, start: float, shift: float, tmp_path: Path
) -> None:
    source = sound(tmp_path / "a.mkv", codec, start=start)
    writer = write(tmp_path / "c.mp4", [video + i / 25 for i in range(150)], rate=Fraction(25), audio_from=source)
    assert writer.shift_seconds == pytest.approx(shift, abs=0.03)
    assert times_of(tmp_path / "c.mp4")[0] == pytest.approx(video + writer.shift_seconds, abs=1e-3)
    (found,) = heard(tmp_path / "c.mp4")[3]
    assert found == pytest.approx(start + 1.0 + writer.shift_seconds, abs=0.003)


@pytest.mark.parametrize(
    ("codec", "suffix"), [("aac", ".mp4"), ("libmp3lame", ".mkv"), ("pcm_s16le", ".wav"), ("ac3", ".mkv")]
)
@pytest.mark.parametrize("begin", [0.4, 12.0])
def test_a_stretch_has_its_own_sound_only(codec: str, suffix: str, begin: float, tmp_path: Path) -> None:
    """It begins at 0, without a warning where it begins late, and bursts before and after it are not heard."""
    clicks = [begin + offset for offset in (-0.3, 0.6, 1.5, 2.5)]
    source = sound(tmp_path / f"a{suffix}", codec, seconds=begin + 4, clicks=clicks)
    times = [begin + i / 25 for i in range(50)]
    writer = write(tmp_path / "c.mp4", times, rate=Fraction(25), audio_from=source, is_stretch=True)
    assert writer.warnings == []
    np.testing.assert_allclose(times_of(tmp_path / "c.mp4"), np.arange(50) / 25, atol=1e-3)
    _, first, last, onsets = heard(tmp_path / "c.mp4")
    in_source = [at - begin for at in heard(source)[3] if begin <= at < begin + 2]
    np.testing.assert_allclose(onsets, in_source, atol=0.005)
    assert len(onsets) == 2
    assert -0.03 < first < 0.06
    assert 1.9 < last < 2.1


def test_millisecond_times_do_not_make_copied_sound_jitter(tmp_path: Path) -> None:
    source = sound(tmp_path / "a.mkv")
    write(tmp_path / "c.mp4", [0.0, 1.0], audio_from=source)
    with av.open(str(tmp_path / "c.mp4")) as file:
        ticks = [packet.pts for packet in file.demux(audio=0) if packet.size]
    assert {after - before for before, after in pairwise(ticks)} == {1024}  # type: ignore[operator]


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_gaps_of_sound_stay(codec: str, tmp_path: Path) -> None:
    source = sound(tmp_path / "a.mkv", codec, seconds=6, clicks=(0.5, 5.5), pieces=[(0, 1.024), (5.12, 6)])
    writer = write(tmp_path / "c.mp4", [i / 10 for i in range(60)], rate=Fraction(10), audio_from=source)
    assert writer.warnings == []
    np.testing.assert_allclose(heard(tmp_path / "c.mp4")[3], [0.5, 5.5], atol=0.005)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_that_jumps_where_the_picture_does_not_ends(codec: str, tmp_path: Path) -> None:
    source = sound(tmp_path / "a.mkv", codec, seconds=90, pieces=[(0, 1.024), (80, 90)])
    writer = write(tmp_path / "c.mp4", [i / 10 for i in range(30)], rate=Fraction(10), audio_from=source)
    assert [line.startswith("the sound ends at 1.0") for line in writer.warnings] == [True]
    assert heard(tmp_path / "c.mp4")[2] < 1.2
    assert len(times_of(tmp_path / "c.mp4")) == 30


def test_sound_whose_time_falls_back_ends(tmp_path: Path) -> None:
    """Two pieces of MPEG-TS glued together, the second of an earlier clock."""
    pieces = [sound(tmp_path / f"{start}.ts", start=start).read_bytes() for start in (100.0, 60.0)]
    (tmp_path / "a.ts").write_bytes(b"".join(pieces))
    writer = write(
        tmp_path / "c.mp4", [101.4 + i / 10 for i in range(30)], rate=Fraction(10), audio_from=tmp_path / "a.ts"
    )
    assert any("falls back by" in line for line in writer.warnings)
    assert heard(tmp_path / "c.mp4")[2] == pytest.approx(3, abs=0.1)
    assert len(times_of(tmp_path / "c.mp4")) == 30


def test_sound_is_interleaved_with_the_picture(tmp_path: Path) -> None:
    """A player that reads from the front needs both at hand; and whoever writes need not keep either."""
    source = sound(tmp_path / "a.mkv", seconds=40)
    write(tmp_path / "c.mp4", [i / 10 for i in range(300)], rate=Fraction(10), audio_from=source)
    with av.open(str(tmp_path / "c.mp4")) as file:
        packets: list[tuple[int, str, float]] = [
            (packet.pos or 0, packet.stream.type, float((packet.pts or 0) * packet.time_base))
            for packet in file.demux()
            if packet.size
        ]
    seconds = {"video": 0.0, "audio": 0.0}
    for _, kind, at in sorted(packets):
        seconds[kind] = at
        if seconds["audio"] < 29:
            assert abs(seconds["video"] - seconds["audio"]) < 1.5


@pytest.mark.parametrize("kind", ["missing", "text", "video_only", "empty"])
def test_no_sound_is_a_warning(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    if kind == "text":
        source.write_text("no video" * 100)
    elif kind == "empty":
        source.write_bytes(b"")
    elif kind == "video_only":
        write(source, [0.0, 0.04])
    writer = write(tmp_path / "c.mp4", [0.0, 0.04], audio_from=source)
    assert [line.startswith("no sound: a.mp4") for line in writer.warnings] == [True]
    assert len(times_of(tmp_path / "c.mp4")) == 2


@pytest.mark.parametrize("codec", ["aac", "ac3", "flac", "libmp3lame"])
@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_damaged_sound_never_fails(codec: str, suffix: str, damage: str, tmp_path: Path) -> None:
    if (codec, suffix) == ("flac", ".ts"):
        pytest.skip("MPEG-TS has no FLAC")
    content = bytearray(sound(tmp_path / f"a{suffix}", codec, clicks=np.arange(0, 3, 0.1).tolist()).read_bytes())
    if damage == "truncated":
        content = content[: len(content) * 2 // 3]
    else:
        for at in range(len(content) // 3, len(content), 97):
            content[at] ^= 0x55
    source = tmp_path / f"broken{suffix}"
    source.write_bytes(content)
    write(tmp_path / "c.mp4", [i / 25 for i in range(75)], rate=Fraction(25), audio_from=source)
    assert len(times_of(tmp_path / "c.mp4")) == 75


@pytest.mark.parametrize(
    "name", ["audio_longer_than_video.mp4", "audio_shorter_pcm.mov", "video_starts_after_audio.mp4"]
)
def test_real_clips_keep_their_times(name: str, shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "videos" / "odd" / name
    times = times_of(source)
    write(tmp_path / "c.mp4", times, rate=Fraction(30), audio_from=source)
    np.testing.assert_allclose(times_of(tmp_path / "c.mp4"), times, atol=1e-3)
    _, begin, end, onsets = heard(source)
    _, new_begin, new_end, found = heard(tmp_path / "c.mp4")
    assert new_begin == pytest.approx(begin, abs=0.001)
    assert new_end == pytest.approx(end, abs=0.03)
    np.testing.assert_allclose(found, onsets, atol=0.005)


# Ends of all kinds


@pytest.mark.parametrize("with_sound", [False, True])
def test_an_exception_leaves_a_file_that_plays(with_sound: bool, tmp_path: Path) -> None:
    source = sound(tmp_path / "a.mkv", seconds=30) if with_sound else None
    (tmp_path / "out").mkdir()
    with (  # noqa: PT012  # the picture of a run that is interrupted
        pytest.raises(KeyboardInterrupt),
        VideoWriter(tmp_path / "out" / "c.mp4", width=W, height=H, rate=None, audio_from=source) as writer,
    ):
        for index in range(37):
            writer.write(grey(index), index / 25)
        raise KeyboardInterrupt
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["c.partial.mp4"]
    partial = tmp_path / "out" / "c.partial.mp4"
    np.testing.assert_allclose(times_of(partial), np.arange(37) / 25, atol=1e-4)
    if with_sound:
        assert heard(partial)[2] == pytest.approx(36 / 25, abs=0.05)  # not the rest of the sound
    writer.close()
    writer.abort()
    with pytest.raises(ValueError, match="closed"):
        writer.write(grey(), 9.0)
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["c.partial.mp4"]


@pytest.mark.parametrize("end", ["close", "abort"])
def test_no_frame_no_file(end: str, tmp_path: Path) -> None:
    source = sound(tmp_path / "a.mkv")
    writer = VideoWriter(tmp_path / "c.mp4", width=W, height=H, rate=None, audio_from=source)
    getattr(writer, end)()
    assert [item.name for item in tmp_path.iterdir()] == ["a.mkv"]
    assert writer.warnings == (["no frame came, so there is no c.mp4"] if end == "close" else [])


def test_an_earlier_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "c.mp4"
    path.write_text("earlier")
    with VideoWriter(path, width=W, height=H, rate=None) as writer:
        writer.write(grey(), 0.0)
        assert path.read_text() == "earlier"
    assert len(times_of(path)) == 1


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "none" / "c.mp4", tmp_path / "file" / "c.mp4"):
        with pytest.raises(OutputError, match=f"cannot write {path}: No(t a| such file or) directory$"):
            VideoWriter(path, width=W, height=H, rate=None)


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.mp4").mkdir()
    with (
        pytest.raises(OutputError, match=r"cannot write .*c\.mp4: Is a directory"),
        VideoWriter(tmp_path / "c.mp4", width=W, height=H, rate=None) as writer,
    ):
        writer.write(grey(), 0.0)
    assert len(times_of(tmp_path / "c.partial.mp4")) == 1


@pytest.mark.parametrize("size", [(20_000, 16), (0, 0)])
def test_sizes_that_h264_has_not(size: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"H.264 refuses pictures of {size[0]}x{size[1]}"):
        VideoWriter(tmp_path / "c.mp4", width=size[0], height=size[1], rate=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "c.partial.mp4").symlink_to("/dev/full")
    with (
        pytest.raises(OutputError, match=r"cannot write .*c\.mp4: No space left on device$"),
        VideoWriter(tmp_path / "c.mp4", width=W, height=H, rate=None) as writer,
    ):
        writer.write(grey(), 0.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [60_000, 400_000])
def test_a_disk_that_fills_up(limit: int, tmp_path: Path) -> None:
    """A limit of the file's size fails as a full disk does, in the middle of a write."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 240, 320, 3), dtype=np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with (  # noqa: PT012  # it comes with some write
            pytest.raises(OutputError, match=r"cannot write .*c\.mp4: File too large$"),
            VideoWriter(tmp_path / "c.mp4", width=320, height=240, rate=None) as writer,
        ):
            for index in range(100):
                writer.write(noise[index % 4], index / 25)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []  # nobody could play it, and it would keep the disk full


def test_an_error_of_the_thread_comes_with_the_next_write_or_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: VideoWriter, frame: av.VideoFrame, pts: float) -> None:
        raise RuntimeError("the encoder fell over")

    monkeypatch.setattr(VideoWriter, "_encode", fail)
    writer = VideoWriter(tmp_path / "c.mp4", width=W, height=H, rate=None)
    started = time.monotonic()
    with pytest.raises(OutputError, match=r"c\.mp4: the encoder fell over"):  # noqa: PT012  # it comes with some write
        for index in range(10_000):
            writer.write(grey(), index / 25)
    with pytest.raises(OutputError, match="fell over"):
        writer.close()
    assert time.monotonic() - started < 5


def test_nothing_hangs_where_the_thread_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.VideoWriter, "_work", lambda self: None)
    writer = VideoWriter(tmp_path / "c.mp4", width=W, height=H, rate=None)
    with pytest.raises(OutputError, match="thread has ended"):  # noqa: PT012  # it comes with some write
        for index in range(20):
            writer.write(grey(), index / 25)
    with pytest.raises(OutputError, match="thread has ended"):
        writer.close()
    writer.abort()
    assert not (tmp_path / "c.mp4").exists()
