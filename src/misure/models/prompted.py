"""Prompted networks: the mask for each prompt is a class of its own.

    image -> image encoder, once -> mask decoder with all prompts -> logits (N, P, *spatial)

A network may propose several masks for a prompt, with a score for each. On the whole image the one
with the best score is taken; the same one (by its place) is read wherever parts of the image are
hidden, so that an explanation is of one output of the network.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from misure.errors import InputError, MisureWarning, ModelError
from misure.models.binding import Binding
from misure.models.logits import all_finite
from misure.models.outputs import SMALLEST_PROBABILITY
from misure.models.preprocessing import Placement, Preprocessing
from misure.models.prompts import FORMS, Prompt, as_prompts

if TYPE_CHECKING:
    from misure.models.model import SegmentationModel

BEST, SINGLE = "best", "single"
MaskChoice = str | int
"""`best`: the mask with the best score on the whole image; `single`: the network's mask for
prompts that are not ambiguous; a number: the mask at this place."""


class Masks(NamedTuple):
    """What a network proposes for P prompts in each of N images.

    Attributes:
        logits: (N, P, M, *any), M masks for each prompt.
        scores: (N, P, M), the quality that the network predicts for them; None: it predicts none.
    """

    logits: Tensor
    scores: Tensor | None


class PromptableNetwork(nn.Module):
    """A network that draws what prompts name; loaders make subclasses.

    Attributes:
        kinds: which prompts it takes: some of `point`, `box`, `text`.
        num_masks: M, how many masks it proposes for a prompt.
        refusal: what to do instead about prompts of other kinds, in a sentence.
    """

    kinds: tuple[str, ...] = ()
    num_masks: int = 1
    refusal: str = ""

    def encode(
        self, prompts: Sequence[Prompt], spatial: Sequence[int], placement: Placement
    ) -> Any:
        """The prompts as the network takes them, for images of one shape.

        Args:
            prompts: P prompts of its `kinds`.
            spatial: (H, W) of the user's image.
            placement: where its pixels lie in the network's input.
        """
        raise NotImplementedError

    def embed(self, inputs: Tensor) -> Any:
        """What the image encoder makes of inputs (N, C, H', W'): one pass for each."""
        raise NotImplementedError

    def decode(self, embedded: Any, encoded: Any, *, single: bool = False) -> Masks:
        """The masks for each prompt.

        Args:
            embedded: N images, of `embed`.
            encoded: P prompts, of `encode`.
            single: whether to give the one mask for prompts that are not ambiguous.
        """
        raise NotImplementedError

    def masks(self, inputs: Tensor, encoded: Any, *, single: bool = False) -> Masks:
        """The masks for each of P prompts in each of N images, with one pass for each image."""
        return self.decode(self.embed(inputs), encoded, single=single)

    def forward(self, _inputs: Tensor) -> Tensor:
        """Refuses to draw without a prompt."""
        raise InputError(
            f"expected a prompt, this network draws nothing without one. Give prompts, each as "
            f"{FORMS}: load_model(..., prompts=[...]), model.with_prompts([...]) or --prompt."
        )


@dataclass(frozen=True)
class PromptPreprocessing(Preprocessing):
    """The preprocessing of a promptable network; masks come back as in transformers.

    Attributes:
        blends: what is interpolated: `logits` or `probabilities`.
    """

    blends: str = "logits"

    def to_image(self, logits: Tensor, spatial: Sequence[int]) -> Tensor:
        """Logits at the image's own pixels (N, K, *spatial), interpolated without smoothing.

        Args:
            logits: (N, K, *any) for the whole inputs of the network.
            spatial: shape of the user's image.
        """
        placement, numbers = self.placement(spatial), logits
        if self.blends == "probabilities":
            numbers = numbers.sigmoid()
        if not placement.is_whole:
            rows, columns = placement.resized
            top, left = (max(0, -start) for start in placement.corners[0])
            numbers = _interpolated(numbers, placement.input_shape)
            numbers = numbers[..., top : top + rows, left : left + columns]
        numbers = _interpolated(numbers, spatial)
        if self.blends == "probabilities":
            numbers = numbers.clamp(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY).logit()
        return numbers


def as_prompt_preprocessing(known: Preprocessing, blends: str = "logits") -> PromptPreprocessing:
    """The same preprocessing, with masks that come back as in transformers."""
    values = {each.name: getattr(known, each.name) for each in fields(Preprocessing)}
    return PromptPreprocessing(**values, blends=blends)


def _interpolated(logits: Tensor, spatial: Sequence[int]) -> Tensor:
    return F.interpolate(logits, tuple(spatial), mode="bilinear", align_corners=False)


@dataclass(frozen=True, kw_only=True)
class PromptForm:
    """Reads the masks of prompts, each a class with a sigmoid of its own.

    Attributes:
        name: of the network, for messages.
        prompts: P prompts.
        mask: which of several masks is asked for.
        places: the place of the mask that is read for each prompt; empty: not known yet.
        scores: what the network predicts of these masks on the whole image; empty: nothing.
    """

    name: str
    prompts: tuple[Prompt, ...]
    mask: MaskChoice = BEST
    places: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    multilabel: bool = field(default=True, init=False)
    probabilities: bool | None = field(default=False, init=False)

    def read(self, output: Any, inputs: Tensor) -> tuple[Tensor, Self]:
        """Logits (N, P, *any) float32; see `Form`."""
        is_read = isinstance(output, Tensor) and output.shape[:2] == (len(inputs), self.num_classes)
        if not is_read or not all_finite(output):
            shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ModelError(
                f"expected finite masks of {self.num_classes} prompts in {len(inputs)} images, "
                f"{self.name} returned {shape}{' with NaN or infinity' if is_read else ''}."
            )
        return output.float(), self

    @property
    def num_classes(self) -> int:
        """P."""
        return len(self.prompts)

    def settings(self) -> dict[str, Any]:
        """How the output is read, as plain values."""
        return {
            "multilabel": True,
            "probabilities": False,
            "num_classes": self.num_classes,
            "prompts": [prompt.spec for prompt in self.prompts],
            "mask": self.mask,
            "mask_places": list(self.places),
            "mask_scores": list(self.scores),
        }


@dataclass(frozen=True)
class PromptBinder:
    """Binds a model to an image: prompts in the network's pixels, and which mask is read.

    Attributes:
        prompts: P prompts.
        mask: which of several masks is read.
    """

    prompts: tuple[Prompt, ...]
    mask: MaskChoice = BEST

    def __call__(
        self, model: "SegmentationModel", image: Tensor, _affine: Tensor | None
    ) -> Binding:
        """The binding to an image; see `Binder`. It takes one pass.

        Raises:
            InputError: a prompt outside of the image.
        """
        network = network_of(model)
        encoded = encoded_for(model, self.prompts, image.shape[1:])
        single = is_single(network, self.mask)
        masks = masks_of(model, image, encoded, single=single)
        places, scores = chosen(masks, self.mask)
        regions = regions_of(model, masks, places, image.shape[1:])
        _tell_points_beside(model.name, self.prompts, regions)
        form = PromptForm(
            name=model.name, prompts=self.prompts, mask=self.mask, places=places, scores=scores
        )
        net = partial(drawn, network, encoded, places, single)
        return Binding(network=net, form=form)


def drawn(
    network: PromptableNetwork, encoded: Any, places: Sequence[int], single: bool, inputs: Tensor
) -> Tensor:
    """Logits (N, P, *any) of the masks at these places."""
    logits = network.masks(inputs, encoded, single=single).logits
    return torch.stack([logits[:, i, place] for i, place in enumerate(places)], dim=1)


def regions_of(
    model: "SegmentationModel", masks: Masks, places: Sequence[int], spatial: Sequence[int]
) -> Tensor:
    """The pixels (P, H, W) bool of the image that the masks at these places hold."""
    logits = torch.stack([masks.logits[0, i, place] for i, place in enumerate(places)])
    return model.preprocessing.to_image(logits[None].float(), tuple(spatial))[0] > 0


def _tell_points_beside(name: str, prompts: Sequence[Prompt], regions: Tensor) -> None:
    """Warns of prompts whose mask (P, H, W) holds none of their own points."""
    for prompt, region in zip(prompts, regions, strict=True):
        inside = [bool(region[int(row), int(column)]) for row, column in prompt.points]
        if inside and not any(inside):
            what = "is empty" if not bool(region.any()) else "does not hold its own point"
            warnings.warn(
                f"the mask that {name} draws for the prompt {prompt.spec!r} {what}: it may be "
                "another object than the one that is meant. Look at it, move the point, give a "
                "box, or choose another mask (mask=0, 1, ...).",
                MisureWarning,
                stacklevel=3,
            )


def mirrored_network(
    model: "SegmentationModel", spatial: Sequence[int]
) -> Callable[[Tensor], Tensor] | None:
    """What a bound model's network computes for the image mirrored left to right.

    Prompts lie in the mirrored place, and the masks that are read are the same.

    Args:
        model: bound to an image.
        spatial: (H, W) of the image.

    Returns:
        None if the model has no prompts.
    """
    form = None if model.binding is None else model.binding.form
    if not isinstance(form, PromptForm):
        return None
    network = network_of(model)
    prompts = [prompt.mirrored(spatial[1]) for prompt in form.prompts]
    encoded = encoded_for(model, prompts, spatial)
    return partial(drawn, network, encoded, form.places, is_single(network, form.mask))


def is_single(network: PromptableNetwork, mask: MaskChoice) -> bool:
    """Whether a network is asked for one mask alone."""
    return mask == SINGLE or network.num_masks == 1


def chosen(masks: Masks, mask: MaskChoice) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The place of the mask that is read for each prompt in one image, and its score, if known."""
    num_prompts, num_masks = masks.logits.shape[1:3]
    scores = None if masks.scores is None else masks.scores[0].float()
    if isinstance(mask, int):
        places = [mask] * num_prompts
    elif num_masks == 1 or scores is None:
        places = [0] * num_prompts
    else:
        places = scores.argmax(-1).tolist()
    known = [] if scores is None else [float(scores[i, k]) for i, k in enumerate(places)]
    return tuple(places), tuple(round(score, 6) for score in known)


