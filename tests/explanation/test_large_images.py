"""Large images: less is kept of them at a time, and what comes out is the same."""

import pytest
import torch

import misure
import toys
from misure._util import freed_memory
from misure.explanation import baselines, made_image
from misure.explanation.baselines import blur
from misure.explanation.made_image import MadeImage
from misure.explanation.presentation import make_presentation
from misure.images.regions import PackedRegion
from misure.models.windows import Windows


@pytest.fixture
def every_image_is_large(monkeypatch):
    for module in (freed_memory, baselines, made_image):
        monkeypatch.setattr(module, "LARGE", 1)


def _volume(*spatial):
    return torch.rand(2, *spatial, generator=torch.Generator().manual_seed(0))


def test_large_images_are_made_again_and_small_ones_are_kept(every_image_is_large, monkeypatch):
    made = []

    def make():
        made.append(1)
        return torch.full((1, 2, 3), 0.5)

    image, slow = MadeImage(make), MadeImage(make, takes_long=True)
    first = image()
    assert image() is first  # while it is in use
    del first
    assert torch.equal(image(), torch.full((1, 2, 3), 0.5))
    assert len(made) == 2
    assert slow() is slow()
    monkeypatch.setattr(made_image, "LARGE", 100)
    small = MadeImage(make)
    address = small().data_ptr()
    assert small().data_ptr() == address
    assert len(made) == 4


@pytest.mark.parametrize("sampling", [None, (2.0, 1.0, 1.0)])
def test_a_large_volume_is_blurred_as_a_small_one_is(monkeypatch, sampling):
    image = _volume(9, 12, 10)
    expected = blur(image, 0.2, sampling)
    monkeypatch.setattr(baselines, "LARGE", 1)
    assert torch.allclose(blur(image, 0.2, sampling), expected, rtol=0, atol=1e-6)
    assert expected.std() < 0.5 * image.std()


def test_noise_made_again_is_the_same(every_image_is_large):
    model = misure.SegmentationModel(toys.OwnBrightness())
    way = make_presentation(model, _volume(6, 7), baseline_image="noise", seed=3)
    assert torch.equal(way.baseline_image, way.baseline_image.clone())
    first = way.baseline_image.clone()
    assert torch.equal(way.baseline_image, first)


def test_a_packed_region_is_the_same():
    region = _volume(5, 7, 3)[0] > 0.5
    packed = PackedRegion(region)
    assert torch.equal(packed.region(), region)
    assert packed.region().dtype == torch.bool
    assert packed._bits.nbytes == 14  # of 105 pixels


@pytest.mark.parametrize("preset", ["quick", pytest.param("readable", marks=pytest.mark.slow)])
def test_the_explanation_of_a_large_volume_is_that_of_a_small_one(preset, monkeypatch):
    image = torch.zeros(1, 16, 18, 20)
    image[:, 4:10, 5:11, 3:9] = 1
    image += 0.05 * _volume(16, 18, 20)[:1]

    def explain():
        model = misure.SegmentationModel(
            toys.OwnBrightness(), window=Windows(size=12, overlap=0.25, kept_mb=1)
        )
        target = misure.predicted_target(model, image, 1)
        return misure.explain(
            model, image, target, preset=preset, max_passes=100, baseline_image="mean,filled"
        )

    small = explain()
    for module in (freed_memory, baselines, made_image):
        monkeypatch.setattr(module, "LARGE", 1)
    large = explain()
    records = [one.record() for one in (small, large)]
    for record in records:
        record.pop("cost")
    assert records[0] == records[1]
    assert torch.equal(small.minimally_sufficient_region, large.minimally_sufficient_region)
    assert small.saliency_map.numpy().tobytes() == large.saliency_map.numpy().tobytes()
