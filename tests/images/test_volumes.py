"""Volumes of all formats: the same voxels at the same places as SimpleITK's own reading, and nibabel's."""

import itertools
import os
import sys
import zlib

import numpy as np
import pytest
import torch

import misure
from misure.datasets import ImageFiles, Reading
from misure.images.volumes import open_volume

nibabel = pytest.importorskip("nibabel")
sitk = pytest.importorskip("SimpleITK")

SIZE = (7, 5, 4)  # I, J, K: no two alike
AXIAL, CORONAL, SAGITTAL = (
    (1, 0, 0, 0, 1, 0, 0, 0, 1),
    (1, 0, 0, 0, 0, 1, 0, -1, 0),
    (0, 0, -1, 1, 0, 0, 0, -1, 0),
)
FLIPPED = (-1, 0, 0, 0, 1, 0, 0, 0, -1)


def _oblique():
    a, b = 0.3, -0.2
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return tuple((turn @ tilt).ravel())


DIRECTIONS = {
    "axial": AXIAL,
    "coronal": CORONAL,
    "sagittal": SAGITTAL,
    "flipped": FLIPPED,
    "oblique": _oblique(),
}


def _image(direction=AXIAL, dtype=np.int16, channels=0):
    shape = (*SIZE[::-1], channels) if channels else SIZE[::-1]
    numbers = np.random.default_rng(0).integers(-1000, 1000, shape).astype(dtype)
    image = sitk.GetImageFromArray(numbers, isVector=bool(channels))
    image.SetSpacing((0.8, 0.9, 2.5))
    image.SetOrigin((-30.5, 20.25, -100))
    image.SetDirection(direction)
    return image


def _world_of_itk(image, index):
    """Millimetres RAS+ of a voxel, by SimpleITK alone."""
    x, y, z = image.TransformIndexToPhysicalPoint([int(i) for i in index])
    return (-x, -y, z)


def _check_same(path, image):
    """The same voxels, the same affine, the same place of every corner as SimpleITK's."""
    file = open_volume(path)
    voxels = sitk.GetArrayFromImage(image)
    assert file.shape[:3] == image.GetSize()
    assert np.array_equal(file.voxels(np.float32)[..., :1].squeeze(-1) if voxels.ndim == 4 else file.voxels(np.float32), (voxels[..., 0] if voxels.ndim == 4 else voxels).transpose(2, 1, 0).astype(np.float32))  # fmt: skip
    for corner in itertools.product(*((0, side - 1) for side in image.GetSize())):
        here = file.affine @ (*corner, 1)
        assert np.allclose(here[:3], _world_of_itk(image, corner), atol=1e-4)
    return file


@pytest.mark.parametrize("kind", DIRECTIONS)
@pytest.mark.parametrize("suffix", ["nrrd", "nhdr", "mha", "mhd"])
def test_as_simpleitk_and_as_the_same_volume_in_nifti(tmp_path, suffix, kind):
    image = _image(DIRECTIONS[kind])
    sitk.WriteImage(image, str(tmp_path / f"a.{suffix}"))
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    file = _check_same(tmp_path / f"a.{suffix}", image)
    nifti = nibabel.load(tmp_path / "a.nii.gz")
    assert np.allclose(file.affine, nifti.affine, atol=1e-5)
    read = misure.read_image(tmp_path / f"a.{suffix}")
    assert torch.equal(read, misure.read_image(tmp_path / "a.nii.gz"))
    for number in (0, 2):
        assert torch.equal(
            misure.read_image(tmp_path / f"a.{suffix}", slice_index=number),
            misure.read_image(tmp_path / "a.nii.gz", slice_index=number),
        )
    ours, theirs = (ImageFiles([tmp_path / name])[0] for name in (f"a.{suffix}", "a.nii.gz"))
    assert ours.order == theirs.order
    assert np.allclose(ours.spacing_mm, (0.8, 0.9, 2.5))
    assert file.files[0] == tmp_path / f"a.{suffix}"
    assert len(file.files) == (2 if suffix in ("nhdr", "mhd") else 1)


