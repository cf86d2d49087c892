"""Bindings: what a network needs to know of the one image that it is asked about.

Some networks are no function of the pixels alone: voxel spacing decides how a volume is resampled,
its own statistics how it is scaled, and a detector's outputs are lists of objects that mean
something for this image only. A model is therefore bound to an image before it is explained (see
`SegmentationModel.for_image`). What was taken from the whole image stays as it was while parts of
it are hidden, so that an explanation is of the network, and not of how its input is scaled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from torch import Tensor

from misure._util.short_repr import ShortRepr
from misure.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from misure.models.model import SegmentationModel


class Form(Protocol):
    """What is known of a network's output, and how logits are read from it."""

    @property
    def multilabel(self) -> bool:
        """Whether each class has a sigmoid of its own."""
        ...

    @property
    def probabilities(self) -> bool | None:
        """Whether the network returns probabilities; None: not known yet."""
        ...

    def read(self, output: Any, inputs: Tensor) -> tuple[Tensor, Self]:
        """Logits (N, K, *any) float32 of an output, and the form with what it has shown.

        Args:
            output: what the network returned.
            inputs: (N, C, *spatial) that the output stands for.

        Raises:
            ModelError: the output cannot be read so.
        """
        ...

    def settings(self) -> dict[str, Any]:
        """How the output is read, as plain values."""
        ...


@runtime_checkable
class PixelForm(Form, Protocol):
    """A form that brings logits to the pixels of the user's image by itself."""

    def read_pixels(
        self, output: Any, inputs: Tensor, preprocessing: Preprocessing, spatial: Sequence[int]
    ) -> Tensor:
        """Logits (N, K, *spatial) float32 of an output.

        Args:
            output: what the network returned.
            inputs: (N, C, *spatial') that the output stands for.
            preprocessing: how the images came to the network.
            spatial: of the user's images.
        """
        ...


@runtime_checkable
class MovableForm(Form, Protocol):
    """A form that knows where in the image the objects are."""

    def moved(self, move: Callable[[Tensor], Tensor]) -> Self:
        """The form for an image whose pixels lie elsewhere (see `Binding.moved`)."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class FoundObject(ShortRepr):
    """One object as the network itself reports it.

    Attributes:
        class_index: its class, 0 to K - 1.
        score: the network's, in [0, 1].
        region: (*spatial) bool, the pixels that the network gives to it.
    """

    class_index: int
    score: float
    region: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Binding(ShortRepr):
    """What a model fixes for one image.

    Attributes:
        preprocessing: what happens to the image, with what was taken from it; None: the model's.
        objects: what the network reports on the image, the best score first.
        objects_form: reads logits (N, M, *any), one channel for each of the M objects: how the
            network now draws it; None: it reports no objects.
        network: what the network computes for this image (with its prompts), from inputs, by the
            model's own modules; None: the same as for any image.
        form: how the output is read for this image; None: as for any image.
    """

    preprocessing: Preprocessing | None = None
    objects: tuple[FoundObject, ...] = ()
    objects_form: Form | None = None
    network: Callable[[Tensor], Any] | None = None
    form: Form | None = None

    def moved(self, move: Callable[[Tensor], Tensor]) -> "Binding":
        """The binding to an image whose pixels lie elsewhere: mirrored, or shifted.

        Args:
            move: (*spatial) bool -> where these pixels lie then.
        """
        objects = (replace(one, region=move(one.region)) for one in self.objects)
        form = self.objects_form
        form = form.moved(move) if isinstance(form, MovableForm) else form
        return replace(self, objects=tuple(objects), objects_form=form)


Binder = Callable[["SegmentationModel", Tensor, Tensor | None], Binding]
"""(model, image (C, *spatial), affine (4, 4) to millimetres or None) -> the binding to this image.

It may show the image to the model. It raises an InputError if it needs an affine and gets none.
"""
