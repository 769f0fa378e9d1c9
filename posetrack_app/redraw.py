"""Saved poses drawn onto their video again, without the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from posetrack_app.between import as_seen
from posetrack_app.config import Settings
from posetrack_app.errors import InputError
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.render import Renderer
from posetrack_app.render.scaling import scaled, scaled_size
from posetrack_app.types import Poses
from posetrack_app.video import Source, VideoInfo, VideoReader, VideoWriter

__all__ = ["Redrawn", "redraw"]

_MUST = "--video must name the video that they were found in"

_SAME_SECONDS = 0.02
"""Containers round times by up to 5 ms (GIF); films of other rates are farther apart within a second or so."""


@dataclass(frozen=True)
class Redrawn:
    """What was written."""

    frames: int
    """Frames of the video."""

    warnings: list[str]
    """What a viewer should know."""


def redraw(
    sequence: PoseSequence,
    source: Source,
    path: Path,
    *,
    settings: Settings,
    opened: Callable[[VideoInfo], Callable[[], None]] = lambda info: lambda: None,
) -> Redrawn:
    """Draw the people of `sequence` onto the frames of `source`; frames are matched by their index.

    Args:
        sequence: Saved poses.
        source: The video that they were found in.
        path: Where to write; its folder must exist.
        settings: `input`, `render` and `video` count.
        opened: Called when the video is open; gives the function to call for each finished frame.

    Raises:
        InputError: the video has another size, another number of frames or, of a stretch, other times than the poses
            tell.
        OutputError: the video cannot be written.
    """
    saved = {frame.index: frame for frame in sequence.frames}
    count = max(saved, default=-1) + 1
    first = min(saved, default=0) if sequence.is_stretch else 0
    with VideoReader(source, queue_frames=settings.input.queue_frames, image_rate=settings.input.image_rate) as reader:
        info = reader.info
        if sequence.width and (sequence.width, sequence.height) != (info.width, info.height):
            raise InputError(
                f"{source.shown} has frames of {info.width}x{info.height} pixels, the poses are of a video of "
                f"{sequence.width}x{sequence.height}; {_MUST}"
            )
        progress = opened(info)
        renderer = Renderer(sequence.skeleton, settings.render)
        scale = settings.video.scale
        width, height = scaled_size(info.width, info.height, scale)
        with VideoWriter(
            path,
            width=width,
            height=height,
            rate=info.average_rate,
            is_stretch=sequence.is_stretch,
            audio_from=Path(source.location) if info.has_audio else None,
            quality=settings.video.quality,
            encoder=settings.video.encoder,
        ) as writer:
            frames = length = 0
            shift: float | None = None  # of the clock: a copy of the film may begin at 0
            for frame in reader:
                if sequence.is_stretch and frame.index == count:
                    break
                length = frame.index + 1
                if frame.index < first:
                    continue
                posed = saved.get(frame.index)
                if posed is None and not sequence.width:  # forms without a size end with the last people
                    posed = PosedFrame(frame.index, frame.pts, Poses.empty(len(sequence.skeleton.joints)))
                if posed is None:
                    raise _other_length(source, f"more than {frame.index}", count)
                shift = frame.pts - posed.seconds if shift is None else shift
                # A stretch has no length to compare; of pictures, times are what the user says that they are.
                if sequence.is_stretch and not frame.name and abs(frame.pts - posed.seconds - shift) > _SAME_SECONDS:
                    raise InputError(
                        f"{source.shown} shows frame {frame.index} at {frame.pts:.3f} s, where the video of the poses "
                        f"shows it at {posed.seconds + shift:.3f} s; {_MUST}"
                    )
                poses = as_seen(posed.poses) if sequence.every > 1 else posed.poses
                image = renderer.draw(*scaled(replace(frame, cut=posed.cut), poses, scale))
                writer.write(image, frame.pts)
                frames += 1
                progress()
            if length < count:
                raise _other_length(source, str(length), count)
        return Redrawn(frames, [*_about_name(sequence, source), *reader.warnings, *writer.warnings])


def _about_name(sequence: PoseSequence, source: Source) -> list[str]:
    """A line where a stretch is drawn onto what may be another film of the same rate."""
    if not sequence.is_stretch or sequence.video == source.name:
        return []
    return [f"the poses are of '{sequence.video}', not '{source.name}': only size and times were compared"]


def _other_length(source: Source, frames: str, count: int) -> InputError:
    return InputError(f"{source.shown} has {frames} frames, the poses are of a video of {count}; {_MUST}")
