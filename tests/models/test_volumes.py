"""Volumes prepared by words, against MONAI's transforms, and logits at the file's own voxels."""

import warnings

import nibabel
import numpy as np
import pytest
import torch

import misure
from misure.errors import InputError
from misure.explanation.presentation import make_presentation
from misure.models.preprocessing import Preprocessing
from misure.models.volumes.orientation import Orientation
from misure.models.volumes.preprocessing import bound_preprocessing
from misure.models.volumes.spacing import Spacing
from misure.models.volumes.words import Words

SHAPE = (13, 17, 9)


def affine_of(kind: str) -> np.ndarray:
    affine = np.diag([0.8, 0.8, 2.5, 1.0])
    affine[:3, 3] = [-40, 30, 7]
    if kind == "lps":
        affine[:2] *= -1
    elif kind == "permuted":
        affine[:3, :3] = [[0, 0.7, 0], [0, 0, -3], [-1.3, 0, 0]]
    elif kind in ("oblique", "sheared"):
        angle = 0.3
        turn = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        affine[:3, :3] = np.array(turn) @ np.diag([0.9, -1.1, 2.2])
        affine[0, 1] += 0.3 * (kind == "sheared")
    return affine


def image_of(num_channels: int = 2) -> torch.Tensor:
    numbers = np.random.default_rng(0).normal(100, 40, (num_channels, *SHAPE))
    return torch.from_numpy(numbers.astype(np.float32))


@pytest.mark.parametrize("kind", ["ras", "lps", "permuted", "oblique", "sheared"])
@pytest.mark.parametrize("mm", [(1.5, 1.5, 2.0), (3.0, 0.5, 1.0)])
def test_volumes_are_turned_and_resampled_as_by_monai_and_back(kind, mm):
    transforms, data = pytest.importorskip("monai.transforms"), pytest.importorskip("monai.data")
    image, affine = image_of(), affine_of(kind)
    both = transforms.Compose(
        [transforms.Orientationd("image", "RAS", labels=None), transforms.Spacingd("image", mm)]
    )
    made = both({"image": data.MetaTensor(image.clone(), affine=torch.from_numpy(affine))})
    parts = [Orientation("RAS"), Spacing(mm)]
    prepared = bound_preprocessing(parts, image, affine, Preprocessing())
    inputs = prepared.to_input(image[None])[0]
    torch.testing.assert_close(inputs, made["image"].as_tensor(), atol=1e-3, rtol=0)

    made["pred"] = data.MetaTensor(torch.rand(3, *inputs.shape[1:]), affine=made["image"].affine)
    logits = made["pred"].as_tensor().clone()
    invert = transforms.Invertd("pred", both, orig_keys="image", nearest_interp=False)
    back = prepared.to_image(logits[None], SHAPE)[0]
    torch.testing.assert_close(back, invert(made)["pred"].as_tensor(), atol=1e-5, rtol=0)


def test_preparation_passes_gradients_to_every_voxel_of_the_image():
    image = image_of(1).requires_grad_()
    parts = Words("LPS", (1.0, 1.0, 2.5), "zscore").parts(3)
    prepared = bound_preprocessing(parts, image, affine_of("ras"), Preprocessing())
    prepared.to_image(prepared.to_input(image[None]), SHAPE).sum().backward()
    assert image.grad is not None
    assert bool((image.grad > 0).all())


