"""Triangle: pictures in which only the arrangement tells foreground from distractor.

Small glyphs, all of one class, lie on a dark canvas. Three of them stand on the corners of an
equilateral triangle with a known side: these are the foreground. The others are distractors: single
glyphs, and *decoy pairs* that stand at the very same distance from each other but lack their third
corner. So neither the look of a glyph nor one neighbour decides, only both other corners do, and
the pixels that a right explanation of one corner must contain are known: all three glyphs.

With `disc=True` a disc is needed besides: half of the samples have none and then nothing is
foreground. It is a context object that no segmentation ever contains.

The construction of the paper (arXiv 2406.12173) is not at hand; this one is ours.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from misure.datasets.sample import Sample
from misure.datasets.triangle.glyphs import Glyphs, read_glyphs
from misure.errors import InputError

CLASS_NAMES = ("background", "triangle")
MEAN = (0.0,)
"""A removed pixel is a dark one, as on the canvas."""

STROKE_GREY = 0.3
"""Grey level from which a pixel belongs to its glyph."""

_TRIES = 2000


@dataclass(frozen=True, repr=False)
class TriangleSample(Sample):
    """One canvas.

    Attributes:
        key: `triangle-<split>-<seed>-<index>`.
        image: (1, size_px, size_px) float in [0, 1].
        annotation: (size_px, size_px) int64: 1 on the strokes of all corner glyphs, else 0.
        relevance: (size_px, size_px) bool: what a right explanation of any corner glyph of the
            first triangle must contain: the strokes of its three glyphs, and the disc if there is
            one.
        corners: a pixel (row, column) on the stroke of each of these three glyphs; empty without
            foreground.
        point: the first corner; None without foreground.
    """

    annotation: Tensor
    relevance: Tensor
    corners: tuple[tuple[int, int], ...] = ()


class TriangleDataset:
    """Triangle samples, made on demand and the same for the same arguments.

    Args:
        num_samples: length of the data set.
        seed: any non-negative integer.
        split: `train` or `test`; the splits share no glyph and no arrangement.
        size_px: side of the square canvas.
        side_px: distance between two corners; by default a third of `size_px`.
        glyph_px: side of a glyph; by default an eighth of `size_px`.
        num_triangles: number of triangles. With two, the class is six glyphs, and each triangle
            needs only its own three.
        num_decoy_pairs, num_distractors: number of decoy pairs, and of single distractors.
        disc: the variant in which nothing is foreground without a disc.
        empty_fraction: fraction of samples without a triangle; a decoy pair replaces it.
        glyphs: `digits`, or a folder with the Fashion-MNIST files (see `read_glyphs`).

    Raises:
        InputError: the canvas is too small for what is to be placed on it.

    >>> dataset = TriangleDataset(2, seed=1)
    >>> dataset[0].image.shape, int(dataset[0].annotation.max()), len(dataset[0].corners)
    (torch.Size([1, 96, 96]), 1, 3)
    >>> bool((dataset[1].image == TriangleDataset(2, seed=1)[1].image).all())
    True
    """

    def __init__(
        self,
        num_samples: int,
        *,
        seed: int = 0,
        split: str = "test",
        size_px: int = 96,
        side_px: float | None = None,
        glyph_px: int | None = None,
        num_triangles: int = 1,
        num_decoy_pairs: int = 1,
        num_distractors: int = 2,
        disc: bool = False,
        empty_fraction: float = 0.0,
        glyphs: str | Path = "digits",
    ) -> None:
        self.num_samples, self.seed, self.split, self.size_px = num_samples, seed, split, size_px
        self.side_px = size_px / 3 if side_px is None else side_px
        self.glyph_px = max(4, size_px // 8) if glyph_px is None else glyph_px
        self.num_triangles = num_triangles
        self.num_decoy_pairs, self.num_distractors = num_decoy_pairs, num_distractors
        self.disc, self.empty_fraction = disc, empty_fraction
        self._glyphs: Glyphs = read_glyphs(glyphs, split)
        if num_triangles < 1:
            raise InputError(
                f"expected num_triangles of 1 or more, got {num_triangles}. For "
                "canvases without any use empty_fraction=1."
            )
        if not self.glyph_px * 1.3 <= self.side_px <= 0.6 * size_px:
            raise InputError(
                "expected side_px between 1.3 x glyph_px and 0.6 x size_px, got "
                f"{self.side_px:g} with glyph_px {self.glyph_px} and size_px {size_px}."
            )

    @property
    def keys(self) -> list[str]:
        """The keys of all samples, in order."""
        return [self._key(index) for index in range(self.num_samples)]

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, index: int) -> TriangleSample:
        if not 0 <= index < self.num_samples:
            raise IndexError(f"sample {index} of {self.num_samples}")
        rng = np.random.default_rng([self.seed, 0 if self.split == "train" else 1, index])
        has_triangle = bool(rng.random() >= self.empty_fraction)
        has_disc = self.disc and bool(rng.random() >= 0.5)
        layout = self._arrange(rng, has_triangle)
        canvas = _Canvas(self.size_px, rng)
        glyph_class = rng.choice(sorted(self._glyphs))
        for centre in layout.glyphs:
            grey = self._glyphs[glyph_class][rng.integers(len(self._glyphs[glyph_class]))]
            canvas.paste(grey, centre, self.glyph_px)
        if has_disc:
            canvas.paste_disc(layout.disc, self.glyph_px / 2)
        return self._sample(index, canvas, foreground=has_triangle and has_disc >= self.disc)

    def _sample(self, index: int, canvas: "_Canvas", foreground: bool) -> TriangleSample:
        corners = canvas.strokes[:3] if foreground else []
        nothing = np.zeros((self.size_px, self.size_px), bool)
        drawn = canvas.strokes[: 3 * self.num_triangles] if foreground else []
        annotation = np.logical_or.reduce([nothing, *drawn])
        relevance = np.logical_or.reduce(
            [nothing, *corners, *([canvas.disc] if foreground else [])]
        )
        pixels = tuple(_central_pixel(stroke) for stroke in corners)
        return TriangleSample(
            key=self._key(index),
            image=torch.from_numpy(canvas.grey)[None],
            annotation=torch.from_numpy(annotation).long(),
            relevance=torch.from_numpy(relevance),
            point=pixels[0] if pixels else None,
            corners=pixels,
        )

    def _key(self, index: int) -> str:
        return f"triangle-{self.split}-{self.seed}-{index}"

    def _arrange(self, rng: np.random.Generator, has_triangle: bool) -> "_Layout":
        """Places the triangle first, so that the first three glyphs are the corners."""
        for _ in range(50):
            layout = _Layout(self.size_px, self.glyph_px, self.side_px, rng)
            first = _triangle(self.side_px) if has_triangle else _pair(self.side_px)
            groups = [first] * self.num_triangles
            groups += [_pair(self.side_px)] * self.num_decoy_pairs
            groups += [np.zeros((1, 2))] * self.num_distractors
            if all(layout.place(group) for group in groups) and layout.place_disc():
                return layout
        raise InputError(
            f"found no room for {self.num_triangles} triangles, "
            f"{self.num_decoy_pairs} decoy pairs and {self.num_distractors} distractors on "
            f"{self.size_px} px. Ask for fewer or a larger size_px."
        )


_OPTIONS = {
    "side": "side_px",
    "size": "size_px",
    "glyph": "glyph_px",
    "triangles": "num_triangles",
    "decoys": "num_decoy_pairs",
    "distractors": "num_distractors",
}


def read_options(text: str) -> tuple[int | None, dict[str, Any]]:
    """The number of samples, if there is one, and arguments of `TriangleDataset`.

    Args:
        text: with commas, such as `30,side=24,distractors=4`.

    Raises:
        InputError: an unknown option, or no whole number.

    >>> read_options("30,side=24")
    (30, {'side_px': 24})
    """
    num_samples: int | None = None
    options: dict[str, Any] = {}
    for option in filter(None, text.split(",")):
        name, _, number = option.rpartition("=")
        is_known = not name or name in _OPTIONS
        if not is_known or not number.isdecimal() or (not name and int(number) < 1):
            raise InputError(
                "expected a number of samples after the colon, or options as in "
                f"triangle:30,side=24 ({', '.join(_OPTIONS)}), got {option!r}."
            )
        if name:
            options[_OPTIONS[name]] = int(number)
        else:
            num_samples = int(number)
    return num_samples, options


def _triangle(side_px: float) -> np.ndarray:
    angles = math.pi / 2 + 2 * math.pi / 3 * np.arange(3)
    return side_px / math.sqrt(3) * np.stack([np.sin(angles), np.cos(angles)], 1)


def _pair(side_px: float) -> np.ndarray:
    return np.array([[0, -side_px / 2], [0, side_px / 2]])


def _central_pixel(stroke: np.ndarray) -> tuple[int, int]:
    pixels = np.argwhere(stroke)
    row, column = pixels[np.argmin(((pixels - pixels.mean(0)) ** 2).sum(1))]
    return int(row), int(column)


class _Layout:
    """Centres of glyphs, none of which touch, and no triangle but the first group."""

    def __init__(
        self, size_px: int, glyph_px: int, side_px: float, rng: np.random.Generator
    ) -> None:
        self.glyphs = np.zeros((0, 2))
        self.disc = np.zeros(2)
        self._size_px, self._side_px, self._rng = size_px, side_px, rng
        self._gap_px = glyph_px * 1.3
        self._border_px = glyph_px / 2 + 1
        self._tolerance_px = glyph_px / 2

    def place(self, group: np.ndarray) -> bool:
        for _ in range(_TRIES):
            angle = self._rng.uniform(0, 2 * math.pi)
            turn = np.array(
                [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
            )
            moved = group @ turn + self._anywhere()
            if self._fits(moved):
                self.glyphs = np.concatenate([self.glyphs, moved])
                return True
        return False

    def place_disc(self) -> bool:
        for _ in range(_TRIES):
            self.disc = self._anywhere()
            if np.all(np.linalg.norm(self.glyphs - self.disc, axis=1) >= self._gap_px):
                return True
        return False

    def _anywhere(self) -> np.ndarray:
        return self._rng.uniform(self._border_px, self._size_px - self._border_px, size=2)

    def _fits(self, moved: np.ndarray) -> bool:
        if moved.min() < self._border_px or moved.max() > self._size_px - self._border_px:
            return False
        gaps = np.linalg.norm(moved[:, None] - self.glyphs[None], axis=-1)
        if gaps.size and gaps.min() < self._gap_px:
            return False
        return self._num_triangles(np.concatenate([self.glyphs, moved])) == self._num_triangles(
            moved
        ) + self._num_triangles(self.glyphs)

    def _num_triangles(self, glyphs: np.ndarray) -> int:
        """The number of triples that stand nearly at the side's distance from one another."""
        distance = np.linalg.norm(glyphs[:, None] - glyphs[None], axis=-1)
        near = (np.abs(distance - self._side_px) <= self._tolerance_px).astype(int)
        return int(np.trace(near @ near @ near)) // 6


