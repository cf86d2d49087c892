"""A loader of your own: a network that finds pixels brighter than a number, as `brighter:0.5`."""

from typing import Any

import torch
from torch import Tensor, nn

from misure.models.loaders import loader


class Brighter(nn.Module):
    """Logits (N, 2, *spatial): a pixel is foreground if its first channel is above a threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, images: Tensor) -> Tensor:
        evidence = 10 * (images[:, :1] - self.threshold)
        return torch.cat([-evidence, evidence], dim=1)


@loader("brighter", usage="brighter:THRESHOLD")
def load(argument: str, _device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """A network that finds pixels brighter than a threshold."""
    return Brighter(float(argument)), {"class_names": ["dark", "bright"]}