def network_of(model: "SegmentationModel") -> PromptableNetwork:
    """The network of a model that takes prompts.

    Raises:
        InputError: it takes none.
    """
    for part in (model.net, *model.modules):
        if isinstance(part, PromptableNetwork):
            return part
    raise InputError(
        f"expected a network that takes prompts (SAM, SAM-HQ, SAM 2, SAM 3, EdgeTAM, CLIPSeg), "
        f"{model.name} takes images alone. Leave the prompts out."
    )


def encoded_for(
    model: "SegmentationModel", prompts: Sequence[Prompt], spatial: Sequence[int]
) -> Any:
    """Prompts as the network takes them for images of shape (*spatial).

    Raises:
        InputError: a prompt outside of the image.
    """
    if model.windows is not None or model.border_px or model.preprocessing.max_side is not None:
        raise InputError(
            "expected a promptable network to see the whole image at once, got window, border_px "
            "or max_side. Leave them out: prompts are places in the whole image."
        )
    for prompt in prompts:
        prompt.check_inside(spatial)
    placement = model.preprocessing.placement(tuple(spatial))
    with model.borrowed(), torch.no_grad():
        return network_of(model).encode(prompts, tuple(spatial), placement)


def masks_of(
    model: "SegmentationModel", image: Tensor, encoded: Any, *, single: bool = False
) -> Masks:
    """All masks that the network proposes on an image (C, *spatial), by one pass."""
    net = partial(network_of(model).masks, encoded=encoded, single=single)
    masks: Masks = model.with_network(net).raw_output(image[None])
    return masks


