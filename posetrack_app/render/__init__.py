"""People drawn onto pictures: skeletons, boxes, hidden faces, paths and labels."""

from posetrack_app.render.renderer import Renderer

__all__ = ["Renderer"]
