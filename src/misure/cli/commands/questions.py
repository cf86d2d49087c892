"""What `misure explain` does for each question, and what it then says."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from misure._util.records import plain
from misure.cli.terminal import summary
from misure.errors import InputError
from misure.explanation.answers.hidden import HiddenRegion
from misure.explanation.answers.hide import blocking_region, necessary_region
from misure.explanation.answers.robustness import robustness
from misure.explanation.answers.whole import answer
from misure.explanation.explain import explain
from misure.explanation.explanation import Explanation
from misure.explanation.presentation import Presentation, make_presentations
from misure.images.nifti import NiftiFile, is_nifti
from misure.images.orientation import ViewingOrder
from misure.images.pictures import read_class_numbers
from misure.images.read import read_image
from misure.images.regions import component_numbers
from misure.models.model import SegmentationModel
from misure.models.segmentation import Segmentation
from misure.models.target import Target
from misure.reports.folders import save_answer, save_hidden, save_result


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An object of an image, and how a question about it is answered.

    Attributes:
        model, segmentation, target: what was drawn, or missed.
        image: path of the image.
        pixels: (C, *spatial) float.
        order: how to lay out a volume in pictures.
        slice_index: the slice that was taken of a volume.
        dice_threshold, lost_dice, robust: as of `answer`.
        drawn_dice: as of `blocking_region`.
        options: all other arguments of `explain`.
    """

    model: SegmentationModel
    segmentation: Segmentation
    image: Path
    pixels: Tensor
    target: Target
    order: ViewingOrder
    slice_index: int | None
    dice_threshold: float
    lost_dice: float
    drawn_dice: float
    robust: float | None
    options: dict[str, Any]

    def answer(self, question: str, folder: Path, out: Path) -> str:
        """Answers a question, writes the files, and returns what to print.

        Args:
            question: as of `misure explain`.
            folder: where to write.
            out: what that folder will be called.
        """
        if question == "sufficient":
            explanation = explain(
                *self._subject, dice_threshold=self.dice_threshold, **self.options
            )
            record = self._save(explanation, folder).values
            region = explanation.minimally_sufficient_region
            return "\n".join([*self._robustness(question, region, folder), summary(record, out)])
        if question == "all":
            return self._answer_all(folder, out)
        options = self.options
        if question == "blocking":
            hidden = blocking_region(*self._subject, drawn_dice=self.drawn_dice, **options)
        else:
            hidden = necessary_region(
                *self._subject,
                lost_dice=self.lost_dice,
                outside_target=question == "surroundings",
                **options,
            )
        self._save_hidden(hidden, question, folder)
        cost = hidden.cost
        spent = f"{cost.pass_equivalents} pass equivalents in {cost.seconds:.0f} s"
        sure = self._robustness(question, hidden.region, folder) if hidden.is_found else []
        lines = [hidden.sentence, *sure, *hidden_notes(hidden)]
        lines.append(f"{spent}; see {out}/{question}.png")
        return "\n".join(lines)

    def _robustness(self, question: str, region: Tensor, folder: Path) -> list[str]:
        """Measures and writes how robust a region is, if that is asked for, and says it."""
        if self.robust is None:
            return []
        found = robustness(
            *self._subject,
            region,
            question="necessary" if question == "surroundings" else question,
            dice_threshold=self.drawn_dice if question == "blocking" else self.dice_threshold,
            lost_dice=self.lost_dice,
            at_least=self.robust,
            **{k: self.options[k] for k in ("seed", "spacing_mm", "on_step")},
        )
        (folder / "robustness.json").write_text(json.dumps(plain(found), indent=2) + "\n")
        return [f"{found.note} ({found.passes} more passes)"]

    @property
    def _subject(self) -> tuple[SegmentationModel, Tensor, Target]:
        return self.model, self.pixels, self.target

    def _answer_all(self, folder: Path, out: Path) -> str:
        found = answer(
            *self._subject,
            dice_threshold=self.dice_threshold,
            lost_dice=self.lost_dice,
            robust=self.robust,
            **self.options,
        )
        self._save(found.explanation, folder)
        for name in ("necessary", "surroundings"):
            if (hidden := getattr(found, name)) is not None:
                self._save_hidden(hidden, name, folder)
        save_answer(found, folder)
        parts = ", ".join(f"{name} {passes}" for name, passes in found.passes.items())
        total = sum(found.passes.values())
        return "\n".join(
            [*found.sentences(), f"{total} pass equivalents ({parts}); see {out}/overview.png"]
        )

    def _save(self, explanation: Explanation, folder: Path) -> Explanation:
        explanation = explanation.with_values(image=str(self.image), slice_index=self.slice_index)
        save_result(
            explanation,
            self._presentation(explanation.settings, explanation.values.seed),
            self.segmentation,
            folder,
            order=self.order,
            volume=NiftiFile(self.image) if is_nifti(self.image) else None,
        )
        return explanation

    def _save_hidden(self, hidden: HiddenRegion, name: str, folder: Path) -> None:
        is_volume = is_nifti(self.image) and self.slice_index is None
        save_hidden(
            hidden.with_values(image=str(self.image)),
            name,
            self.model,
            self._presentation(hidden.values.settings, hidden.values.seed),
            folder,
            order=self.order,
            volume=NiftiFile(self.image) if is_volume else None,
        )

    def _presentation(self, settings: dict[str, Any], seed: int) -> Presentation:
        return make_presentations(
            self.model,
            self.pixels,
            baseline_image=settings["baseline_image"],
            edge_px=settings["edge_px"],
            seed=seed,
            spacing_mm=self.options["spacing_mm"],
        )[0]


