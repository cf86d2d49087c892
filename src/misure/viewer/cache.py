"""A store that keeps what was used last, as much as fits."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Values by key; the one that was not used for longest goes first. Any thread may use it.

    Args:
        most_mb: megabytes that all values together may take; the newest stays in any case.
        on_out: called with the key and value of each that goes.
    """

    def __init__(self, most_mb: float, on_out: Callable[[K, V], None] | None = None) -> None:
        self._most, self._on_out = most_mb * 1e6, on_out
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value of a key, which counts as used now; None: it is not there."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: K, value: V, num_bytes: int) -> None:
        """Keeps a value."""
        gone = []
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = value, num_bytes
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self._most:
                old, (was, _) = self._kept.popitem(last=False)
                gone.append((old, was))
        for old, was in gone:
            if self._on_out:
                self._on_out(old, was)

    @property
    def num_bytes(self) -> int:
        """What all values take."""
        with self._lock:
            return sum(size for _, size in self._kept.values())
