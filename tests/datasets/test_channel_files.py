"""Folders whose files are the channels of images: nnU-Net's imagesTs, and BraTS."""

import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import misure
from misure.cli.app import main
from misure.datasets import ImageFiles, Reading, open_dataset
from misure.datasets.sample import files_of
from misure.errors import MisureWarning
from misure.models.model import SegmentationModel

SHAPE = (4, 3, 2)


def _write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(
        nibabel.Nifti1Image(np.full(SHAPE, value, np.float32), np.diag([1, 2, 3, 1])), path
    )


def _values(dataset):
    return {
        key: dataset[index].image[:, 0, 0, 0].tolist() for index, key in enumerate(dataset.keys)
    }


def _cases(folder, channels=2, cases=("a", "b_3")):
    for number, case in enumerate(cases):
        for channel in range(channels):
            _write(folder / f"{case}_000{channel}.nii.gz", 10 * number + channel)
    return str(folder)


@pytest.mark.parametrize("num_channels", [None, 2])
def test_nnunet_cases(tmp_path, num_channels):
    dataset = open_dataset(_cases(tmp_path / "imagesTs"), Reading(num_channels))
    assert _values(dataset) == {"a": [0, 1], "b_3": [10, 11]}
    assert [path.name for path in files_of(dataset, 1)] == ["b_3_0000.nii.gz", "b_3_0001.nii.gz"]
    assert np.array_equal(dataset[0].affine, np.diag([1, 2, 3, 1]))


def test_one_channel_or_one_file_of_all(tmp_path):
    _cases(tmp_path, channels=1)
    for num_channels in (None, 1):
        assert _values(open_dataset(str(tmp_path), Reading(num_channels))) == {
            "a": [0],
            "b_3": [10],
        }


def test_a_case_that_lacks_a_channel_is_named(tmp_path):
    folder = _cases(tmp_path, channels=3)
    (tmp_path / "b_3_0001.nii.gz").unlink()
    with pytest.raises(
        misure.InputError, match="expected the channels b_3_0000, b_3_0001 and so on"
    ):
        open_dataset(folder, Reading(3))
    (tmp_path / "b_3_0002.nii.gz").unlink()
    for num_channels in (None, 3):
        with pytest.raises(misure.InputError, match=r"got 1 of b_3 \(b_3_0000.nii.gz\)"):
            open_dataset(folder, Reading(num_channels))
    picked = open_dataset(folder, Reading(1, channels=("0",)))
    assert _values(picked) == {"a": [0], "b_3": [10]}
    with pytest.raises(misure.InputError, match="found no 0001 of b_3"):
        open_dataset(folder, Reading(2, channels=("0", "1")))


def test_what_is_no_case_is_said(tmp_path):
    folder = _cases(tmp_path)
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((*SHAPE, 2), np.float32), np.eye(4)), tmp_path / "c.nii.gz"
    )
    with pytest.warns(MisureWarning, match=r"beside 2 cases .* 1 file named otherwise .* \(c.nii"):
        dataset = open_dataset(folder, Reading(2))
    assert dataset.keys == ["a", "b_3", "c.nii.gz"]
    assert dataset[2].image.shape == (2, *SHAPE)


def test_numbers_of_images_are_not_taken_for_channels(tmp_path):
    for number in range(20):
        _write(tmp_path / f"scan_{number:04d}.nii.gz", number)
    assert len(open_dataset(str(tmp_path)).keys) == 20
    for number in (0, 1):
        Image.new("RGB", (3, 3)).save(tmp_path / f"photo_000{number}.png")
    with pytest.warns(
        MisureWarning, match="the network takes one channel, so each file is an image"
    ):
        assert len(open_dataset(str(tmp_path), Reading(1)).keys) == 22
    assert open_dataset(str(tmp_path), Reading(3)).keys[:2] == ["photo_0000.png", "photo_0001.png"]


def test_pictures_as_channels_if_the_network_takes_two(tmp_path):
    for channel in (0, 1):
        Image.new("L", (3, 2), 51 * channel).save(tmp_path / f"x_000{channel}.png")
    dataset = open_dataset(str(tmp_path), Reading(2))
    assert dataset.keys == ["x"]
    assert torch.allclose(dataset[0].image.mean((1, 2)), torch.tensor([0, 0.2]))


OLD, NEW = ("t1", "t1ce", "t2", "flair"), ("t1n", "t1c", "t2w", "t2f")


def _brats(folder, names, mark, nested=True):
    for number in (0, 1):
        case = f"BraTS{mark}00{number}"
        inside = folder / case if nested else folder
        for channel, name in enumerate(names):
            _write(inside / f"{case}{mark}{name}.nii.gz", 10 * number + channel)
    return str(folder)


