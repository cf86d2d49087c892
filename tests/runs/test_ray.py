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

    soon = {  # a lost node is missed after seconds instead of a minute
        "health_check_initial_delay_ms": 1000,
        "health_check_period_ms": 500,
        "health_check_timeout_ms": 2000,
        "health_check_failure_threshold": 4,
    }
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": soon}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.lost = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_node_is_lost_in_the_middle_and_nothing_else(cluster, tmp_path, working_here):
    seen = []

    def on_progress(progress):
        seen.append(progress)
        if progress.num_samples == 2 and cluster.lost:
            cluster.remove_node(cluster.lost, allow_graceful=False)
            cluster.lost = None

    done = run(
        "triangle:8",
        "triangle",
        tmp_path / "ray",
        PLAN,
        execution=Execution(engine="ray", num_workers=2),
        on_progress=on_progress,
    )
    assert cluster.lost is None
    assert done.num_failed == 0
    assert done.num_samples >= 8
    with working_here():
        run("triangle:8", "triangle", tmp_path / "local", PLAN)
    for name in ("ray", "local"):
        write_jsonl(read_run(tmp_path / name), tmp_path / f"{name}.jsonl")
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()