class _Canvas:
    """The picture as it is painted: grey levels, and the stroke of each glyph."""

    def __init__(self, size_px: int, rng: np.random.Generator) -> None:
        noise = rng.normal(0.0, 0.02, (size_px, size_px)).clip(0)
        self.grey = noise.astype(np.float32)
        self.strokes: list[np.ndarray] = []
        self.disc = np.zeros((size_px, size_px), bool)

    def paste(self, grey: np.ndarray, centre: np.ndarray, glyph_px: int) -> Self:
        scaled = Image.fromarray(grey).resize((glyph_px, glyph_px), Image.Resampling.BILINEAR)
        top, left = np.round(centre - glyph_px / 2).astype(int)
        window = (slice(top, top + glyph_px), slice(left, left + glyph_px))
        self.grey[window] = np.maximum(self.grey[window], np.asarray(scaled))
        stroke = np.zeros(self.grey.shape, bool)
        stroke[window] = np.asarray(scaled) > STROKE_GREY
        self.strokes.append(stroke)
        return self

    def paste_disc(self, centre: np.ndarray, radius_px: float) -> Self:
        rows, columns = np.mgrid[: self.grey.shape[0], : self.grey.shape[1]]
        self.disc = np.hypot(rows - centre[0], columns - centre[1]) <= radius_px
        self.grey[self.disc] = 0.5
        return self
