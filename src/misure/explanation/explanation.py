"""Explanations: the two regions of a target, the evidence for them, and what they cost.

Saved as one `.npz` of plain arrays, without pickle:

- `target`, `sufficient_region`, `minimally_sufficient_region`: (*spatial) bool;
- `ignored`: (*spatial) bool, the model's other pixels of the class (see `Target`);
- `saliency_map`: (*spatial) float32;
- `record`: everything else, as JSON text.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import torch
from torch import Tensor

from misure._util.arrays import read_arrays, write_arrays
from misure._version import __version__
from misure.errors import InputError
from misure.explanation.evidence import PresentedSufficiency
from misure.explanation.nested import map_value
from misure.explanation.removal import Minimality
from misure.images.regions import area_fraction, component_numbers
from misure.models.cost import Cost
from misure.models.target import Target


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why the model drew one target.

    Attributes:
        target: what is explained.
        sufficient_region: (*spatial) bool; from it alone the model draws the target again.
        minimally_sufficient_region: (*spatial) bool, part of it; from it alone too.
        saliency_map: (*spatial) float32, larger matters more; 0 outside the sufficient region
            and the nested ones.
        sufficient_dice, dice: Dice with the target when the model sees the sufficient region, and
            the minimally sufficient one, each shown alone; at least `dice_threshold`.
        growth_px: how far the sufficient region reaches beyond the target.
        silhouette_dice_by_content, transfer_dice: Dice with the content of the minimally
            sufficient region replaced: by its mean colour, by noise; and by another image (see
            `contents`).
        dice_by_baseline_image: Dice of that region with each baseline image it had to suffice
            with; the least of them is `dice`.
        sufficiency_curve: thresholds with the area (fraction of the image) and Dice of their
            nested regions, the lowest first; empty where the preset makes none.
        minimality: how far the region can still be reduced; None where nothing was tried.
        sufficiency_by_presentation: what the target needs to be shown with other baseline images
            and edges (see `evidence`); empty where that was not asked for.
        grain_px: side of the smallest piece that the region may consist of.
        stopped_by: why the search ended: `end`, `patience` or `max_passes`.
        dice_threshold: Dice from which the target counts as preserved.
        preset, settings: the preset's name and every option with its value.
        seed: of all noise.
        cost: forward and backward passes, and seconds.
        model: name of the model.
        model_settings: how the network was used (see `SegmentationModel.settings`).
        image: name of the image, where it has one.
        slice_index: the axial slice that was taken of it, if any.
    """

    target: Target
    sufficient_region: Tensor
    minimally_sufficient_region: Tensor
    saliency_map: Tensor
    sufficient_dice: float
    dice: float
    growth_px: float
    silhouette_dice_by_content: dict[str, float]
    transfer_dice: float
    dice_by_baseline_image: dict[str, float]
    sufficiency_curve: list[dict[str, float]]
    minimality: Minimality | None
    sufficiency_by_presentation: list[PresentedSufficiency]
    grain_px: int
    stopped_by: str
    dice_threshold: float
    preset: str
    settings: dict[str, Any]
    seed: int
    cost: Cost
    model: str = ""
    model_settings: dict[str, Any] = field(default_factory=dict)
    image: str = ""
    slice_index: int | None = None

    @property
    def silhouette_dice(self) -> float:
        """The larger of the silhouette Dices: how far the outline alone gives the target away."""
        return max(self.silhouette_dice_by_content.values())

    @property
    def num_parts(self) -> int:
        """Connected parts of the minimally sufficient region."""
        return int(component_numbers(self.minimally_sufficient_region).max())

    def nested_region(self, dice_threshold: float) -> Tensor:
        """The region (*spatial) bool of one threshold of the sufficiency curve.

        Raises:
            InputError: the curve has no such threshold.
        """
        known = [point["dice_threshold"] for point in self.sufficiency_curve]
        if dice_threshold not in known:
            raise InputError(
                f"nested_region: expected one of the thresholds {known}, got {dice_threshold}."
            )
        return self.saliency_map >= map_value(dice_threshold)

    @property
    def relative_area(self) -> float:
        """Area of the minimally sufficient region relative to the target's; 0 or more."""
        return int(self.minimally_sufficient_region.sum()) / int(self.target.region.sum())

    @property
    def outside_target_fraction(self) -> float:
        """Part of the minimally sufficient region outside the target; 0 for an empty region."""
        outside = self.minimally_sufficient_region & ~self.target.region
        return int(outside.sum()) / max(1, int(self.minimally_sufficient_region.sum()))

    def record(self) -> dict[str, Any]:
        """All figures as plain values, in the form of `explanation.json`."""
        return {
            "misure_version": __version__,
            "image": self.image,
            "model": self.model,
            "preset": self.preset,
            "baseline_image": self.settings.get("baseline_image"),
            "dice_threshold": self.dice_threshold,
            "seed": self.seed,
            "target": self.target.record(),
            "sufficient_region": {
                "growth_px": self.growth_px,
                "area_fraction": area_fraction(self.sufficient_region),
                "dice": self.sufficient_dice,
                "growth": self.settings.get("growth"),
            },
            "minimally_sufficient_region": {
                "area_fraction": area_fraction(self.minimally_sufficient_region),
                "relative_area": self.relative_area,
                "outside_target_fraction": self.outside_target_fraction,
                "dice": self.dice,
                "dice_by_baseline_image": self.dice_by_baseline_image,
                "grain_px": self.grain_px,
                "num_parts": self.num_parts,
                "stopped_by": self.stopped_by,
            },
            "sufficiency_curve": self.sufficiency_curve,
            "minimality": asdict(self.minimality) if self.minimality else None,
            "sufficiency_by_presentation": [
                asdict(one) for one in self.sufficiency_by_presentation
            ],
            "silhouette_dice": self.silhouette_dice,
            "transfer_dice": self.transfer_dice,
            "silhouette_dice_by_content": self.silhouette_dice_by_content,
            "settings": self.settings,
            "model_settings": self.model_settings,
            "slice_index": self.slice_index,
            "cost": self.cost.record(),
        }

    def tensors(self) -> dict[str, Tensor]:
        """Name -> region (*spatial) bool; the saliency map float32."""
        return {
            "target": self.target.region,
            "ignored": self.target.ignored,
            "sufficient_region": self.sufficient_region,
            "minimally_sufficient_region": self.minimally_sufficient_region,
            "saliency_map": self.saliency_map,
        }

    def save(self, file: str | Path | BinaryIO) -> None:
        """Writes the explanation as one `.npz`, at once or not at all."""
        arrays = {name: tensor.cpu().numpy() for name, tensor in self.tensors().items()}
        arrays["record"] = np.array(json.dumps(self.record()))
        write_arrays(file, arrays)

    @classmethod
    def load(cls, file: str | Path | BinaryIO) -> Self:
        """The explanation that was saved, equal to it, on the CPU.

        Raises:
            InputError: not such a file, damaged, or too large when unpacked.
        """
        try:
            arrays = read_arrays(file)
            record = json.loads(str(arrays.pop("record")))
            tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
            return cls._from_parts(tensors, record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"Explanation.load: expected a file written by Explanation.save, but {file} "
                f"cannot be used: {error}"
            ) from error

    @classmethod
    def _from_parts(cls, tensors: dict[str, Tensor], record: dict[str, Any]) -> Self:
        for name, tensor in tensors.items():
            wanted = torch.float32 if name == "saliency_map" else torch.bool
            if tensor.shape != tensors["target"].shape or tensor.dtype != wanted:
                raise ValueError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}")
        cost, small = record["cost"], record["minimally_sufficient_region"]
        minimality = record["minimality"]
        return cls(
            target=Target(
                record["target"]["class_index"],
                tensors["target"],
                tensors["ignored"],
                record["target"]["class_name"],
                record["target"]["multilabel"],
            ),
            sufficient_region=tensors["sufficient_region"],
            minimally_sufficient_region=tensors["minimally_sufficient_region"],
            saliency_map=tensors["saliency_map"],
            sufficient_dice=record["sufficient_region"]["dice"],
            dice=small["dice"],
            growth_px=record["sufficient_region"]["growth_px"],
            silhouette_dice_by_content=record["silhouette_dice_by_content"],
            transfer_dice=record["transfer_dice"],
            dice_by_baseline_image=small["dice_by_baseline_image"],
            sufficiency_curve=record["sufficiency_curve"],
            minimality=Minimality(**minimality) if minimality else None,
            sufficiency_by_presentation=[
                PresentedSufficiency(**one) for one in record["sufficiency_by_presentation"]
            ],
            grain_px=small["grain_px"],
            stopped_by=small["stopped_by"],
            dice_threshold=record["dice_threshold"],
            preset=record["preset"],
            settings=record["settings"],
            seed=record["seed"],
            cost=Cost(cost["forward_passes"], cost["backward_passes"], cost["seconds"]),
            model=record["model"],
            model_settings=record["model_settings"],
            image=record["image"],
            slice_index=record["slice_index"],
        )

    def __eq__(self, other: object) -> bool:
        """Whether all regions, maps and figures are the same, wherever the tensors live."""
        return isinstance(other, Explanation) and all(
            _same(getattr(self, one.name), getattr(other, one.name)) for one in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a.cpu(), b.cpu())
    if isinstance(a, Target):
        return all(_same(getattr(a, one.name), getattr(b, one.name)) for one in fields(a))
    return bool(a == b)
