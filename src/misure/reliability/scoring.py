"""A run scored: what a reliability model says of each of its objects."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from misure.errors import InputError
from misure.methods import METHODS
from misure.reliability.features import feature_matrix
from misure.reliability.model import Reliability, ReliabilityModel
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject, ObjectRecord
from misure.runs.run import read_run

_ALIKE = ("method", "method_options", "dice_threshold", "instances")


def how_made(run: str | Path) -> dict[str, Any]:
    """The settings of a run that its features depend on, besides network and images.

    Raises:
        RunFolderError: no run.
    """
    settings = RunFolder(run).settings()
    known = METHODS[settings.method].options if settings.method in METHODS else {}
    said_or_not = json.dumps(known | settings.method_options, default=str)
    found = {name: getattr(settings, name) for name in _ALIKE}
    return {**found, "method_options": json.loads(said_or_not)}


def check_made_alike(run: str | Path, wanted: dict[str, Any]) -> None:
    """Raises an InputError where a run was made otherwise, naming how."""
    found = how_made(run)
    other = [
        f"{name}: {wanted[name]!r} there, {found[name]!r} here"
        for name in found
        if name in wanted and found[name] != wanted[name]
    ]
    if other:
        raise InputError(
            f"reliability: expected {run} to be made as the runs that were learnt from, got "
            f"others: {'; '.join(other)}. Make the run again that way."
        )


def score_run(run: str | Path, model: ReliabilityModel) -> list[dict[str, Any]]:
    """The finished objects of a run, the likeliest to have failed first (see `for_review`).

    Raises:
        RunFolderError: no run.
        InputError: it was made otherwise than those the model was fitted on, or has nothing done.
    """
    check_made_alike(run, model.about.get("made", {}))
    records = [record for record in read_run(run) if isinstance(record, DoneObject)]
    if not records:
        raise InputError(f"reliability: expected a run with finished objects, {run} has none.")
    check_has_features(records, model)
    return for_review(records, model.predict(records))


def check_has_features(records: Sequence[ObjectRecord], model: ReliabilityModel) -> None:
    """Raises an InputError where no record has a feature that all had that were learnt from."""
    missing = np.isnan(feature_matrix(records, model.feature_names)).all(axis=0)
    flagged = set(model.scaling.flagged)
    lacking = [
        name
        for number, name in enumerate(model.feature_names)
        if missing[number] and number not in flagged
    ]
    if lacking:
        raise InputError(
            f"reliability: expected records with {', '.join(lacking)} as those that were learnt "
            "from, none has them. Make the run again in the same way (--test-time-augmentation?)."
        )


def for_review(records: Sequence[DoneObject], said: Sequence[Reliability]) -> list[dict[str, Any]]:
    """The objects in the order in which to look at them: the likeliest to have failed first.

    Args:
        records: of a run, done ones.
        said: of each.
    """
    rows: list[dict[str, Any]] = [
        {
            "key": record.key,
            "sample": record.sample,
            "class_name": record.class_name,
            "predicted_dice": one.dice,
            "low": one.low,
            "high": one.high,
            "failure_probability": one.failure_probability,
            "reasons": one.reasons,
        }
        for record, one in zip(records, said, strict=True)
    ]
    rows.sort(key=lambda row: (-row["failure_probability"], row["predicted_dice"], row["key"]))
    return [{"rank": rank, **row} for rank, row in enumerate(rows, start=1)]
