"""What is installed, and whether it works."""

from __future__ import annotations

from posetrack_app.commands.options import DeviceOption, PrecisionOption, WeightsOption


def doctor(weights: WeightsOption = None, device: DeviceOption = None, precision: PrecisionOption = None) -> int:
    """Print what is installed and what a run would use, and try one frame."""
    from posetrack_app.doctor import examine

    return examine(weights=weights or "small", device=device or "auto", precision=precision or "auto")
