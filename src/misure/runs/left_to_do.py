"""Which samples of a run are left to do, and whether what is recorded is of the images of today."""

from collections.abc import Mapping
from dataclasses import dataclass

from misure.datasets.sample import Dataset, files_of
from misure.errors import RunFolderError
from misure.runs.folder import RunFolder
from misure.runs.record import FailedObject
from misure.runs.record_index import RecordIndex
from misure.runs.source_files import have_changed


@dataclass(frozen=True)
class LeftToDo:
    """What is left of a run.

    Attributes:
        samples: number in the data set -> key.
        revisions: key -> how often the sample has been explained anew once it is done, if at all.
        num_finished: samples that are finished already, of all of the run.
    """

    samples: dict[int, str]
    revisions: dict[str, int]
    num_finished: int


def left_to_do(
    folder: RunFolder,
    dataset: Dataset,
    selected: Mapping[int, str],
    *,
    retry_failed: bool = False,
    retry_changed: bool = False,
) -> LeftToDo:
    """The samples that are left to do.

    Args:
        folder: a run that has begun.
        dataset: its samples.
        selected: those to look at, number -> key.
        retry_failed: do samples with failed objects once more.
        retry_changed: do samples once more whose images have changed since they were recorded.

    Raises:
        RunFolderError: images have changed, and `retry_changed` does not say what to do.
    """
    with folder.index() as index:
        finished = _finished(index, dataset, selected)
        num_finished = index.num_finished()
        failed = _failed(folder, index) if retry_failed else set()
        revisions = index.revisions()
    changed = {key for key, has_changed in finished.items() if has_changed}
    if not retry_changed:
        _refuse(changed - failed, folder)
    revisions |= {key: revisions.get(key, 0) + 1 for key in changed}
    done = finished.keys() - failed - changed
    samples = {i: key for i, key in selected.items() if key not in done}
    return LeftToDo(samples, revisions, num_finished)


def check_images(folder: RunFolder, dataset: Dataset, selected: Mapping[int, str]) -> None:
    """Raises a RunFolderError if images have changed since they were explained.

    Args:
        folder: of a run.
        dataset: its samples.
        selected: those to look at, number -> key.
    """
    with folder.index() as index:
        finished = _finished(index, dataset, selected)
    _refuse({key for key, has_changed in finished.items() if has_changed}, folder)


def _refuse(changed: set[str], folder: RunFolder) -> None:
    if changed:
        raise RunFolderError(
            f"expected the images that {folder.address} was made of, got {len(changed)} that have "
            f"changed since, such as {min(changed)}. Explain them anew with misure run and "
            "--retry-changed, or name another folder."
        )


def _finished(index: RecordIndex, dataset: Dataset, selected: Mapping[int, str]) -> dict[str, bool]:
    """Key of each finished sample -> whether its image has changed since."""
    numbers = {key: index for index, key in selected.items()}
    return {
        line.sample: have_changed(files_of(dataset, numbers[line.sample]), line.files)
        for line in index.finished()
        if line.sample in numbers
    }


def _failed(folder: RunFolder, index: RecordIndex) -> set[str]:
    records = folder.each_record(index)
    return {record.sample for record in records if isinstance(record, FailedObject)}
