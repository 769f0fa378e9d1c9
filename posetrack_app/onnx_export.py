"""The network as an ONNX file, for TensorRT, ONNX Runtime and what else serves networks; checked against PyTorch.

Letters: B batch, C maps, H W height and width of pictures, P peaks of a map.
"""

from __future__ import annotations

import io
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models import weights as weight_files
from models.cluster_net import ClusterNet
from models.grouping import GroupingConfig
from models.peaks import highest, places
from posetrack_app.errors import UsageError, UserError, WeightsError
from posetrack_app.formats.saving import saving
from posetrack_app.sample import SampleConfig, draw

__all__ = ["Exported", "OutputsName", "compare", "export_onnx"]

OutputsName = Literal["maps", "peaks"]

_OPSET = 18
_STRIDE = 4
_PEAKS = 30
"""Peaks of a map for each joint that it shows, as `run` keeps them."""

_SURE = 0.1
"""Peaks lower than this are not compared: people do not begin with them, and rounding makes and unmakes them."""

# Largest differences from PyTorch in float32 that rounding explains; `xy` in pixels, the rest in units of the maps.
_TOLERANCES = {
    "float32": {"heatmaps": 1e-3, "tags": 5e-3, "score": 1e-3, "xy": 0.05},
    "float16": {"heatmaps": 0.03, "tags": 0.2, "score": 0.03, "xy": 2.0},
}