@pytest.mark.parametrize("suffix", ["nrrd", "mha"])
def test_vectors_and_compression(tmp_path, suffix):
    image = _image(channels=3, dtype=np.float32)
    sitk.WriteImage(image, str(tmp_path / f"a.{suffix}"), useCompression=True)
    expected = sitk.GetArrayFromImage(image).transpose(3, 2, 1, 0)
    assert np.array_equal(misure.read_image(tmp_path / f"a.{suffix}"), expected)


NRRD = """NRRD0004
type: uchar
dimension: 3
sizes: 4 3 2
{more}encoding: raw

"""


def _nrrd(path, more="", data=bytes(range(24))):
    path.write_bytes(NRRD.format(more=more).encode() + data)
    return path


def test_what_an_nrrd_header_says(tmp_path):
    path = tmp_path / "a.nrrd"
    along = "space directions: (2,0,0) (0,2,0) (0,0,3)\n"
    ras = "space: right-anterior-superior\n" + along
    file = open_volume(_nrrd(path, ras))
    file.check_oriented()
    assert np.allclose(file.affine, np.diag([2, 2, 3, 1]))
    microns = ras + 'space units: "um" "um" "um"\n'
    assert np.allclose(open_volume(_nrrd(path, microns)).affine, np.diag([2e-3, 2e-3, 3e-3, 1]))
    assert open_volume(_nrrd(path, "spacings: 1 2 3\n")).has_spacing
    assert ImageFiles([_nrrd(path)])[0].affine is None  # no size is known
    assert misure.read_image(path)[0, 1, 2, 0] == 9  # the first axis runs fastest
    for unknown in ("", "space dimension: 3\n" + along):
        with pytest.raises(misure.InputError, match="says which way the volume lies .a space such"):
            misure.read_image(_nrrd(path, unknown), slice_index=0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../b.raw", "not in one file in the same folder"),
        ("/etc/passwd", "not in one file in the same folder"),
        ("b%03d.raw 1 9 1", "not in one file in the same folder"),
        ("LIST", "not in one file in the same folder"),
        ("none.raw", "there is no file 'none.raw' beside it"),
    ],
)
def test_a_header_reaches_no_other_folder(tmp_path, name, words):
    (tmp_path.parent / "b.raw").write_bytes(bytes(range(24)))
    header = "space: left-posterior-superior\n" + f"data file: {name}\n"
    with pytest.raises(misure.InputError, match=words):
        misure.read_image(_nrrd(tmp_path / "a.nhdr", header))
    text = f"ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_UCHAR\nElementDataFile = {name}\n"
    for suffix in ("mhd", "mha"):
        (tmp_path / f"a.{suffix}").write_text(text)
        with pytest.raises(misure.InputError, match=words):
            misure.read_image(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.mha", "a.mhd", "a.dcm", "a.ome.tif"])
def test_garbage_is_one_sentence(tmp_path, name, capfd):
    contents = [
        b"garbage", os.urandom(3000), b"NRRD0004\n" + b"type: x\n" * 900,
        b"NDims = 99999999\nDimSize = 1\nElementDataFile = LOCAL\n", bytes(128) + b"DICM" + bytes(99),
    ]  # fmt: skip
    for content in contents:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(misure.InputError, match=name) as raised:
            misure.read_image(tmp_path / name)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 600
    with pytest.raises(misure.InputError):
        misure.read_image(tmp_path / f"none-{name}")


def test_sizes_are_checked_before_voxels_are_read(tmp_path):
    huge = "sizes: 40000 40000 40000\n"
    (tmp_path / "a.nrrd").write_bytes(NRRD.format(more="").replace("sizes: 4 3 2\n", huge).encode())
    with pytest.raises(misure.InputError, match="expected at most 200,000,000 numbers, got 40000"):
        misure.read_image(tmp_path / "a.nrrd")
    text = "ObjectType = Image\nNDims = 3\nDimSize = 9000 9000 9000\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    (tmp_path / "a.mha").write_bytes(text.encode() + bytes(24))
    with pytest.raises(misure.InputError, match="expected at most 200,000,000 numbers, got 9000"):
        misure.read_image(tmp_path / "a.mha")
    short = _nrrd(tmp_path / "b.nrrd", "space: left-posterior-superior\n", bytes(20))
    with pytest.raises(misure.InputError, match="an NRRD volume, but .*b.nrrd cannot be used"):
        misure.read_image(short)


# --- DICOM


def _series(folder, image, *, uid="1.2.3", number="1", names=None, slopes=None, skip=(), **tags):
    """Writes a series as a scanner does: a file a slice, with rescale, in names of any order."""
    folder.mkdir(exist_ok=True)
    direction, writer = image.GetDirection(), sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(image.GetDepth()):
        if k in skip:
            continue
        plane = image[:, :, k]
        where = image.TransformIndexToPhysicalPoint((0, 0, k))
        slope, intercept = (slopes or {}).get(k, ("1", "0"))
        said = {
            "0008|0060": "CT",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"{uid}.{k + 1}",
            "0020|000d": "1.2.9",
            "0020|000e": uid,
            "0020|0011": number,
            "0020|0013": str(k + 1),
            "0020|0032": "\\".join(f"{x:.10g}" for x in where),
            "0020|0037": "\\".join(f"{direction[i]:.12g}" for i in (0, 3, 6, 1, 4, 7)),
            "0018|0050": f"{image.GetSpacing()[2]:g}",
            "0028|1052": intercept,
            "0028|1053": slope,
        } | tags
        for key, value in said.items():
            plane.SetMetaData(key, value)
        writer.SetFileName(str(folder / (names[k] if names else f"{k}.dcm")))
        writer.Execute(plane)
    return folder


@pytest.mark.parametrize("kind", ["axial", "coronal", "sagittal", "oblique"])
def test_a_dicom_series_in_any_direction(tmp_path, kind):
    image = _image(DIRECTIONS[kind])
    folder = _series(tmp_path / "scan", image, names=["z.dcm", "b.dcm", "a.dcm", "m.dcm"])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    theirs = reader.Execute()
    assert np.array_equal(sitk.GetArrayFromImage(theirs), sitk.GetArrayFromImage(image))
    file = _check_same(folder, theirs)
    assert [path.name for path in file.files] == ["z.dcm", "b.dcm", "a.dcm", "m.dcm"]
    sitk.WriteImage(theirs, str(tmp_path / "a.nii.gz"))
    nifti = nibabel.load(tmp_path / "a.nii.gz")
    assert np.allclose(file.affine, nifti.affine, atol=1e-5)
    for number in (None, 1):
        ours = misure.read_image(folder, slice_index=number)
        assert torch.equal(ours, misure.read_image(tmp_path / "a.nii.gz", slice_index=number))


def test_rescaling_of_each_slice(tmp_path):
    image = _image(dtype=np.uint16) & 1023
    slopes = {k: (f"{k + 1}.5", "-1024") for k in range(4)}
    bits = {"0028|0100": "16", "0028|0101": "16", "0028|0102": "15", "0028|0103": "0"}
    stored_as = bits | {"0028|0002": "1"}
    folder = _series(
        tmp_path / "pet", sitk.Cast(image, sitk.sitkFloat32), slopes=slopes, **stored_as
    )
    read = misure.read_image(folder)[0].numpy()
    stored = sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32)).transpose(2, 1, 0)
    written = []  # the writer stores numbers by the slope that it is given
    for k in range(4):
        one = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"{k}.dcm")))[0].T
        written.append(one)
    assert np.allclose(read, np.stack(written, -1), atol=1e-3)
    assert np.allclose(read, stored, atol=5)


