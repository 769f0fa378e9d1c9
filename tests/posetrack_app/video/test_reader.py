"""Films as the test encodes them: every frame, its time and its colours; and what happens when things break."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from posetrack_app.errors import InputError, UsageError
from posetrack_app.types import Frame
from posetrack_app.video import Source, VideoReader, expand_inputs

WIDTH, HEIGHT = 64, 48


def picture(index: int) -> np.ndarray:
    """A grey picture that tells its number by its brightness, with a bright upper left corner."""
    image = np.full((HEIGHT, WIDTH, 3), 20 + 3 * index, dtype=np.uint8)
    image[:16, :16] = 230
    return image


def number(frame: Frame) -> int:
    return round((float(frame.image[-8:, -8:].mean()) - 20) / 3)


def encode(
    path: Path,
    milliseconds: Sequence[int],
    *,
    codec: str = "libx264",
    format: str = "yuv420p",  # noqa: A002  # as PyAV calls it
    images: Sequence[np.ndarray] | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    matrix: Sequence[int] | None = None,
    audio: bool = False,
    **context: Any,
) -> Path:
    """A film whose frames are shown at these times."""
    images = images or [picture(index) for index in range(len(milliseconds))]
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = format
        stream.codec_context.time_base = Fraction(1, 1000)
        for key, value in context.items():
            setattr(stream.codec_context, key, value)
        if matrix is not None:
            stream.set_display_matrix(matrix)
        if audio:
            add_silence(output)
        for image, at in zip(images, milliseconds, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24" if image.ndim == 3 else "gray")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def add_silence(output: av.container.OutputContainer) -> None:
    stream = output.add_stream("aac", rate=16000, layout="mono")
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
    frame.sample_rate = 16000
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def source_of(path: Path) -> Source:
    (source,) = expand_inputs([str(path)])
    return source


def read(path: Path) -> tuple[list[Frame], list[str]]:
    with VideoReader(source_of(path)) as reader:
        frames = list(reader)
    assert reader.frames_decoded == len(frames)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    return frames, reader.warnings


EVEN = range(0, 1600, 40)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty frames of H.264 with B-frames, 25 a second, the header in front."""
    path = tmp_path_factory.mktemp("films") / "even.mp4"
    return encode(path, EVEN, options={"g": "10", "bf": "2"}, container={"movflags": "faststart"})


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "decoder"]


def test_all_frames_in_order(film: Path, no_thread_left: None) -> None:
    frames, warnings = read(film)
    assert [number(frame) for frame in frames] == list(range(40))
    assert [frame.pts for frame in frames] == pytest.approx([at / 1000 for at in EVEN], abs=1e-9)
    assert warnings == []
    assert all(frame.image.flags.c_contiguous and frame.name is None for frame in frames)


def test_what_is_known_of_a_film(film: Path) -> None:
    with VideoReader(source_of(film)) as reader:
        info = reader.info
    assert (info.width, info.height, info.frames_expected, info.average_rate) == (WIDTH, HEIGHT, 40, 25)
    assert (info.codec, info.pixel_format, info.orientation, info.stream) == ("h264", "yuv420p", "upright", 0)
    assert info.duration_seconds == pytest.approx(1.6)
    assert not info.has_audio


def test_sound_is_seen(tmp_path: Path) -> None:
    with VideoReader(source_of(encode(tmp_path / "a.mp4", EVEN, audio=True))) as reader:
        assert reader.info.has_audio
        assert len(list(reader)) == 40


@pytest.mark.parametrize(
    "milliseconds",
    [[0, 35, 90, 200, 1000, 1033], [2500, 2540, 2580], [0, 40, 60_000, 60_040], [7], [0, 1, 2, 3, 500]],
)
def test_times_are_those_of_the_file(milliseconds: list[int], tmp_path: Path) -> None:
    frames, warnings = read(encode(tmp_path / "a.mkv", milliseconds, codec="ffv1"))
    assert [frame.pts for frame in frames] == [at / 1000 for at in milliseconds]
    assert [number(frame) for frame in frames] == list(range(len(milliseconds)))
    assert warnings == []


def test_equal_times_lose_no_frame(tmp_path: Path) -> None:
    frames, warnings = read(encode(tmp_path / "a.mkv", [0, 0, 80, 80, 160], codec="ffv1"))
    assert [frame.pts for frame in frames] == pytest.approx([0, 0.001, 0.08, 0.081, 0.16])
    assert "2 of 5 frames" in warnings[0]


def test_a_stream_without_times_is_even(tmp_path: Path) -> None:
    frames, warnings = read(encode(tmp_path / "raw.h264", EVEN))
    assert [frame.pts for frame in frames] == pytest.approx([0.04 * index for index in range(40)])
    assert "25 a second" in warnings[0]