_DESCRIPTIONS = {
    "pictures": "uint8 (B, H, W, 3), RGB 0..255 as they lie in memory; H and W multiples of {multiple}",
    "heatmaps": "float32 (B, C, H/4, W/4), about 0..1: peaks at the joints of all people",
    "tags": "float32 (B, C, H/4, W/4): values that are alike where joints are of one person",
    "xy": "float32 (B, C, P, 2): x and y of the peaks in pixels of the picture, from the centre of its top left pixel",
    "score": "float32 (B, C, P): heights of the peaks, 0..1, falling along P; 0 where a map has no more peaks",
    "peak_tags": "float32 (B, C, P): tags at the peaks, alike where joints are of one person",
}


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written, and how it compares."""

    path: Path
    """The file."""

    inputs: str
    """What the network takes."""

    outputs: dict[str, str]
    """What it gives, by name."""

    differences: dict[str, float]
    """Largest difference of each output from PyTorch in float32, over drawn pictures of one or two sizes."""

    pictures: list[tuple[int, int]]
    """Heights and widths of the pictures that were compared."""


class _Maps(nn.Module):
    """Pictures (B, H, W, 3) to heatmaps and tags."""

    def __init__(self, network: ClusterNet) -> None:
        super().__init__()
        self.network = network
        self.dtype = next(network.parameters()).dtype

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        # TensorRT takes bytes as an input, and can do nothing with them but this.
        prediction = self.network.infer(pictures.to(self.dtype).permute(0, 3, 1, 2))
        return prediction.heatmaps.float(), prediction.tags.float()


class _Peaks(nn.Module):
    """Pictures (B, H, W, 3) to peaks: what `find_peaks` finds, in shapes that do not depend on values."""

    limits: Tensor

    def __init__(self, network: ClusterNet) -> None:
        super().__init__()
        self.maps = _Maps(network)
        limits = _limits(network)
        self.most = max(limits)
        self.register_buffer("limits", torch.tensor(limits)[:, None], persistent=False)
        self.threshold = GroupingConfig().peak_threshold

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        heatmaps, tags = self.maps(pictures)
        score, cell = highest(heatmaps, threshold=self.threshold, most=self.most)
        score = torch.where(torch.arange(self.most, device=score.device) < self.limits, score, 0)
        xy = places(heatmaps, cell)
        return (xy + 0.5) * _STRIDE - 0.5, score, tags.flatten(2).gather(2, cell)


def export_onnx(
    weights: str | Path,
    path: Path,
    *,
    outputs: OutputsName = "peaks",
    size: tuple[int, int] | None = None,
    batch: int | None = None,
    half: bool = False,
) -> Exported:
    """Write the network as ONNX, after comparing it with PyTorch.

    Args:
        weights: Name of shipped weights, or path of a file.
        path: The file to write.
        outputs: Heatmaps and tags, or their peaks.
        size: Height and width of pictures; None leaves both open.
        batch: Pictures that go through together; None leaves it open.
        half: Weights and arithmetic in float16 instead of float32; inputs and outputs stay as they are.

    Raises:
        UsageError: sides that the network does not take.
        UserError: packages are missing, or the file does not compute what PyTorch computes.
        WeightsError: no such weights, or they are damaged or of another kind.
        OutputError: the file cannot be written.
    """
    _need_packages()
    import onnx

    network = _load(weights)
    least = _least_side(network, outputs)
    _check_size(size, network.config.multiple, least)
    names = ("heatmaps", "tags") if outputs == "maps" else ("xy", "score", "tags")
    model = _convert(_wrapped(_load(weights), outputs, half=half), names, size=size, batch=batch, least=least)
    _describe(model, network, outputs, digest=weight_files.digest(network.state_dict()))
    content = model.SerializeToString()
    onnx.checker.check_model(content)

    sizes = [size] if size else [(256, 448), (_up(192, least), _up(320, least))]
    differences = _compared(content, _wrapped(network, outputs, half=False), names, sizes, batch or 2)
    allowed = _TOLERANCES["float16" if half else "float32"]
    for name, difference in differences.items():
        if not difference <= allowed[name]:
            what = f"{name} of the exported network differ from PyTorch's by up to {difference:.3g}"
            raise UserError(f"{what}, {allowed[name]:g} would be rounding; {path} was not written")
    with saving(path) as partial:
        partial.write_bytes(content)
    told = _descriptions(network, outputs)
    return Exported(
        path=path,
        inputs=told.pop("pictures"),
        outputs=told,
        differences=differences,
        pictures=sizes,
    )


def compare(
    names: Sequence[str], ours: Sequence[npt.NDArray[np.float32]], theirs: Sequence[npt.NDArray[np.float32]]
) -> dict[str, float]:
    """Largest difference of each output; of peaks between each that is sure and the nearest of the other's.

    Arrays as the outputs of those names, maps or peaks; 0 where there is nothing to compare, not a number where one
    side has values that are none.

    >>> zero, one = np.zeros((1, 1, 2, 2), np.float32), np.ones((1, 1, 2, 2), np.float32)
    >>> compare(("heatmaps", "tags"), (zero, one), (one, one))
    {'heatmaps': 1.0, 'tags': 0.0}
    """
    if "xy" not in names:
        return {name: float(np.abs(a - b).max(initial=0)) for name, a, b in zip(names, ours, theirs, strict=True)}
    (xy, score, tags), (other_xy, other_score, other_tags) = ours, theirs
    distance = np.linalg.norm(xy[:, :, :, None] - other_xy[:, :, None], axis=-1)  # (B, C, P, P)
    nearest = np.where(other_score[:, :, None] > 0, distance, np.inf).argmin(axis=3)
    sure = score >= _SURE
    apart = np.take_along_axis(distance, nearest[..., None], axis=3)[..., 0]
    tag_apart = np.abs(tags - np.take_along_axis(other_tags, nearest, axis=2))
    return {
        "xy": float(apart[sure].max(initial=0)),
        "score": float(np.abs(score - other_score)[sure].max(initial=0)),
        "tags": float(tag_apart[sure].max(initial=0)),
    }


def _need_packages() -> None:
    """Raise UserError where one of what writes and checks ONNX is missing."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UserError(f"export-model needs {', '.join(missing)}: pip install 'posetrack-app[export]'")


def _load(weights: str | Path) -> ClusterNet:
    try:
        return weight_files.load(weights)
    except (FileNotFoundError, ValueError) as error:
        raise WeightsError(str(error)) from None


def _limits(network: ClusterNet) -> list[int]:
    """Peaks that each map may have."""
    clusters = network.config.joints.clusters[network.config.sparse[-1]]
    return [_PEAKS * len(cluster) for cluster in clusters]


def _least_side(network: ClusterNet, outputs: OutputsName) -> int:
    """Pixels that both sides have at least: a map must have room for as many cells as peaks are taken from it."""
    multiple = network.config.multiple
    cells = max(_limits(network)) if outputs == "peaks" else 1
    return _up(_STRIDE * math.isqrt(cells - 1) + _STRIDE, multiple)