def test_files_without_ending_and_one_file(tmp_path):
    image = _image()
    folder = _series(tmp_path / "scan", image)
    for k in range(4):
        (folder / f"{k}.dcm").rename(folder / f"IM{k}")
    assert misure.read_image(folder).shape == (1, *SIZE)
    (folder / "IM2").rename(tmp_path / "IM2")
    plane = misure.read_image(tmp_path / "IM2", slice_index=0)
    assert torch.equal(plane, misure.read_image(_series(tmp_path / "b", image), slice_index=2))


def test_several_series_are_listed_and_one_is_chosen(tmp_path):
    one, two = _image(), _image() + 5
    folder = _series(tmp_path / "scan", one, uid="1.2.3", number="4", **{"0008|103e": "Portal"})
    _series(folder, two, uid="1.2.7", number="9", names=[f"{k}-late.dcm" for k in range(4)])
    words = r"got 2 series: series=1.2.3 \(CT, Portal, number 4, 4 files\), series=1.2.7 \(CT, number 9, 4 files\). Say which \(--image-option series=UID\)"
    with pytest.raises(misure.InputError, match=words):
        misure.read_image(folder)
    with pytest.raises(misure.InputError, match="got 2 series, none is 5: series=1.2.3"):
        misure.read_image(folder, series=5)
    for name in ("1.2.7", 9, "9"):
        late = misure.read_image(folder, series=name)
        assert torch.equal(late, misure.read_image(_series(tmp_path / "late", two)))
    reading = Reading(series="1.2.3")
    assert torch.equal(ImageFiles([folder], reading=reading)[0].image + 5, late)