@pytest.mark.parametrize(("names", "mark"), [(OLD, "_"), (NEW, "-")])
@pytest.mark.parametrize("nested", [True, False])
def test_brats_in_the_order_of_the_network(tmp_path, names, mark, nested):
    folder = _brats(tmp_path, names, mark, nested)
    with pytest.raises(
        misure.InputError,
        match="the order in which the network takes the sequences t1c,t1n,t2f,t2w, got none. Say it: --image-option channels=",
    ):
        open_dataset(folder, Reading(4))
    with pytest.raises(misure.InputError, match="whose channels are called a, b, c, d, got none"):
        open_dataset(folder, Reading(4, channels=("a", "b", "c", "d")))
    order = ("T1Gd", "T1w", "T2w", "FLAIR")
    dataset = open_dataset(folder, Reading(4, channels=order))
    assert _values(dataset) == {
        f"BraTS{mark}000": [1, 0, 2, 3],
        f"BraTS{mark}001": [11, 10, 12, 13],
    }
    assert _values(open_dataset(folder, Reading(channels=("FLAIR", "t1ce"))))[
        f"BraTS{mark}001"
    ] == [13, 11]
    lost = next(path for path in tmp_path.rglob(f"*001{mark}{names[2]}.nii.gz"))
    lost.unlink()
    with pytest.raises(
        misure.InputError,
        match=f"T1Gd, T1w, T2w, FLAIR of each case, found no t2w of BraTS{mark}001",
    ):
        open_dataset(folder, Reading(4, channels=order))


def test_labels_beside_brats_are_left_out(tmp_path):
    folder = _brats(tmp_path, NEW, "-")
    _write(tmp_path / "BraTS-000/BraTS-000-seg.nii.gz", 1)
    with pytest.warns(
        MisureWarning, match=r"1 file that holds labels and is left out \(BraTS-000-seg"
    ):
        assert len(open_dataset(folder, Reading(channels=NEW)).keys) == 2


def test_options_and_the_names_of_the_network(tmp_path):
    model = SegmentationModel(torch.nn.Conv3d(2, 2, 1), num_channels=2)
    model.channel_names = ("FLAIR", "T1ce")
    folder = _brats(tmp_path, OLD, "_")
    assert _values(open_dataset(folder, Reading.for_model(model)))["BraTS_001"] == [13, 11]
    for given in ("t1,t2", ["t1", "t2"]):
        reading = Reading.for_model(model, image_options={"channels": given})
        assert _values(open_dataset(folder, reading))["BraTS_001"] == [10, 12]
    with pytest.raises(
        misure.InputError, match="options frame, depth, series, channels, got 'nothing'"
    ):
        Reading.for_model(model, image_options={"nothing": 1})


def test_files_that_are_named_in_another_order_than_given(tmp_path):
    _brats(tmp_path, OLD, "_")
    paths = [tmp_path / f"BraTS_000/BraTS_000_{name}.nii.gz" for name in ("t1", "flair")]
    reading = Reading(channels=("FLAIR", "T1"))
    with pytest.raises(misure.InputError, match="in the order t2f, t1n, got files named t1n, t2f"):
        reading.image(paths)
    dataset = ImageFiles([paths[::-1]], reading=reading)
    assert _values(dataset) == {f"{tmp_path}/BraTS_000/BraTS_000": [3, 0]}
    assert Reading().image(paths)[:, 0, 0, 0].tolist() == [0, 3]  # nothing is known
    _cases(tmp_path / "imagesTs")
    numbered = [tmp_path / f"imagesTs/a_000{number}.nii.gz" for number in (1, 0)]
    with pytest.raises(
        misure.InputError, match="in the order 0000, 0001, got files named 0001, 0000"
    ):
        ImageFiles([numbered])[0]


def test_lines_of_a_text_file_name_several_files(tmp_path):
    _cases(tmp_path / "imagesTs")
    (tmp_path / "list.txt").write_text(
        "imagesTs/b_3_0000.nii.gz,imagesTs/b_3_0001.nii.gz\nimagesTs/a_0000.nii.gz, imagesTs/a_0001.nii.gz\n"
    )
    dataset = open_dataset(str(tmp_path / "list.txt"), Reading(2))
    assert _values(dataset) == {"imagesTs/b_3": [10, 11], "imagesTs/a": [0, 1]}


def test_cases_of_one_name_in_two_folders(tmp_path):
    for folder in ("x", "y"):
        _cases(tmp_path / folder, cases=("a",))
    assert open_dataset(str(tmp_path), Reading(2)).keys == ["x/a", "y/a"]


