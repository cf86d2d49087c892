"""Metrics that are known already: kept beside the records of a run, so that none is measured twice.

metrics-WRITER.jsonl one line a map, appended by one writer and by no other
"""

import secrets

from misure._util.records import Record, encode
from misure.runs.folder import RunFolder

_PATTERN = "metrics-*.jsonl"


class MeasuredWith(Record, frozen=True, kw_only=True):
    """What the metrics of a map depend on besides the map.

    Attributes:
        metrics: names of all metrics that were measured.
        baseline_image: what replaces removed pixels.
        seed: of the comparison.
    """

    metrics: list[str]
    baseline_image: str
    seed: int


class MapMetrics(Record, frozen=True, kw_only=True):
    """The metrics of one map: a line of `metrics-WRITER.jsonl`.

    Attributes:
        key: of the object.
        measured_with: what they depend on besides the map.
        metrics: name -> value; None if it could not be measured or makes no sense.
        error: which metrics failed and why; empty if none did.
        passes: pass equivalents spent on measuring.
        revision: of the object's record.
        transfer_from: the other image of `transfer_dice`, if that was measured (see
            `ExplanationRecord`).
    """

    key: str
    measured_with: MeasuredWith
    metrics: dict[str, float | None]
    error: str
    passes: int
    revision: int = 0
    transfer_from: str = ""


class KnownMetrics:
    """The metrics of the maps of one run, in its folder.

    Args:
        folder: of the run.
        measured_with: lines that were measured with anything else are left alone.

    Raises:
        RunFolderError: a line is not of this definition.
    """

    def __init__(self, folder: RunFolder, measured_with: MeasuredWith) -> None:
        self._storage, self.measured_with = folder.storage, measured_with
        self._name = _PATTERN.replace("*", secrets.token_hex(6))
        self._by_key: dict[tuple[str, int], MapMetrics] = {}
        for known in folder.lines(_PATTERN, MapMetrics):
            if known.measured_with == measured_with:
                self._by_key[known.key, known.revision] = known

    def get(self, key: str, revision: int) -> MapMetrics | None:
        """The metrics of the map of an object's record, if they are known."""
        return self._by_key.get((key, revision))

    def add(self, known: MapMetrics) -> None:
        """Keeps the metrics of a map, on disk when this returns; not if nothing was measured."""
        if not known.metrics:
            return
        self._storage.append(self._name, encode(known) + b"\n")
        self._by_key[known.key, known.revision] = known
