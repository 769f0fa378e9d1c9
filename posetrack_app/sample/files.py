"""The drawn clip as files: a video, and its exact ground truth in PoseTrack2018's form."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from models.skeleton import COCO17
from posetrack_app.errors import OutputError
from posetrack_app.formats.annotations import JOINTS, AnnotationWriter, enlarged_box
from posetrack_app.sample.clip import SampleConfig, draw
from posetrack_app.sample.truth import SampleTruth
from posetrack_app.video import VideoWriter

__all__ = ["annotate", "write_sample"]

_COCO = [(column, COCO17.index(name)) for column, name in enumerate(JOINTS) if name in COCO17.joints]


def write_sample(out: Path, config: SampleConfig | None = None) -> tuple[Path, ...]:
    """Draw the clip into `out`/sample.mp4 and write what is true of it into `out`/sample.json.

    Returns:
        The files that were written; of a clip without frames there is no video.

    Raises:
        OutputError: The folder or a file in it cannot be written.
    """
    config = config or SampleConfig()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror or error}") from None
    video, truth = out / "sample.mp4", out / "sample.json"
    labels = AnnotationWriter(truth, video=video.stem)
    try:
        with VideoWriter(video, width=config.width, height=config.height, rate=Fraction(config.rate)) as writer:
            for sample in draw(config):
                writer.write(sample.frame.image, sample.frame.pts)
                labels.add(sample.frame.index, None, annotate(sample.truth, config.width, config.height))
    except BaseException:
        labels.abort()
        raise
    labels.close()
    return (video, truth) if config.frames else (truth,)


def annotate(truth: SampleTruth, width: int, height: int) -> list[dict[str, Any]]:
    """The people of a frame of `width` x `height` pixels as annotations of PoseTrack2018.

    As in the official files hidden joints are annotated, with flag 1, and joints outside the picture are 0, 0, 0.
    Beyond them the ears are exact, and `visible` tells of each joint whether nothing covers it. Of neck and head top
    it does not know what the person's own body covers. Eyes are not in this form.
    """
    people = len(truth.track_id)
    xy = np.zeros((people, len(JOINTS), 2))
    found = np.zeros((people, len(JOINTS)), dtype=np.bool_)
    visible = np.zeros_like(found)
    for column, joint in _COCO:
        xy[:, column], found[:, column] = truth.xy[:, joint], truth.in_frame[:, joint]
        visible[:, column] = truth.visible[:, joint]
    for name, points, seen in (
        ("head_bottom", truth.neck, truth.head_seen[:, 1]),
        ("head_top", truth.head_top, truth.head_seen[:, 0]),
    ):
        column = JOINTS.index(name)
        pixels = np.rint(points)
        xy[:, column] = points
        found[:, column] = np.all((pixels >= 0) & (pixels < (width, height)), axis=1)
        visible[:, column] = seen
    keypoints = np.concatenate([np.where(found[..., None], xy, 0).round(3), found[..., None]], axis=2)
    x1, y1, x2, y2 = truth.head_box.T
    head_boxes = np.stack([x1, y1, x2 - x1, y2 - y1], axis=1).round(3)
    return [
        {
            "track_id": int(truth.track_id[row]),
            "bbox": enlarged_box(xy[row, found[row]]),
            "bbox_head": head_boxes[row].tolist(),
            "keypoints": keypoints[row].ravel().tolist(),
            "scores": [],
            "visible": visible[row].tolist(),
        }
        for row in range(people)
        if found[row].any()
    ]
