"""What is handed over in place of a model or an image, and what it stands for.

One place decides for all public functions: a bare torch module becomes a model, a picture or an
array becomes (C, *spatial) floats. What could mean two things is refused with the sentence that
says how to write either. `given_target` does the same for targets.
"""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from misure._util.words import counted
from misure.errors import InputError
from misure.images.pictures import byte_pixels
from misure.images.read import check_image, read_image
from misure.images.volumes import volume_of
from misure.models.model import SegmentationModel
from misure.models.sides import CHANNELS, seem_channels_last

AnyImage = Tensor | np.ndarray | Image.Image | str | PathLike[str] | Sequence[str | PathLike[str]]


def as_model(model: Any, class_names: str | Sequence[str] = ()) -> SegmentationModel:
    """The model that is meant: a SegmentationModel, or a module that takes images as they are.

    Args:
        model: either of them.
        class_names: of the module's classes, in their order; empty: they have none.

    Raises:
        InputError: anything else, or names for a model that is not to get any.
    """
    if isinstance(model, SegmentationModel):
        if class_names:
            raise InputError(
                f"expected class_names with a torch module alone, got them with {model.name}. Give "
                "them to SegmentationModel(...)."
            )
        return model
    if isinstance(model, nn.Module):
        return SegmentationModel(model, class_names=class_names)
    cure = "load_model(...)" if isinstance(model, (str, PathLike)) else "SegmentationModel(...)"
    raise InputError(
        f"expected a SegmentationModel or a torch module, got {type(model).__name__}. Make one "
        f"with {cure}."
    )


def as_image(image: Any, model: SegmentationModel) -> Tensor:
    """The image (C, *spatial) float32 that is meant.

    - Tensors and arrays of floats: (C, *spatial); (H, W) is one channel; (H, W, C) if they can be
      nothing else: the model's number of channels comes last and not first, or, if that is not
      known, 1, 3 or 4 channels come last and too many for channels first.
    - Tensors and arrays of uint8: (H, W), (C, H, W) or (H, W, C) with 1, 3 or 4 channels, divided
      by 255.
    - Tensors of MONAI that carry an affine: the same; one of a volume's own shape, which has no
      channels yet, is one channel (I, J, K). `affine_of` is their affine.
    - Pictures of Pillow, and paths: as `read_image` reads them for the model; a list of paths is
      one image, each file a channel.

    Raises:
        InputError: anything else, what could be either, or what is not finite.
    """
    if isinstance(image, (str, PathLike)) or are_paths(image):
        given = read_image(
            image,
            num_channels=model.num_channels,
            intensity=model.intensity,
            volumes_as_they_are=True,
        )
    elif isinstance(image, Image.Image):
        given = _of_picture(image, model.num_channels)
    elif isinstance(image, (Tensor, np.ndarray)):
        given = _of_numbers(image)
    else:
        raise InputError(
            "expected an image (C, [D,] H, W) as a tensor or an array, a picture or a path, got "
            f"{type(image).__name__}."
        )
    given = _channels_first(given, model)
    check_image(given)
    return given


def are_paths(image: Any) -> bool:
    """Whether an image is a list of paths, one for each channel."""
    is_list = isinstance(image, (list, tuple)) and len(image) > 0
    return is_list and all(isinstance(one, (str, PathLike)) for one in image)


def path_of(image: Any) -> str:
    """The file that an image was given as, or those of its channels with commas; else empty."""
    if are_paths(image):
        return ",".join(map(str, image))
    return str(image) if isinstance(image, (str, PathLike)) else ""


def affine_for(model: SegmentationModel, image: Any) -> Tensor | None:
    """The affine of what stands for an image, if the model wants to know it (see `affine_of`).

    A file is not opened for it otherwise.
    """
    return None if model.binder is None else affine_of(image)


