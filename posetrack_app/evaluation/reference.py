"""Runs PoseTrack's reference evaluator, where a user has installed it, and compares."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posetrack_app.errors import InputError, UsageError
from posetrack_app.evaluation.posetrack import Evaluation
from posetrack_app.evaluation.tables import FIGURES, figures

__all__ = ["compare", "run_poseval"]

_KEYS = {
    "AP": {"ap": "ap", "pre": "precision", "rec": "recall"},
    "MOT": {"mota": "mota", "motp": "motp", "pre": "mot_precision", "rec": "mot_recall"},
}
"""By kind of file: the reference's names of `FIGURES`."""

Figures = dict[str, list[float | None]]


def run_poseval(gt: Path, pred: Path) -> tuple[dict[str, Figures], str | None]:
    """The reference's figures by sequence and `total`, and what it said last where it failed.

    Raises:
        UsageError: it is not installed.
        InputError: it gave no figures.
    """
    if importlib.util.find_spec("poseval") is None:
        raise UsageError(
            "poseval is not installed here; pip install git+https://github.com/leonid-pishchulin/poseval gets it"
        )
    with tempfile.TemporaryDirectory() as out:
        # The reference glues names of files to the folder's: it must end in a slash.
        folders = ["-g", f"{gt}/", "-p", f"{pred}/", "-o", out]
        done = subprocess.run(
            [sys.executable, "-m", "poseval.evaluate", *folders, "-e", "-t", "-s"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        found = parse(Path(out))
    said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1] if done.returncode else None
    if not found:
        raise InputError(f"poseval gave no figures: {said or 'it wrote no files'}")
    return found, said


def parse(folder: Path) -> dict[str, Figures]:
    """The figures in the files that the reference wrote, by sequence and `total`."""
    found: dict[str, Figures] = {}
    for kind, keys in _KEYS.items():
        for path in sorted(folder.glob(f"*_{kind}_metrics.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            name = path.name.removesuffix(f"_{kind}_metrics.json")
            found.setdefault(name, {}).update({ours: content[theirs] for theirs, ours in keys.items()})
    return found


def compare(evaluation: Evaluation, reference: Mapping[str, Figures], *, tolerance: float = 1e-6) -> list[str]:
    """A line for each figure: how far ours are from the reference's at most, and where."""
    lines = []
    scopes = {**evaluation.sequences, "total": evaluation.total}
    ours = {name: figures(scope) for name, scope in scopes.items()}
    for figure in FIGURES:
        differences = {
            name: _difference(ours[name][figure], theirs[figure])
            for name, theirs in reference.items()
            if name in ours and figure in theirs
        }
        if not differences:
            lines.append(f"{figure}: the reference has none")
            continue
        worst = max(differences, key=lambda name: differences[name])
        beyond = sum(difference > tolerance for difference in differences.values())
        verdict = "the same" if not beyond else f"DIFFERENT in {beyond}"
        lines.append(f"{figure}: {verdict} of {len(differences)}, at most {differences[worst]:.2g} ({worst})")
        if beyond and figure == "motp":
            lines.append("  (with motmetrics 1.1 or later the reference's motp is wrong; docs/evaluation.md)")
    return lines


def _difference(ours: npt.NDArray[np.float64] | None, theirs: list[float | None]) -> float:
    """Greatest distance of two lists; infinite where only one has a number."""
    if ours is None:
        return float("inf")
    other = np.array([np.nan if value is None else value for value in theirs], dtype=np.float64)
    if other.shape != ours.shape or (np.isnan(other) != np.isnan(ours)).any():
        return float("inf")
    return float(np.nanmax(np.abs(ours - other), initial=0.0))
