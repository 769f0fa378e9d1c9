"""Speed of the main job by stage: `python scripts/bench_pipeline.py VIDEO [--repeat N] [--set KEY=VALUE]`.

Runs `posetrack_app run` in this process, with rendering and without, and prints frames a second end to end,
seconds by stage and the share that is not the network.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from posetrack_app.config import Settings, override
from posetrack_app.estimator import PoseEstimator
from posetrack_app.pipeline import RunReport, run, versions
from posetrack_app.video import expand_inputs


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()

    settings = override(Settings(), arguments.set)
    estimator = PoseEstimator.from_settings(settings)
    (source,) = expand_inputs([arguments.video])
    rows: dict[str, list[RunReport]] = {"with video": [], "data only": []}
    for _ in range(arguments.repeat):
        for name, reports in rows.items():
            video = replace(settings.video, enabled=name == "with video")
            with tempfile.TemporaryDirectory() as folder:
                reports.append(run(source, Path(folder), settings=replace(settings, video=video), estimator=estimator))
    best = {name: min(reports, key=lambda report: report.seconds["total"]) for name, reports in rows.items()}
    print(f"{source.location}: {best['with video'].frames_written} frames; {estimator.describe()}")
    print(f"{'':<14}" + "".join(f"{name:>14}" for name in best))
    print(f"{'frames/s':<14}" + "".join(f"{report.fps:>14.2f}" for report in best.values()))
    for stage in best["with video"].seconds:
        print(f"{stage + ' s':<14}" + "".join(f"{report.seconds[stage]:>14.2f}" for report in best.values()))
    not_network = {name: 1 - report.seconds["network"] / report.seconds["total"] for name, report in best.items()}
    print(f"{'not network':<14}" + "".join(f"{share:>14.0%}" for share in not_network.values()))
    if arguments.json:
        content = {
            "versions": versions(),
            "network": estimator.describe(),
            **{
                name: {"fps": report.fps, "seconds": report.seconds, "not_network": not_network[name]}
                for name, report in best.items()
            },
        }
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
