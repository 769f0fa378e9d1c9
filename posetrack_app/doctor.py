"""What is installed here, what a run would use, and whether one frame goes through."""

from __future__ import annotations

import os
import time
from typing import Literal

import av
import numpy as np
import torch

from posetrack_app.errors import UserError
from posetrack_app.estimator import PoseEstimator
from posetrack_app.pipeline import versions
from posetrack_app.types import Frame

__all__ = ["examine"]


def examine(
    *,
    weights: str,
    device: Literal["auto", "cpu", "cuda", "mps"],
    precision: Literal["auto", "float32", "bfloat16", "float16"],
) -> int:
    """Print one line for each thing examined; 0 if a run would work here, else 1."""
    for name, number in versions().items():
        _line(name, number)
    _line("processor", f"{os.cpu_count()} cores, PyTorch uses {torch.get_num_threads()} threads")
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none that PyTorch can use"
    _line("GPU", "Apple, through MPS" if torch.backends.mps.is_available() else gpu)
    missing = [codec for codec in ("libx264", "aac") if codec not in av.codecs_available]
    _line("video", f"this PyAV lacks {', '.join(missing)}" if missing else "H.264 and AAC can be written")
    try:
        estimator = PoseEstimator(weights=weights, device=device, precision=precision)
        for name, value in estimator.describe().items():
            _line(name, str(value))
        frame = Frame(index=0, pts=0.0, image=np.full((720, 1280, 3), 127, dtype=np.uint8))
        estimator.estimate([frame])  # the first is slower: memory is taken, kernels are chosen
        started = time.perf_counter()
        estimator.estimate([frame])
        _line("one frame", f"1280x720 in {(time.perf_counter() - started) * 1000:.0f} ms")
    except UserError as error:
        _line("FAILED", str(error))
        return 1
    _line("result", "a run would not write video" if missing else "all is well")
    return 1 if missing else 0


def _line(name: str, text: str) -> None:
    print(f"{name:<24}{text}")
