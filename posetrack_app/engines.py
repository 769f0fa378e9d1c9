"""What runs the network: pictures in, heatmaps and tags out, on some device in some precision."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models import weights as weight_files
from models.cluster_net import ClusterNet, ClusterNetConfig
from posetrack_app.errors import DeviceError, WeightsError

if TYPE_CHECKING:
    from posetrack_app.openvino_network import OpenVINONetwork

__all__ = [
    "DeviceName",
    "Engine",
    "EngineName",
    "OpenVINOEngine",
    "PrecisionName",
    "TorchEngine",
    "load_network",
    "make_engine",
    "maps_of",
    "resolve_device",
    "resolve_precision",
]

EngineName = Literal["auto", "pytorch", "openvino"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]

OfMaps = Callable[[Tensor, Tensor], Tensor]
"""From heatmaps and tags to what is wanted of them."""

Wait = Callable[[], npt.NDArray[np.float32]]
"""Waits for what was begun, and gives it."""

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Engine(Protocol):
    """Runs one network."""

    config: ClusterNetConfig
    """The network's shape; sides of pictures are multiples of `config.multiple`."""

    beside: bool
    """Whether it leaves the processor free while it works."""

    def begin(self, images: npt.NDArray[np.uint8], *, mirror: bool, then: OfMaps) -> Wait:
        """Start the network on pictures; what it returns waits for the outcome, which comes to the host.

        Where the engine is `beside`, it works meanwhile: the caller can do other things, and begin with other pictures.
        Else all is done when this returns.

        Args:
            images: uint8 (B, H, W, 3), RGB.
            mirror: Average heatmaps with those of the mirrored pictures.
            then: Makes of the maps what is wanted, on the engine's device: of heatmaps (B, C, H/4, W/4), about 0..1,
                and tags (B, D, C, H/4, W/4), where D is 2 with the mirror, else 1.
        """

    def describe(self) -> dict[str, str]:
        """Name, device and precision."""


def maps_of(engine: Engine, images: npt.NDArray[np.uint8], *, mirror: bool = False) -> tuple[Tensor, Tensor]:
    """Heatmaps (B, C, H/4, W/4) and tags (B, D, C, H/4, W/4) of pictures, on the host; as of `Engine.begin`."""
    both = torch.from_numpy(engine.begin(images, mirror=mirror, then=_side_by_side)())
    return both[:, 0], both[:, 1:]


def _side_by_side(heatmaps: Tensor, tags: Tensor) -> Tensor:
    return torch.cat([heatmaps[:, None], tags], dim=1)


def make_engine(name: EngineName, weights: str | Path, *, device: DeviceName, precision: PrecisionName) -> Engine:
    """The engine itself; `auto` takes OpenVINO on a processor where it is installed.

    Raises:
        DeviceError: device, precision or engine is not to be had here.
        WeightsError: no such weights, or they are damaged or of another kind.
    """
    device = resolve_device(device)
    precision = resolve_precision(precision, device)
    if name == "openvino" and device != "cpu":
        raise DeviceError(f"engine 'openvino' runs on a processor, not on '{device}'; use --device cpu")
    installed = find_spec("openvino") is not None
    if name == "openvino" and not installed:
        raise DeviceError("engine 'openvino' is not installed; pip install openvino, or use engine 'pytorch'")
    if device == "cpu" and installed and name != "pytorch":
        return OpenVINOEngine(weights, precision=precision)
    return TorchEngine(weights, device=device, precision=precision)


