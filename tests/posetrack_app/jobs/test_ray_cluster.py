"""A real Ray cluster of several nodes on this machine, of which one is lost in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from posetrack_app.config import Settings, override
from posetrack_app.errors import DeviceError, UsageError
from posetrack_app.estimator import PoseEstimator
from posetrack_app.jobs.ledger import ATTEMPTS, RESULTS, Job, Sign, jobs_of, survey
from posetrack_app.jobs.ray_cluster import Share, run_on_ray
from posetrack_app.jobs.work import work
from posetrack_app.video import expand_inputs

pytest.importorskip("ray", reason="Ray is not installed")

pytestmark = [
    pytest.mark.filterwarnings("default"),  # Ray's own
    pytest.mark.timeout(600),
]

MEMORY = 80_000_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that does nothing but know the others, and three nodes of one core."""
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False},
    )
    made.nodes = [made.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(3)]
    yield made
    made.shutdown()


def whose(cluster: Any, process: int) -> Any:
    """The node that a process belongs to: its agent has started it."""
    above = psutil.Process(process).ppid()
    (node,) = [node for node in cluster.nodes if node.all_processes["raylet"][0].process.pid == above]
    return node


def remove_busy_node(cluster: Any, out: Path, removed: list[str]) -> None:
    """Wait until a node is in the middle of the long input, and take it away."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        signs = [sign for path in (out / "long").glob(ATTEMPTS) if (sign := Sign.read(path))]
        if signs and signs[0].frames:
            node = whose(cluster, signs[0].process)
            cluster.remove_node(node, allow_graceful=False)
            removed.append(str(signs[0].process))
            return
        time.sleep(0.02)


def jobs(clips: Path, out: Path) -> list[Job]:
    names = ("long", "people", "text", "others", "nobody")
    return jobs_of(expand_inputs([str(clips / f"{name}.mp4") for name in names]), out)


def test_a_node_that_is_lost_loses_nothing_and_doubles_nothing(
    cluster: Any, clips: Path, settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "cluster"
    removed: list[str] = []
    killer = threading.Thread(target=remove_busy_node, args=(cluster, out, removed))
    killer.start()
    found = list(run_on_ray(jobs(clips, out), settings, address=cluster.address, share=Share(cpus=1)))
    killer.join()
    assert removed
    assert sorted(outcome.folder for outcome in found) == ["long", "nobody", "others", "people", "text"]
    states = {outcome.folder: outcome.state for outcome in found}
    assert states == {name: "failed" if name == "text" else "done" for name in states}
    assert states == {outcome.folder: outcome.state for outcome in survey(out)}
    estimator = PoseEstimator.from_settings(settings)
    for alone in jobs(clips, tmp_path / "alone"):
        if states[alone.folder.name] == "done":
            work(alone, settings, estimator)
            tables = [
                pq.read_table(folder / alone.folder.name / "poses.parquet") for folder in (out, tmp_path / "alone")
            ]
            assert tables[0].equals(tables[1], check_metadata=True)
            left = {path.name for path in (out / alone.folder.name).iterdir()}
            assert left == set(RESULTS) - {"tracked.mp4"}


def test_what_is_done_is_not_done_again(cluster: Any, clips: Path, settings: Settings, tmp_path: Path) -> None:
    (job,) = jobs_of(expand_inputs([str(clips / "nobody.mp4")]), tmp_path)
    times = set()
    for _ in range(2):
        (outcome,) = run_on_ray([job], settings, address=cluster.address, share=Share(cpus=1))
        assert (outcome.state, outcome.frames) == ("done", 5)
        times.add((job.folder / "run.json").stat().st_mtime_ns)
    assert len(times) == 1


def test_what_nodes_cannot_do_is_said(cluster: Any, clips: Path, settings: Settings, tmp_path: Path) -> None:
    (job,) = jobs_of(expand_inputs([str(clips / "nobody.mp4")]), tmp_path)
    with pytest.raises(DeviceError, match="cuda"):
        list(run_on_ray([job], override(settings, ["network.device=cuda"]), address=cluster.address))
    wrong = override(settings, ["network.weights=smal"])
    (outcome,) = run_on_ray([job], wrong, address=cluster.address, share=Share(cpus=1))
    assert outcome.state == "failed"
    assert "small" in (outcome.error or "")


def test_a_cluster_that_is_not_there_is_said(clips: Path, settings: Settings, tmp_path: Path) -> None:
    (job,) = jobs_of(expand_inputs([str(clips / "nobody.mp4")]), tmp_path)
    with pytest.raises(UsageError, match="ray start --head"):
        list(run_on_ray([job], settings, address="127.0.0.1:9"))