def hidden_notes(hidden: HiddenRegion) -> list[str]:
    """What is known of a hidden region besides: other baseline images, small changes.

    Args:
        hidden: what was found.
    """
    values, notes = hidden.values, []
    for title, dices in (
        ("on other baseline images", values.dice_on_other_baseline_images),
        ("under small changes", values.dice_under_small_changes),
    ):
        if dices:
            notes.append(
                f"{title}: Dice " + ", ".join(f"{name} {dice:.2f}" for name, dice in dices.items())
            )
    if values.minimality and values.minimality.removable:
        notes.append(
            f"{values.minimality.removable} of {values.minimality.cells_tested} tested blocks need "
            "not be hidden."
        )
    return notes


def missed_object(
    segmentation: Segmentation,
    annotation: Path,
    class_index: int,
    slice_index: int | None,
    point: tuple[int, ...] | None,
) -> Target:
    """What the network should have drawn, by its annotation.

    A file of the numbers 0 and 1, or 0 and 255, is a mask; in any other the class's pixels are
    those of its number. With a point, the connected object there.

    Args:
        segmentation: of the image.
        annotation: a picture of class numbers or a mask, or NIfTI labels.
        class_index: the class that the object should have.
        slice_index: the slice to take of NIfTI labels.
        point: a pixel of the object.

    Raises:
        InputError: a file of another shape or without the class, or a point outside of it.
    """
    if is_nifti(annotation):
        numbers = read_image(annotation, slice_index=slice_index)[0].round().long()
    else:
        numbers = torch.from_numpy(read_class_numbers(annotation))
    values = np.unique(numbers.numpy()).tolist()
    is_mask = values in ([0, 1], [0, 255])
    mask = numbers != 0 if is_mask else numbers == class_index
    if not bool(mask.any()):
        raise InputError(
            f"expected an annotation with the class {class_index}, got {annotation} with the "
            f"numbers {', '.join(map(str, values[:12]))}. A mask has 0 and 1, or 0 and 255."
        )
    if tuple(mask.shape) != segmentation.spatial:
        raise InputError(
            f"expected an annotation of the image's shape {segmentation.spatial}, got "
            f"{tuple(mask.shape)} in {annotation}."
        )
    if point is not None:
        if len(point) != mask.ndim or not all(
            0 <= p < n for p, n in zip(point, mask.shape, strict=True)
        ):
            raise InputError(f"expected a --point in {tuple(mask.shape)}, got {point}.")
        parts = component_numbers(mask)
        if not bool(mask[point]):
            raise InputError(f"expected a --point on the annotated object, got {point} beside it.")
        mask = parts == parts[point]
    return segmentation.missed(mask.bool(), class_index)