def test_slices_that_make_no_volume(tmp_path):
    image = _image()
    with pytest.raises(
        misure.InputError, match="5 mm from 1.dcm to 3.dcm, else 2.5 mm. Is a slice"
    ):
        misure.read_image(_series(tmp_path / "gap", _long(image), skip=(2,)))
    folder = _series(tmp_path / "twice", image)
    _series(folder, image, names=[f"echo{k}.dcm" for k in range(4)])
    with pytest.raises(misure.InputError, match="lie at one place"):
        misure.read_image(folder)
    folder = _series(tmp_path / "mixed", image)
    _series(folder, _image(CORONAL), names=[f"cor{k}.dcm" for k in range(4)])
    with pytest.raises(misure.InputError, match="differ in size, direction or voxel size"):
        misure.read_image(folder)
    (tmp_path / "none").mkdir()
    (tmp_path / "none/a.txt").write_text("no slice")
    with pytest.raises(
        misure.InputError, match="a folder with the files of a DICOM series, found no"
    ):
        misure.read_image(tmp_path / "none")


def _long(image):
    return sitk.Resample(image, (7, 5, 8), sitk.Transform(), sitk.sitkNearestNeighbor, image.GetOrigin(), image.GetSpacing(), image.GetDirection())  # fmt: skip


def test_a_tilted_gantry_keeps_its_shear(tmp_path):
    image, folder = _image(), tmp_path / "tilted"
    for k in range(4):
        one = sitk.Image(image[:, :, k : k + 1])
        x, y, z = one.GetOrigin()
        one.SetOrigin((x, y + 0.7 * k, z))
        _series(folder, one, names=[f"{k}.dcm"], **{"0008|0018": f"1.2.3.{k + 1}"})
    file = open_volume(folder)
    assert np.allclose(file.affine[:3, 2], (0, -0.7, 2.5))
    assert np.allclose(file.affine @ (0, 0, 3, 1), (30.5, -20.25 - 2.1, -92.5, 1))


# --- TIFF

tifffile = pytest.importorskip("tifffile")

PAGES = np.random.default_rng(0).integers(0, 255, (4, 5, 7)).astype(np.uint8)
SIZES = {
    "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 600, "PhysicalSizeYUnit": "nm",
    "PhysicalSizeZ": 2.0, "PhysicalSizeZUnit": "µm",
}  # fmt: skip


def _ome(path, pages, axes, **options):
    tifffile.imwrite(path, pages, metadata={"axes": axes} | options, ome=True)
    return path


