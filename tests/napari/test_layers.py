"""Explanations as layers, without napari: where voxels lie, what each layer holds."""

import time

import numpy as np
import pytest
import torch

import misure
import toys
from misure.images.orientation import affine_of_slice, lay_out, viewing_order
from misure.napari.layers import explanation_layers, image_layers, segmentation_layer
from misure.napari.placement import Placement
from misure.napari.reader import get_reader, saved_layers
from misure.napari.scene import Scene, SeenImage
from misure.napari.work import CancelledError, Work

nibabel = pytest.importorskip("nibabel")

SHAPE = (4, 5, 6)
AFFINES = [
    np.diag([2.0, 3, 4, 1]),
    np.diag([-2.0, -3, 4, 1]) + np.pad([[5.0], [6], [7]], ((0, 1), (3, 0))),
    np.array([[0, 0, 1.5, -9], [-2, 0, 0, 4], [0, -3, 0, 8], [0, 0, 0, 1.0]]),
    np.array([[1.9, 0.3, 0, 1], [-0.3, 1.9, 0, 2], [0, 0, 4, 3], [0, 0, 0, 1.0]]),
]


@pytest.mark.parametrize("affine", AFFINES)
def test_each_voxel_lies_where_its_affine_says(affine):
    volume = torch.arange(120.0).view(SHAPE)
    placement = Placement.of(SHAPE, affine)
    array = placement.as_layer(volume)
    for index in ((0, 0, 0), (3, 1, 5), (2, 4, 3)):
        x, y, z = (affine @ [*index, 1])[:3]
        place = np.argwhere(array == float(volume[index]))[0]
        assert np.allclose((placement.affine @ [*place, 1])[:3], [z, -y, -x])  # up, back, left
        assert placement.point(place + 0.3) == index
    assert (np.diagonal(placement.affine)[:3] > 0).all()  # drawn as radiologists look at it
    assert placement.point((-1, 0, 0)) is None
    assert placement.point(array.shape) is None


