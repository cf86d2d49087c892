import gzip
import struct
import zlib

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image, TiffImagePlugin

import misure
from misure.images import orientation
from misure.images.nifti import NiftiFile


def test_pictures_are_read_as_channels_in_0_to_1(tmp_path):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = misure.read_image(tmp_path / "a.png")
    assert read.shape == (3, 2, 4)
    assert torch.equal(read, torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32) / 255))
    assert misure.read_image(tmp_path / "a.png", num_channels=1).shape == (1, 2, 4)


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("1", 1), ("P", 3), ("RGBA", 3), ("CMYK", 3), ("LA", 1)]
)
def test_modes(tmp_path, mode, channels):
    file = tmp_path / "a.tif"
    Image.new("RGB", (4, 3), (200, 100, 50)).convert(mode).save(file)
    assert misure.read_image(file).shape == (channels, 3, 4)
    assert misure.read_image(file, num_channels=3).shape == (3, 3, 4)


def test_16_bit_grey_is_scaled(tmp_path):
    Image.fromarray(np.array([[0, 65535], [32768, 1]], np.uint16)).save(tmp_path / "a.png")
    read = misure.read_image(tmp_path / "a.png")
    assert read.flatten().tolist() == pytest.approx([0, 1, 0.5, 0], abs=1e-4)
    assert misure.read_image(tmp_path / "a.png", num_channels=3).shape == (3, 2, 2)
    Image.fromarray(np.array([[0, 70_000]], np.int32)).save(tmp_path / "b.tif")
    with pytest.raises(misure.InputError, match=r"expected 16-bit grey levels .* as \.npy"):
        misure.read_image(tmp_path / "b.tif")


def test_the_exif_orientation_is_applied(tmp_path):
    picture = Image.new("RGB", (4, 2))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert misure.read_image(tmp_path / "a.jpg").shape == (3, 4, 2)


def test_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, 5), np.int16) * 300)
    read = misure.read_image(tmp_path / "a.npy")
    assert read.shape == (1, 4, 5)
    assert read.dtype == torch.float32
    assert float(read.max()) == 300
    np.save(tmp_path / "b.npy", np.ones((2, 4, 5, 6)))
    assert misure.read_image(tmp_path / "b.npy").shape == (2, 4, 5, 6)


def _volume(tmp_path, codes, name="v.nii.gz"):
    """A volume that holds the millimetre coordinate S of every voxel, stored in some order."""
    canonical = np.zeros((4, 5, 6), np.float32)  # R, A, S
    canonical[:] = np.arange(6)[None, None]
    canonical[-1] += 100  # the right side of the body
    canonical[:, -1] += 1000  # the front
    file = nibabel.Nifti1Image(canonical, np.eye(4))
    orientation = nibabel.orientations.axcodes2ornt(codes)
    stored = file.as_reoriented(
        nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("RAS"), orientation)
    )
    assert "".join(nibabel.aff2axcodes(stored.affine)) == codes
    nibabel.save(stored, tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LIA", "PSR", "SAL"])
def test_axial_slices_are_laid_out_for_viewing_whatever_the_storage_order(tmp_path, codes):
    path = _volume(tmp_path, codes)
    axial = misure.read_image(path, slice_index=2)
    assert axial.shape == (1, 5, 4)
    expected = torch.full((5, 4), 2.0)
    expected[:, 0] += 100  # the right side is on the left
    expected[0] += 1000  # the front is up
    assert torch.equal(axial[0], expected)
    whole = misure.read_image(path)
    assert torch.equal(orientation.lay_out(whole, NiftiFile(path).order)[:, 2], axial)
    stored = np.asarray(nibabel.load(path).dataobj)
    assert torch.equal(whole[0], torch.from_numpy(stored))


def test_a_fourth_axis_becomes_the_channels(tmp_path):
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((3, 4, 5, 2), np.float32), np.eye(4)), tmp_path / "v.nii"
    )
    assert misure.read_image(tmp_path / "v.nii").shape == (2, 3, 4, 5)


