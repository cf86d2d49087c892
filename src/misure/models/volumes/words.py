"""Preprocessing of volumes in the words of options."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from misure.errors import InputError
from misure.images.intensity import check_rule, fixed_scaling
from misure.models.binding import Binder, Binding
from misure.models.preprocessing import Preprocessing
from misure.models.volumes.fixed import FixedPreprocessing
from misure.models.volumes.orientation import Orientation
from misure.models.volumes.preprocessing import (
    UnboundPreprocessing,
    arguments_of,
    bound_preprocessing,
    plain,
)
from misure.models.volumes.scaled import Intensity
from misure.models.volumes.spacing import Spacing, checked_spacing
from misure.models.volumes.step import Part


@dataclass(frozen=True)
class Words:
    """Preprocessing in the words of options, in the order in which it happens.

    Attributes:
        orientation: such as `RAS`; empty: as stored.
        spacing: millimetres along the axes after orientation; None: as stored.
        intensity: rule or rules of a volume; empty: none. Planes are scaled when they are read,
            by the numbers of their volume.
    """

    orientation: str = ""
    spacing: tuple[float, ...] | None = None
    intensity: str = ""

    @classmethod
    def of(cls, orientation: Any, spacing: Any, intensity: Any) -> "Words":
        """The words of options, checked.

        Raises:
            InputError: another orientation, spacing or rule.
        """
        rule = check_rule(intensity) if intensity else ""
        code = str(orientation).upper() if orientation else ""
        if code:
            Orientation(code)
        return cls(code, None if spacing is None else checked_spacing(spacing), rule)

    def parts(self, num_axes: int) -> list[Part]:
        """The parts for images of 2 or 3 axes (*spatial)."""
        parts: list[Part] = [Orientation(self.orientation)] if self.orientation else []
        parts += [Spacing(self.spacing)] if self.spacing else []
        return parts + ([Intensity(self.intensity)] if self.intensity and num_axes == 3 else [])

    @property
    def text(self) -> str:
        """The words, as options have them."""
        given = (
            f"orientation={self.orientation}" if self.orientation else "",
            f"spacing={','.join(f'{side:g}' for side in self.spacing)}" if self.spacing else "",
            f"intensity={self.intensity}" if self.intensity else "",
        )
        return ", ".join(filter(None, given))

    def settings(self) -> dict[str, Any]:
        """The words as plain values, by the names of the options."""
        spacing = None if self.spacing is None else list(self.spacing)
        return {
            "intensity": self.intensity,
            "spacing": spacing,
            "orientation": self.orientation,
        }

    def used_with(
        self, preprocessing: Preprocessing, binder: Binder | None
    ) -> tuple[Preprocessing, Binder | None]:
        """The preprocessing and the binder of a model that is used with these words.

        Words that need nothing of the image (`intensity=window:LOW:HIGH` alone) need no binder;
        else the preprocessing is that before the model is bound.

        Raises:
            InputError: the network comes with a preparation of its own.
        """
        if binder is not None or type(preprocessing) is not Preprocessing:
            raise InputError(
                f"expected no {self.text} for a network that comes with its own preparation of "
                "images. Leave it out."
            )
        words = arguments_of(preprocessing)
        takes_planes = not self.spacing and not self.orientation
        scaling = fixed_scaling(self.intensity) if takes_planes else None
        if scaling is not None:
            return FixedPreprocessing(**words, scaling=scaling), None
        unbound = UnboundPreprocessing(**words, words=self.text, takes_planes=takes_planes)
        return unbound, self.bind

    def bind(self, model: Any, image: Tensor, affine: Tensor | None) -> Binding:
        """The binding that prepares an image so; the model's own preprocessing follows."""
        parts, after = self.parts(image.ndim - 1), plain(model.preprocessing)
        made = bound_preprocessing(parts, image, affine, after, multilabel=model.multilabel)
        return Binding(preprocessing=made if parts else after)
