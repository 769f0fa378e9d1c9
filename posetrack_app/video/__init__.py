"""Any video in, H.264 out."""

from __future__ import annotations

from posetrack_app.video.info import VideoInfo
from posetrack_app.video.live import LiveReader, open_reader
from posetrack_app.video.reader import VideoReader
from posetrack_app.video.source import Source, expand_inputs
from posetrack_app.video.writer import VideoWriter

__all__ = ["LiveReader", "Source", "VideoInfo", "VideoReader", "VideoWriter", "expand_inputs", "open_reader"]