def test_ome_tiff(tmp_path):
    path = _ome(tmp_path / "a.ome.tif", PAGES, "ZYX", **SIZES)
    assert np.allclose(misure.read_image(path)[0] * 255, PAGES)
    sample = ImageFiles([path])[0]
    assert sample.spacing_mm == pytest.approx((2e-3, 6e-4, 5e-4))
    for number in range(4):  # a slice is a page as it lies
        plane = misure.read_image(path, slice_index=number, depth=0)
        assert np.array_equal(plane[0], PAGES[number])
    theirs = sitk.ReadImage(str(path))  # without sizes, which it does not read
    for z, y, x in ((0, 0, 0), (3, 4, 6), (1, 2, 5)):
        assert theirs.GetPixel(x, y, z) == PAGES[z, y, x]
        place = np.array(_world_of_itk(theirs, (x, y, z))) * (5e-4, 6e-4, 2e-3)
        assert np.allclose((sample.affine.numpy() @ (z, y, x, 1))[:3], place)
    without = ImageFiles([_ome(tmp_path / "b.ome.tif", PAGES, "ZYX")])[0]
    assert without.affine is None
    assert torch.equal(without.image, sample.image)


@pytest.mark.parametrize("axes", ["CZYX", "ZCYX", "TCZYX"])
def test_channels_of_ome_tiff(tmp_path, axes):
    channels = np.stack([PAGES, 255 - PAGES])
    stored = channels.transpose(1, 0, 2, 3) if axes == "ZCYX" else channels
    stored = stored[None] if axes[0] == "T" else stored
    read = misure.read_image(_ome(tmp_path / "a.ome.tif", stored, axes), num_channels=2, depth=0)
    assert np.array_equal(read, channels)


