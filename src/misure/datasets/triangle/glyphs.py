"""Small grey pictures to place on a canvas: handwritten digits, or the user's Fashion-MNIST.

The digits are the test part of *Optical Recognition of Handwritten Digits* (E. Alpaydin, C. Kaynak,
1998; UCI Machine Learning Repository, https://doi.org/10.24432/C50P49), licensed under CC BY 4.0.
They lie in `digits.npz`, with values and order unchanged; `DIGITS.md` beside it names source and
licence.
"""

import gzip
import struct
from pathlib import Path

import numpy as np

from misure.errors import InputError, MissingDataError

Glyphs = dict[int, "np.ndarray[tuple[int, int, int], np.dtype[np.float32]]"]
"""Class of the glyphs -> (num_glyphs, height, width) float32 in [0, 1]."""

_DIGITS = Path(__file__).with_name("digits.npz")
_SPLITS = ("train", "test")
_IDX_LIMIT_BYTES = 200_000_000


def read_glyphs(source: str | Path, split: str) -> Glyphs:
    """The glyphs of one split, by class; no glyph is in both splits.

    Args:
        source: `digits` (8 x 8, shipped with misure) or a folder that holds the four
            `*-ubyte` or `*-ubyte.gz` files of Fashion-MNIST (28 x 28).
        split: `train` or `test`. Every fifth digit is a test glyph.

    Raises:
        InputError: an unknown split, or a file that is not in the IDX format.
        MissingDataError: the folder lacks one of the files.
    """
    if split not in _SPLITS:
        raise InputError(f"expected split 'train' or 'test', got {split!r}.")
    images, classes = _digits(split) if source == "digits" else _fashion_mnist(Path(source), split)
    return {int(k): images[classes == k] for k in np.unique(classes)}


def _digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(_DIGITS, allow_pickle=False) as arrays:
        images, classes = arrays["images"], arrays["classes"]
    in_test = np.arange(len(classes)) % 5 == 0
    chosen = in_test if split == "test" else ~in_test
    return (images[chosen] / 16).astype(np.float32), classes[chosen]


def _fashion_mnist(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    prefix = "t10k" if split == "test" else "train"
    images = _read_idx(folder, f"{prefix}-images-idx3-ubyte", num_dimensions=3)
    classes = _read_idx(folder, f"{prefix}-labels-idx1-ubyte", num_dimensions=1)
    if len(images) != len(classes):
        raise InputError(
            f"expected as many labels as images in {folder}, "
            f"got {len(classes)} and {len(images)}. Fetch the files again."
        )
    return (images / 255).astype(np.float32), classes


def _read_idx(folder: Path, name: str, num_dimensions: int) -> np.ndarray:
    plain, packed = folder / name, folder / f"{name}.gz"
    if not plain.is_file() and not packed.is_file():
        raise MissingDataError(
            f"expected {name} or {name}.gz in {folder}, found neither. Put the four "
            "Fashion-MNIST files of https://github.com/zalandoresearch/fashion-mnist there."
        )
    try:
        with plain.open("rb") if plain.is_file() else gzip.open(packed) as file:
            content = file.read(_IDX_LIMIT_BYTES)
        header = struct.unpack(f">HBB{num_dimensions}I", content[: 4 + 4 * num_dimensions])
        shape = header[3:]
        if header[:3] != (0, 8, num_dimensions):
            raise ValueError(f"the header is {header[:3]}")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * num_dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise InputError(
            f"expected {folder / name} to be an IDX file of unsigned bytes with "
            f"{num_dimensions} dimensions, but {error}. Fetch it again."
        ) from error
