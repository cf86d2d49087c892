"""A run scored: what a reliability model says of each of its objects."""

from pathlib import Path
from typing import Any

from misure.errors import InputError
from misure.reliability.model import ReliabilityModel
from misure.reliability.tables import for_review
from misure.run_folder import RunFolder
from misure.runs import read_run

_ALIKE = ("method", "method_options", "dice_threshold", "instances")


def how_made(run: str | Path) -> dict[str, Any]:
    """The settings of a run that its features depend on, besides network and images.

    Raises:
        RunFolderError: no run.
    """
    settings = RunFolder(run).settings()
    return {name: settings[name] for name in _ALIKE}


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
    records = [one for one in read_run(run) if one["status"] == "done"]
    if not records:
        raise InputError(f"reliability: expected a run with finished objects, {run} has none.")
    return for_review(records, model.predict(records))
