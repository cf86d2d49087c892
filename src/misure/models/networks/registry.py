"""Networks that can be trained here, by name: misure's small U-Net, and MONAI's in 2D and 3D."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from misure._util.optional import require
from misure._util.suggestions import did_you_mean
from misure.errors import InputError
from misure.models.networks.unet import UNet

Build = Callable[[int, int, int, Sequence[int]], nn.Module]
"""(num_channels, num_classes, spatial_dims, input_size) -> the untrained network."""


@dataclass(frozen=True)
class NetworkKind:
    """How a kind of network is built, and what it needs.

    Attributes:
        build: builds it, untrained.
        size_divisor: every side of its input has to be a multiple of it.
        learning_rate: the one that it trains well with.
        fixed_size: whether it takes images of one size only.
        source: the library that it is from.
    """

    build: Build
    size_divisor: int
    learning_rate: float
    fixed_size: bool = False
    source: str = "MONAI"


def build_network(
    name: str, num_channels: int, num_classes: int, spatial_dims: int, input_size: Sequence[int]
) -> nn.Module:
    """An untrained network.

    Args:
        name: in `NETWORKS`.
        num_channels, num_classes: C and K.
        spatial_dims: 2 or 3.
        input_size: (*spatial) that it is trained on.

    Raises:
        InputError: an unknown name, or a network that does not exist in 3D.
        MissingDependencyError: MONAI is missing.
    """
    if name not in NETWORKS:
        raise InputError(
            f"expected a network among {', '.join(NETWORKS)}, got {name!r}."
            f"{did_you_mean(name, NETWORKS)}"
        )
    return NETWORKS[name].build(num_channels, num_classes, spatial_dims, input_size)


def _own_unet(name: str, widths: tuple[int, ...]) -> Build:
    def build(
        num_channels: int, num_classes: int, spatial_dims: int, _input_size: Sequence[int]
    ) -> nn.Module:
        if spatial_dims != 2:
            raise InputError(f"expected images in 2D for {name}, got 3D. Use unet.")
        return UNet(num_channels, num_classes, widths)

    return build


def _unet(
    num_channels: int, num_classes: int, spatial_dims: int, _input_size: Sequence[int]
) -> nn.Module:
    """Residual U-Net (Kerfoot et al., 2018)."""
    net: nn.Module = _monai().UNet(
        spatial_dims,
        num_channels,
        num_classes,
        channels=(16, 32, 64, 128),
        strides=(2, 2, 2),
        num_res_units=2,
        norm="BATCH",  # instance norm would depend on how much of the image is shown
    )
    return net


def _swinunetr(
    num_channels: int, num_classes: int, spatial_dims: int, _input_size: Sequence[int]
) -> nn.Module:
    """Swin UNETR (Hatamizadeh et al., 2022), small."""
    net: nn.Module = _monai().SwinUNETR(
        in_channels=num_channels,
        out_channels=num_classes,
        feature_size=12,
        depths=(1, 1, 1, 1),
        num_heads=(2, 2, 4, 4),
        spatial_dims=spatial_dims,
    )
    return net


def _unetr(
    num_channels: int, num_classes: int, spatial_dims: int, input_size: Sequence[int]
) -> nn.Module:
    """UNETR (Hatamizadeh et al., 2021), small: every patch of 16 attends to every other."""
    net: nn.Module = _monai().UNETR(
        num_channels,
        num_classes,
        tuple(input_size),
        feature_size=8,
        hidden_size=96,
        mlp_dim=192,
        num_heads=4,
        spatial_dims=spatial_dims,
    )
    return net


def _monai() -> Any:
    return require("monai.networks.nets", extra="train", purpose="build this network")


NETWORKS: dict[str, NetworkKind] = {
    "small_unet": NetworkKind(_own_unet("small_unet", (8, 16, 48, 96)), 8, 4e-3, source="misure"),
    "deep_unet": NetworkKind(
        _own_unet("deep_unet", (8, 16, 48, 96, 96)), 16, 4e-3, source="misure"
    ),
    "unet": NetworkKind(_unet, 8, 4e-3),
    "swinunetr": NetworkKind(_swinunetr, 32, 2e-3),
    "unetr": NetworkKind(_unetr, 16, 1e-3, fixed_size=True),
}
"""Name -> kind. `deep_unet` is `small_unet` with one more level: it sees twice as far."""