def prompt_arguments(
    network: PromptableNetwork, name: str, prompts: Any, mask: Any = BEST
) -> dict[str, Any]:
    """Arguments of SegmentationModel for a promptable network and its prompts.

    Args:
        network: takes prompts.
        name: of the network, for messages.
        prompts: one or several, as texts or as Prompts.
        mask: which of several masks is read.

    Raises:
        InputError: prompts of a kind that the network does not take, or no such mask.
    """
    listed = as_prompts(prompts)
    check_prompts(network, name, listed, mask)
    return {
        "form": PromptForm(name=name, prompts=listed, mask=mask),
        "binder": PromptBinder(listed, mask),
        "class_names": tuple(str(prompt) for prompt in listed),
    }


def check_prompts(
    network: PromptableNetwork, name: str, prompts: Sequence[Prompt], mask: Any
) -> None:
    """Raises an InputError for prompts that a network does not take, or a mask that it has not."""
    for prompt in prompts:
        if other := [kind for kind in prompt.kinds if kind not in network.kinds]:
            raise InputError(
                f"expected prompts by {' or '.join(network.kinds)} for {name}, got a {other[0]}: "
                f"{prompt.spec!r}. {network.refusal}"
            )
    is_number = isinstance(mask, int) and not isinstance(mask, bool)
    if mask in (BEST, SINGLE) or (is_number and 0 <= mask < network.num_masks):
        return
    raise InputError(
        f"expected mask as best, single or a number below {network.num_masks} for {name}, got "
        f"{mask!r}."
    )


def mask_of(model: "SegmentationModel") -> MaskChoice:
    """Which of several masks a model reads."""
    return model.binder.mask if isinstance(model.binder, PromptBinder) else BEST


def prompts_of(model: "SegmentationModel") -> tuple[Prompt, ...]:
    """The prompts of a model; empty if it has none."""
    return model.binder.prompts if isinstance(model.binder, PromptBinder) else ()