def test_imagej_and_pages_that_are_said_to_be_slices(tmp_path):
    options = {"imagej": True, "resolution": (2, 4)}
    meta = {"axes": "ZYX", "spacing": 3.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", PAGES, metadata=meta, **options)
    sample = ImageFiles([tmp_path / "a.tif"], reading=Reading(depth=0))[0]
    assert np.array_equal(sample.image[0], PAGES)
    assert sample.spacing_mm == pytest.approx((3e-3, 2.5e-4, 5e-4))
    with tifffile.TiffWriter(tmp_path / "pages.tif") as writer:
        for page in PAGES:
            writer.write(page, contiguous=False, metadata=None)
    with pytest.raises(misure.InputError, match="or frame=slices if they are those of a volume"):
        misure.read_image(tmp_path / "pages.tif")
    pages = ImageFiles([tmp_path / "pages.tif"], reading=Reading(frame="slices", depth=0))[0]
    assert np.array_equal(pages.image[0], PAGES)
    assert pages.affine is None
    assert np.allclose(misure.read_image(tmp_path / "pages.tif", frame=1) * 255, PAGES[1])


def test_tiff_files_that_make_no_volume(tmp_path):
    path = _ome(tmp_path / "a.ome.tif", np.stack([PAGES, PAGES]), "TZYX")
    with pytest.raises(misure.InputError, match="its axes are TZYX of 2 x 4 x 5 x 7"):
        misure.read_image(path)
    path = _ome(tmp_path / "b.ome.tif", PAGES, "ZYX")
    whole = path.read_bytes()
    for length in (300, 900, len(whole) - 100):
        path.write_bytes(whole[:length])
        with pytest.raises(misure.InputError, match="b.ome.tif"):
            misure.read_image(path)
        with pytest.raises(misure.InputError, match="a TIFF volume, but .*b.ome.tif cannot be"):
            misure.read_image(path, frame="slices")
    path.write_bytes(whole)
    with tifffile.TiffFile(path) as tiff:
        said = tiff.ome_metadata
    elsewhere = said.replace(
        '<TiffData IFD="0" PlaneCount="4"/>',
        '<TiffData IFD="0" PlaneCount="2"><UUID FileName="b.ome.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData FirstZ="2" PlaneCount="2"><UUID FileName="/z.tif">urn:uuid:2</UUID></TiffData>',
    )
    for text, words in ((said, "it lacks 2 of the planes"), (elsewhere, "planes are in several")):
        with tifffile.TiffWriter(tmp_path / "d.ome.tif") as writer:
            writer.write(PAGES[0], description=text, contiguous=False, metadata=None)
            writer.write(PAGES[1], contiguous=False, metadata=None)
        with pytest.raises(misure.InputError, match=words):
            misure.read_image(tmp_path / "d.ome.tif")
    with tifffile.TiffWriter(tmp_path / "c.ome.tif", ome=True) as writer:
        writer.write(PAGES, metadata={"axes": "ZYX"})
        writer.write(PAGES, metadata={"axes": "ZYX"})
    with pytest.raises(misure.InputError, match="it holds 2 images"):
        misure.read_image(tmp_path / "c.ome.tif")


def test_a_page_of_far_too_many_bytes_is_not_decompressed(tmp_path):
    path, big = tmp_path / "a.ome.tif", zlib.compress(bytes(20_000_000), 1)
    tifffile.imwrite(path, PAGES, metadata={"axes": "ZYX"}, ome=True, compression="zlib")
    assert np.array_equal(misure.read_image(path, depth=0)[0], PAGES)
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages[0].tags
        places = tags["StripOffsets"].valueoffset, tags["StripByteCounts"].valueoffset
    content = bytearray(path.read_bytes())
    for place, number in zip(places, (len(content), len(big)), strict=True):
        content[place : place + 4] = number.to_bytes(4, "little")
    path.write_bytes(content + big)
    with pytest.raises(misure.InputError, match="a page holds far more bytes than its pixels need"):
        misure.read_image(path)


def test_missing_libraries_are_named(tmp_path, monkeypatch):
    sitk.WriteImage(_image(), str(tmp_path / "a.mha"))
    _ome(tmp_path / "a.ome.tif", PAGES, "ZYX")
    for library, extra, name in (("SimpleITK", "itk", "a.mha"), ("tifffile", "tiff", "a.ome.tif")):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(misure.MissingDependencyError, match=rf'"misure\[{extra}\]"'):
            misure.read_image(tmp_path / name)


def test_channels_of_several_files(tmp_path):
    first, second = _image(), _image() * 2
    paths = [tmp_path / "a_0000.nii.gz", tmp_path / "a_0001.nrrd"]
    for path, image in zip(paths, (first, second), strict=True):
        sitk.WriteImage(image, str(path))
    read = misure.read_image(paths)
    assert read.shape == (2, *SIZE)
    assert torch.equal(read[1], read[0] * 2)
    text = f"{paths[0]},{paths[1]}"
    assert torch.equal(misure.read_image(text), read)
    scaled = misure.read_image(text, intensity="percentiles:0:100")  # each by its own numbers
    assert [float(one.max()) for one in scaled] == [1.0, 1.0]
    assert torch.equal(
        misure.read_image(text, slice_index=1)[:1], misure.read_image(paths[0], slice_index=1)
    )
    moved = sitk.Image(second)
    moved.SetOrigin((0, 0, 0))
    sitk.WriteImage(moved, str(paths[1]))
    with pytest.raises(misure.InputError, match="channels that lie on the image, but the position"):
        misure.read_image(paths)
    sitk.WriteImage(second[:, :, :3], str(paths[1]))
    with pytest.raises(misure.InputError, match="channels of the image's shape"):
        misure.read_image(paths)
    np.save(tmp_path / "b.npy", np.ones((3, 4), np.float32))
    np.save(tmp_path / "c.npy", np.zeros((3, 4), np.float32))
    assert misure.read_image([tmp_path / "b.npy", tmp_path / "c.npy"]).mean((1, 2)).tolist() == [
        1,
        0,
    ]
    with pytest.raises(misure.InputError, match="volumes alone or pictures alone as channels"):
        misure.read_image([paths[0], tmp_path / "b.npy"])
    for wrong in ([], [paths[0], paths[0]], f"{paths[0]},"):
        with pytest.raises(misure.InputError, match="different files of its channels"):
            misure.read_image(wrong)
    with pytest.raises(misure.InputError, match="expected 3 channels, got 2"):
        misure.read_image([tmp_path / "b.npy", tmp_path / "c.npy"], num_channels=3)


def test_nothing_of_simpleitk_is_left_changed(tmp_path):
    sitk.WriteImage(_image(), str(tmp_path / "a.mha"))
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    misure.read_image(tmp_path / "a.mha")
    assert sitk.ProcessObject.GetGlobalWarningDisplay() == before
