"""What is accepted in place of a model, an image and a target."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import misure
import toys
from misure.models.inputs import affine_of, as_image

BASE = toys.square_image()
PIXELS = (BASE[0].numpy() * 255).astype(np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        BASE.numpy(),
        BASE.numpy().astype(np.float64),
        BASE.numpy().astype(">f4"),
        BASE[0].numpy(),
        BASE.double(),
        BASE.half(),
        BASE.clone().requires_grad_(),
        PIXELS,
        PIXELS[None],
        PIXELS[..., None],
        torch.from_numpy(PIXELS)[None],
        Image.fromarray(PIXELS),
        Image.fromarray(PIXELS).convert("RGB"),
    ],
)
def test_images_in_other_clothes_are_the_same_image(image):
    net = toys.OwnBrightness()
    model = misure.SegmentationModel(net, class_names="dark,bright")
    options = {"preset": "sufficient_region", "num_minimality_tests": 0}
    expected = misure.explain(model, BASE, 1, **options)
    for target in ("bright", 1, np.int64(1), BASE[0] > 0, (BASE[0] > 0).numpy()):
        found = misure.explain(model, image, target, **options)
        assert torch.equal(found.sufficient_region, expected.sufficient_region)
        assert found.cost.pass_equivalents == expected.cost.pass_equivalents
    bare = misure.explain(net, image, 1, **options)
    assert torch.equal(bare.sufficient_region, expected.sufficient_region)
    assert getattr(image, "grad", None) is None


def test_paths_and_colours(tmp_path):
    colours = np.zeros((30, 40, 3), np.uint8)
    colours[5:9, 20:30, 2] = 255
    Image.fromarray(colours).save(tmp_path / "a.png")
    model = misure.SegmentationModel(lambda x: torch.cat([0.5 - x[:, 2:], x[:, 2:] - 0.5], 1))
    for image in (tmp_path / "a.png", str(tmp_path / "a.png"), colours, Image.fromarray(colours)):
        region = misure.predicted_target(model, image, 1).region
        assert region.shape == (30, 40)
        assert region.sum() == 40
        assert region[5:9, 20:30].all()
    assert misure.METHODS["rise"](model, colours, 1, num_masks=4).saliency_map.shape == (30, 40)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((3, 9, 3), np.uint8), "which is either"),
        (np.zeros((9, 9, 9), np.uint8), "which is neither"),
        (np.eye(9, dtype=np.uint8), "got none above 1"),
        (np.array(["a"]), "expected an image of numbers, got <U1"),
        (
            np.zeros((1, 9, 9), np.int64),
            "expected an image .C, .D,. H, W. of floats, got torch.int",
        ),
        (Image.fromarray(np.zeros((9, 9), np.int32)), "expected a picture of 8 bits a channel"),
        ([1, 2], "a picture or a path, got list"),
        (None, "a picture or a path, got NoneType"),
        ("no-such.png", "expected an image file, found none at no-such.png"),
    ],
)
def test_images_that_may_be_something_else_are_refused(image, words):
    with pytest.raises(misure.InputError, match=words):
        misure.segment(toys.model_of(toys.OwnBrightness()), image)


def test_a_batch_axis_that_is_one_too_many():
    with pytest.raises(misure.ModelError, match="one too many: give image.0."):
        misure.segment(misure.SegmentationModel(nn.Conv2d(1, 2, 1)), BASE[None])
    model = misure.SegmentationModel(nn.Conv2d(3, 2, 1), num_channels=3)
    with pytest.raises(misure.InputError, match="the batch axis is one too many. Give image.0."):
        misure.segment(model, torch.rand(1, 3, 9, 9))


def test_other_models_and_targets_are_refused():
    model = toys.model_of(toys.OwnBrightness())
    with pytest.raises(misure.InputError, match="got str. Make one with load_model"):
        misure.explain("triangle", BASE, 1)
    with pytest.raises(misure.InputError, match="got function. Make one with SegmentationModel"):
        misure.segment(lambda x: x, BASE)
    for target in (1.5, None, True, torch.ones(30, 30)):
        with pytest.raises(misure.InputError, match="^explain: expected a Target, a class by name"):
            misure.explain(model, BASE, target)
    with pytest.raises(misure.InputError, match="expected a mask of the image's shape"):
        misure.explain(model, BASE, torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(misure.InputError, match="at least one pixel, got an empty one"):
        misure.explain(model, BASE, torch.zeros(30, 30, dtype=torch.bool))
    with pytest.raises(misure.InputError, match="gives 97 % of the mask's pixels to class 0"):
        misure.explain(model, BASE, torch.ones(30, 30, dtype=torch.bool))
    with pytest.raises(misure.InputError, match="expected images .* as a tensor, got ndarray"):
        model(BASE[None].numpy())
    with pytest.raises(misure.EmptyTargetError, match="^explain: the model finds no pixel"):
        misure.explain(model, torch.zeros(1, 9, 9), 1)


def test_a_mask_is_the_part_of_the_class_inside_it():
    mask = torch.zeros(30, 30, dtype=torch.bool)
    mask[10:15, 8:13] = True
    found = misure.explain(toys.OwnBrightness(), BASE, mask, preset="sufficient_region")
    assert torch.equal(found.target.region, mask & (BASE[0] > 0))
    assert torch.equal(found.target.ignored, ~mask & (BASE[0] > 0))


@pytest.mark.slow  # importing MONAI
def test_tensors_of_monai_keep_their_affine(tmp_path):
    nibabel, data = pytest.importorskip("nibabel"), pytest.importorskip("monai.data")
    affine = np.array([[0.0, -2, 0, 5], [3, 0, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1]])
    volume = np.random.default_rng(0).random((5, 4, 3)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "v.nii.gz")
    transforms = pytest.importorskip("monai.transforms")
    bare = transforms.LoadImage()(tmp_path / "v.nii.gz")
    model = misure.SegmentationModel(toys.OwnBrightness())
    for image in (bare, transforms.EnsureChannelFirst()(bare)):
        assert torch.equal(as_image(image, model), torch.from_numpy(volume)[None])
        assert type(as_image(image, model)) is torch.Tensor
        assert np.allclose(affine_of(image), affine)
    assert np.allclose(affine_of(tmp_path / "v.nii.gz"), affine)
    for without in (
        torch.zeros(1, 5, 4, 3),
        data.MetaTensor(torch.zeros(1, 5, 4), affine=np.eye(3)),
    ):
        assert affine_of(without) is None
    bare.affine = torch.full((4, 4), torch.nan)
    with pytest.raises(misure.InputError, match="expected an affine"):
        affine_of(bare)


def test_a_list_of_paths_is_one_image(tmp_path):
    for channel in (0, 1):
        Image.fromarray(PIXELS // (1 + channel)).save(tmp_path / f"{channel}.png")
    paths = [tmp_path / "0.png", str(tmp_path / "1.png")]
    model = misure.SegmentationModel(lambda x: torch.cat([-x[:, :1], x[:, 1:]], 1), num_channels=2)
    image = as_image(paths, model)
    assert torch.allclose(image * 255, torch.from_numpy(np.stack([PIXELS, PIXELS // 2])).float())
    assert affine_of(paths) is None
    assert misure.segment(model, paths).spatial == BASE.shape[1:]


def test_channels_may_come_last_if_they_can_be_nothing_else():
    numbers = np.random.default_rng(0).random((40, 30, 3), np.float32)
    first = torch.from_numpy(numbers).movedim(-1, 0)
    unknown, of_three = (
        toys.model_of(toys.OwnBrightness()),
        toys.model_of(toys.OwnBrightness(), num_channels=3),
    )
    for model in (unknown, of_three):
        for given in (numbers, torch.from_numpy(numbers), first, first.numpy()):
            assert torch.equal(as_image(given, model), first)
    either = torch.rand(3, 40, 3)  # (C, H, W) is what is documented
    assert torch.equal(as_image(either, of_three), either)
    of_five = toys.model_of(toys.OwnBrightness(), num_channels=5)
    assert as_image(np.zeros((40, 30, 5), np.float32), of_five).shape == (5, 40, 30)
    with pytest.raises(misure.InputError, match="either"):
        as_image(np.full((3, 40, 3), 9, np.uint8), unknown)


def test_a_bare_module_takes_the_names_of_its_classes():
    net, image = toys.OwnBrightness(), toys.OwnBrightness.image(2)
    names = ["background", "block"]
    target = misure.predicted_target(net, image, class_name="block", class_names=names)
    assert target.class_name == "block"
    found = misure.explain(net, image, "block", preset="quick", class_names=names)
    assert found.target.class_name == "block"
    assert repr(misure.segment(net, image, class_names="background,block")).count("block") == 1
    with pytest.raises(misure.InputError, match="class_names with a torch module alone"):
        misure.segment(toys.model_of(net), image, class_names=names)


@pytest.mark.parametrize("kind", ["array", "last", "bytes", "picture", "path", "tensor"])
def test_every_function_takes_whatever_stands_for_an_image(kind, tmp_path):
    """The same figures from each."""
    net, pixels = (
        toys.OwnBrightness(),
        (toys.OwnBrightness.image(2).repeat(3, 1, 1) * 255).to(torch.uint8),
    )
    picture = Image.fromarray(pixels.movedim(0, -1).numpy())
    picture.save(tmp_path / "block.png")
    image = {
        "array": (pixels / 255).numpy(),
        "last": (pixels / 255).movedim(0, -1).numpy(),
        "bytes": pixels.movedim(0, -1).numpy(),
        "picture": picture,
        "path": str(tmp_path / "block.png"),
        "tensor": pixels / 255,
    }[kind]
    assert misure.segment(net, image).found_classes()[1].num_pixels == 25
    target = misure.predicted_target(net, image, 1)
    for one in (target, 1, target.region, target.region.numpy()):
        assert misure.explain(net, image, one, preset="sufficient_region").dice >= 0.9
    assert misure.leverage(net, image, target, num_parts=2).target.class_index == 1
    effects = misure.channel_effects(net, image, target)
    assert next(one.number for one in effects.effects) == 0
    assert misure.necessary_region(net, image, target, max_passes=40, preset="quick").is_found
