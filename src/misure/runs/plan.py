"""What a run does with every sample."""

import hashlib
from typing import Any, Literal

import torch
from msgspec import field
from msgspec.structs import force_setattr
from torch import Tensor

from misure._util.records import Record
from misure._util.seeds import seed_of
from misure.errors import InputError
from misure.explanation.answers.shares import CHANNELS, SUFFICIENT, USUAL_PASSES, as_questions
from misure.explanation.answers.whole import check_answerable
from misure.methods import METHODS
from misure.models.model import SegmentationModel

MOST_THUMBNAIL_PX = 8192

_OF_ANSWER = ("preset", "max_passes", "dice_threshold")  # its own arguments, no options


class RunPlan(Record, frozen=True, kw_only=True):
    """What to explain in every sample, and how.

    Attributes:
        objects: which objects of a sample: `all`; or `asked`, one a sample, as `explain` and
            `compare` choose it (see `asked_target`).
        classes: names or numbers of the classes to explain; empty: all but the background.
            With `asked` at most one.
        instances: each connected object by itself, instead of each class as a whole.
        instance: with `asked` only this connected object of the class, 0 the largest.
        min_area: smallest object, as a fraction of the image, in [0, 1); `asked` takes any.
        method: name in `METHODS`.
        method_options: options of the method.
        questions: what is asked about each object, among `sufficient`, `necessary`,
            `surroundings`, `reasons`, `effects` and `channels`; or `all`, which is all of them but
            `channels`. What suffices is always found. More than that by the method `misure` alone,
            as `misure.answer` does it: `max_passes` is for all of it together.
        lost_dice: Dice down to which an object counts as lost, in [0, 1).
        robust: the share of all baseline images, in (0, 1), on which the region should suffice: its
            search accepts only what suffices on some of them, and the record says how sure it
            is. Other images of the data set are among them. None: not asked.
        dice_threshold: Dice from which a target counts as preserved, in (0, 1].
        seed: of the run; each sample has a seed of its own, made of this one and its key. With
            `asked` all samples have this one, as in `explain`.
        test_time_augmentation: also record how well each object is segmented again on slightly
            changed images (see `augmented_dices`), which takes four forward passes a sample.
        thumbnail_px: longer side of the images that are kept for the report, at most; larger images
            are shrunk.
    """

    objects: Literal["all", "asked"] = "all"
    classes: tuple[str, ...] = ()
    instances: bool = False
    instance: int | None = None
    min_area: float = 0.001
    method: str = "misure"
    method_options: dict[str, Any] = field(default_factory=dict)
    questions: tuple[str, ...] = (SUFFICIENT,)
    lost_dice: float = 0.5
    robust: float | None = None
    dice_threshold: float = 0.9
    seed: int = 0
    test_time_augmentation: bool = False
    thumbnail_px: int = 384

    def __post_init__(self) -> None:
        force_setattr(self, "classes", tuple(self.classes))
        force_setattr(self, "method_options", dict(self.method_options))
        force_setattr(self, "questions", as_questions(self.questions))

    @property
    def asks_more(self) -> bool:
        """Whether anything is asked besides what suffices."""
        return self.questions != (SUFFICIENT,) or self.robust is not None

    def check(self, model: SegmentationModel) -> None:
        """Raises an InputError if something makes no sense, before any work is done."""
        method = METHODS.find(self.method)
        if self.objects == "asked":  # a comparison goes on if one of its methods cannot explain
            method.check_options(model, self.method_options)
        else:
            method.check(model, self.method_options)
        self._check_objects()
        if self.asks_more:
            self._check_questions()
        if CHANNELS in self.questions and model.num_channels == 1:
            raise InputError(
                f"expected a network of two channels or more for the question channels, "
                f"{model.name} takes one."
            )
        for name in self.classes:
            model.find_class(name)
        if not 16 <= self.thumbnail_px <= MOST_THUMBNAIL_PX:
            raise InputError(
                f"expected thumbnail_px from 16 to {MOST_THUMBNAIL_PX:,}, got {self.thumbnail_px}."
            )
        if not 0 <= self.min_area < 1 or not 0 < self.dice_threshold <= 1:
            raise InputError(
                f"expected min_area in [0, 1) and dice_threshold in (0, 1], got {self.min_area} "
                f"and {self.dice_threshold}."
            )

    def plain_options(self) -> dict[str, Any]:
        """The method's options as plain values; a tensor as the word and a hash of its values."""
        return {
            name: f"tensor {_hash_of(value)}" if isinstance(value, Tensor) else value
            for name, value in self.method_options.items()
        }

    def _check_objects(self) -> None:
        if self.objects not in ("all", "asked"):
            raise InputError(f"expected objects all or asked, got {self.objects!r}.")
        if self.objects == "all" and self.instance is not None:
            raise InputError(
                f"expected instance with objects asked only, got {self.instance} with all. Leave "
                "it out, or set instances."
            )
        if self.objects == "asked" and (len(self.classes) > 1 or self.instances):
            raise InputError(
                "expected at most one class and no instances with objects asked, got "
                f"{', '.join(self.classes) or 'none'} and instances={self.instances}."
            )

    def _check_questions(self) -> None:
        if self.method != "misure" or self.objects == "asked":
            raise InputError(
                f"expected questions and robust with the method misure and all objects, got them "
                f"with {self.method} and objects {self.objects}."
            )
        given = self.method_options
        if "robust" in given:
            raise InputError(
                f"expected robust of the run itself if more is asked, got {given['robust']} among "
                "the options of the method. Set robust (--robust)."
            )
        check_answerable(
            self.questions,
            lost_dice=self.lost_dice,
            robust=self.robust,
            preset=given.get("preset"),
            max_passes=given.get("max_passes") or USUAL_PASSES,
            options={name: value for name, value in given.items() if name not in _OF_ANSWER},
        )

    def seed_of(self, key: str) -> int:
        """The seed of a sample, in [0, 2**32)."""
        return self.seed if self.objects == "asked" else seed_of(f"{self.seed}:{key}")


def _hash_of(tensor: Tensor) -> str:
    values = tensor.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{values.dtype} {tuple(values.shape)}".encode())
    digest.update(values.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
