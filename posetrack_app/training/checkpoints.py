"""Checkpoints: everything that a training needs to go on as if it had never stopped."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from posetrack_app.errors import InputError
from posetrack_app.formats.saving import saving

__all__ = ["latest", "load", "remove", "save"]

_PATTERN = "step-*.pt"


def _folder(run: Path) -> Path:
    return run / "checkpoints"


def latest(run: Path) -> Path | None:
    """The newest checkpoint of a training's folder; None where there is none."""
    return max(_folder(run).glob(_PATTERN), default=None)


def save(run: Path, step: int, state: dict[str, Any], *, keep: int) -> None:
    """Write a checkpoint, which is there whole or not at all, and remove all but the newest `keep`.

    Raises:
        OutputError: it cannot be written.
    """
    path = _folder(run) / f"step-{step:09d}.pt"
    with saving(path) as partial:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # before it gets its name: a power failure must not leave an empty file
    for old in sorted(_folder(run).glob(_PATTERN))[:-keep]:
        old.unlink()


def load(path: Path, *, device: torch.device) -> dict[str, Any]:
    """What was saved; nothing in the file is run.

    Raises:
        InputError: it cannot be read.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"checkpoint {path} cannot be read ({reason}); remove it to go on from the one before"
        ) from None
    if not isinstance(state, dict) or "step" not in state:
        raise InputError(f"checkpoint {path} is none of ours; remove it to go on from the one before")
    return state


def remove(run: Path) -> None:
    """Take all checkpoints of a training's folder away, so that it begins anew."""
    for old in _folder(run).glob(_PATTERN):
        old.unlink()
