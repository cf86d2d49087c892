"""One annotation of one photograph, out of COCO's instance annotations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from torch import Tensor

from misure._util.optional import require
from misure._util.quoted import quoted
from misure.datasets.coco import Instances, Photograph, class_of_category, read_instances
from misure.datasets.coco_regions import draw_region
from misure.errors import InputError
from misure.images.regions import check_point

_MOST_LISTED = 12


@dataclass(frozen=True, eq=False)
class CocoAnnotation:
    """An object or a crowd of a photograph.

    Attributes:
        number: its id.
        category: name of its category, as the file has it.
        class_index: its class among those of a network; None: none of them.
        is_crowd: whether it is a group of objects that were not drawn apart.
        region: (H, W) bool.
    """

    number: int
    category: str
    class_index: int | None
    is_crowd: bool
    region: Tensor

    def __str__(self) -> str:
        kind = f"crowd of {self.category}" if self.is_crowd else self.category
        share = float(self.region.float().mean())
        return f"{self.number} ({quoted(kind)}, {100 * share:.2g} % of the image)"


def split_id(path: Path) -> tuple[Path, int | None]:
    """The file and the id of `FILE.json#ID`; None if there is no id.

    Raises:
        InputError: an id that is no number.
    """
    text, mark, number = str(path).rpartition("#")
    if not mark or not text.lower().endswith(".json"):
        return path, None
    if not (number.isascii() and number.isdecimal()):
        raise InputError(f"expected FILE.json#ID with a number as ID, got {quoted(str(path))}.")
    return Path(text), int(number)


def coco_annotation(
    file: Path,
    image: Path,
    class_names: Sequence[str],
    *,
    class_index: int | None = None,
    number: int | None = None,
    point: Sequence[int] | None = None,
) -> CocoAnnotation:
    """The one annotation of a photograph that is meant.

    Args:
        file: instance annotations as COCO publishes them.
        image: the photograph, which the file lists by its name.
        class_names: of the network, by COCO's names or VOC's.
        class_index: the class it should have; None: any of them.
        number: its id; None: any.
        point: a pixel (row, column) that it should hold; None: any.

    Raises:
        InputError: no such file, none of this photograph, or not just one annotation that is meant;
            the message lists those that are there.
        MissingDependencyError: pycocotools is missing.
    """
    require("pycocotools.mask", extra="coco", purpose="read COCO annotations")
    instances = read_instances(file)
    there = _annotations(instances, _photograph(instances.images, image, file), class_names)
    if number is not None:
        meant = [one for one in there if one.number == number]
        wanted = f"the annotation {number} of {image.name}"
    else:
        meant = [one for one in there if one.class_index is not None]
        wanted = f"an annotation of {image.name} with a class of the network"
    if not meant:
        raise InputError(f"expected {wanted} in {file}, which has {_listed(there)}.")
    if meant[0].class_index is None:
        raise InputError(
            f"expected an annotation with a class of the network, got {meant[0]}. It has: "
            f"{', '.join(class_names) or 'no names'}."
        )
    if class_index is not None:
        of_class = [one for one in meant if one.class_index == class_index]
        wanted = f"an annotation of class {class_names[class_index]}"
        if not of_class:
            raise InputError(f"expected {wanted}, got {_listed(meant)} in {file}.")
        meant = of_class
    if point is not None:
        place = check_point(meant[0].region.shape, point)
        at_point = [one for one in meant if one.region[place]]
        if not at_point:
            raise InputError(
                f"expected a --point on an annotation, got {place} beside {_listed(meant)}."
            )
        meant = at_point
    if len(meant) > 1:
        raise InputError(
            f"expected one annotation of {image.name}, got {_listed(meant)}. Say "
            f"{file.name}#ID, or choose one by a point."
        )
    return meant[0]


def _photograph(photographs: Iterable[Photograph], image: Path, file: Path) -> Photograph:
    """The photograph of the image's name; of several that with its folders."""
    path = image.resolve().as_posix()
    named = [one for one in photographs if PurePosixPath(one.file_name).name == image.name]
    meant = [one for one in named if path.endswith(f"/{one.file_name.lstrip('/')}")]
    meant = named if len(named) == 1 else meant
    if len(meant) != 1:
        raise InputError(
            f"expected annotations of the image {image.name} in {file}, which lists "
            f"{'several' if named else 'no image'} of this name."
        )
    return meant[0]


def _annotations(
    instances: Instances, photograph: Photograph, class_names: Sequence[str]
) -> list[CocoAnnotation]:
    """The annotations of a photograph that have pixels, the largest first."""
    names = {category.id: category.name for category in instances.categories}
    class_of = class_of_category(names, class_names)
    found = []
    for one in instances.annotations:
        if one.image_id != photograph.id:
            continue
        called = f"annotation {one.id} of image {one.image_id}"
        region = draw_region(one.segmentation, photograph.shape, called)
        if region is not None and bool(region.any()):
            index = class_of.get(one.category_id)
            name = names[one.category_id]
            found.append(CocoAnnotation(one.id, name, index, bool(one.iscrowd), region))
    return sorted(found, key=lambda one: -int(one.region.sum()))


def _listed(annotations: Sequence[CocoAnnotation]) -> str:
    if not annotations:
        return "none of this image"
    told = ", ".join(map(str, annotations[:_MOST_LISTED]))
    more = len(annotations) - _MOST_LISTED
    return f"{told} and {more} more" if more > 0 else told
