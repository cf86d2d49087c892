"""Peak memory of a piece of work."""

from pathlib import Path
from typing import Self

import torch

from misure._util.freed_memory import release_freed_memory

_PROCESS = Path("/proc/self")


class PeakMemory:
    """A context that measures the most memory in use inside it.

    On a GPU it is what torch's allocator holds; on a CPU, under Linux only, the memory of the whole
    process, which includes everything from before the context.

    Args:
        device: where the work is done.

    Attributes:
        mb: in 10^6 bytes, after the context; None if it cannot be measured.
    """

    mb: float | None = None

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._is_reset = True

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            release_freed_memory()
            try:
                (_PROCESS / "clear_refs").write_text("5")  # resets the high-water mark
            except OSError:
                self._is_reset = False
        return self

    def __exit__(self, *_: object) -> None:
        if self._device.type == "cuda":
            self.mb = torch.cuda.max_memory_allocated(self._device) / 1e6
        elif self._is_reset:
            lines = (_PROCESS / "status").read_text().splitlines()
            peak = next(line for line in lines if line.startswith("VmHWM:"))
            self.mb = int(peak.split()[1]) * 1024 / 1e6
