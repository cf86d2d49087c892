"""Samples with which workers die: tried again a few times, then recorded as failed."""

from misure.runs.job import RunJob
from misure.runs.record import FinishedSample
from misure.runs.worker import SampleOutcome, record_failure

TRIES = 3
"""Workers that may die with a sample before it is given up."""


def give_up(job: RunJob, key: str) -> SampleOutcome:
    """Records a sample as failed, with the same reason whatever the engine.

    Args:
        job: of the run.
        key: of the sample.
    """
    reason = (
        f"{TRIES} workers died while they worked on it: they were killed, ran out of memory, or "
        "crashed in native code."
    )
    finished = FinishedSample(sample=key, num_objects=1, revision=job.revisions.get(key, 0))
    return record_failure(job.folder, finished, reason)
