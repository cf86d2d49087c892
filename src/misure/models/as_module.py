"""A SegmentationModel as a torch module, for libraries that take one.

Preprocessing, reading of the output and resizing are inside, so a library sees images and logits in
the user's own pixels; the network's own layers are inside, too, and can be hooked into.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from misure.errors import InputError

if TYPE_CHECKING:
    from misure.models.model import SegmentationModel
    from misure.models.target import Target

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class SegmentationModule(nn.Module):
    """Images (N, C, *spatial) to logits (N, K, *spatial), at the images' own pixels.

    Layers of the network are `module.net.NAME`, the same objects as in the network itself. The
    network is in evaluation mode during each pass, whatever the mode of this module. Where torch
    records gradients, layers and images get them, even if images do not ask for any and the
    network's parameters are frozen. Passes are counted by the model.

    Args:
        model: the model.
        probabilities: whether to return probabilities, in [0, 1], in place of logits.
        target: a target; then one number a class comes out, (N, K): the mean over its pixels, as
            libraries for networks that classify whole images expect.
    """

    def __init__(
        self,
        model: "SegmentationModel",
        *,
        probabilities: bool = False,
        target: "Target | None" = None,
    ) -> None:
        super().__init__()
        self.model, self.probabilities, self.target = model, probabilities, target
        modules = model.modules
        self.net = model.net if isinstance(model.net, nn.Module) else nn.ModuleList(modules)
        self.training = False  # as it computes; libraries ask

    def forward(self, images: Tensor) -> Tensor:
        """Logits, or probabilities, (N, K, *spatial) float32 of images (N, C, *spatial) of floats.

        One channel of the network becomes two classes, as everywhere in misure. With a target: the
        mean of each class over its pixels, (N, K).

        Raises:
            InputError: other images, or of another shape than the target.
            ModelError: the network raised, or gave no finite logits.
        """
        if not self.model.is_looked_at and isinstance(images, Tensor):
            with _without_hooks(self.net):
                self.model.examine(images[:1].detach())
        wants = torch.is_grad_enabled() and self.model.differentiable
        if wants and isinstance(images, Tensor) and not images.requires_grad:
            images = images.detach().requires_grad_(images.is_floating_point())
        scores = self.model(images)
        if self.probabilities:
            scores = scores.sigmoid() if self.model.multilabel else scores.softmax(1)
        return scores if self.target is None else _means(scores, self.target.region)


def _means(scores: Tensor, region: Tensor) -> Tensor:
    """Means (N, K) of scores (N, K, *spatial) over a region (*spatial)."""
    if scores.shape[2:] != region.shape:
        raise InputError(
            f"expected images of the target's shape {tuple(region.shape)}, got "
            f"{tuple(scores.shape[2:])}."
        )
    return scores[:, :, region.to(scores.device)].mean(2)


@contextmanager
def _without_hooks(net: nn.Module) -> Iterator[None]:
    """A context in which no hook sees what a network does: the first look is none of its passes."""
    kept = [
        (part, name, part.__dict__[name])
        for part in net.modules()
        for name in _HOOKS
        if name in part.__dict__
    ]
    try:
        for part, name, _ in kept:
            part.__dict__[name] = OrderedDict()
        yield
    finally:
        for part, name, hooks in kept:
            part.__dict__[name] = hooks
