"""How the work of a run is done, and which part of it; nothing that is recorded depends on it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from misure.errors import InputError

ENGINES = ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Who works on a run, and on which samples.

    Attributes:
        engine: `local`, processes on this machine; `ray`, actors on a Ray cluster.
        num_workers: number of processes or actors; what is in memory is worked on by this process
            alone.
        num_threads: CPU threads of each worker. The only one of these that is part of the run's
            settings, since sums over another number of threads differ in their last digits.
        address: of the Ray cluster; None: the one that `RAY_ADDRESS` names, else a new one here.
        limit: only the first N samples; None: all.
        shard: (i, n): only every n-th sample, from the i-th on; None: all.
        retry_failed: try samples with failed objects once more.
        retry_changed: explain samples anew whose images have changed since they were recorded,
            which is an error otherwise.

    Raises:
        InputError: a value that makes no sense.
    """

    engine: str = "local"
    num_workers: int = 1
    num_threads: int = 1
    address: str | None = None
    limit: int | None = None
    shard: tuple[int, int] | None = None
    retry_failed: bool = False
    retry_changed: bool = False

    def __post_init__(self) -> None:
        if self.engine not in ENGINES or self.num_workers < 1:
            raise InputError(
                f"expected engine {' or '.join(ENGINES)} and num_workers of 1 or more, got "
                f"{self.engine!r} and {self.num_workers}."
            )
        if self.num_threads < 1:
            raise InputError(f"expected num_threads of 1 or more, got {self.num_threads}.")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"expected limit of 1 or more, got {self.limit}.")
        if self.shard is not None and not 0 <= self.shard[0] < self.shard[1]:
            index, step = self.shard
            raise InputError(f"expected shard (i, n) with 0 <= i < n, got ({index}, {step}).")

    @property
    def is_in_this_process(self) -> bool:
        """Whether this process can do the work alone."""
        return self.engine == "local" and self.num_workers == 1

    def select(self, num_samples: int) -> Iterable[int]:
        """The numbers of the samples to work on, of `num_samples` in all."""
        index, step = self.shard or (0, 1)
        return range(num_samples)[: self.limit][index::step]


def shard_of_environment() -> tuple[int, int] | None:
    """(RANK, WORLD_SIZE) as torchrun sets them; None if it did not start this process."""
    rank, world_size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    return (int(rank), int(world_size)) if rank and world_size else None
