import pytest
import torch

from misure.explanation.baselines import MADE_OF_SHOWN, make_baseline_image
from misure.explanation.filling import fill_in
from misure.explanation.presentation import Presentation, make_presentations, show_each
from misure.models.model import SegmentationModel

SHAPES = [(13, 20), (5, 9, 7), (1, 6), (1, 1)]


def images_of(shape, num=2, seed=0):
    return torch.rand(num, 3, *shape, generator=torch.Generator().manual_seed(seed))


def some_shown(shape, num=2, seed=1):
    return torch.rand(num, *shape, generator=torch.Generator().manual_seed(seed)) < 0.2


def flat(colour, shape):
    return torch.tensor(colour).view(1, 3, *[1] * len(shape)).expand(1, 3, *shape)


def presentation_of(image, edge_px=0):
    empty = torch.full_like(image, 0.25)
    return Presentation(image, empty, edge_px, "filled", made_of_shown=fill_in)


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_hidden_leaks_in(shape):
    image, regions = images_of(shape, 1)[0], list(some_shown(shape))
    shown = presentation_of(image).show_regions(regions)
    for region, as_shown in zip(regions, shown, strict=True):
        other = torch.where(region, image, 1e6 * torch.randn(image.shape))
        assert torch.equal(presentation_of(other).show_regions([region])[0], as_shown)
        assert torch.equal(as_shown[:, region], image[:, region])


@pytest.mark.parametrize("shape", SHAPES)
def test_everything_shown_is_the_image_and_nothing_shown_the_given_colour(shape):
    image = images_of(shape, 1)[0]
    nothing = torch.zeros(shape, dtype=torch.bool)
    everything, empty = presentation_of(image).show_regions([~nothing, nothing])
    assert torch.equal(everything, image)
    assert torch.equal(empty, torch.full_like(image, 0.25))


@pytest.mark.parametrize("shape", SHAPES[:-1])
def test_one_colour_fills_the_image(shape):
    image = flat([0.1, 0.5, 0.9], shape)
    visibility = torch.zeros(1, *shape)
    visibility[(0,) * (1 + len(shape))] = 1
    filled = fill_in(image, visibility, torch.zeros_like(image))
    assert torch.allclose(filled, image)


def test_a_line_is_filled_as_push_pull_says():
    image = torch.tensor([8.0, 99, 99, 99, 99, 4, 2, 99]).view(1, 1, 1, 8)
    visibility = torch.tensor([1.0, 0, 0, 0, 0, 1, 1, 0]).view(1, 1, 8)
    # averages of cells of four: 8 and 3; of two: 8, then a hole of 8 - (8 - 3) / 4, then 4 and 2
    expected = [8, 7.6875, 7.0625, 6.0625, 4.6875, 3.5, 2.5, 2]
    assert fill_in(image, visibility, torch.zeros_like(image)).flatten().tolist() == expected


def test_the_fill_lies_between_the_shown_colours_and_near_the_nearest():
    image = torch.zeros(1, 1, 33, 47)
    image[..., 24:] = 1
    visibility = torch.zeros(1, 33, 47)
    visibility[..., 2], visibility[..., 44] = 1, 1
    filled = fill_in(image, visibility, torch.full_like(image, 7))[0, 0]
    assert bool(((filled >= 0) & (filled <= 1)).all())
    assert bool((filled[:, :4] < 0.2).all())
    assert bool((filled[:, 43:] > 0.8).all())
    assert bool((filled.diff(dim=1) >= -1e-6).all())


def test_an_image_in_a_batch_is_filled_as_alone():
    images, shown = images_of((21, 18), 3), some_shown((21, 18), 3).float()
    together = fill_in(images, shown, images[:, :, :1, :1])
    for i in range(3):
        alone = slice(i, i + 1)
        assert torch.equal(fill_in(images[alone], shown[alone], images[alone, :, :1, :1])[0],
                           together[i])  # fmt: skip


def test_flat_voxels_are_averaged_in_their_plane_first():
    image = torch.zeros(1, 1, 2, 8, 8)
    image[:, :, 1] = 1
    visibility = torch.zeros(1, 2, 8, 8)
    visibility[:, :, 0, 0] = 1
    empty = torch.zeros_like(image)
    flat_voxels = fill_in(image, visibility, empty, (8.0, 1.0, 1.0))[0, 0]
    cubes = fill_in(image, visibility, empty)[0, 0]
    assert not flat_voxels[0].any()
    assert bool((flat_voxels[1] == 1).all())
    assert bool((cubes[0, 4:, 4:] > 0.2).all())


@pytest.mark.parametrize("shown", [0.0, 0.5, 1.0])
def test_the_gradient_is_that_of_the_content_and_not_of_the_fill(shown):
    image = images_of((6, 7), 1)[0]
    visibility = some_shown((6, 7)).float() * 0.5 + shown / 2
    visibility.requires_grad_()
    way = presentation_of(image)
    (gradient,) = torch.autograd.grad(way.show(visibility).sum(), visibility)
    fill = fill_in(image[None], visibility, way.baseline_image[None])
    assert not fill.requires_grad
    assert torch.allclose(gradient, (image - fill).sum(1), atol=1e-6)


def test_a_partly_visible_image_is_filled_with_a_blurred_copy():
    image = images_of((16, 16), 1)
    copy = fill_in(image, torch.full((1, 16, 16), 0.25), torch.zeros_like(image))
    cells = image.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    expected = torch.nn.functional.interpolate(cells, scale_factor=2, mode="bilinear")
    assert torch.allclose(copy, expected, atol=1e-6)


def test_views_of_several_presentations_in_one_batch():
    image = images_of((9, 11), 1)[0]
    model = SegmentationModel(torch.nn.Identity(), device="cpu", mean=(0.1, 0.2, 0.3))
    ways = make_presentations(model, image, baseline_image="mean,filled,blurred")
    assert [way.name for way in ways] == ["mean", "filled", "blurred"]
    shown = some_shown((9, 11), 6).float()
    together = show_each([*ways, *ways], shown)
    for i, way in enumerate([*ways, *ways]):
        assert torch.equal(way.show(shown[i : i + 1])[0], together[i])
    assert not torch.equal(ways[0].show(shown[:1]), ways[1].show(shown[:1]))


def test_the_baseline_image_of_nothing_shown_is_the_mean():
    image = images_of((4, 5), 1)[0]
    means = [make_baseline_image(kind, image, mean=(0.1, 0.2, 0.3)) for kind in ("mean", "filled")]
    assert torch.equal(*means)
    assert MADE_OF_SHOWN["filled"] is fill_in
