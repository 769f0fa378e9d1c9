"""Every figure of the reference evaluators over the fixtures, in total and by sequence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posetrack_app.evaluation.annotated import JOINTS, annotate, pair_frames
from posetrack_app.evaluation.hota import HotaParts, combine, hota
from posetrack_app.evaluation.posetrack import Scope, evaluate
from posetrack_app.evaluation.tables import figures
from posetrack_app.formats.posetrack import read_labelled

AP = {"ap": "ap", "precision": "precision", "recall": "recall"}
MOT = {"mota": "mota", "motp": "motp", "mot_precision": "precision", "mot_recall": "recall"}


def near(ours: np.ndarray | None, theirs: list[float | None], what: str) -> None:
    assert ours is not None, what
    other = np.array([np.nan if value is None else value for value in theirs])
    np.testing.assert_allclose(ours, other, rtol=0, atol=1e-6, equal_nan=True, err_msg=what)


def compare(scope: Scope, reference: dict[str, Any], what: str) -> None:
    ours = figures(scope)
    assert scope.labelled_frames == reference.get("frames_evaluated", scope.labelled_frames)
    for mine, theirs in AP.items():
        near(ours[mine], reference["AP"][theirs], f"{what} {mine}")
    if "MOT" not in reference:
        assert all(ours[mine] is None for mine in MOT), what
        return
    for mine, theirs in MOT.items():
        near(ours[mine], reference["MOT"][theirs], f"{what} {mine}")
    names = {
        "objects": "num_objects", "misses": "num_misses", "false_positives": "num_false_positives",
        "switches": "num_switches", "detections": "num_detections",
    }  # fmt: skip
    for mine, theirs in names.items():
        counts = [joint[theirs] for joint in reference["MOT"]["counts"]]
        assert getattr(scope.counts, mine).tolist() == counts, f"{what} {mine}"


@pytest.mark.parametrize("group", ["main", "ties", "annolist17", "oneframe", "realpred"])
def test_the_reference_agrees(group: str, shared: Path) -> None:
    fixtures = shared / "data" / "posetrack" / "fixtures"
    reference = json.loads((fixtures / "reference.json").read_text())["groups"][group]
    evaluation = evaluate(fixtures / reference["gt"], fixtures / reference["pred"])
    assert [*JOINTS, "total"] == reference["joints"]
    assert evaluation.stamp.labelled_frames == reference["frames_evaluated"]
    assert evaluation.sequences.keys() == reference["sequences"].keys()
    for name, scope in evaluation.sequences.items():
        compare(scope, reference["sequences"][name], name)
    compare(evaluation.total, reference["total"], "total")
    assert bool(evaluation.notes) == (group == "oneframe")


ORDER = [
    "nose", "neck", "head_top", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
]  # fmt: skip


def test_posetrack21_agrees(shared: Path) -> None:
    fixtures = shared / "data" / "posetrack" / "fixtures"
    reference = json.loads((fixtures / "reference_hota21.json").read_text())
    columns = [*(JOINTS.index(joint) for joint in ORDER), 15]
    fields = {
        "HOTA": "hota", "DetA": "det_a", "AssA": "ass_a", "FragA": "frag_a", "DetRe": "det_re", "DetPr": "det_pr",
        "AssRe": "ass_re", "AssPr": "ass_pr", "LocA": "loc_a", "FA-HOTA": "fa_hota",
    }  # fmt: skip

    def compare_hota(parts: HotaParts, theirs: dict[str, list[float]], what: str) -> None:
        ours = parts.figures()
        for name, mine in fields.items():
            np.testing.assert_allclose(ours[mine][columns], theirs[name], rtol=0, atol=1e-6, err_msg=f"{what} {name}")
        for name in ("TP", "FN", "FP"):
            counts = getattr(parts, name.lower()).mean(axis=0)[columns]
            np.testing.assert_allclose(counts, theirs[f"HOTA_{name}"], rtol=0, atol=1e-6, err_msg=f"{what} {name}")

    parts = []
    for name, theirs in reference["sequences"].items():
        truth, seen = (annotate(read_labelled(fixtures / folder / f"{name}.json").frames) for folder in ("gt", "pred"))
        parts.append(hota(pair_frames(truth, seen)))
        compare_hota(parts[-1], theirs, name)
    assert len(parts) == 27
    compare_hota(combine(parts), reference["total"], "total")
