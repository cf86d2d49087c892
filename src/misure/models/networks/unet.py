"""A small U-Net (Ronneberger, Fischer, Brox, arXiv 1505.04597) with batch normalisation."""

import torch
from torch import Tensor, nn


class UNet(nn.Module):
    """Logits (N, K, H, W) of an image batch (N, C, H, W); H and W are multiples of 2^(levels - 1).

    Args:
        num_channels: C.
        num_classes: K.
        widths: number of feature maps at each level, finest first.
    """

    def __init__(self, num_channels: int, num_classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        inputs = (num_channels, *widths[:-1])
        self.down = nn.ModuleList(map(_block, inputs, widths))
        self.pool = nn.MaxPool2d(2)
        finer, coarser = widths[:-1][::-1], widths[::-1]
        self.up = nn.ModuleList(
            _block(below + beside, beside) for below, beside in zip(coarser, finer, strict=False)
        )
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        features: list[Tensor] = []
        for block in self.down:
            features.append(block(self.pool(features[-1]) if features else images))
        x = features.pop()
        for block in self.up:
            x = block(torch.cat([self.enlarge(x), features.pop()], dim=1))
        return self.head(x)  # type: ignore[no-any-return]


def _block(num_inputs: int, num_outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (num_inputs, num_outputs):
        layers += [nn.Conv2d(width, num_outputs, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(num_outputs), nn.ReLU()]
    return nn.Sequential(*layers)
