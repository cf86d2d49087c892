"""Reading a network's output: which tensor, where it lies, what its numbers mean; each checked."""

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from misure._util.words import counted
from misure.errors import InputError, ModelError
from misure.models.logits import (
    all_finite,
    look_like_labels,
    look_like_probabilities,
    of_label_map,
    to_classes,
)
from misure.models.outputs import check_queries, find_tensor
from misure.models.sides import check_covers, classes_first


@dataclass(frozen=True, kw_only=True)
class OutputForm:
    """What is known of a network's output; the attributes are arguments of SegmentationModel.

    Attributes:
        output, multilabel, probabilities, num_classes, channels_last, stretch_output, queries: see
            SegmentationModel.
        class_names: K names; empty: not known.
        name: of the network, for messages.
    """

    name: str
    output: str | int | None = None
    multilabel: bool = False
    probabilities: bool | None = None
    class_names: tuple[str, ...] = ()
    num_classes: int | None = None
    channels_last: bool | None = None
    stretch_output: bool = False
    queries: str | None = None

    def __post_init__(self) -> None:
        check_queries(self.queries, multilabel=self.multilabel)
        if self.num_classes is not None and self.num_classes < 1:
            raise InputError(f"expected num_classes of 1 or more, got {self.num_classes}.")
        if self.num_classes is not None and len(self.class_names) not in (0, self.num_classes):
            raise InputError(
                f"expected one class name for each of {self.num_classes} classes, got "
                f"{len(self.class_names)} names."
            )

    @property
    def known_classes(self) -> int | None:
        """K, if num_classes or class_names say it."""
        return self.num_classes or len(self.class_names) or None

    def settings(self) -> dict[str, Any]:
        """How the output is read, as plain values."""
        return {
            "output": self.output,
            "multilabel": self.multilabel,
            "probabilities": bool(self.probabilities),
            "num_classes": self.num_classes,
            "channels_last": self.channels_last,
            "stretch_output": self.stretch_output,
            "queries": self.queries,
        }

    def read(self, output: Any, inputs: Tensor) -> tuple[Tensor, "OutputForm"]:
        """Logits (N, K, *any) float32 of an output, and the form with what it has shown.

        Args:
            output: what the network returned.
            inputs: (N, C, *spatial) that the output stands for.

        Raises:
            ModelError: no such tensor, or one that cannot be what it was taken for.
            InputError: the number of class names is not that of the classes.
        """
        sides = inputs.shape[2:]
        tensor = find_tensor(
            output, len(sides), self.output, num_classes=self.known_classes, queries=self.queries
        )
        if len(tensor) != len(inputs):
            raise ModelError(
                f"expected one output for each of {counted(len(inputs), 'image')}, "
                f"{self.name} returned {tuple(tensor.shape)}."
            )
        logits, form = self._numbers(tensor, inputs)
        form._check_number_of_classes(logits.shape[1])
        if not self.stretch_output:
            check_covers(logits.shape[2:], sides, self.name)
        return logits, form

    def _numbers(self, tensor: Tensor, inputs: Tensor) -> tuple[Tensor, "OutputForm"]:
        sides = inputs.shape[2:]
        if not tensor.is_floating_point():
            return of_label_map(tensor, len(sides), self._needed_classes(tensor)), self
        tensor = classes_first(tensor, sides, self.channels_last, self.known_classes)
        if not all_finite(tensor):
            raise ModelError(
                f"expected finite logits, {self.name} returned NaN or infinity "
                f"for an input between {inputs.min():g} and {inputs.max():g}. Check its weights "
                "and the scale of the image."
            )
        if look_like_labels(tensor, at_most_one=(self.known_classes or 0) > 2):
            return of_label_map(tensor.long(), len(sides), self._needed_classes(tensor)), self
        form = self if self.probabilities is not None else self._as_logits(tensor)
        if form.probabilities and not bool(((tensor >= -1e-3) & (tensor <= 1 + 1e-3)).all()):
            raise ModelError(
                f"expected probabilities in [0, 1], {self.name} returned numbers between "
                f"{tensor.min():g} and {tensor.max():g}. Say probabilities=False if they are "
                "logits."
            )
        logits = to_classes(
            tensor, multilabel=self.multilabel, probabilities=bool(form.probabilities)
        )
        return logits, form

    def _needed_classes(self, tensor: Tensor) -> int:
        if self.multilabel:
            raise ModelError(
                f"expected a score for each class, {self.name} returned one class number for each "
                "pixel. Say multilabel=False."
            )
        if self.known_classes is None:
            raise ModelError(
                f"expected logits or probabilities, {self.name} returned class numbers up to "
                f"{int(tensor.max())}. Say num_classes=..., the number of its classes, or give "
                "class_names."
            )
        return self.known_classes

    def _as_logits(self, tensor: Tensor) -> "OutputForm":
        """The form of logits, unless the first output looks like something else."""
        if look_like_probabilities(tensor, self.multilabel):
            raise ModelError(
                f"expected logits, {self.name} returned numbers between "
                f"{tensor.min():g} and {tensor.max():g} that look like probabilities. Say "
                "probabilities=True if they are, probabilities=False if they are logits."
            )
        if 0 <= float(tensor.min()) < 0.1 and 0.5 < float(tensor.max()) <= 1:
            raise ModelError(
                f"expected logits, {self.name} returned numbers between {tensor.min():g} and "
                f"{tensor.max():g} that do not sum to 1. Say multilabel=True and "
                "probabilities=True if each class has a sigmoid of its own, probabilities=False if "
                "they are logits."
            )
        return replace(self, probabilities=False)

    def _check_number_of_classes(self, num_classes: int) -> None:
        if self.known_classes in (None, num_classes):
            return
        said = "num_classes" if self.num_classes else "names in class_names"
        raise InputError(
            f"expected {num_classes} {said}, one for each class of {self.name}, got "
            f"{self.known_classes}. Correct it"
            + ("; one channel counts as two classes." if num_classes == 2 else ".")
        )