@pytest.mark.parametrize("jump", [60_000, -60_000])
def test_a_clock_that_breaks_is_mended(jump: int, tmp_path: Path) -> None:
    parts = [encode(tmp_path / f"{at}.ts", [at + t for t in EVEN]) for at in (100_000, 100_000 + jump)]
    (tmp_path / "glued.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, warnings = read(tmp_path / "glued.ts")
    assert [number(frame) for frame in frames] == [*range(40), *range(40)]
    steps = np.diff([frame.pts for frame in frames])
    np.testing.assert_allclose(steps, 0.04, atol=1e-6)
    assert any("clock" in line and "frame 40" in line for line in warnings)


ONE = 1 << 16


@pytest.mark.parametrize(
    ("numbers", "bright"),
    [
        ((ONE, 0, 0, ONE), "top left"),
        ((-ONE, 0, 0, ONE), "top right"),
        ((ONE, 0, 0, -ONE), "bottom left"),
        ((-ONE, 0, 0, -ONE), "bottom right"),
        ((0, ONE, ONE, 0), "top left"),
        ((0, ONE, -ONE, 0), "top right"),
        ((0, -ONE, ONE, 0), "bottom left"),
        ((0, -ONE, -ONE, 0), "bottom right"),
    ],
)
def test_the_display_matrix_is_applied(numbers: tuple[int, int, int, int], bright: str, tmp_path: Path) -> None:
    a, b, c, d = numbers
    path = encode(tmp_path / "a.mp4", [0, 40], matrix=[a, b, 0, c, d, 0, 0, 0, 1 << 30])
    frames, _ = read(path)
    with VideoReader(source_of(path)) as reader:
        assert (reader.info.width, reader.info.height) == ((HEIGHT, WIDTH) if a == 0 else (WIDTH, HEIGHT))
        assert frames[0].image.shape == (reader.info.height, reader.info.width, 3)
        assert (reader.info.orientation == "upright") == (numbers == (ONE, 0, 0, ONE))
    corners = {
        f"{vertical} {horizontal}": frames[0].image[row, column].mean()
        for (vertical, row), (horizontal, column) in product([("top", 4), ("bottom", -4)], [("left", 4), ("right", -4)])
    }
    assert max(corners, key=lambda corner: corners[corner]) == bright
    assert sorted(corners.values())[2] < 60


@pytest.mark.parametrize(("aspect", "size"), [((4, 3), (85, 48)), ((1, 2), (64, 96)), ((1, 1), (64, 48))])
def test_pixels_become_square(aspect: tuple[int, int], size: tuple[int, int], tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", [0, 40], sample_aspect_ratio=Fraction(*aspect))
    with VideoReader(source_of(path)) as reader:
        assert (reader.info.width, reader.info.height) == size
        assert {frame.image.shape for frame in reader} == {(size[1], size[0], 3)}


COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 120, 40), (60, 60, 60)]
WEIGHTS = {"601": (0.299, 0.114), "709": (0.2126, 0.0722), "2020": (0.2627, 0.0593)}
"""Kr and Kb of ITU-R BT.601, BT.709 and BT.2020."""
TAGS = {"601": 5, "709": 1, "2020": 9, None: 2}


