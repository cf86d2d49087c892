"""RISE for segmentation: random masks, each weighted by the target's Dice under it.

Petsiuk, Das, Saenko 2018, with the Dice of the model's hard segmentation in place of a class score.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.errors import InputError
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe
from misure.explanation.show import try_regions
from misure.methods.method import method
from misure.models.model import SegmentationModel
from misure.models.target import Target

PUBLISHED: dict[str, dict[str, Any]] = {
    "petsiuk": {
        "num_masks": 4000,
        "grid_size": 7,
        "keep_probability": 0.5,
        "coverage": "expected",
    },
    "hasany": {"grid_size": 7, "keep_probability": 0.54, "coverage": "none"},
}
"""Published settings, as options: `METHODS["rise"](..., **PUBLISHED["hasany"])`.

`petsiuk`: the publication's (for its smaller network); sums are divided by `keep_probability`.
`hasany`: those of published code for segmentation, as far as known. It keeps a cell if a
standard normal number is below 0.1, which has a probability of 0.54, and does not divide.
"""

_AT_ONCE = 64


@method(kind="perturbation", source="Petsiuk et al. 2018, with Dice as the weight")
def rise(
    model: SegmentationModel,
    image: Tensor,
    target: Target,
    *,
    seed: int = 0,
    num_masks: int = 1000,
    grid_size: int = 7,
    keep_probability: float = 0.5,
    coverage: str = "counted",
    baseline_image: str = "mean",
) -> Tensor:
    """The mean Dice over the masks, each pixel weighted by how far a mask shows it.

    Args:
        model, image, target: see `Method`.
        seed: of the masks.
        num_masks: how many images are shown (one forward pass each); 4000 were published.
        grid_size: cells on each axis of the coarse mask that is enlarged and shifted.
        keep_probability: of each cell.
        coverage: `counted`: divided by how much each pixel was shown; `expected`: by the number of
            masks times `keep_probability`, as published; `none`: by the number of masks.
        baseline_image: what stands where pixels are hidden.

    Raises:
        InputError: options out of range.
    """
    if num_masks < 1 or grid_size < 1 or not 0 < keep_probability < 1:
        raise InputError(
            f"expected num_masks and grid_size of 1 or more and keep_probability in (0, 1), "
            f"got {num_masks}, {grid_size} and {keep_probability}."
        )
    if coverage not in ("counted", "expected", "none"):
        raise InputError(f"expected coverage counted, expected or none, got {coverage!r}.")
    presentations = make_presentations(model, image, baseline_image=baseline_image, seed=seed)
    probe = Probe(target, presentations)
    spatial = image.shape[1:]
    weighted, shown = torch.zeros(spatial), torch.zeros(spatial)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for start in range(0, num_masks, _AT_ONCE):
            num = min(_AT_ONCE, num_masks - start)
            masks = [
                random_mask(spatial, grid_size, keep_probability, generator) for _ in range(num)
            ]
            replies = try_regions(model, [(probe, mask.to(model.device)) for mask in masks])
            for mask, reply in zip(masks, replies, strict=True):
                weighted += reply.dice * mask
                shown += mask
    if coverage == "counted":
        return weighted / shown.clamp(min=torch.finfo(shown.dtype).tiny)
    return weighted / num_masks / (keep_probability if coverage == "expected" else 1.0)


def random_mask(
    spatial: tuple[int, ...],
    grid_size: int,
    keep_probability: float,
    generator: torch.Generator,
) -> Tensor:
    """A visibility (*spatial) in [0, 1]: a coarse random grid, enlarged, shifted by up to a cell.

    Args:
        spatial: shape of the image.
        grid_size: cells on each axis.
        keep_probability: of each cell.
        generator: of the grid and the shift.
    """
    cells = [-(-side // grid_size) for side in spatial]
    coarse = torch.rand([grid_size] * len(spatial), generator=generator) < keep_probability
    mode = "bilinear" if len(spatial) == 2 else "trilinear"
    size = [(grid_size + 1) * cell for cell in cells]
    fine = F.interpolate(coarse[None, None].float(), size, mode=mode, align_corners=False)[0, 0]
    for axis, (side, cell) in enumerate(zip(spatial, cells, strict=True)):
        shift = int(torch.randint(cell, (1,), generator=generator))
        fine = fine.narrow(axis, shift, side)
    return fine.clamp(0, 1)  # interpolation may overshoot in the last digit
