"""How far a run is, read from its folder alone, while others write to it."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from misure.errors import entrance
from misure.runs.calls import goes_on, noted_calls
from misure.runs.execution import Execution
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject, RunCall, RunSettings


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A reason for which objects failed.

    Attributes:
        reason: one sentence.
        num_objects: how many failed for it.
        key: of one of them.
    """

    reason: str
    num_objects: int
    key: str


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """How far a run is.

    Attributes:
        settings: that it was begun with.
        num_samples: that its calls were to work on, together; None if no call is noted.
        num_finished: samples that are finished, also if all of their objects failed.
        num_objects, num_failed: objects explained, and failed (or samples, as a whole).
        passes: (least, mean, most) pass equivalents of an explained object; None without one.
        failures: the reasons, the most frequent first.
        num_running: calls that go on.
        num_unknown: calls on other machines that have not noted their end.
        seconds_left: at the rate of the calls that go on; None if none does, or none has finished a
            sample yet.
    """

    settings: RunSettings
    num_samples: int | None
    num_finished: int
    num_objects: int
    num_failed: int
    passes: tuple[int, float, int] | None
    failures: list[Failure]
    num_running: int
    num_unknown: int
    seconds_left: float | None

    @property
    def num_left(self) -> int | None:
        """Samples that are not finished; None if it is not known how many there are."""
        if self.num_samples is None:
            return None
        return max(0, self.num_samples - self.num_finished)


@entrance("run_status")
def run_status(path: str | Path) -> RunStatus:
    """How far a run is; another process may write to it meanwhile.

    Args:
        path: the run folder, a path or an address of fsspec.

    Raises:
        RunFolderError: no run, or a damaged file in it.
    """
    folder = RunFolder(path)
    settings = folder.settings()
    calls = noted_calls(folder)
    passes: list[int] = []
    reasons: Counter[str] = Counter()
    keys: dict[str, str] = {}
    with folder.index() as index:
        num_finished = index.num_finished()
        for record in folder.each_record(index):
            if isinstance(record, DoneObject):
                passes.append(record.cost.pass_equivalents)
            else:
                reasons[record.reason] += 1
                keys.setdefault(record.reason, record.key)
    running = [call for call in calls if goes_on(call)]
    num_samples = _num_samples(calls)
    left = 0 if num_samples is None else max(0, num_samples - num_finished)
    return RunStatus(
        settings=settings,
        num_samples=num_samples,
        num_finished=num_finished,
        num_objects=len(passes),
        num_failed=reasons.total(),
        passes=(min(passes), sum(passes) / len(passes), max(passes)) if passes else None,
        failures=[
            Failure(reason=reason, num_objects=number, key=keys[reason])
            for reason, number in reasons.most_common()
        ],
        num_running=len(running),
        num_unknown=sum(goes_on(call) is None for call in calls),
        seconds_left=_seconds_left(running, num_finished, left),
    )


def _num_samples(calls: list[RunCall]) -> int | None:
    """How many samples the calls were to work on, together."""
    if not calls:
        return None
    chosen: set[int] = set()
    for call in calls:
        chosen.update(Execution(limit=call.limit, shard=call.shard).select(call.num_samples))
    return len(chosen)


def _seconds_left(running: list[RunCall], num_finished: int, left: int) -> float | None:
    """At the rate since the first of the running calls began."""
    if not running:
        return None
    done = num_finished - running[0].num_finished
    return (time.time() - running[0].begun) / done * left if done > 0 else None