def _huge_png(path):
    """A real PNG header of 40,000 x 40,000 pixels, with hardly any data behind it."""
    Image.new("1", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 40_000, 40_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def test_bad_files(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("this is no picture")
    _huge_png(tmp_path / "huge.png")
    np.save(tmp_path / "nan.npy", np.full((3, 3), np.nan))
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.ones(4))
    np.save(tmp_path / "rgb.npy", np.ones((3, 4, 4)))
    np.save(tmp_path / "cut.npy", np.ones((50, 50)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:500])
    header = np.lib.format.header_data_from_array_1_0(np.ones(1)) | {"shape": (40_000, 40_000)}
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(40_000 * 40_000 * 8 + 200)
    Image.new("RGB", (60, 60), "red").save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:100])
    whole = _volume(tmp_path, "RAS").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.nii").write_text("no volume")
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"no volume"))
    with pytest.raises(misure.InputError, match="expected an image file, found none"):
        misure.read_image(tmp_path / "missing.png")
    for name, message in {
        "empty.png": "got an empty file",
        "text.png": "expected a picture that Pillow reads",
        "huge.png": "expected at most 89,478,485 pixels in .*, but Pillow says: .*1600000000 pixels",
        "huge.npy": "expected at most 200,000,000 numbers, got 40000 x 40000",
        "nan.npy": "expected finite numbers",
        "object.npy": "expected an .npy array of numbers",
        "flat.npy": "expected an .npy array of numbers",
        "cut.npy": "expected an .npy array of numbers",
        "cut.png": "expected a picture that Pillow reads",
        "cut.nii.gz": "expected a NIfTI volume",
        "text.nii": "expected a NIfTI volume",
        "text.nii.gz": "expected a NIfTI volume",
    }.items():
        with pytest.raises(misure.InputError, match=message):
            misure.read_image(tmp_path / name)
    with pytest.raises(misure.InputError, match="expected 1 channel, got 3"):
        misure.read_image(tmp_path / "rgb.npy", num_channels=1)
    with pytest.raises(misure.InputError, match="expected a volume to take a slice of"):
        misure.read_image(tmp_path / "rgb.npy", slice_index=1)
    with pytest.raises(misure.InputError, match="expected a slice from 0 to 5, got 9"):
        misure.read_image(_volume(tmp_path, "LPS"), slice_index=9)


GREY = np.linspace(0, 255, 12).astype(np.uint8).reshape(3, 4)
DEEP = np.linspace(0, 65535, 12).astype(np.uint16).reshape(3, 4)


def _pages(path, *planes, **options):
    first, *others = (Image.fromarray(plane) for plane in planes)
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_one_of_several_frames_is_named_or_refused(tmp_path, suffix):
    path = _pages(tmp_path / f"a.{suffix}", GREY, 255 - GREY, GREY // 2)
    with pytest.raises(
        misure.InputError, match=r"of one frame, got 3 .* frame=0 .* frame=channels"
    ):
        misure.read_image(path)
    second = misure.read_image(path, frame=1, num_channels=1)
    assert torch.allclose(
        second[0] * 255, torch.from_numpy(255 - GREY).float(), atol=9
    )  # WebP is lossy
    for frame in (3, -1, "all", 0.5):
        with pytest.raises(misure.InputError, match="a number from 0 to 2 or channels, got"):
            misure.read_image(path, frame=frame)


def test_pages_may_be_channels(tmp_path):
    planes = GREY, 255 - GREY, GREY // 2
    image = misure.read_image(_pages(tmp_path / "a.tif", *planes), frame="channels", num_channels=3)
    assert torch.allclose(image * 255, torch.from_numpy(np.stack(planes)).float())
    _pages(tmp_path / "b.tif", GREY, GREY[:2])
    with pytest.raises(misure.InputError, match="expected grey frames of one size as channels"):
        misure.read_image(tmp_path / "b.tif", frame="channels")


def test_previews_are_no_frames(tmp_path):
    with TiffImagePlugin.AppendingTiffWriter(tmp_path / "a.tif") as file:
        for pixels, kind in ((GREY, 0), (GREY[:1], 1)):  # 1: a reduced copy
            Image.fromarray(pixels).save(file, "TIFF", tiffinfo={254: kind})
            file.newFrame()
    with Image.open(tmp_path / "a.tif") as file:
        assert file.n_frames == 2
    assert misure.read_image(tmp_path / "a.tif").shape == (1, 3, 4)
    colours = Image.fromarray(np.dstack([GREY] * 3))
    colours.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[colours])
    assert misure.read_image(tmp_path / "a.jpg").shape == (3, 3, 4)


def test_the_depth_of_dark_levels_is_asked_for(tmp_path):
    Image.fromarray(DEEP >> 4).save(tmp_path / "12.png")
    Image.fromarray(GREY.astype(np.int32)).save(tmp_path / "8.tif")
    Image.fromarray(np.zeros((3, 4), np.uint16)).save(tmp_path / "black.png")
    for name, bits in (("12.png", 12), ("8.tif", 8)):
        with pytest.raises(misure.InputError, match=f"Say depth={bits} or depth=16"):
            misure.read_image(tmp_path / name)
        image = misure.read_image(tmp_path / name, depth=bits)
        assert (float(image.min()), float(image.max())) == (0, 1)
    assert float(misure.read_image(tmp_path / "12.png", depth=16).max()) == pytest.approx(
        4095 / 65535
    )
    assert not misure.read_image(tmp_path / "black.png").any()
    with pytest.raises(misure.InputError, match="expected 10-bit grey levels .* got 0 to 4095"):
        misure.read_image(tmp_path / "12.png", depth=10)
    with pytest.raises(misure.InputError, match="a depth from 1 to 32 bits"):
        misure.read_image(tmp_path / "12.png", depth=99)


