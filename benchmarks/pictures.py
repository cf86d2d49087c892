"""What the network was shown, for the regions of several searches side by side, as one picture.

    python benchmarks/pictures.py --model hf:FOLDER --data FOLDER --size 257 --rows ROWS.jsonl \\
        --limit 24 --searches readable smallest --out pictures.png

One row for each object: the image with the target, and for each search the image as shown, with the
area of its region. What is missing in ROWS (those of `search.py`) is computed and added.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from misure.images.regions import area_fraction
from objects import FoundObject
from searches import Rows, make_parser, open_model, open_objects, unpacked

_SIDE_IN = 2.2
_GREY = 0.5


def _pixels(found: FoundObject, region: Tensor | None = None) -> np.ndarray:
    """The image (rows, columns, 3) in [0, 1], grey outside a region."""
    image = found.image.expand(3, -1, -1) if len(found.image) == 1 else found.image
    shown = image if region is None else image.where(region, _GREY)
    pixels: np.ndarray = shown.permute(1, 2, 0).clamp(0, 1).numpy()
    return pixels


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--out", required=True, type=Path)
    arguments = parser.parse_args()
    model, rows = open_model(arguments), Rows(arguments.rows)
    objects = list(open_objects(model, arguments))
    num_columns = 1 + len(arguments.searches)
    figure = Figure(figsize=(_SIDE_IN * num_columns, 1.12 * _SIDE_IN * len(objects)))
    axes = figure.subplots(len(objects), num_columns, squeeze=False)
    for found, row in zip(objects, axes, strict=True):
        row[0].imshow(_pixels(found))
        row[0].contour(found.target.region, [0.5], colors="orange")
        row[0].set_title(found.key, fontsize=7)
        for search, place in zip(arguments.searches, row[1:], strict=True):
            region = unpacked(rows.find(model, found, search, with_regions=True))
            place.imshow(_pixels(found, region))
            place.set_title(f"{search.name}: {area_fraction(region):.1%}", fontsize=7)
        for place in row:
            place.set_axis_off()
    figure.tight_layout(pad=0.3)
    figure.savefig(arguments.out, dpi=90)


if __name__ == "__main__":
    main()
