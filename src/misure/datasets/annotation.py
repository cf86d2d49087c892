"""What the numbers in a file of annotations say of a sample."""

from pathlib import Path
from typing import Any

from torch import Tensor

from misure.images.numbering import Numbering


def annotation_of(
    numbers: Tensor,
    numbering: Numbering,
    path: Path | str,
    *,
    is_picture: bool = False,
    is_needed: bool = True,
) -> dict[str, Any]:
    """The fields of a `Sample` that an annotation gives, by name.

    They are `annotation`, or `regions` and `ignored` where classes overlap.

    Args:
        numbers: (*spatial) int64; or of a volume (K, I, J, K) where classes overlap, a channel for
            each class.
        numbering: what the numbers mean.
        path: the file that they are from, for the message.
        is_picture: whether the file is a picture.
        is_needed: False: if classes overlap and their numbers are not known, nothing is returned.

    Raises:
        NumberingError: numbers that mean nothing, or of which it is not clear what they mean.
    """
    if not numbering.overlapping:
        return {"annotation": numbering.classes(numbers, path, is_picture=is_picture)}
    if numbers.ndim == 4:
        regions, ignored = numbering.channel_regions(numbers, path)
    elif numbering.regions is None and not is_needed:
        return {}
    else:
        regions, ignored = numbering.class_regions(numbers, path, is_picture=is_picture)
    return {"regions": regions, "ignored": ignored}
