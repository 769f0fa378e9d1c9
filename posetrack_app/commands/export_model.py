"""The network for other programs to run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from posetrack_app.commands.options import WeightsOption, refuse_existing
from posetrack_app.errors import UsageError


def export_model(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file, as in small.onnx.", show_default=False)],
    weights: WeightsOption = None,
    peaks: Annotated[
        bool, typer.Option("--peaks/--maps", help="Give the peaks of the maps, or the maps themselves.")
    ] = True,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Height and width of pictures, as in 256x448. [any]")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Pictures that go through together. [any number]")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Weights and arithmetic in float16: for GPUs.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file where it is there.")] = False,
) -> None:
    """Write the network as ONNX, for TensorRT, ONNX Runtime and others; it is compared with PyTorch first."""
    sides = _sides(size)
    refuse_existing([out], overwrite=overwrite)
    from posetrack_app.onnx_export import export_onnx

    exported = export_onnx(
        weights or "small", out, outputs="peaks" if peaks else "maps", size=sides, batch=batch, half=half
    )
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
    print(f"  takes pictures: {exported.inputs}")
    for name, told in exported.outputs.items():
        print(f"  gives {name}: {told}")
    sizes = " and ".join(f"{height}x{width}" for height, width in exported.pictures)
    largest = ", ".join(f"{name} {difference:.2g}" for name, difference in exported.differences.items())
    print(f"  largest difference from PyTorch in float32, drawn pictures of {sizes}: {largest}")


def _sides(size: str | None) -> tuple[int, int] | None:
    """Height and width.

    >>> _sides("256x448")
    (256, 448)
    """
    if size is None:
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if match is None:
        raise UsageError(f"--size is '{size}': it must be height and width in pixels, as in 256x448")
    return int(match[1]), int(match[2])