def affine_of(image: Any) -> Tensor | None:
    """The affine (4, 4) float64 to millimetres (RAS+) of what stands for an image.

    It is that of a volume in a file, or in several that are its channels, and of a tensor that
    carries one in `affine` (MONAI's MetaTensor). None: it has none.

    Raises:
        InputError: the file is missing or damaged, or the affine is not finite.
    """
    if isinstance(image, (str, PathLike)) or are_paths(image):
        volume = volume_of(image)
        if volume is None or not volume.has_spacing:
            return None
        return torch.from_numpy(volume.affine)
    carried = getattr(image, "affine", None) if isinstance(image, Tensor) else None
    is_made_up = "affine" not in getattr(image, "meta", {"affine": None})  # by MONAI
    if not isinstance(carried, Tensor) or carried.shape != (4, 4) or is_made_up:
        return None
    if not bool(torch.isfinite(carried).all()):
        raise InputError(f"expected an affine (4, 4) with the image, got {carried.tolist()}.")
    return carried.detach().as_subclass(Tensor).to("cpu", torch.float64)


def _lacks_channels(image: Tensor) -> bool:
    """Whether a tensor of MONAI is a volume (I, J, K) as it was read, without channels."""
    shape = getattr(image, "meta", {}).get("spatial_shape", ())
    return image.ndim == 3 and tuple(int(side) for side in shape) == tuple(image.shape)


def _of_picture(picture: Image.Image, num_channels: int | None) -> Tensor:
    if picture.mode.startswith(("I", "F")):
        raise InputError(
            f"expected a picture of 8 bits a channel, got one of mode {picture.mode}. Give its "
            "numbers as an array of floats, or its file to read_image."
        )
    if num_channels not in (None, 1, 3):
        raise InputError(
            f"expected an image with {counted(num_channels, 'channel')}, got a picture."
        )
    pixels = byte_pixels(ImageOps.exif_transpose(picture), num_channels)
    return torch.from_numpy(pixels.astype(np.float32) / 255)


def _of_numbers(image: "Tensor | np.ndarray") -> Tensor:
    if isinstance(image, np.ndarray):
        if image.dtype.kind not in "buif":
            raise InputError(f"expected an image of numbers, got {image.dtype}.")
        native = np.array(image, dtype=image.dtype.newbyteorder("="), order="C")
        tensor = torch.from_numpy(native.astype(np.float32) if native.dtype.kind == "f" else native)
    else:
        plain = image.as_subclass(Tensor)
        plain = plain[None] if _lacks_channels(image) else plain
        tensor = plain.clone() if plain.is_inference() else plain.detach()
    if tensor.dtype == torch.uint8:
        tensor = _of_bytes(tensor)
    if tensor.ndim == 2 and tensor.is_floating_point():
        tensor = tensor[None]
    return tensor.float() if tensor.is_floating_point() else tensor


def _of_bytes(image: Tensor) -> Tensor:
    """Floats in [0, 1] of bytes (H, W), (C, H, W) or (H, W, C)."""
    shape = tuple(image.shape)
    is_first, is_last = (
        image.ndim == 3 and num in CHANNELS for num in (image.shape[0], image.shape[-1])
    )
    if image.ndim != 2 and is_first == is_last:
        raise InputError(
            f"expected bytes (C, H, W) or (H, W, C) with 1, 3 or 4 channels, got {shape}, which is "
            f"{'either' if is_first else 'neither'}. Give floats (C, *spatial)."
        )
    if int(image.max()) == 1:
        raise InputError(
            f"expected bytes from 0 to 255, got none above 1 in {shape}. Give floats (C, *spatial)."
        )
    first = image.movedim(-1, 0) if is_last else image
    return (first[None] if image.ndim == 2 else first).float() / 255


def _channels_first(image: Tensor, model: SegmentationModel) -> Tensor:
    """The image with its channels first; one with a batch axis that is one too many is refused."""
    shape, num_channels = tuple(image.shape), model.num_channels
    known_last = num_channels is not None and shape[-1:] == (num_channels,) != shape[:1]
    if image.ndim == 3 and (known_last if num_channels else seem_channels_last(shape)):
        return image.movedim(-1, 0).contiguous()
    if image.ndim == 4 and num_channels and shape[0] == 1 != num_channels == shape[1]:
        raise InputError(
            f"expected an image (C, H, W), got {shape}: the batch axis is one too many. Give "
            "image[0]."
        )
    return image
