import gzip

import nibabel
import numpy as np
import pytest
import torch

import misure
from misure.datasets import ImageFiles, Reading, Sample, open_dataset
from misure.datasets.nifti import NiftiPairs, Slices
from misure.images.nifti_write import write_volume
from misure.images.numbering import Numbering

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2, 0, 40], [0, 0, 5, -50], [0, 0, 0, 1]])
SHAPE = (6, 5, 4)


def _write(path, array, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


def _image(seed=0):
    return np.random.default_rng(seed).integers(-1000, 1000, SHAPE).astype(np.int16)


def _labels(*numbers):
    labels = np.zeros(SHAPE, np.uint8)
    for k, number in enumerate(numbers or (1,)):
        labels[1 + k, 2, 3] = number
    return labels


def _pair(folder, image="images/a.nii.gz", labels="labels/a.nii.gz"):
    _write(folder / image, _image())
    _write(folder / labels, _labels())


@pytest.mark.parametrize(
    ("image", "labels", "case"),
    [
        ("imagesTr/hippo_003.nii.gz", "labelsTr/hippo_003.nii.gz", "hippo_003"),
        ("imagesTr/case_0000.nii.gz", "labelsTr/case.nii.gz", "case"),
        ("images/case_0000.nii", "labels/case.nii.gz", "case"),
        ("img/img0001.nii.gz", "label/label0001.nii.gz", "img0001"),
        (
            "RawData/Training/img/img0001.nii.gz",
            "RawData/Training/label/label0001.nii.gz",
            "img0001",
        ),
        ("img/0001/img0001.nii.gz", "label/0001/label0001.nii.gz", "img0001"),
        ("img0001.nii.gz", "label0001.nii.gz", "img0001"),
        ("volume-0.nii", "segmentation-0.nii", "volume-0"),
        ("case_0000.nii.gz", "case.nii.gz", "case"),
        ("images/case_0003.nii.gz", "labels/case_0003.nii.gz", "case_0003"),
    ],
)
def test_layouts(tmp_path, image, labels, case):
    _pair(tmp_path, image, labels)
    (tmp_path / image).with_name("._hidden.nii.gz").write_bytes(b"left by a Mac")
    dataset = open_dataset(f"nifti:{tmp_path}")
    assert dataset.keys == [case]
    sample = dataset[0]
    assert torch.equal(sample.image, torch.from_numpy(_image()).float()[None])
    assert torch.equal(sample.annotation, torch.from_numpy(_labels()).long())
    assert np.array_equal(sample.affine, AFFINE)


def test_two_folders_or_two_files(tmp_path):
    _pair(tmp_path)
    _pair(tmp_path, "images/b.nii.gz", "labels/b.nii.gz")
    assert open_dataset(f"nifti:{tmp_path}/images,{tmp_path}/labels").keys == ["a", "b"]
    one = open_dataset(f"nifti:{tmp_path}/images/a.nii.gz,{tmp_path}/labels/b.nii.gz")
    assert one.keys == ["a"]


def test_channels_are_scaled_together(tmp_path):
    for channel in (0, 1):
        _write(tmp_path / f"imagesTr/case_000{channel}.nii.gz", _image(channel))
    _write(tmp_path / "labelsTr/case.nii.gz", _labels())
    spec = f"nifti:{tmp_path}"
    image = open_dataset(spec, Reading(2, intensity="window:-1000:1000"))[0].image
    assert image.shape == (2, *SHAPE)
    assert torch.allclose(image[1], (torch.from_numpy(_image(1)).float() + 1000) / 2000)
    with pytest.raises(misure.InputError, match="expected 1 channel, got 2"):
        open_dataset(spec, Reading(1))[0]
    (tmp_path / "imagesTr/case_0000.nii.gz").unlink()
    with pytest.raises(misure.InputError, match="expected the channels case_0000, case_0001"):
        open_dataset(spec)


def test_a_slice_is_laid_out_as_read_image_does(tmp_path):
    _pair(tmp_path)
    chosen = open_dataset(f"nifti:{tmp_path}", Reading(slice_index=3))[0]
    path = tmp_path / "images/a.nii.gz"
    assert torch.equal(chosen.image, misure.read_image(path, slice_index=3))
    assert chosen.annotation.nonzero().tolist() == [[2, 1]]  # LPS: rows and columns as stored
    assert chosen.affine.shape == (4, 4)  # see test_write_back
    slices = open_dataset(f"nifti-slices:{tmp_path}")
    assert slices.keys == ["a/slice003"]
    assert torch.equal(slices[0].image, chosen.image)
    assert torch.equal(slices[0].annotation, chosen.annotation)
    with pytest.raises(misure.InputError, match="expected a slice from 0 to 3, got 4 for a"):
        open_dataset(f"nifti:{tmp_path}", Reading(slice_index=4))[0]
    with pytest.raises(misure.InputError, match="expected no --slice for a data set of slices"):
        open_dataset(f"nifti-slices:{tmp_path}", Reading(slice_index=3))


def test_slices_come_from_every_volume(tmp_path):
    for name in ("a", "b"):
        _pair(tmp_path, f"images/{name}.nii.gz", f"labels/{name}.nii.gz")
    labels = _labels()
    labels[0, 0, :2] = 1
    _write(tmp_path / "labels/b.nii.gz", labels)
    slices = Slices(NiftiPairs(tmp_path / "images", tmp_path / "labels"))
    assert slices.keys == ["a/slice003", "b/slice000", "b/slice001", "b/slice003"]
    assert len(slices) == 4
    assert [slices[i].key for i in (3, 0, 1, 2)] == [slices.keys[i] for i in (3, 0, 1, 2)]
    for name in ("a", "b"):
        _write(tmp_path / f"labels/{name}.nii.gz", np.zeros(SHAPE, np.uint8))
    with pytest.raises(misure.InputError, match="found none in 2 volumes"):
        open_dataset(f"nifti-slices:{tmp_path}")


def test_one_body_stored_in_two_ways_is_read_upright_as_one(tmp_path):
    _pair(tmp_path)
    as_ras = nibabel.as_closest_canonical
    for part in ("images", "labels"):
        as_ras(nibabel.load(tmp_path / part / "a.nii.gz")).to_filename(tmp_path / part / "b.nii.gz")
    dataset = NiftiPairs(tmp_path / "images", tmp_path / "labels", upright=True)
    a, b = dataset[0], dataset[1]
    assert torch.equal(a.image, b.image)
    assert torch.equal(a.annotation, b.annotation)
    assert torch.allclose(a.affine, b.affine)
    assert a.image.shape == (1, 4, 5, 6)


def test_labels_are_renumbered(tmp_path):
    _pair(tmp_path)
    _write(tmp_path / "labels/a.nii.gz", _labels(3, 5).astype(np.float32))
    folders = tmp_path / "images", tmp_path / "labels"
    found = NiftiPairs(*folders, label_map={3: 1, 5: 0})[0].annotation
    assert found.unique().tolist() == [0, 1]
    assert found[1, 2, 3] == 1
    for known in ({"label_map": {3: 1}}, {"class_names": ("background", "a", "b", "c")}):
        with pytest.raises(misure.InputError, match=r"expected labels .* got 5 in"):
            NiftiPairs(*folders, **known)[0]


def _truncate(folder):
    path = folder / "labels/a.nii.gz"
    path.write_bytes(path.read_bytes()[:-30])


def _drifted():
    affine = AFFINE.astype(float)
    affine[0, 3] = np.nan
    return affine


@pytest.mark.parametrize("intensity", ["", "window:-125:275", "percentiles:1:99"])
def test_what_a_window_would_hide_is_refused(tmp_path, intensity):
    path = tmp_path / "a.nii.gz"
    for numbers, words in (
        (_image() + np.float32(np.inf), "expected finite numbers"),
        (_image()[:0], "its shape is"),
    ):
        _write(path, numbers)
        with pytest.raises(misure.InputError, match=words):
            misure.read_image(path, intensity=intensity)
    _write(path, _image(), _drifted())
    with pytest.raises(misure.InputError, match=r"an affine that gives each axis .* in .*a.nii.gz"):
        misure.read_image(path, slice_index=0)


def test_a_slice_is_read_beside_a_damaged_one(tmp_path):
    numbers = _image().astype(np.float32)
    numbers[0, 0, 0] = np.nan
    _write(tmp_path / "a.nii.gz", numbers)
    assert misure.read_image(tmp_path / "a.nii.gz", slice_index=2).isfinite().all()
    with pytest.raises(misure.InputError, match="expected finite numbers"):
        misure.read_image(tmp_path / "a.nii.gz", slice_index=0)


def test_labels_of_one_image_twice_and_a_case_listed_twice(tmp_path):
    for name in ("img0001", "label0001", "seg0001"):
        _write(tmp_path / f"{name}.nii.gz", _labels())
    with pytest.raises(misure.InputError, match="different keys, got 'img0001' twice"):
        open_dataset(f"nifti:{tmp_path}")


def test_a_volume_longer_than_nifti_1_can_say(tmp_path):
    array, affine = np.zeros((40_000, 2, 2), np.uint8), np.diag([1.0, 2, 3, 1])
    write_volume(tmp_path / "long.nii.gz", array, affine)
    file = nibabel.load(tmp_path / "long.nii.gz")
    assert file.shape == array.shape
    assert np.array_equal(file.affine, affine)
    assert file.header.get_xyzt_units()[0] == "mm"
    assert np.allclose(file.get_qform(), affine)


def _truncate_image(folder):
    path = folder / "images/a.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()))[:200])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_truncate, "expected a NIfTI volume of labels, but .*a.nii.gz cannot be"),
        (_truncate_image, "expected a NIfTI volume, but .*a.nii.gz cannot be used"),
        (
            lambda folder: _write(folder / "labels/a.nii.gz", np.zeros((6, 5, 3), np.uint8)),
            r"expected labels of the image's shape \(6, 5, 4\), got \(6, 5, 3\)",
        ),
        (
            lambda folder: _write(
                folder / "labels/a.nii.gz", _labels(), np.diag([2, -2, 5, 1]) * 1.0
            ),
            "the orientation or voxel size in the header of .* differs",
        ),
        (
            lambda folder: _write(folder / "labels/a.nii.gz", _labels(), AFFINE + np.eye(4, k=3)),
            "the position in the header of .* differs from the image's by up to 1",
        ),
        (
            lambda folder: _write(folder / "labels/a.nii.gz", _labels() * np.float32(0.5)),
            "expected whole numbers as labels, up to 0.001 of rounding, got 0.5",
        ),
        (
            lambda folder: _write(folder / "labels/a.nii.gz", _image()),
            "expected labels from 0 to 65535, got -",
        ),
        (
            lambda folder: _write(folder / "labels/a.nii.gz", np.zeros((6, 5, 4, 2), np.uint8)),
            r"its shape is \(6, 5, 4, 2\), not \(I, J, K\)",
        ),
        (
            lambda folder: _write(folder / "images/a.nii.gz", _image().astype(np.complex64)),
            "it holds complex64, no real numbers",
        ),
        (
            lambda folder: _write(folder / "images/a.nii.gz", _image() + np.float32(np.inf)),
            "expected finite numbers, got NaN or infinity in .*a.nii.gz",
        ),
        (
            lambda folder: _write(folder / "images/a.nii.gz", _image(), _drifted()),
            "the position in the header of .* differs|gives each axis a direction",
        ),
    ],
)
def test_bad_volumes(tmp_path, spoil, words):
    _pair(tmp_path)
    spoil(tmp_path)
    with pytest.raises(misure.InputError, match=words):
        open_dataset(f"nifti:{tmp_path}")[0]