def test_flat_images_and_volumes_without_a_place():
    flat = Placement.of((4, 5), spacing_mm=(2.0, 0.5))
    assert np.array_equal(flat.affine, np.diag([2.0, 0.5, 1]))
    assert flat.point((3.2, 4.4)) == (3, 4)
    assert flat.point((3.6, 4)) is None
    assert np.array_equal(Placement.of(SHAPE).affine, np.eye(4))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A volume in a file, and its explanation."""
    folder = tmp_path_factory.mktemp("napari")
    image = toys.square_image(3)
    nibabel.save(nibabel.Nifti1Image(image[0].numpy(), AFFINES[1]), folder / "head.nii.gz")
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"), num_channels=1)
    target = misure.predicted_target(model, image, class_name="bright")
    explanation = misure.explain(model, image, target, preset="quick", max_passes=25)
    explanation = explanation.with_values(image=str(folder / "head.nii.gz"))
    explanation.save(folder / "explanation.npz")
    return folder, explanation


def test_a_saved_explanation_becomes_layers(saved):
    folder, explanation = saved
    assert get_reader(str(folder)) is not None
    assert get_reader(str(folder / "explanation.npz")) is not None
    assert get_reader([str(folder)]) is None
    layers = {
        settings["name"]: (data, settings, kind)
        for data, settings, kind in saved_layers(folder / "explanation.npz")
    }
    assert list(layers) == [
        "head.nii.gz", "bright: saliency map", "bright: sufficient region",
        "bright: minimal region", "bright: target",
    ]  # fmt: skip
    placement = Placement.of((30, 30, 30), AFFINES[1])
    for _, settings, _ in layers.values():
        assert np.allclose(settings["affine"], placement.affine)
    data, settings, kind = layers["bright: minimal region"]
    assert kind == "labels"
    assert np.array_equal(data, placement.as_layer(explanation.minimally_sufficient_region))
    assert settings["colormap"][1] == "#56B4E9"
    assert layers["bright: target"][1]["colormap"][1] == "#D55E00"
    assert settings["metadata"]["misure"]["summary"] == explanation.summary()
    assert layers["bright: saliency map"][1]["colormap"] == "viridis"


def test_an_image_that_is_gone_is_left_out(saved, tmp_path):
    _, explanation = saved
    explanation.with_values(image="gone.nii.gz").save(tmp_path / "e.npz")
    assert len(saved_layers(tmp_path / "e.npz")) == 4
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    (tmp_path / "text.npz").write_text("no zip")
    assert get_reader(str(tmp_path / "other.npz")) is None
    assert get_reader(str(tmp_path / "text.npz")) is None


def test_images_have_colours_or_a_layer_for_each_channel():
    flat, volume = Placement.of((6, 7)), Placement.of(SHAPE)
    ((data, settings, _),) = image_layers(torch.rand(3, 6, 7), flat, "a")
    assert data.shape == (6, 7, 3)
    assert settings["rgb"]
    layers = image_layers(torch.rand(2, *SHAPE), volume, "v", ("T1", "T2"))
    assert [one[1]["name"] for one in layers] == ["v: channel T1", "v: channel T2"]
    assert [one[1]["visible"] for one in layers] == [True, False]


def test_what_is_clicked_and_what_is_listed():
    model = toys.model_of(toys.OwnBrightness(), class_names=("dark", "bright"), num_channels=1)
    image = torch.zeros(1, 20, 20)
    image[:, 2:6, 2:6] = image[:, 10:18, 10:18] = 1
    placement = Placement.of((20, 20))
    scene = Scene.of(model, SeenImage(image, placement, "two"))
    labels = [choice.label for choice in scene.choices()]
    assert labels == [
        "bright, largest of 2", "bright, number 2 by size of 2", "bright, all 2 (20.0 %)", "dark (80.0 %)",
    ]  # fmt: skip
    assert scene.chosen(scene.choices()[1]).region.sum() == 16
    assert scene.clicked((12.2, 11.7)).region.sum() == 64
    assert scene.clicked((0, 0)).class_name == "dark"
    with pytest.raises(misure.InputError, match="a place in the image"):
        scene.clicked((30, 0))
    data, settings, _ = segmentation_layer(scene.segmentation, placement, "s")
    assert set(np.unique(data)) == {0, 2}
    assert settings["features"] == {"index": [2], "class": ["bright"]}


def test_work_tells_how_far_it_is_and_ends_when_asked():
    work = Work()

    def task(on_step):
        for step in range(10_000):
            on_step("counting", step, 10_000)
            time.sleep(0.001)

    work.begin("beginning", task)
    while work.doing.done < 3:
        assert work.outcome() is None
    assert work.doing.what == "counting"
    work.cancel()
    while (ended := work.outcome()) is None:
        time.sleep(0.001)
    assert isinstance(ended.exception(), CancelledError)
    assert not work.is_busy
    work.begin("again", lambda _on_step: 7)
    while (ended := work.outcome()) is None:
        time.sleep(0.001)
    assert ended.result() == 7
    work.close()


def test_layers_of_an_explanation_are_named_by_the_class_number_without_a_name(saved):
    _, explanation = saved
    target = misure.Target(1, explanation.target.region, explanation.target.ignored, "1")
    unnamed = misure.Explanation(
        target=target, sufficient_region=explanation.sufficient_region,
        minimally_sufficient_region=explanation.minimally_sufficient_region,
        saliency_map=explanation.saliency_map, values=explanation.values,
    )  # fmt: skip
    names = [one[1]["name"] for one in explanation_layers(unnamed, Placement.of((30, 30, 30)))]
    assert names[-1] == "class 1: target"


@pytest.mark.parametrize("affine", AFFINES)
def test_a_slice_lies_where_its_volume_has_it(affine):
    volume, order = torch.arange(120.0).view(SHAPE), viewing_order(affine, "")
    whole = Placement.of(SHAPE, affine)
    array = whole.as_layer(volume)
    for number in (0, len(array) - 1):
        plane = lay_out(volume, order)[number]
        placement = Placement.of(plane.shape, affine_of_slice(affine, number, order, SHAPE))
        layer = placement.as_layer(plane)
        assert np.array_equal(layer, array[number : number + 1])
        for place in ((0, 0, 0), (0, *(side - 1 for side in plane.shape))):
            expected = whole.affine @ [number, *place[1:], 1]
            assert np.allclose(placement.affine @ [*place, 1], expected)
            assert float(plane[placement.point(place)]) == layer[place]
        assert placement.point((1, 0, 0)) is None
        small = placement.resized([side * 2 for side in plane.shape])
        corners = [small.affine @ [0, -0.5, -0.5, 1], placement.affine @ [0, -0.5, -0.5, 1]]
        assert np.allclose(*corners)


@pytest.fixture
def saved_slice(tmp_path):
    """A slice of a volume, explained by channel, in a folder with the files of its volume."""
    image = torch.zeros(2, 8, 9, 6)
    image[0, 2:7, 2:7, 4] = image[1, 3:6, 3:6, 4] = 1
    for channel in (0, 1):
        file = nibabel.Nifti1Image(image[channel].numpy(), AFFINES[1])
        nibabel.save(file, tmp_path / f"s_{channel:04d}.nii.gz")
    path = f"{tmp_path}/s_0000.nii.gz,{tmp_path}/s_0001.nii.gz"
    plane = misure.read_image(path, slice_index=4)
    model = toys.model_of(
        toys.OwnBrightness(), class_names=("dark", "bright"), num_channels=2,
        channel_names=("T1", "T2"),
    )  # fmt: skip
    target = misure.predicted_target(model, plane, class_name="bright")
    explanation = misure.explain(model, plane, target, channels="apart", max_passes=300)
    explanation = explanation.with_values(image=path, slice_index=4)
    explanation.save(tmp_path / "explanation.npz")
    return tmp_path, explanation


def test_a_saved_slice_lies_in_its_volume(saved_slice):
    folder, explanation = saved_slice
    whole = Placement.of((8, 9, 6), AFFINES[1])
    volume = np.zeros((8, 9, 6), np.uint8)
    nibabel.save(nibabel.Nifti1Image(volume, AFFINES[1]), folder / "target.nii.gz")
    for path in (explanation.values.image, "gone.nii.gz"):
        explanation.with_values(image=path).save(folder / "explanation.npz")
        data, settings, _ = saved_layers(folder / "explanation.npz")[-1]
        assert data.shape == (1, 9, 8)
        assert np.allclose(settings["affine"] @ [0, 3, 5, 1], whole.affine @ [4, 3, 5, 1])


def test_regions_by_channel_and_nested_regions_are_layers_of_numbers(saved_slice):
    folder, explanation = saved_slice
    layers = {one[1]["name"]: one for one in saved_layers(folder / "explanation.npz")}
    name = "s_0000.nii.gz, s_0001.nii.gz"
    assert list(layers) == [
        f"{name}: channel T1", f"{name}: channel T2", "bright: saliency map",
        "bright: channel T1", "bright: channel T2", "bright: nested regions",
        "bright: sufficient region", "bright: minimal region", "bright: target",
    ]  # fmt: skip
    small = explanation.minimally_sufficient_region_by_channel
    around = explanation.sufficient_region_by_channel
    assert small.any()
    for channel in (0, 1):
        data, settings, kind = layers[f"bright: channel T{channel + 1}"]
        assert kind == "labels"
        assert not settings["visible"]
        assert np.array_equal(data[0] == 1, small[channel])
        assert np.array_equal(data[0] == 2, around[channel] & ~small[channel])
    data, settings, _ = layers["bright: nested regions"]
    curve = explanation.sufficiency_curve
    assert len(curve) > 1
    for number, point in enumerate(curve, start=1):
        region = explanation.nested_region(point.dice_threshold)
        assert np.array_equal((data[0] > 0) & (data[0] <= number), region)
        assert settings["features"]["region"][number - 1] == f"Dice {point.dice_threshold:g}"
    assert np.allclose(settings["colormap"][1][:3], (0.993, 0.906, 0.144), atol=0.01)  # yellow


def test_without_nested_regions_there_is_no_layer_of_them(saved):
    _, explanation = saved
    assert not explanation.sufficiency_curve
    names = [one[1]["name"] for one in explanation_layers(explanation, Placement.of((30, 30, 30)))]
    assert "bright: nested regions" not in names