class TorchEngine:
    """The network in PyTorch."""

    def __init__(self, weights: str | Path, *, device: str, precision: str) -> None:
        """Load weights onto a resolved device in a resolved precision.

        Raises:
            WeightsError: no such weights, or they are damaged or of another kind.
        """
        self.device, self.precision = device, precision
        self.beside = device == "cuda"
        network = load_network(weights, device=device)
        self.config = network.config
        self._mirror = torch.as_tensor(_mirrored_maps(self.config), device=device)
        self._network: ClusterNet = network.to(_DTYPES[precision]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def begin(self, images: npt.NDArray[np.uint8], *, mirror: bool, then: OfMaps) -> Wait:
        """As `Engine.begin`."""
        host = torch.from_numpy(images)
        if self.device == "cuda":
            host = host.pin_memory()  # else the copy waits for what was begun before
        # (B, H, W, 3) seen as (B, 3, H, W) is channels-last already.
        pictures = host.to(self.device, non_blocking=True).permute(0, 3, 1, 2).to(_DTYPES[self.precision])
        if mirror:
            pictures = torch.cat([pictures, pictures.flip(-1)])
        prediction = self._network.infer(pictures.contiguous(memory_format=torch.channels_last))
        heatmaps, tags = prediction.heatmaps.float(), prediction.tags.float()[:, None]
        if mirror:
            heatmaps, tags = _averaged(heatmaps, tags, self._mirror)
        wanted = then(heatmaps, tags)
        if not self.beside:
            done: npt.NDArray[np.float32] = wanted.cpu().numpy()
            return lambda: done
        arriving = wanted.to("cpu", non_blocking=True)  # into pinned memory
        # Blocking: who waits for it leaves the processor to others.
        arrived = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        arrived.record()

        def wait() -> npt.NDArray[np.float32]:
            arrived.synchronize()
            there: npt.NDArray[np.float32] = arriving.numpy()
            return there

        return wait

    def describe(self) -> dict[str, str]:
        """As `Engine.describe`."""
        return {"engine": f"PyTorch {torch.__version__}", "device": self.device, "precision": self.precision}


class OpenVINOEngine:
    """The network in OpenVINO, on a processor."""

    beside = False

    def __init__(self, weights: str | Path, *, precision: str) -> None:
        """Load weights in a resolved precision.

        Raises:
            WeightsError: no such weights, or they are damaged or of another kind.
        """
        from posetrack_app.openvino_network import OpenVINONetwork

        network = load_network(weights, device="cpu")
        self.config, self.precision = network.config, precision
        self._mirror = torch.as_tensor(_mirrored_maps(self.config))
        self._network: OpenVINONetwork = OpenVINONetwork(network, precision=precision)

    def begin(self, images: npt.NDArray[np.uint8], *, mirror: bool, then: OfMaps) -> Wait:
        """As `Engine.begin`."""
        if mirror:
            images = np.concatenate([images, images[:, :, ::-1]])
        heatmaps, tags = self._network.infer(images)
        tags = tags[:, None]
        if mirror:
            heatmaps, tags = _averaged(heatmaps, tags, self._mirror)
        done: npt.NDArray[np.float32] = then(heatmaps, tags).numpy()
        return lambda: done

    def describe(self) -> dict[str, str]:
        """As `Engine.describe`."""
        return {"engine": f"OpenVINO {version('openvino')}", "device": "cpu", "precision": self.precision}


def load_network(weights: str | Path, *, device: str) -> ClusterNet:
    """The network with its weights, in float32.

    Raises:
        WeightsError: no such weights, or they are damaged or of another kind.
    """
    try:
        return weight_files.load(weights, device=device)
    except (FileNotFoundError, ValueError) as error:
        raise WeightsError(str(error)) from None


def _averaged(heatmaps: Tensor, tags: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Maps of pictures (first half of the batch) and of the same mirrored (second half), fused.

    Heatmaps are averaged; tags (B, 1, C, H, W) become those of both, (B, 2, C, H, W): they agree only in which
    people they tell apart, not in their values. `places` (C,) is where each map stands in the mirror.
    """
    heatmaps, other = heatmaps.chunk(2)
    heatmaps = (heatmaps + other[:, places].flip(-1)) / 2
    tags, other = tags.chunk(2)
    return heatmaps, torch.cat([tags, other[:, :, places].flip(-1)], dim=1)


def _mirrored_maps(config: ClusterNetConfig) -> list[int]:
    """(C,): the map that takes map c's place in a mirrored picture: that of the mirrored joints."""
    skeleton = config.joints
    clusters = [set(cluster) for cluster in skeleton.clusters[config.sparse[-1]]]
    return [clusters.index({int(skeleton.mirror[joint]) for joint in cluster}) for cluster in clusters]


def resolve_device(name: DeviceName) -> Literal["cpu", "cuda", "mps"]:
    """The device itself; `auto` takes a GPU where there is one.

    Raises:
        DeviceError: the device is not to be had here.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return "cuda" if available["cuda"] else "mps" if available["mps"] else "cpu"
    if not available[name]:
        what = "an NVIDIA GPU and a PyTorch with CUDA" if name == "cuda" else "an Apple GPU"
        raise DeviceError(f"device '{name}' needs {what}, which are not here; use --device cpu or auto")
    return name


def resolve_precision(name: PrecisionName, device: str) -> Literal["float32", "bfloat16", "float16"]:
    """The precision itself; `auto` takes half precision where the device has arithmetic for it.

    Raises:
        DeviceError: the device does not have that precision.
    """
    if name == "float16" and device == "cpu":
        raise DeviceError("precision 'float16' needs a GPU; a processor has float32 and bfloat16")
    if name != "auto":
        return name
    if device == "cuda":
        return "float16"
    return "bfloat16" if device == "cpu" and _processor_has_bfloat16() else "float32"


def _processor_has_bfloat16() -> bool:
    """Whether bfloat16 is arithmetic here; emulated, it is slower than float32."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
