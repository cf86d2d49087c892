"""What a run does with every sample."""

from typing import Any

from msgspec import field
from msgspec.structs import force_setattr

from misure._util.records import Record
from misure._util.seeds import seed_of
from misure.errors import InputError
from misure.methods import METHODS
from misure.methods.own import PRESET_OF, check_own_options
from misure.models.model import SegmentationModel


class RunPlan(Record, frozen=True, kw_only=True):
    """What to explain in every sample, and how.

    Attributes:
        classes: names or numbers of the classes to explain; empty: all but class 0.
        instances: each connected object by itself, instead of each class as a whole.
        min_area: smallest object, as a fraction of the image, in [0, 1).
        method: name in `METHODS`.
        method_options: options of the method.
        dice_threshold: Dice from which a target counts as preserved, in (0, 1].
        seed: of the run; each sample has a seed of its own, made of this one and its key.
        test_time_augmentation: also record how well each object is segmented again on slightly
            changed images (see `augmented_dices`), which takes four forward passes a sample.
    """

    classes: tuple[str, ...] = ()
    instances: bool = False
    min_area: float = 0.001
    method: str = "misure"
    method_options: dict[str, Any] = field(default_factory=dict)
    dice_threshold: float = 0.9
    seed: int = 0
    test_time_augmentation: bool = False

    def __post_init__(self) -> None:
        force_setattr(self, "classes", tuple(self.classes))
        force_setattr(self, "method_options", dict(self.method_options))

    def check(self, model: SegmentationModel) -> None:
        """Raises an InputError if something makes no sense, before any work is done."""
        if self.method not in METHODS:
            raise InputError(f"expected a method among {', '.join(METHODS)}, got {self.method!r}.")
        METHODS[self.method].check_options(self.method_options)
        if self.method in PRESET_OF:
            check_own_options(self.method, model, self.method_options)
        for name in self.classes:
            model.find_class(name)
        if not 0 <= self.min_area < 1 or not 0 < self.dice_threshold <= 1:
            raise InputError(
                f"expected min_area in [0, 1) and dice_threshold in (0, 1], got {self.min_area} "
                f"and {self.dice_threshold}."
            )

    def seed_of(self, key: str) -> int:
        """The seed of a sample, in [0, 2**32)."""
        return seed_of(f"{self.seed}:{key}")