def test_dicom_folders_are_images(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    for patient in ("p1", "p2"):
        (tmp_path / patient).mkdir()
        for k in range(3):
            plane = sitk.Image(4, 3, sitk.sitkInt16) + k
            for key, value in {
                "0020|000e": f"1.2.{patient[1]}", "0020|0032": f"0\\0\\{k}", "0020|0037": "1\\0\\0\\0\\1\\0",
            }.items():  # fmt: skip
                plane.SetMetaData(key, value)
            _dicom(sitk, plane, tmp_path / patient / f"{9 - k}.dcm")
    dataset = open_dataset(str(tmp_path))
    assert dataset.keys == ["p1", "p2"]
    assert dataset[0].image[0, 0, 0].tolist() == [0, 1, 2]
    assert len(files_of(dataset, 0)) == 3


def _dicom(sitk, plane, path):
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(plane)


def test_annotated_volumes_in_other_formats(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.Cast(sitk.Image(4, 3, 2, sitk.sitkInt16) + 7, sitk.sitkInt16)
    for channel in (0, 1):
        (tmp_path / "imagesTr").mkdir(exist_ok=True)
        sitk.WriteImage(image + channel, str(tmp_path / f"imagesTr/a_000{channel}.mha"))
    (tmp_path / "labelsTr").mkdir()
    labels = sitk.Image(4, 3, 2, sitk.sitkUInt8)
    labels[1, 2, 0] = 1
    sitk.WriteImage(labels, str(tmp_path / "labelsTr/a.nrrd"))
    sample = open_dataset(f"nifti:{tmp_path}", Reading(2))[0]
    assert sample.key == "a"
    assert sample.image[:, 0, 0, 0].tolist() == [7, 8]
    assert sample.annotation.nonzero().tolist() == [[1, 2, 0]]
    labels.SetOrigin((5, 0, 0))
    sitk.WriteImage(labels, str(tmp_path / "labelsTr/a.nrrd"))
    with pytest.raises(misure.InputError, match="labels that lie on the image, but the position"):
        open_dataset(f"nifti:{tmp_path}", Reading(2))[0]


class Channels(torch.nn.Module):
    """Class 1 where the first channel is above the second by the half of one."""

    def forward(self, images):
        above = images[:, :1] - images[:, 1:2] - 0.5
        return torch.cat([-above, above], 1) * 20


def _ball(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros((9, 8, 7), np.float32)
    voxels[2:6, 2:6, 2:5] = value
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    return path


def test_a_list_of_paths_is_the_channels_of_one_image(tmp_path):
    paths = [_ball(tmp_path / f"a_000{i}.nii.gz", value) for i, value in enumerate((1, 0))]
    model = SegmentationModel(Channels(), num_channels=2)
    options = {"max_passes": 20, "preset": "quick"}
    found = misure.explain(model, paths, 1, **options)
    same = misure.explain(model, misure.read_image(paths), 1, **options)
    assert int(found.target.region.sum()) == 48
    assert torch.equal(found.sufficient_region, same.sufficient_region)
    both = misure.explain_all(model, [paths, [str(path) for path in paths]], [1, 1], **options)
    assert torch.equal(both[1].sufficient_region, same.sufficient_region)
    with pytest.raises(misure.InputError, match="one image for all targets or one for each of 1"):
        misure.explain_all(model, paths, [1], **options)


@pytest.mark.parametrize("brats", [False, True])
def test_the_classes_of_every_case_of_a_folder(tmp_path, brats):
    """The order of BraTS files is that of the network's channel names."""
    names = ("t1n", "t2f") if brats else ("0000", "0001")
    for case, value in (("a", 1), ("b", 0)):
        for name, own in zip(names, (1, 1 - value), strict=True):
            _ball(tmp_path / "images" / f"{case}{'-' if brats else '_'}{name}.nii.gz", own)
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "def net():\n"
        "    def call(images):\n"
        "        above = images[:, :1] - images[:, 1:2] - 0.5\n"
        "        return torch.cat([-above, above], 1) * 20\n"
        "    return call\n"
    )
    asked = ["classes", str(tmp_path / "images"), "--model", f"python:{tmp_path}/net.py:net"]
    options = ["--model-option", f"channel_names={'T1,FLAIR' if brats else 'x,y'}"]
    done = CliRunner().invoke(main, [*asked, *options])
    assert done.exit_code == 0, done.output
    header, *rows = (line.split() for line in done.output.splitlines()[:4])
    assert header[:5] == ["image", "class_index", "class_name", "N", "voxels"]
    assert [row[:4] for row in rows if row[1] == "0"] == [
        ["a", "0", "0", "456"], ["b", "0", "0", "504"]
    ]  # fmt: skip
    assert [row[:5] for row in rows if row[1] != "0"] == [["a", "1", "1", "0", "48"]]