def test_labels_too_large_are_not_read(tmp_path, monkeypatch):
    _pair(tmp_path)
    monkeypatch.setattr("misure.images.labels.VOXEL_LIMIT", 100)
    with pytest.raises(misure.InputError, match="more than 100 voxels"):
        open_dataset(f"nifti:{tmp_path}")[0]


def test_files_without_partner(tmp_path):
    with pytest.raises(misure.MissingDataError, match="expected images .* found none"):
        open_dataset(f"nifti:{tmp_path}")
    with pytest.raises(misure.MissingDataError, match="expected a folder with images and labels"):
        open_dataset(f"nifti:{tmp_path}/nowhere")
    with pytest.raises(misure.MissingDataError, match="found none at .*nowhere"):
        open_dataset(f"nifti:{tmp_path}/nowhere,{tmp_path}")
    for rest in ("", ",", f"{tmp_path},"):
        with pytest.raises(misure.InputError, match="expected nifti:IMAGES,LABELS or nifti:FOLDER"):
            open_dataset(f"nifti:{rest}")
    _pair(tmp_path)
    _write(tmp_path / "images/b.nii.gz", _image())
    with pytest.raises(
        misure.InputError, match="expected labels for every image, found none for .*b"
    ):
        open_dataset(f"nifti:{tmp_path}")
    (tmp_path / "images/b.nii.gz").rename(tmp_path / "labels/b.nii.gz")
    with pytest.raises(
        misure.InputError, match="expected an image for all labels, found none for .*b"
    ):
        open_dataset(f"nifti:{tmp_path}")
    (tmp_path / "labels/b.nii.gz").unlink()
    _write(tmp_path / "images/more/a.nii.gz", _image())
    with pytest.raises(misure.InputError, match="expected volumes of different names"):
        open_dataset(f"nifti:{tmp_path}")


