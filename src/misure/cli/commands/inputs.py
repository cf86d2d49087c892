"""What a command reads, looked at before a network is loaded, which may take long."""

import shlex
from pathlib import Path

from misure._util.suggestions import did_you_mean
from misure.errors import InputError


def check_inputs(
    image: Path,
    spec: str,
    *,
    other: Path | None = None,
    missed: Path | None = None,
    takes_folder: bool = False,
) -> None:
    """Raises an InputError that names everything that is missing, image and network alike.

    Args:
        image: one file, several with commas, or the folder of a DICOM series.
        spec: of the network.
        other: another image, if one is named.
        missed: an annotation, if one is named.
        takes_folder: whether a folder of images will do.
    """
    from misure.datasets.coco_choice import split_id
    from misure.images.volumes import files_of_image
    from misure.models.loaders import check_spec, missing_path

    wrong = [_no_image(path) for path in files_of_image(image) if not _is_there(path)]
    if other is not None:
        wrong += [_no_image(path) for path in files_of_image(other) if not _is_there(path)]
    if missed is not None and not _is_there(split_id(missed)[0]):
        wrong.append(f"expected an annotation, found none at {missed}.")
    try:
        check_spec(spec)
    except InputError as error:
        if not wrong:
            raise
        wrong.append(f"And {error}")
    else:
        if wrong and (path := missing_path(spec)):
            wrong.append(f"And expected a network, found none at {path} (--model {spec}).")
    if wrong:
        raise InputError(" ".join(wrong))
    if image.is_dir() and not takes_folder:
        _refuse_pictures(image, spec)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, or a folder that may not be read
        return False


def _no_image(path: Path) -> str:
    """The sentence on an image that is not there."""
    folder = path.parent
    beside = (
        [each.name for each in folder.iterdir()] if _is_there(folder) and folder.is_dir() else []
    )
    like = did_you_mean(path.name, beside)
    where = "" if folder.is_dir() else f" There is no folder {folder}."
    return f"expected an image file, found none at {path}.{where or like}"


def _refuse_pictures(folder: Path, spec: str) -> None:
    """Raises an InputError for a folder that holds images, and no DICOM series."""
    from misure.datasets.image_files import list_images

    try:
        images, _ = list_images(folder)
    except InputError:
        return
    pictures = [files[0] for files in images if not files[0].is_dir()]
    if len(pictures) < len(images):  # DICOM, which its folder stands for
        return
    of_all = shlex.join(["misure", "run", str(folder), "--model", spec, "--out", "run"])
    of_one = shlex.join(["misure", "classes", str(pictures[0]), "--model", spec])
    number = "1 image" if len(images) == 1 else f"{len(images):,} images"
    raise InputError(
        f"expected one image, got a folder of {number}. For all of them: {of_all}. For one, begin "
        f"with: {of_one}."
    )
