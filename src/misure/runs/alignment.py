"""Runs side by side: which of their records are of one and the same object.

Two records are of one object if their samples have the same key, their classes are the same and
their targets overlap: each object is matched to one of another run such that the overlaps (IoU)
are largest in sum, and a pair counts from an IoU of `LEAST_OVERLAP`. Classes are the same if they
have the same name; the index decides only if a network names none of its classes. An object that no
other overlaps has no counterpart.

An object that failed has no region; it stands beside the object of its key in a run of the same
network over the same images.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix

from misure._util.records import plain
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject, FailedObject, ObjectRecord, RunSettings
from misure.runs.run import read_run

LEAST_OVERLAP = 0.1
"""Intersection over union from which two targets of one class are one object."""

_OF_OBJECTS = (
    *("fingerprint", "model_settings", "class_names", "source", "slice_index"),
    *("objects", "instances", "instance"),
)
"""Settings that decide which objects a run has; with the same ones keys mean the same objects."""


@dataclass(frozen=True)
class RunInRow:
    """A run that stands beside others.

    Attributes:
        folder: where it lies.
        settings: what it was begun with.
        records: of its objects.
    """

    folder: RunFolder
    settings: RunSettings
    records: Sequence[ObjectRecord]

    @classmethod
    def open(cls, address: str | Path) -> "RunInRow":
        """The run in a folder. Raises a RunFolderError if it is none."""
        folder = RunFolder(address)
        return cls(folder, folder.settings(), read_run(address))


@dataclass(eq=False)
class AlignedObject:
    """One object, as each of several runs has it.

    Attributes:
        records: for each run its record; None if the run has no counterpart.
        overlaps: for each run the IoU of its target with that of the first run that has the
            object; None if one of the two failed.
    """

    records: list[ObjectRecord | None]
    overlaps: list[float | None]

    @property
    def first(self) -> ObjectRecord:
        """The record of the first run that has the object."""
        return next(record for record in self.records if record is not None)


def align(runs: Sequence[RunInRow]) -> list[AlignedObject]:
    """The objects of some runs, each once, sorted by sample and by their keys in the first runs.

    A sample that failed as a whole in one run stands with that failure beside each of the objects
    that others found in it.

    Raises:
        RunFolderError: a map that is needed is missing or damaged.
    """
    by_sample = [_by_sample(run.records) for run in runs]
    samples = sorted({sample for of_run in by_sample for sample in of_run})
    same = [[_have_same_objects(a.settings, b.settings) for b in runs] for a in runs]
    return [one for sample in samples for one in _align_sample(runs, same, by_sample, sample)]


def _by_sample(records: Sequence[ObjectRecord]) -> dict[str, list[ObjectRecord]]:
    by_sample: dict[str, list[ObjectRecord]] = defaultdict(list)
    for record in records:
        by_sample[record.sample].append(record)
    return by_sample


def _align_sample(
    runs: Sequence[RunInRow],
    same: Sequence[Sequence[bool]],
    by_sample: Sequence[dict[str, list[ObjectRecord]]],
    sample: str,
) -> list[AlignedObject]:
    matching = _Matching(runs, same)
    failures: list[tuple[int, ObjectRecord]] = []
    for number, of_run in enumerate(by_sample):
        records = of_run.get(sample, [])
        failures += [(number, record) for record in records if record.class_index is None]
        matching.add(number, [record for record in records if record.class_index is not None])
    for number, record in failures:
        without = [one for one in matching.objects if one.records[number] is None]
        for one in without or [matching.new()]:
            one.records[number] = record
    return matching.objects


class _Matching:
    """The objects of one sample, run by run."""

    def __init__(self, runs: Sequence[RunInRow], same: Sequence[Sequence[bool]]) -> None:
        self._runs, self._same = runs, same
        self._by_key: dict[tuple[int, str], AlignedObject] = {}
        self._targets: dict[tuple[int, str], _Target] = {}
        self.objects: list[AlignedObject] = []

    def new(self) -> AlignedObject:
        """An object that no run has yet."""
        num_runs = len(self._runs)
        self.objects.append(AlignedObject([None] * num_runs, [None] * num_runs))
        return self.objects[-1]

    def add(self, number: int, records: Sequence[ObjectRecord]) -> None:
        """Adds the objects of a run to those of the runs before it."""
        left = [record for record in records if not self._add_by_key(number, record)]
        pairs = self._overlapping(number, left) if number else {}
        for record in left:
            one, overlap = pairs.get(record.key, (None, None))
            self._put(one or self.new(), number, record, overlap)

    def _put(
        self, one: AlignedObject, number: int, record: ObjectRecord, overlap: float | None
    ) -> None:
        one.records[number], one.overlaps[number] = record, overlap
        self._by_key[number, record.key] = one

    def _add_by_key(self, number: int, record: ObjectRecord) -> bool:
        """Whether the key tells: a run before it has the same objects, and one of the two failed.

        An object that failed has no region, so nothing else tells it.
        """
        for before in range(number):
            one = self._by_key.get((before, record.key)) if self._same[before][number] else None
            other = one.records[before] if one else None
            if one and other and _are_of_one_object(record, other):
                self._put(one, number, record, one.overlaps[before])
                return True
        return False

    def _overlapping(
        self, number: int, records: Sequence[ObjectRecord]
    ) -> dict[str, tuple[AlignedObject, float]]:
        """Key of a record -> the object that it overlaps, and their IoU, such that the sum is most.

        An object is represented by its first record that has a region.
        """
        free = [
            (one, before, other)
            for one in self.objects
            if one.records[number] is None
            for before, other in _first_done(one)
        ]
        done = [record for record in records if isinstance(record, DoneObject)]
        alike = np.array(
            [[self._are_same_class(number, a, before, b) for _, before, b in free] for a in done],
            dtype=bool,
        ).reshape(len(done), len(free))
        if not alike.any():
            return {}
        ours = [self._target(number, record) for record in done]
        theirs = [self._target(before, other) for _, before, other in free]
        overlaps = np.where(alike, _overlaps(ours, theirs), 0)
        pairs = zip(*linear_sum_assignment(overlaps, maximize=True), strict=True)
        return {
            done[i].key: (free[j][0], float(overlaps[i, j]))
            for i, j in pairs
            if overlaps[i, j] >= LEAST_OVERLAP
        }

    def _are_same_class(self, number: int, a: DoneObject, before: int, b: DoneObject) -> bool:
        if self._runs[number].settings.class_names and self._runs[before].settings.class_names:
            return a.class_name.strip().casefold() == b.class_name.strip().casefold()
        return a.class_index == b.class_index

    def _target(self, number: int, record: DoneObject) -> "_Target":
        place = number, record.key
        if place not in self._targets:
            region = self._runs[number].folder.read_map(record.map)["target"].numpy()
            self._targets[place] = _Target(region.shape, np.flatnonzero(region))
        return self._targets[place]


@dataclass(frozen=True)
class _Target:
    """A region: the shape of its image, and the positions (n) of its pixels there."""

    shape: tuple[int, ...]
    pixels: np.ndarray


def _first_done(one: AlignedObject) -> list[tuple[int, DoneObject]]:
    """The first record that has a region, with the number of its run, if there is one."""
    done = [
        (number, record)
        for number, record in enumerate(one.records)
        if isinstance(record, DoneObject)
    ]
    return done[:1]


def _have_same_objects(a: RunSettings, b: RunSettings) -> bool:
    return all(plain(getattr(a, name)) == plain(getattr(b, name)) for name in _OF_OBJECTS)


def _are_of_one_object(a: ObjectRecord, b: ObjectRecord) -> bool:
    """Whether at least one of two records with the same key failed, and nothing else differs."""
    has_failed = isinstance(a, FailedObject) or isinstance(b, FailedObject)
    return has_failed and (a.target, a.prediction) == (b.target, b.prediction)


def _overlaps(a: Sequence[_Target], b: Sequence[_Target]) -> np.ndarray:
    """IoU (len(a), len(b)) in [0, 1]; 0 for images of different shapes."""
    known = np.unique(np.concatenate([one.pixels for one in (*a, *b)]))
    shared = (_as_rows(a, known) @ _as_rows(b, known).T).toarray()
    sizes = [np.array([len(one.pixels) for one in some]) for some in (a, b)]
    alike = np.array([[one.shape == other.shape for other in b] for one in a])
    return np.where(alike, shared / np.maximum(1, sizes[0][:, None] + sizes[1] - shared), 0)


def _as_rows(targets: Sequence[_Target], known: np.ndarray) -> csr_matrix:
    """A row for each target, a column for each known pixel; 1 where the target holds it."""
    columns = np.searchsorted(known, np.concatenate([one.pixels for one in targets]))
    ends = np.cumsum([0, *(len(one.pixels) for one in targets)])
    shape = len(targets), len(known)
    return csr_matrix((np.ones(len(columns), np.int64), columns, ends), shape=shape)
