"""What the specs `triangle:N`, `triangle-two:N` and `triangle-disc:N` open."""

from itertools import islice
from typing import Any

from misure.datasets.registry import dataset
from misure.datasets.sample import Dataset, Reading, SampleList, refuse_slice
from misure.datasets.triangle.dataset import TriangleDataset, read_options

_DEFAULT_NUM_SAMPLES = 30


def _options(rest: str, reading: Reading) -> tuple[int | None, dict[str, Any]]:
    refuse_slice(reading, "pictures")
    return read_options(rest)


@dataset("triangle", usage="triangle:N")
def open_triangle(rest: str, reading: Reading) -> Dataset:
    """N held-out samples of Triangle: a glyph is foreground if two more complete a triangle.

    30 samples by default; options follow with commas, as `triangle:30,side=24` (see
    `read_options`).
    """
    num_samples, options = _options(rest, reading)
    return TriangleDataset(num_samples or _DEFAULT_NUM_SAMPLES, **options)


@dataset("triangle-two", usage="triangle-two:N")
def open_two_triangles(rest: str, reading: Reading) -> Dataset:
    """Triangle with two triangles on each canvas, so a glyph needs its own triangle only.

    Glyphs are as large and as far apart as in `triangle`, on a larger canvas.
    """
    num_samples, options = _options(rest, reading)
    options = {"size_px": 128, "side_px": 32, "glyph_px": 12, "num_triangles": 2} | options
    return TriangleDataset(num_samples or _DEFAULT_NUM_SAMPLES, **options)


@dataset("triangle-disc", usage="triangle-disc:N")
def open_triangle_disc(rest: str, reading: Reading) -> Dataset:
    """Triangle with a disc that is needed too, and that no segmentation contains.

    Only samples with a disc are taken: without one there is nothing to explain.
    """
    num_samples, options = _options(rest, reading)
    num_samples = num_samples or _DEFAULT_NUM_SAMPLES
    samples = TriangleDataset(100 * num_samples, disc=True, **options)
    with_disc = (sample for sample in map(samples.__getitem__, range(len(samples))) if sample.point)
    return SampleList(islice(with_disc, num_samples))
