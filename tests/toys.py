"""Models for tests: the toys of `misure.testing`, whose explanation is known exactly, and others."""

import torch
from torch import Tensor, nn

import misure
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe, Reply
from misure.testing.toys import (  # noqa: F401
    SHARPNESS,
    Beacon,
    Constant,
    OwnBrightness,
    beacon_window,
    square_image,
)

beacon_image, beacon_answer = Beacon.image, Beacon.needed


def random_network(seed: int, num_dimensions: int = 2, num_classes: int = 3) -> nn.Module:
    """Two random convolutions, with batch norm and dropout, in training mode."""
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[num_dimensions]
    norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[num_dimensions]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            convolution(2, 6, 5, padding=2),
            norm(6),
            nn.ReLU(),
            nn.Dropout(0.5),
            convolution(6, num_classes, 5, padding=2),
        )


def random_image(seed: int, num_dimensions: int = 2, size: int = 14) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, *[size] * num_dimensions, generator=generator)


def model_of(net: nn.Module, **options: object) -> misure.SegmentationModel:
    return misure.SegmentationModel(net, **options)  # type: ignore[arg-type]


class Overlap(nn.Module):
    """Two classes that overlap: the whole is brighter than 0.3, its core brighter than 0.7."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images - 0.3, images - 0.7], 1)

    @classmethod
    def model(cls) -> misure.SegmentationModel:
        return misure.SegmentationModel(cls(), multilabel=True, class_names=("whole", "core"))

    @staticmethod
    def image(size: int) -> Tensor:
        image = torch.zeros(1, size, size)
        image[0, 1:9, 1:9], image[0, 3:6, 3:6] = 0.5, 1.0
        return image


class TwoBeacons(Beacon):
    """`Beacon` with a second beacon in the corner of its image: one of the two is enough."""

    @staticmethod
    def image(num_dimensions: int = 2) -> Tensor:
        image = Beacon.image(num_dimensions)
        image[2][(slice(3, 6),) * num_dimensions] = 1.0
        return image


class Inhibitor(nn.Module):
    """Bright pixels are foreground, unless anything is bright in the last channel.

    On `Beacon.image` it draws nothing, until the whole beacon is hidden.
    """

    def forward(self, images: Tensor) -> Tensor:
        num_dimensions = images.ndim - 2
        seen = images[:, -1:].flatten(1).amax(1).view(-1, 1, *[1] * num_dimensions)
        evidence = SHARPNESS * torch.minimum(images[:, :1] - 0.5, 0.5 - seen)
        return torch.cat([-evidence, evidence], dim=1)


class Pair(nn.Module):
    """Class 1 is bright in channel 0, class 2 in channel 1; 1 needs a whole block of 2."""

    def forward(self, images: Tensor) -> Tensor:
        num_axes = images.ndim - 2
        lit = images[:, 1:2].flatten(1).sum(1).view(-1, *[1] * (num_axes + 1))
        own = torch.minimum(images[:, :1] - 0.5, lit - 3**num_axes + 0.5)
        return torch.cat([torch.zeros_like(own), own, images[:, 1:2] - 0.5], 1)

    @staticmethod
    def image(num_dimensions: int = 2) -> Tensor:
        image = square_image(num_dimensions, num_channels=2)
        image[(1, *[slice(22, 25)] * num_dimensions)] = 1
        return image


class ByChannel(nn.Module):
    """A pixel is foreground if the channels that a rule reads are bright there.

    Args:
        rule: how much brighter than 0.5 the pixels are, by the brightness above 0.5 of each channel
            (C, N, *spatial).
    """

    def __init__(self, rule) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, images: Tensor) -> Tensor:
        evidence = SHARPNESS * self.rule(images.movedim(1, 0) - 0.5)[:, None]
        return torch.cat([-evidence, evidence], 1)

    @staticmethod
    def image(num_dimensions: int = 2, num_channels: int = 4) -> Tensor:
        """A dark image with a bright block of 6 pixels a side in all channels, in its middle."""
        image = torch.zeros(num_channels, *[20] * num_dimensions)
        image[(slice(None), *[slice(7, 13)] * num_dimensions)] = 1
        return image


def left_and_right(channels: Tensor) -> Tensor:
    """A rule of `ByChannel`: channel 0 left of column 10, channel 1 from there on."""
    is_left = torch.arange(channels.shape[-1], device=channels.device) < 10
    return torch.where(is_left, channels[0], channels[1])


def far_trial(size: int = 200, edge_px: int = 0) -> Probe:
    """A small target in the corner of a large image; the model does not matter."""
    region = torch.zeros(size, size, dtype=torch.bool)
    region[5:10, 5:10] = True
    target = misure.Target(1, region, torch.zeros_like(region))
    image = torch.zeros(1, size, size)
    model = model_of(OwnBrightness())
    return Probe(target, make_presentations(model, image, edge_px=edge_px))


def drive(search, suffices=None, *, reply=None):
    """Answers a search's questions until it returns; gives its result and the number of passes."""
    reply = reply or (lambda query: [0.95 if suffices(region) else 0.1 for region in query.regions])
    dices, num_passes = None, 0
    while True:
        try:
            query = search.send(dices)
        except StopIteration as stop:
            return stop.value, num_passes
        num_passes += len(query.regions)
        found = reply(query)
        dices = [one if isinstance(one, Reply) else Reply(one) for one in found]
