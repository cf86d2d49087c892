"""The scaling of volumes by numbers that are known before any image is."""

from dataclasses import dataclass

from torch import Tensor

from misure.images.intensity import Scaling, check_number_of_rules
from misure.models.preprocessing import Preprocessing


@dataclass(frozen=True)
class FixedPreprocessing(Preprocessing):
    """Volumes are scaled, all else follows; planes come scaled (see `misure.images.read`).

    Attributes:
        scaling: the same for every volume; None: they stay as they are.
    """

    scaling: Scaling | None = None

    def mean_colour_of(self, image: Tensor) -> tuple[float, ...] | None:
        if self.scaling is None or image.ndim != 4:
            return self.mean
        return self.scaling.undone(self.mean or (0.0,))

    def to_input(self, images: Tensor) -> Tensor:
        if self.scaling is not None and images.ndim == 5:
            check_number_of_rules(self.scaling.shift, images.shape[1])
            images = self.scaling(images)
        return super().to_input(images)