def test_levels_that_count_from_white(tmp_path):
    for name, levels in (("8.tif", GREY), ("16.tif", DEEP)):
        Image.fromarray(levels).save(tmp_path / name, tiffinfo={262: 0})
        with Image.open(tmp_path / name) as file:
            assert file.tag_v2[262] == 0
    dark_first = misure.read_image(tmp_path / "16.tif")
    assert torch.allclose(dark_first[0], 1 - torch.from_numpy(DEEP / 65535).float())
    assert float(misure.read_image(tmp_path / "8.tif")[0, 0, 0]) == pytest.approx(
        0.0
    )  # Pillow turns 8 bits around, as it reads and as it writes them


def test_the_orientation_of_a_tiff_is_applied_once(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.tif", tiffinfo={274: 3})
    turned = misure.read_image(tmp_path / "a.tif")
    assert torch.equal(turned, torch.from_numpy(GREY[::-1, ::-1].copy())[None] / 255)


def test_arrays_of_grey_levels_are_scaled_as_pictures(tmp_path):
    for name, levels in (("8.npy", GREY), ("16.npy", DEEP)):
        np.save(tmp_path / name, levels)
        image = misure.read_image(tmp_path / name)
        assert torch.allclose(image[0], torch.from_numpy(levels / levels.max()).float())
        assert float(misure.read_image(tmp_path / name, depth=0).max()) == levels.max()
    np.save(tmp_path / "mask.npy", GREY > 99)
    assert misure.read_image(tmp_path / "mask.npy").unique().tolist() == [0, 1]
    np.save(tmp_path / "mask8.npy", (GREY > 99).astype(np.uint8))
    with pytest.raises(misure.InputError, match="none in .* is above 1. Say depth=1"):
        misure.read_image(tmp_path / "mask8.npy")
    np.save(tmp_path / "int.npy", GREY.astype(np.int64))
    with pytest.warns(misure.errors.MisureWarning, match="whole numbers up to 255, .* depth=8"):
        assert float(misure.read_image(tmp_path / "int.npy").max()) == 255
    assert float(misure.read_image(tmp_path / "int.npy", depth=8).max()) == 1


def test_an_intensity_rule_scales_arrays_that_leave_0_to_1(tmp_path):
    np.save(tmp_path / "hu.npy", np.array([[-1000, 75, 900]], np.int16))
    scaled = misure.read_image(tmp_path / "hu.npy", intensity="window:-125:275")
    assert scaled.tolist() == [[[0, 0.5, 1]]]
    np.save(tmp_path / "done.npy", np.array([[0, 0.5, 1]]))
    done = misure.read_image(tmp_path / "done.npy", intensity="window:-125:275")
    assert done.tolist() == [[[0, 0.5, 1]]]


def test_no_program_is_opened_as_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr("subprocess.check_call", lambda *_: pytest.fail("a program was started"))
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(misure.InputError, match="is none of PNG, JPEG, .* Convert it to PNG"):
        misure.read_image(tmp_path / "a.png")
    (tmp_path / "a.mgz").write_text("no volume")
    with pytest.raises(misure.InputError, match="Convert it to NIfTI"):
        misure.read_image(tmp_path / "a.mgz")


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': [[[[('a'\n",
        b"{'descr': " + b"[" * 3000,
        b"{'descr': '" + b"x" * 9000 + b"', 'fortran_order': False, 'shape': (3, 4)}\n",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 'x')}\n",
    ],
)
def test_headers_of_arrays_that_are_no_headers_are_one_short_sentence(tmp_path, header):
    length = len(header).to_bytes(2, "little")
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + length + header + bytes(100))
    with pytest.raises(misure.InputError, match="expected an .npy array of numbers") as raised:
        misure.read_image(tmp_path / "a.npy")
    assert len(str(raised.value).replace(str(tmp_path), "")) < 400
    assert "\n" not in str(raised.value)


def test_damaged_metadata_are_told_as_our_own_warning(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif.tobytes()[:-9])
    with pytest.warns(misure.errors.MisureWarning, match="a.jpg is read, but its metadata are dam"):
        assert misure.read_image(tmp_path / "a.jpg").shape[0] == 1
