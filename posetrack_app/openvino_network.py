"""The network in OpenVINO, which runs it about twice as fast on a processor as PyTorch does.

It is converted from the weights in memory, once; what comes out is kept in the user's folder for caches.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import warnings
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
import torch
from torch import Tensor, nn

from models.cluster_net import ClusterNet

__all__ = ["OpenVINONetwork", "cache_folder"]

_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}

_SIZES = 12
"""Sizes of picture that stay compiled, the last used ones; each takes some 50 MB."""


class OpenVINONetwork:
    """One network, compiled for each size of picture when the first of that size comes."""

    def __init__(self, network: ClusterNet, *, precision: str, cache: Path | None = None) -> None:
        """Convert the network, or take what an earlier run converted.

        Args:
            network: With its weights, float32, on the processor.
            precision: Its arithmetic.
            cache: Folder for converted networks; None takes the user's.
        """
        self._core = _core()
        self._properties = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            # Decoder and encoder work on the same cores: threads that may move get out of their way.
            "ENABLE_CPU_PINNING": False,
            # 0: as many as there are cores. PyTorch has read the variable.
            "INFERENCE_NUM_THREADS": torch.get_num_threads() if os.environ.get("OMP_NUM_THREADS") else 0,
        }
        self._model = _cached(network, self._core, cache or cache_folder())
        self._requests: dict[tuple[int, int], Any] = {}

    def infer(self, pictures: npt.NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Heatmaps and tags, (B, C, H/4, W/4) each, of pictures uint8 (B, H, W, 3).

        One after the other: a processor gains nothing from batches, and results cannot depend on them.
        """
        request = self._request(*pictures.shape[1:3])
        outputs = [request.infer({0: picture[None]}) for picture in pictures]
        heatmaps, tags = (torch.from_numpy(np.concatenate([output[number] for output in outputs])) for number in (0, 1))
        return heatmaps, tags

    def _request(self, height: int, width: int) -> Any:
        """What runs pictures of one size."""
        request = self._requests.pop((height, width), None)
        if request is None:
            model = self._model.clone()
            model.reshape([1, height, width, 3])
            request = self._core.compile_model(model, "CPU", self._properties).create_infer_request()
            if len(self._requests) == _SIZES:
                self._requests.pop(next(iter(self._requests)))
        self._requests[height, width] = request  # the last used is the last to go
        return request


class _Pictures(nn.Module):
    """From pictures as they lie in memory to maps."""

    def __init__(self, network: ClusterNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        prediction = self.network.infer(pictures.permute(0, 3, 1, 2).float())
        return prediction.heatmaps, prediction.tags


@cache
def _core() -> openvino.Core:
    """The one of this process, which lives as long.

    Each core sets a stack for signal handlers on its thread and takes it away at its end, which with two of them leaves
    one that is freed: the next signal, as of Ctrl-C, then writes into whatever lies there.
    """
    return openvino.Core()


def cache_folder() -> Path:
    """The user's folder for what can be made again, by the habits of the system."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "posetrack-app"


def _cached(network: ClusterNet, core: openvino.Core, folder: Path) -> openvino.Model:
    """The converted network, from the folder where it is there and whole; else it is made and put there."""
    path = folder / f"{network.config.name}-{_fingerprint(network)}.xml"
    with suppress(Exception):  # not there, of a broken disk, half copied: it is made anew
        return core.read_model(path)
    model = _convert(network)
    with suppress(OSError, RuntimeError):  # a cache that cannot be written costs seconds, not results
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as partial:
            whole = Path(partial) / path.name
            openvino.save_model(model, whole, compress_to_fp16=False)
            whole.with_suffix(".bin").replace(path.with_suffix(".bin"))
            whole.replace(path)
        return core.read_model(path)  # so that the first run does, to the last bit, what the next ones do
    return model


def _fingerprint(network: ClusterNet) -> str:
    """Tells networks apart by configuration and weights, and versions of OpenVINO."""
    digest = hashlib.sha256(f"{network.config} {version('openvino')} 1".encode())
    for name, values in network.state_dict().items():
        digest.update(name.encode())
        digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _convert(network: ClusterNet) -> openvino.Model:
    """The network as an OpenVINO model of pictures of any size.

    By the frontend itself: `openvino.convert_model` does the same, but reports its use to a server unless told not to.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    side = network.config.multiple
    example = torch.zeros((1, side, side, 3), dtype=torch.uint8)
    with torch.inference_mode(), warnings.catch_warnings():
        # OpenVINO reads traces of pictures of any size; what shall take their place (torch.export) fixes sizes.
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(_Pictures(network).eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced, example_input=(example,))  # lives as long as it is read
    loaded = frontend.load(decoder)
    return frontend.convert(loaded)
