"""Three models whose explanation is known exactly, and images for them, in 2D and 3D."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import misure
from misure.explanation.presentation import make_presentations
from misure.explanation.probe import Probe, Reply

SHARPNESS = 10.0  # so low that gradients reach even what is far from being foreground


class OwnBrightness(nn.Module):
    """A pixel is foreground if its first channel is bright: nothing else is needed."""

    def forward(self, images: Tensor) -> Tensor:
        evidence = SHARPNESS * (images[:, :1] - 0.5)
        return torch.cat([-evidence, evidence], dim=1)


class Beacon(nn.Module):
    """A pixel is foreground if its first channel is bright and a whole beacon is seen.

    The beacon is a block of 3 pixels a side that is bright in the last channel; a single missing
    pixel of it is enough for everything to become background.
    """

    def forward(self, images: Tensor) -> Tensor:
        num_dimensions = images.ndim - 2
        pool = {2: F.avg_pool2d, 3: F.avg_pool3d}[num_dimensions]
        seen = pool(images[:, -1:], 3, stride=1).flatten(1).amax(1)
        missing = 1 - 0.5 / 3**num_dimensions
        beacon = (seen - missing).view(-1, 1, *[1] * num_dimensions)
        evidence = SHARPNESS * torch.minimum(images[:, :1] - 0.5, beacon)
        return torch.cat([-evidence, evidence], dim=1)


class Constant(nn.Module):
    """The first eight rows are foreground, whatever the image shows."""

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.zeros(len(images), 2, *images.shape[2:])
        logits[:, 1, :8] = 1.0
        logits[:, 1, 8:] = -1.0
        return logits


def square_image(num_dimensions: int = 2, num_channels: int = 1) -> Tensor:
    """Dark, with a bright block of 5 pixels a side that begins at pixel 10 of each axis."""
    image = torch.zeros(num_channels, *[30] * num_dimensions)
    image[(0, *[slice(10, 15)] * num_dimensions)] = 1.0
    return image


def beacon_image(num_dimensions: int = 2) -> Tensor:
    """The same block, and a beacon whose farthest pixels are exactly 10 px away from it."""
    image = square_image(num_dimensions, num_channels=3)
    image[(2, *beacon_window(num_dimensions))] = 1.0
    return image


def beacon_window(num_dimensions: int) -> tuple[slice, ...]:
    return (*[slice(11, 14)] * (num_dimensions - 1), slice(22, 25))


def beacon_answer(num_dimensions: int) -> Tensor:
    """Target and beacon, and nothing else."""
    image = beacon_image(num_dimensions)
    return image.amax(0) > 0


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
