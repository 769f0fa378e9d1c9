"""Draws the people of a frame onto a copy of its picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.config import RenderSettings
from posetrack_app.render.figures import Figures, boxes, line_radius
from posetrack_app.render.heads import obscure
from posetrack_app.render.labels import Labels
from posetrack_app.render.people import PeopleModel
from posetrack_app.render.trails import Trails
from posetrack_app.types import Frame, Poses

__all__ = ["Renderer"]


class Renderer:
    """Draws frame after frame of one video. Paths and the places of labels are its memory."""

    def __init__(self, skeleton: Skeleton, settings: RenderSettings) -> None:
        self._settings = settings
        self._line_width = max(settings.line_width, 0.0)
        self._model = PeopleModel(skeleton, min_joint_score=settings.min_joint_score)
        self._figures = Figures(skeleton, by_side=settings.color_by == "side", line_width=self._line_width)
        self._labels = Labels()
        self._trails = Trails(skeleton, seconds=settings.trails_seconds) if settings.trails_seconds > 0 else None

    def draw(self, frame: Frame, poses: Poses) -> npt.NDArray[np.uint8]:
        """The frame's picture with its people: uint8 (H, W, 3), a new array.

        The order of the people does not matter: the nearer, which are the larger ones, are drawn over the farther.
        """
        style = self._settings.style
        height, width = frame.image.shape[:2]
        image = np.zeros_like(frame.image, order="C") if style == "black" else frame.image.copy(order="C")
        if image.size == 0:
            return image
        if style == "blur-faces":
            heads = self._model.measure(poses, width=width, height=height).head
            for x, y, radius in heads[heads[:, 2] > 0].tolist():
                obscure(image, x, y, radius)
        shown = poses if self._settings.untracked else poses[poses.track_id >= 0]
        people = self._model.measure(shown, width=width, height=height)
        short_side = min(height, width)
        if self._trails is not None:
            if frame.cut:
                self._trails.clear()
            self._trails.add(people, seconds=frame.pts, width=width, height=height)
            radius = float(line_radius(np.array(short_side / 6), short_side=short_side, line_width=self._line_width))
            self._trails.strokes(seconds=frame.pts, width=width, height=height, radius=radius).paint(image)
        if style == "boxes":
            strokes = boxes(people, short_side=short_side, line_width=self._line_width)
        else:
            strokes = self._figures.strokes(people, short_side=short_side)
        strokes.paint(image)
        if self._settings.labels:
            self._labels.draw(image, people, corner=style == "boxes")
        return image
