"""Runs on a real Ray cluster of two nodes on this machine."""

import pytest

from misure.runs.execution import Execution
from misure.runs.plan import RunPlan
from misure.runs.run import read_run, run
from misure.runs.table import write_jsonl

ray = pytest.importorskip("ray")

PLAN = RunPlan(instances=True, method_options={"max_passes": 40, "num_minimality_tests": 0})


@pytest.fixture
def cluster():
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    cluster.lost = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_node_is_lost_in_the_middle_and_nothing_else(cluster, tmp_path):
    seen = []

    def on_progress(progress):
        seen.append(progress)
        if progress.num_samples == 3 and cluster.lost:
            cluster.remove_node(cluster.lost, allow_graceful=False)
            cluster.lost = None

    done = run(
        "triangle:12",
        "triangle",
        tmp_path / "ray",
        PLAN,
        execution=Execution(engine="ray", num_workers=2),
        on_progress=on_progress,
    )
    assert cluster.lost is None
    assert done.num_failed == 0
    assert done.num_samples >= 12
    run("triangle:12", "triangle", tmp_path / "local", PLAN)
    for name in ("ray", "local"):
        write_jsonl(read_run(tmp_path / name), tmp_path / f"{name}.jsonl")
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()