def test_the_spacing_is_that_of_the_axes_that_a_sample_has(tmp_path):
    affine = np.array([[0, 0.9, 0, 0], [0, 0, 5.0, 0], [0.8, 0, 0, 0], [0, 0, 0, 1]])
    _write(tmp_path / "images/a.nii.gz", _image(), affine)
    _write(tmp_path / "labels/a.nii.gz", _labels(), affine)
    volume = open_dataset(f"nifti:{tmp_path}")[0]
    assert volume.spacing_mm == pytest.approx((0.8, 0.9, 5.0))
    plane = open_dataset(f"nifti-slices:{tmp_path}")[0]  # along the first axis as stored
    assert plane.spacing_mm == pytest.approx((5.0, 0.9))  # rows run from front to back
    assert Sample("a", torch.zeros(3, 4, 5)).spacing_mm is None


def test_millimetres_whatever_unit_the_header_has(tmp_path):
    file = nibabel.Nifti1Image(_image(), np.diag([800.0, 800, 5000, 1]))
    file.header.set_xyzt_units("micron")
    nibabel.save(file, tmp_path / "a.nii.gz")
    assert ImageFiles([tmp_path / "a.nii.gz"])[0].spacing_mm == pytest.approx((0.8, 0.8, 5.0))


def test_labels_that_scaling_has_moved_are_rounded(tmp_path):
    _pair(tmp_path)
    file = nibabel.Nifti1Image(_labels(3, 6).astype(float), AFFINE)
    file.set_data_dtype(np.int16)  # nibabel chooses a slope
    nibabel.save(file, tmp_path / "labels/a.nii.gz")
    assert not (nibabel.load(tmp_path / "labels/a.nii.gz").get_fdata() % 1 == 0).all()
    assert open_dataset(f"nifti:{tmp_path}")[0].annotation.unique().tolist() == [0, 3, 6]


