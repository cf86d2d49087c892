"""Scoring a run: what a reliability model predicts for each of its objects."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from misure._util.records import settings_difference
from misure.errors import InputError, entrance
from misure.methods import METHODS
from misure.reliability.examples import FeatureSettings
from misure.reliability.features import feature_matrix
from misure.reliability.model import Reliability, ReliabilityModel
from misure.runs.folder import RunFolder
from misure.runs.record import DoneObject, ObjectRecord
from misure.runs.run import read_run


def feature_settings(run: str | Path) -> FeatureSettings:
    """The settings of a run that its features depend on.

    Raises:
        RunFolderError: no run.
    """
    settings = RunFolder(run).settings()
    defaults = METHODS[settings.method].options if settings.method in METHODS else {}
    asked = {"questions": settings.questions, "robust": settings.robust}  # they share its budget
    more = asked if settings.asks_more else {}
    options = json.dumps(defaults | settings.method_options | more, default=str)
    return FeatureSettings(
        method=settings.method,
        method_options=json.loads(options),
        dice_threshold=settings.dice_threshold,
        instances=settings.instances,
    )


def check_settings(run: str | Path, wanted: FeatureSettings) -> None:
    """Raises an InputError if a run has other settings than the runs that were learnt from."""
    if changes := settings_difference(wanted, feature_settings(run)):
        raise InputError(
            f"expected {run} to have the settings of the runs that were learnt from, got others: "
            f"{changes}. Make the run again with those settings."
        )


@entrance("score_run")
def score_run(run: str | Path, model: ReliabilityModel) -> list[dict[str, Any]]:
    """The finished objects of a run, the likeliest to have failed first (see `for_review`).

    Args:
        run: a run folder.
        model: fitted on runs with the same settings.

    Raises:
        RunFolderError: no run.
        InputError: the run has other settings, no finished object, or lacks features.
    """
    if model.about.settings is not None:
        check_settings(run, model.about.settings)
    records = [record for record in read_run(run) if isinstance(record, DoneObject)]
    if not records:
        raise InputError(f"expected a run with finished objects, {run} has none.")
    check_has_features(records, model)
    return for_review(records, model.predict(records))


def check_has_features(records: Sequence[ObjectRecord], model: ReliabilityModel) -> None:
    """Raises an InputError if no record has a feature that every object of the fit had."""
    is_missing = np.isnan(feature_matrix(records, model.feature_names)).all(axis=0)
    may_be_missing = set(model.scaling.flagged)
    lacking = [
        name
        for index, name in enumerate(model.feature_names)
        if is_missing[index] and index not in may_be_missing
    ]
    if lacking:
        raise InputError(
            f"expected records with {', '.join(lacking)}, as those that were learnt from, none has "
            "them. Make the run again in the same way (--test-time-augmentation?)."
        )


def for_review(
    records: Sequence[DoneObject], reliabilities: Sequence[Reliability]
) -> list[dict[str, Any]]:
    """The objects in the order in which to review them: the likeliest to have failed first.

    Args:
        records: (n) finished objects of a run.
        reliabilities: (n) their predictions.

    Returns:
        For each object its `rank` (from 1), `key`, `sample`, `class_name`, `predicted_dice`, `low`,
        `high`, `failure_probability` and `reasons` (see `Reliability`).
    """
    rows: list[dict[str, Any]] = [
        {
            "key": record.key,
            "sample": record.sample,
            "class_name": record.class_name,
            "predicted_dice": reliability.dice,
            "low": reliability.low,
            "high": reliability.high,
            "failure_probability": reliability.failure_probability,
            "reasons": reliability.reasons,
        }
        for record, reliability in zip(records, reliabilities, strict=True)
    ]
    rows.sort(key=lambda row: (-row["failure_probability"], row["predicted_dice"], row["key"]))
    return [{"rank": rank, **row} for rank, row in enumerate(rows, start=1)]
