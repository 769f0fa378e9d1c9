"""Poses and identities on the drawn clip: `python scripts/bench_sample.py [--sample DIR] [--set KEY=VALUE]`.

Draws the sample (or takes the one in DIR), tracks it, and compares with the exact truth: share of right joints (PCKh at
half a head), people found, false people, switches of identity. The drawn people are no photos: the figures tell whether
a change did harm, not how good the network is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from posetrack_app.config import Settings, override
from posetrack_app.estimator import PoseEstimator
from posetrack_app.evaluation.truth import TruthReport, compare
from posetrack_app.formats.posetrack2018 import read
from posetrack_app.pipeline import RunReport, run, versions
from posetrack_app.sample import SampleConfig, write_sample
from posetrack_app.video import expand_inputs


def track(video: Path, folder: Path, settings: Settings) -> RunReport:
    """Run the main job on the clip; results go to `folder`."""
    estimator = PoseEstimator.from_settings(settings)
    (source,) = expand_inputs([str(video)])
    return run(source, folder, settings=settings, estimator=estimator)


def show(report: TruthReport, people: int) -> None:
    """Print a report."""
    print(f"{'frames':<16}{report.frames:>8}")
    print(f"{'people found':<16}{report.recall:>8.1%}   {report.found} of {report.people}")
    print(f"{'false people':<16}{report.false_people:>8}")
    print(f"{'id switches':<16}{report.switches:>8}")
    print(f"{'identities':<16}{people:>8}")
    print(f"{'PCKh@0.5':<16}{report.pck:>8.1%}   {sum(report.joints.values())} visible joints")
    for joint in report.joints:
        print(f"  {joint:<14}{report.pck_of(joint):>8.1%}   {report.joints[joint]}")


def main() -> None:
    """Parse, draw, track, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=Path, metavar="DIR", help="holds sample.mp4 and sample.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--set", action="append", default=["video.enabled=false"], metavar="KEY=VALUE")
    arguments = parser.parse_args()

    settings = override(Settings(), arguments.set)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sample = arguments.sample or folder / "sample"
        if not arguments.sample:
            write_sample(sample, SampleConfig(seed=arguments.seed, seconds=arguments.seconds))
        run_report = track(sample / "sample.mp4", folder / "out", settings)
        report = compare(read(sample / "sample.json"), read(folder / "out" / "poses.json"))
    show(report, run_report.people)
    if arguments.json:
        content = {
            **asdict(report),
            "recall": report.recall,
            "pck": report.pck,
            "pck_of": {joint: report.pck_of(joint) for joint in report.joints},
            "identities": run_report.people,
            "fps": run_report.fps,
            "network": run_report.network,
            "settings": run_report.settings,
            "versions": versions(),
        }
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
