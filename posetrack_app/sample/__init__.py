"""A drawn clip of walking people with exact ground truth: for trying things out, and for tests."""

from posetrack_app.sample.clip import SampleConfig, SampleFrame, draw
from posetrack_app.sample.files import write_sample
from posetrack_app.sample.truth import SampleTruth

__all__ = ["SampleConfig", "SampleFrame", "SampleTruth", "draw", "write_sample"]