def _up(pixels: int, multiple: int) -> int:
    return -(-pixels // multiple) * multiple


def _check_size(size: tuple[int, int] | None, multiple: int, least: int) -> None:
    """Raise UsageError where pictures of that size do not fit."""
    for side in size or ():
        if side % multiple or not least <= side <= 4096:
            near = max(least, _up(side, multiple))
            what = f"sides are multiples of {multiple} from {least} to 4096 pixels, as {min(near, 4096)}"
            raise UsageError(f"--size has a side of {side} pixels: {what}")


def _wrapped(network: ClusterNet, outputs: OutputsName, *, half: bool) -> nn.Module:
    network = network.half() if half else network
    return (_Maps(network) if outputs == "maps" else _Peaks(network)).eval()


def _convert(
    module: nn.Module, names: Sequence[str], *, size: tuple[int, int] | None, batch: int | None, least: int
) -> Any:
    """The module as an ONNX model in memory."""
    import onnx

    height, width = size or (max(256, least), max(320, least))
    example = torch.zeros((batch or 2, height, width, 3), dtype=torch.uint8)
    open_axes = {name: {0: "batch"} if batch is None else {} for name in ("pictures", *names)}
    if size is None:
        open_axes["pictures"] |= {1: "height", 2: "width"}
        if "heatmaps" in names:
            for name in names:
                open_axes[name] |= {2: "map_height", 3: "map_width"}
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter that shall take the place of this one needs 20 times as long, and cannot write the remainder
        # of a division by a side that is open (torch 2.13).
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # what it leaves, servers fold
        torch.onnx.export(
            module,
            (example,),
            file,  # type: ignore[arg-type]
            input_names=["pictures"],
            output_names=list(names),
            dynamic_axes=open_axes,
            opset_version=_OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(file.getvalue())


def _descriptions(network: ClusterNet, outputs: OutputsName) -> dict[str, str]:
    """What each input and output is."""
    told = _DESCRIPTIONS
    pictures = told["pictures"].format(multiple=network.config.multiple)
    if outputs == "maps":
        return {"pictures": pictures, "heatmaps": told["heatmaps"], "tags": told["tags"]}
    return {"pictures": pictures, "xy": told["xy"], "score": told["score"], "tags": told["peak_tags"]}


def _describe(model: Any, network: ClusterNet, outputs: OutputsName, *, digest: str) -> None:
    """Say in the model what it is; take out what the exporter says of this machine."""
    told = _descriptions(network, outputs)
    for node in model.graph.node:
        node.ClearField("doc_string")
    for part in (*model.graph.input, *model.graph.output):
        part.doc_string = told[part.name]
    joints = network.config.joints
    clusters = [[joints.joints[joint] for joint in cluster] for cluster in joints.clusters[network.config.sparse[-1]]]
    model.producer_name, model.producer_version = "posetrack_app", version("posetrack-app")
    facts = {
        **told,
        "joints of each map": json.dumps(clusters),
        "network": json.dumps(asdict(network.config)),
        "weights": f"SHA-256 {digest}",
        "padding": "lay a picture at the top left of a larger one, fill with 127, and leave out peaks beyond it",
    }
    del model.metadata_props[:]
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value)


def _compared(
    content: bytes, module: nn.Module, names: Sequence[str], sizes: Sequence[tuple[int, int]], batch: int
) -> dict[str, float]:
    """Largest differences between ONNX Runtime and PyTorch, over drawn pictures of some sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    largest = dict.fromkeys(names, 0.0)
    for height, width in sizes:
        drawn = _drawn(height, width)
        pictures = drawn[np.arange(batch) % len(drawn)]
        with torch.inference_mode():
            theirs = [output.numpy() for output in module(torch.from_numpy(pictures))]
        found = compare(names, theirs, session.run(list(names), {"pictures": pictures}))
        # A value that is none is passed on, which max() would not.
        largest = {name: float(np.maximum(largest[name], found[name])) for name in names}
    return largest


@cache
def _drawn(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Pictures (2, H, W, 3) of walking people."""
    clip = draw(SampleConfig(seconds=4, rate=1, height=height, width=width))
    return np.stack([sample.frame.image for sample in clip])[2:]  # before, the place is nearly empty
