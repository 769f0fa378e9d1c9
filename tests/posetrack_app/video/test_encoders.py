"""Encoders: what works is taken, what does not is told. Machines without graphics cards only see the fallback."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from posetrack_app.errors import OutputError
from posetrack_app.video import VideoWriter, encoders
from posetrack_app.video.encoders import HARDWARE, EncoderName, chosen_encoder, works


def test_the_processor_always_works() -> None:
    assert works("libx264")
    assert chosen_encoder("libx264", 8, 8) == "libx264"
    assert not works("h264_of_nobody")


@pytest.mark.parametrize("name", HARDWARE)
def test_a_graphics_card_writes_a_film_or_is_told_not_to_be_there(name: EncoderName, tmp_path: Path) -> None:
    path = tmp_path / "c.mp4"
    if not works(name):
        with pytest.raises(OutputError, match=f"{name} does not work here; --encoder auto"):
            VideoWriter(path, width=320, height=240, rate=None, encoder=name)
        assert list(tmp_path.iterdir()) == []
        return
    with VideoWriter(path, width=320, height=240, rate=None, encoder=name) as writer:
        for index in range(30):
            writer.write(np.full((240, 320, 3), 8 * index, dtype=np.uint8), index / 25)
    with av.open(str(path)) as video:
        means = [frame.to_ndarray(format="rgb24").mean() for frame in video.decode(video=0)]
        assert video.streams.video[0].codec_context.pix_fmt == "yuv420p"
    np.testing.assert_allclose(means, np.arange(30) * 8, atol=6)


@pytest.mark.parametrize("there", [(), ("h264_qsv",), ("h264_qsv", "h264_nvenc")])
def test_auto_takes_the_first_that_works(there: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "works", lambda name: name in there)
    expected = next((name for name in HARDWARE if name in there), "libx264")
    assert chosen_encoder("auto", 1280, 720) == expected
    assert chosen_encoder("auto", 64, 720) == "libx264"  # cards refuse tiny pictures


def test_auto_writes_a_film_here(tmp_path: Path) -> None:
    path = tmp_path / "c.mp4"
    with VideoWriter(path, width=320, height=240, rate=None, encoder="auto") as writer:
        writer.write(np.full((240, 320, 3), 90, dtype=np.uint8), 0.0)
    assert writer.encoder in {"libx264", *HARDWARE}
    with av.open(str(path)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 1