def test_ignored_numbers_and_an_offset_of_volumes(tmp_path):
    _pair(tmp_path)
    _write(tmp_path / "labels/a.nii.gz", _labels(1, 2, 255).astype(np.int16))
    ignoring = Reading(numbering=Numbering(ignore=(255,), offset=-1, num_classes=2))
    sample = open_dataset(f"nifti:{tmp_path}", ignoring)[0]
    assert [int(sample.annotation[1 + k, 2, 3]) for k in range(3)] == [0, 1, -1]
    assert int(sample.annotation[0, 0, 0]) == -1  # 0 is "other"
    assert open_dataset(f"nifti:{tmp_path}")[0].annotation.max() == 255  # a number like others
    with pytest.raises(
        misure.InputError, match=r"classes 0 to 1, .* got 2, 255 .*--label-offset -1"
    ):
        open_dataset(f"nifti:{tmp_path}", Reading(numbering=Numbering(num_classes=2)))[0]


def test_sform_and_qform_that_put_left_and_right_on_other_sides_are_refused(tmp_path):
    file = nibabel.Nifti1Image(_image(), np.diag([2.0, 2, 2, 1]))
    file.set_sform(np.diag([2.0, 2, 2, 1]), 1)
    file.set_qform(np.diag([-2.0, 2, 2, 1]), 1)
    nibabel.save(file, tmp_path / "a.nii.gz")
    with pytest.raises(misure.InputError, match="right, front, up by the sform .* left, front"):
        misure.read_image(tmp_path / "a.nii.gz", slice_index=1)
    file.set_qform(np.diag([-2.0, 2, 2, 1]), 0)
    nibabel.save(file, tmp_path / "b.nii.gz")
    assert misure.read_image(tmp_path / "b.nii.gz", slice_index=1).shape == (1, 5, 6)


def test_a_plane_is_no_stack_of_rows(tmp_path):
    _write(tmp_path / "a.nii.gz", np.zeros((1, 24, 30), np.float32), np.diag([999.0, 1, 1, 1]))
    with pytest.raises(misure.InputError, match=r"= \(30, 24, 1\) .* save it as .png or .npy"):
        misure.read_image(tmp_path / "a.nii.gz", slice_index=0)
    _write(tmp_path / "b.nii.gz", np.zeros((24, 30), np.float32), np.eye(4))
    with pytest.raises(misure.InputError, match="A plane is read as .png or .npy"):
        misure.read_image(tmp_path / "b.nii.gz")