def yuv(colour: tuple[int, int, int], matrix: str, *, full: bool) -> list[int]:
    """Y, Cb, Cr in 8 bits, after the definition in the recommendations."""
    red, green, blue = (value / 255 for value in colour)
    kr, kb = WEIGHTS[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    if full:
        return [round(255 * luma), min(255, round(128 + 255 * cb)), min(255, round(128 + 255 * cr))]
    return [round(16 + 219 * luma), round(128 + 224 * cb), round(128 + 224 * cr)]


def stored(path: Path, matrix: str, *, full: bool, tag: str | None, tag_range: int, lines: int = 48) -> Path:
    """Lossless bars of all `COLOURS`, made with one matrix and range and tagged as told."""
    planes = np.zeros((3, lines, 16 * len(COLOURS)), dtype=np.uint8)
    for bar, colour in enumerate(COLOURS):
        planes[:, :, 16 * bar : 16 * bar + 16] = np.reshape(yuv(colour, matrix, full=full), (3, 1, 1))
    frame = av.VideoFrame(planes.shape[2], lines, "yuv444p")
    for plane, values in zip(frame.planes, planes, strict=True):
        padded = np.zeros((lines, plane.line_size), dtype=np.uint8)
        padded[:, : values.shape[1]] = values
        plane.update(padded.tobytes())
    frame.colorspace, frame.color_range = TAGS[tag], tag_range
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = planes.shape[2], lines, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = TAGS[tag], tag_range
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("matrix", "full", "tag", "tag_range", "lines"),
    [
        *[(matrix, full, matrix, 1 + full, 48) for matrix, full in product(WEIGHTS, (False, True))],
        ("601", False, None, 0, 576),
        ("709", False, None, 0, 720),
        ("709", True, "709", 2, 720),
        ("601", True, None, 2, 48),
    ],
)
def test_colours_are_as_tagged_or_as_usual(
    matrix: str, full: bool, tag: str | None, tag_range: int, lines: int, tmp_path: Path
) -> None:
    path = stored(tmp_path / "bars.mkv", matrix, full=full, tag=tag, tag_range=tag_range, lines=lines)
    ((frame,), _) = read(path)
    shown = [frame.image[lines // 2, 16 * bar + 8] for bar in range(len(COLOURS))]
    np.testing.assert_allclose(shown, COLOURS, atol=3)


@pytest.mark.parametrize("format", ["yuv420p10le", "yuv422p", "yuv444p10le", "gray", "gray10le", "bgr0", "bgra"])
def test_formats_of_pixels(format: str, tmp_path: Path) -> None:  # noqa: A002
    frames, warnings = read(encode(tmp_path / "a.mkv", [0, 40], codec="ffv1", format=format))
    for frame in frames:
        np.testing.assert_allclose(frame.image, picture(frame.index), atol=3)
    assert warnings == []


def test_odd_sizes_are_kept(tmp_path: Path) -> None:
    image = np.full((31, 45, 3), 90, dtype=np.uint8)
    frames, _ = read(encode(tmp_path / "a.mkv", [0], codec="ffv1", images=[image]))
    assert frames[0].image.shape == (31, 45, 3)


def test_a_change_of_size_is_told(tmp_path: Path) -> None:
    small = [np.full((24, 32, 3), 90, dtype=np.uint8)] * 10
    parts = [encode(tmp_path / "a.h264", EVEN), encode(tmp_path / "b.h264", range(0, 400, 40), images=small)]
    (tmp_path / "both.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, warnings = read(tmp_path / "both.h264")
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 40 + [(24, 32, 3)] * 10
    assert sum("changes size from 64x48 to 32x24 at frame 40" in line for line in warnings) == 1


def packets_of(path: Path) -> list[tuple[int, int]]:
    """Place and size in the file of each packet, in its order."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize("broken", [[0], [12], [38], [39], [36, 37], [5, 25, 38], [30, 36, 39]])
def test_packets_that_cannot_be_decoded_cost_no_other_frame(
    broken: list[int], film: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(film.read_bytes())
    for place, size in (packets_of(film)[index] for index in broken):
        data[place : place + size] = bytes(size)
    path = tmp_path / "broken.mp4"
    path.write_bytes(data)
    one_by_one = []
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        for packet in container.demux(video=0):
            try:
                one_by_one += [frame.time for frame in packet.decode()]
            except av.error.InvalidDataError:
                continue
    with VideoReader(source_of(path)) as reader:
        frames = list(reader)
    assert {round(at, 6) for at in one_by_one if at is not None} <= {round(frame.pts, 6) for frame in frames}
    assert len(frames) < 40
    assert f"frames are missing: {len(frames)} frames came, 40 were expected" in reader.warnings
    assert any("packets could not be decoded" in line for line in reader.warnings)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("extension", ["mp4", "mkv"])
def test_a_file_that_is_cut_off_is_told(extension: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    whole = encode(
        tmp_path / f"whole.{extension}",
        EVEN,
        images=list(noise),
        container={"movflags": "faststart"},
        options={"g": "10"},
    )
    data = whole.read_bytes()
    cut = tmp_path / f"cut.{extension}"
    cut.write_bytes(data[: len(data) * 7 // 10])
    frames, warnings = read(cut)
    assert 15 < len(frames) < 35
    assert any(f"{len(frames)} frames came, 40 were expected" in line for line in warnings)
    assert capfd.readouterr().err == ""


def test_damage_that_the_decoder_patches_is_told(film: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 96, 128, 3), dtype=np.uint8)
    path = encode(tmp_path / "noise.mp4", range(0, 480, 40), images=list(noise), options={"g": "12", "bf": "0"})
    data = bytearray(path.read_bytes())
    place, size = packets_of(path)[6]
    data[place + size // 2 : place + size] = bytes(size - size // 2)
    path.write_bytes(data)
    frames, warnings = read(path)
    assert len(frames) == 12
    assert any("frames are damaged, the first at 0.2" in line for line in warnings)


def test_leaving_early_ends_the_thread(film: Path, no_thread_left: None) -> None:
    with VideoReader(source_of(film), queue_frames=1) as reader:
        for frame in reader:
            if frame.index == 2:
                break
    reader.close()


def test_an_error_of_the_consumer_ends_the_thread(film: Path, no_thread_left: None) -> None:
    with pytest.raises(KeyboardInterrupt), VideoReader(source_of(film), queue_frames=2) as reader:  # noqa: PT012
        for _ in reader:
            raise KeyboardInterrupt


def test_frames_that_are_still_asked_for_after_closing_end(film: Path, no_thread_left: None) -> None:
    with VideoReader(source_of(film), queue_frames=1) as reader:
        frames = iter(reader)
        next(frames)
    assert len(list(frames)) <= 1


def test_the_queue_is_bounded(film: Path) -> None:
    with VideoReader(source_of(film), queue_frames=3) as reader:
        frames = iter(reader)
        next(frames)
        deadline = time.monotonic() + 5
        while reader.frames_decoded < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert reader.frames_decoded == 5  # one taken, three waiting, one in the hands of the thread
        assert len(list(frames)) == 39


def test_frames_are_read_once(film: Path) -> None:
    with VideoReader(source_of(film)) as reader:
        list(reader)
        with pytest.raises(RuntimeError, match="only once"):
            iter(reader)
    closed = VideoReader(source_of(film))
    closed.close()
    with pytest.raises(RuntimeError, match="closed"):
        iter(closed)


def test_time_is_counted_without_waiting(film: Path) -> None:
    with VideoReader(source_of(film), queue_frames=1) as reader:
        for _ in reader:
            time.sleep(0.02)
    assert 0 < reader.decode_seconds < 0.6


def test_an_error_while_decoding_reaches_the_consumer(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from posetrack_app.video.colour import Viewer

    looked = Viewer.look
    count = iter(range(100))

    def look(self: Viewer, frame: av.VideoFrame) -> np.ndarray:
        if next(count) == 8:  # the first picture is made twice: its size is known before frames are taken
            raise ValueError("no such pixels")
        return looked(self, frame)

    monkeypatch.setattr(Viewer, "look", look)
    frames = []
    with pytest.raises(InputError, match="yuv420p cannot be shown"), VideoReader(source_of(film)) as reader:  # noqa: PT012
        for frame in reader:
            frames.append(frame)  # noqa: PERF402
    assert len(frames) == 7


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("text.mp4", b"this is no video", "is not a video"),
        ("empty.mp4", b"", "is empty"),
        ("cut.mp4", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "is not a video"),
    ],
)
def test_what_is_no_video(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        VideoReader(source_of(tmp_path / name))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_header_without_an_index(film: Path, tmp_path: Path) -> None:
    path = encode(tmp_path / "late.mp4", EVEN)  # the index is at the end
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="late.mp4"):
        VideoReader(source_of(path))


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w") as output:
        add_silence(output)
    with pytest.raises(InputError, match="holds no film: only audio"):
        VideoReader(source_of(path))


def test_missing_files_are_named_with_their_neighbour(film: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"evem.mp4 does not exist; did you mean '.*even.mp4'"):
        VideoReader(source_of(film.with_name("evem.mp4")))
    with pytest.raises(InputError, match="no file matches the pattern"):
        VideoReader(source_of(tmp_path / "*.mp4"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions bind ordinary users of Unix")
def test_a_forbidden_file(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "secret.mp4"
    path.write_bytes(film.read_bytes())
    path.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        VideoReader(source_of(path))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("camera:front", "names no camera"),
        ("camera:97", "gives no picture"),
        ("rtsp://me:secret@127.0.0.1:9/live", r"cannot open the stream rtsp://127.0.0.1:9/live: "),
        ("nonsense://host/live", "cannot open the stream"),
    ],
)
def test_cameras_and_streams_that_are_not_there(text: str, says: str, capfd: pytest.CaptureFixture[str]) -> None:
    (source,) = expand_inputs([text])
    with pytest.raises(InputError, match=says):
        VideoReader(source)
    assert capfd.readouterr().err == ""


def test_a_stream_over_the_network(film: Path) -> None:
    import http.server

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    def handler(*arguments: Any) -> Quiet:
        return Quiet(*arguments, directory=str(film.parent))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            (source,) = expand_inputs([f"http://127.0.0.1:{server.server_port}/even.mp4"])
            with VideoReader(source) as reader:
                assert [number(frame) for frame in reader] == list(range(40))
                assert not reader.info.has_audio
        finally:
            server.shutdown()


def test_settings_that_make_no_sense(film: Path) -> None:
    with pytest.raises(UsageError, match="queue_frames"):
        VideoReader(source_of(film), queue_frames=0)


def test_pictures_do_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    """Decoded frames are megabytes each: they go when they are done with."""
    path = encode(tmp_path / "clip.mp4", range(0, 9600, 40), images=[picture(0)] * 240)

    def alive() -> int:
        return sum(type(thing) is av.VideoFrame for thing in gc.get_objects())

    gc.collect()
    before = alive()
    gc.disable()
    try:
        with VideoReader(source_of(path)) as reader:
            most = max(alive() for _ in reader)
    finally:
        gc.enable()
    assert most < before + 60  # some are on their way; all 240 would be alive if they waited