class Above(torch.nn.Module):
    """Foreground is what is above a number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.tensor(number))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :1] - self.number


@pytest.mark.parametrize(
    ("rule", "number", "expected"),
    [
        ("window:60:160", 0.5, 110.0),
        ("zscore", 1.0, None),
        ("percentiles:0:100", 0.5, None),
        (["none", "zscore"], 110.0, 110.0),
    ],
)
def test_numbers_are_scaled_once_whether_the_volume_is_a_file_or_a_tensor(
    tmp_path, rule, number, expected
):
    image, affine = image_of(2 if isinstance(rule, list) else 1), affine_of("lps")
    channels = image[0].numpy()
    level = {
        "zscore": float(channels.mean() + channels.std()),
        "percentiles:0:100": float(channels.min() + channels.max()) / 2,
    }.get(str(rule), expected)
    model = misure.SegmentationModel(Above(number), intensity=rule)
    given = [(image, torch.from_numpy(affine))]
    if len(image) == 1:
        path = tmp_path / "volume.nii.gz"
        nibabel.save(nibabel.Nifti1Image(channels, affine), path)
        given.append((path, None))
    for volume, known in given:
        segmentation = misure.segment(model, volume, affine=known)
        assert torch.equal(segmentation.class_region(1), image[0] > level)
    assert model.settings()["intensity"] == (";".join(rule) if isinstance(rule, list) else rule)


def test_the_numbers_of_the_whole_image_stay_while_parts_are_hidden():
    image = image_of(1)
    model = misure.SegmentationModel(Above(1.0), intensity="zscore").for_image(image)
    hidden = image.clone()
    hidden[:, :6] = 0
    level = image.mean() + image.std(correction=0)
    assert torch.equal(model(hidden[None])[0].argmax(0) == 1, hidden[0] > level)


def test_a_window_of_numbers_needs_no_binding():
    image = image_of(2)
    model = misure.SegmentationModel(lambda x: x, intensity="window:60:160;none", mean=[0.1, 2])
    assert model.binder is None
    assert model.for_image(image) is model
    wanted = torch.stack([((image[0] - 60) / 100).clamp(0, 1) - 0.1, image[1] - 2])
    torch.testing.assert_close(model(image[None])[0], wanted)
    plane = torch.rand(2, 5, 6)  # has been scaled with its volume
    torch.testing.assert_close(model(plane[None])[0], plane - torch.tensor([[[0.1]], [[2.0]]]))
    fills = [make_presentation(model, x).baseline_image for x in (image, plane)]
    assert [fill.flatten(1)[:, 0].tolist() for fill in fills] == [
        pytest.approx([70, 2]),
        pytest.approx([0.1, 2]),
    ]
    two = misure.SegmentationModel(lambda x: x, intensity="window:60:160;none")
    with pytest.raises(InputError, match="one for each of 3 channels, got 2"):
        two(torch.rand(1, 3, 4, 5, 6))


def test_zeros_stay_zero_by_the_rule_of_what_is_not_zero():
    image = image_of(1)
    image[:, :4] = 0
    scaled = misure.SegmentationModel(Above(0.0), intensity="zscore-nonzero").for_image(image)
    inputs = scaled.preprocessing.to_input(image[None])
    assert bool((inputs[:, :, :4] == 0).all())
    inside = inputs[:, :, 4:]
    assert abs(float(inside.mean())) < 1e-5
    assert float(inside.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_segmentation_is_on_the_voxels_of_the_file(tmp_path):
    image, affine = image_of(1), affine_of("permuted")
    image[:] = 0
    image[0, 3:9, 4:12, 2:7] = 10.3
    path = tmp_path / "box.nii"
    nibabel.save(nibabel.Nifti1Image(image[0].numpy(), affine), path)
    model = misure.SegmentationModel(Above(5.12), spacing="0.5,0.5,0.5", orientation="LAS")
    found = misure.segment(model, path).class_region(1)
    assert found.shape == SHAPE
    assert float(2 * (found & (image[0] > 5)).sum() / (found.sum() + 240)) > 0.99
    settings = model.settings()
    assert (settings["spacing"], settings["orientation"]) == ([0.5, 0.5, 0.5], "LAS")
    explanation = misure.explain(model, path, 1, preset="sufficient_region")
    assert explanation.sufficient_dice > 0.9


def test_slices_of_a_file_are_resampled_within_their_plane():
    affine = torch.from_numpy(np.diag([5.0, 2.0, 1.0, 1.0]))  # of a volume (1, rows, columns)
    plane = torch.rand(1, 12, 20)
    model = misure.SegmentationModel(Above(0.5), spacing=(1.0, 1.0)).for_image(plane, affine)
    assert model.preprocessing.to_input(plane[None]).shape == (1, 1, 23, 20)
    assert model(plane[None]).shape == (1, 2, 12, 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spacing": "1,0,1"}, "positive length"),
        ({"spacing": "thin"}, "positive length"),
        ({"orientation": "RAR"}, "three letters"),
        ({"intensity": "zscores"}, "zscore-nonzero"),
        ({"intensity": "window:5:1"}, "window:LOW:HIGH"),
        ({"spacing": (1, 1, 1), "binder": lambda *_: None}, "own preparation"),
    ],
)
def test_other_words_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        misure.SegmentationModel(Above(0.5), **options)


def test_without_an_affine_the_message_says_what_to_give():
    model = misure.SegmentationModel(Above(0.5), spacing=(1, 1, 1))
    with pytest.raises(InputError, match=r"affine=\.\.\., \(4, 4\)"):
        misure.segment(model, image_of(1))
    with pytest.raises(InputError, match="for_image"):
        model(image_of(1)[None])
    with pytest.raises(InputError, match="invertible"):
        misure.segment(model, image_of(1), affine=torch.zeros(4, 4))
    bound = model.for_image(image_of(1), torch.eye(4))
    with pytest.raises(InputError, match="bound to"), warnings.catch_warnings():
        bound(torch.rand(1, 1, 5, 5, 5))
    with pytest.raises(InputError, match="one for each of 1 channel,"):
        misure.segment(misure.SegmentationModel(Above(0.5), intensity="zscore;zscore"), image_of(1))


def test_the_mean_fill_is_what_the_network_sees_as_its_mean():
    volume = 100 + 50 * torch.rand(2, 6, 7, 8, generator=torch.Generator().manual_seed(0))
    scored = misure.SegmentationModel(lambda x: x, intensity="zscore").for_image(volume)
    fill = make_presentation(scored, volume).baseline_image
    assert torch.allclose(fill.mean((1, 2, 3)), volume.mean((1, 2, 3)))
    ranged = misure.SegmentationModel(lambda x: x, intensity="percentiles:0:100", mean=0.25, std=1)
    fill = make_presentation(ranged.for_image(volume), volume).baseline_image
    low, high = volume.amin((1, 2, 3)), volume.amax((1, 2, 3))
    assert torch.allclose(fill.mean((1, 2, 3)), low + 0.25 * (high - low), atol=1e-3)
