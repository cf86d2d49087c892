"""NIfTI files as they are opened: damage that nibabel does not see, and what it would log."""

import gzip
import logging

import numpy as np
import pytest

import misure
from misure.datasets import Reading, open_dataset
from misure.datasets.synapse.prepare import prepare_synapse
from misure.datasets.synapse.raw import is_phantom_file
from misure.images.labels import read_labels
from misure.images.nifti import NiftiFile

nibabel = pytest.importorskip("nibabel")


@pytest.fixture
def path(tmp_path):
    voxels = np.random.default_rng(0).integers(0, 9, (60, 50, 40), dtype=np.uint8)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "v.nii.gz")
    return tmp_path / "v.nii.gz"


def _wrong_checksum(whole):
    return whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]


def _cut_in_the_checksum(whole):
    return whole[:-6]


def _endless(whole):
    return gzip.compress(gzip.decompress(whole) + bytes(70_000_000), 1)


@pytest.mark.parametrize("read", [misure.read_image, read_labels])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_wrong_checksum, "cannot be used: CRC check failed"),
        (_cut_in_the_checksum, "cannot be used: Compressed file ended before"),
        (_endless, "cannot be used: it goes on long after its last voxel"),
    ],
)
def test_damage_behind_the_last_voxel_is_seen(path, spoil, words, read):
    read(path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(misure.InputError, match=words):
        read(path)


def test_headers_that_cannot_be_read(path):
    file = NiftiFile(path)
    assert file.shape == (60, 50, 40)
    assert np.array_equal(file.affine, np.eye(4))
    assert file.description == ""
    assert not is_phantom_file(path)
    path.write_bytes(gzip.compress(b"no volume"))
    with pytest.raises(misure.InputError, match="expected a NIfTI volume, but .* cannot be used"):
        NiftiFile(path)
    path.unlink()
    with pytest.raises(misure.InputError, match="expected a NIfTI volume, but .* cannot be used"):
        NiftiFile(path)


def test_nibabel_logs_nothing_here_and_goes_on_to_log_elsewhere(path, caplog):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[76:80] = np.float32(5).tobytes()  # pixdim[0], which is -1 or 1
    path.write_bytes(gzip.compress(bytes(content)))
    with caplog.at_level(logging.DEBUG, "nibabel.global"):
        misure.read_image(path)
        assert not caplog.records
        nibabel.load(path)
        assert caplog.records


def test_slices_are_not_taken_of_a_volume_that_may_lie_either_way(path, tmp_path):
    file = nibabel.load(path)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        nibabel.save(file, tmp_path / folder / "v.nii.gz")
    NiftiFile(path).check_oriented()
    assert misure.read_image(path, slice_index=3).shape == (1, 50, 60)
    file.header["sform_code"] = file.header["qform_code"] = 0
    for name in (path, tmp_path / "images/v.nii.gz"):
        nibabel.save(nibabel.Nifti1Image(file.dataobj, None, file.header), name)
    assert misure.read_image(path).shape == (1, 60, 50, 40)
    words = r"expected a header that says which way the volume lies \(sform or qform\)"
    with pytest.raises(misure.InputError, match=words):
        misure.read_image(path, slice_index=3)
    with pytest.raises(misure.InputError, match=words):
        open_dataset(f"nifti-slices:{tmp_path}")
    with pytest.raises(misure.InputError, match=words):
        open_dataset(f"nifti:{tmp_path}", Reading(slice_index=3))[0]
    with pytest.raises(misure.InputError, match=words):
        prepare_synapse(tmp_path, tmp_path / "out")
