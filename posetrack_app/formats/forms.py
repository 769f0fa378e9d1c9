"""The names of the forms that saved poses can be written in. Light, so that `--help` answers at once."""

from __future__ import annotations

from typing import Literal

__all__ = ["Form"]

Form = Literal["posetrack2018", "posetrack2017", "coco", "openpose", "csv", "parquet", "trc", "mot", "cvat"]
"""What poses can be written as."""
