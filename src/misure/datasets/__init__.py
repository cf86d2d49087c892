"""Data sets whose samples can be explained, each in a file of its own, opened by one word.

open_dataset("triangle:30")
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

from misure.datasets.coco import CocoDataset
from misure.datasets.coco_panoptic import CocoPanopticDataset
from misure.datasets.corrupted import CorruptedDataset, read_corruption
from misure.datasets.image_files import ImageFiles, list_images
from misure.datasets.nifti import open_nifti, open_nifti_slices
from misure.datasets.sample import (
    AS_IT_IS,
    AnnotatedObject,
    Dataset,
    Reading,
    Sample,
    SampleList,
    as_dataset,
)
from misure.datasets.synapse.dataset import open_synapse, open_synapse_train, open_synapse_volumes
from misure.datasets.triangle.dataset import TriangleDataset, read_options
from misure.errors import InputError, entrance

_DEFAULT_NUM_SAMPLES = 30


@entrance("open_dataset")
def open_dataset(spec: str, reading: Reading = AS_IT_IS) -> Dataset:
    """The data set that a word names.

    Args:
        spec: `triangle`, held-out samples of Triangle; `triangle-two`, with two triangles each;
            `triangle-disc`, with a disc that is needed too; `triangle:N`: so many (30 if not said);
            `triangle:N,side=24`: with options (see `read_options`).
            `coco:FOLDER`, COCO 2017 with the classes of VOC; `coco-all:FOLDER` with its own 80;
            `coco:FOLDER,train2017`: another split (see `CocoDataset`); `coco-panoptic:FOLDER`, the
            panoptic annotations, things and stuff.
            `nifti:IMAGES,LABELS`, volumes with annotations in two folders, or `nifti:FOLDER`;
            with `,LIST.txt` only the cases in it;
            `nifti-slices:...`, their axial slices with foreground (see `NiftiPairs`).
            `synapse:FOLDER`, the test slices of the Synapse benchmark that show an organ;
            `synapse-train:FOLDER`, its training slices; `synapse-volumes:FOLDER`, its test volumes
            (see `misure.datasets.synapse`).
            `corrupted:noise=0.1,WORD`: another data set, its images made worse (see `CORRUPTIONS`).
            Else the path of a folder of images, or of a text file with one path a line.
        reading: how the network wants its images (see `Reading`).

    Raises:
        InputError: another word, a part after the colon that makes no sense, or one key twice.
        MissingDependencyError, MissingDataError: what it is read from is not there.
    """
    name, _, rest = spec.partition(":")
    if name in DATASETS:
        return as_dataset(DATASETS[name](rest, reading))
    path = Path(spec)
    if not path.exists():
        raise InputError(
            f"expected one of {', '.join(DATASETS)}, a folder of images or a text "
            f"file with their paths, got {spec!r}."
        )
    return ImageFiles(*list_images(path), reading)


def _triangle(rest: str, _reading: Reading) -> Dataset:
    num_samples, options = read_options(rest)
    return TriangleDataset(num_samples or _DEFAULT_NUM_SAMPLES, **options)


def _two_triangles(rest: str, _reading: Reading) -> Dataset:
    """Items as large and as far apart as in `triangle`, on a larger canvas."""
    num_samples, options = read_options(rest)
    options = {"size_px": 128, "side_px": 32, "glyph_px": 12, "num_triangles": 2} | options
    return TriangleDataset(num_samples or _DEFAULT_NUM_SAMPLES, **options)


def _triangle_disc(rest: str, _reading: Reading) -> Dataset:
    """Samples with a disc only, as without one there is nothing to explain."""
    num_samples, options = read_options(rest)
    num_samples = num_samples or _DEFAULT_NUM_SAMPLES
    dataset = TriangleDataset(100 * num_samples, disc=True, **options)
    with_disc = (sample for sample in map(dataset.__getitem__, range(len(dataset))) if sample.point)
    return SampleList(islice(with_disc, num_samples))


def _coco(rest: str, reading: Reading) -> Dataset:
    """The classes of VOC, which most networks for photographs know."""
    folder, split = _folder_and_split(rest)
    return CocoDataset(folder, split, reading=reading)


def _all_of_coco(rest: str, reading: Reading) -> Dataset:
    folder, split = _folder_and_split(rest)
    return CocoDataset(folder, split, None, reading)


def _corrupted(rest: str, reading: Reading) -> Dataset:
    corruption, word = read_corruption(rest)
    return CorruptedDataset(open_dataset(word, reading), corruption)


def _panoptic(rest: str, reading: Reading) -> Dataset:
    return CocoPanopticDataset(*_folder_and_split(rest), reading)


def _folder_and_split(rest: str) -> tuple[Path, str | None]:
    is_all = "," not in rest or Path(rest).is_dir()  # a folder's name may have a comma
    folder, _, split = (rest, "", "") if is_all else rest.rpartition(",")
    if not folder:
        raise InputError("expected coco:FOLDER or coco:FOLDER,SPLIT, got no folder.")
    return Path(folder), split or None


DATASETS: dict[str, Callable[[str, Reading], Dataset]] = {
    "triangle": _triangle,
    "triangle-two": _two_triangles,
    "triangle-disc": _triangle_disc,
    "nifti": open_nifti,
    "nifti-slices": open_nifti_slices,
    "synapse": open_synapse,
    "synapse-train": open_synapse_train,
    "synapse-volumes": open_synapse_volumes,
    "coco": _coco,
    "coco-all": _all_of_coco,
    "coco-panoptic": _panoptic,
    "corrupted": _corrupted,
}
"""Name -> what opens it, given the rest of the word and how to read images."""

__all__ = [
    "DATASETS",
    "AnnotatedObject",
    "CocoDataset",
    "CocoPanopticDataset",
    "CorruptedDataset",
    "Dataset",
    "ImageFiles",
    "Reading",
    "Sample",
    "SampleList",
    "TriangleDataset",
    "as_dataset",
    "open_dataset",
]
