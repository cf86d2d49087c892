"""NIfTI files as they are opened: damage that nibabel does not see, and what it would log."""

import gzip
import logging

import numpy as np
import pytest

import misure
from misure import nifti_file
from misure.volume_file import read_labels

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
    assert nifti_file.read_shape(path) == (60, 50, 40)
    path.write_bytes(gzip.compress(b"no volume"))
    for read in (nifti_file.read_shape, nifti_file.read_affine):
        with pytest.raises(misure.InputError, match=f"{read.__name__}: expected a NIfTI file, but"):
            read(path)


def test_nibabel_logs_nothing_here_and_goes_on_to_log_elsewhere(path, caplog):
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[76:80] = np.float32(5).tobytes()  # pixdim[0], which is -1 or 1
    path.write_bytes(gzip.compress(bytes(content)))
    with caplog.at_level(logging.DEBUG, "nibabel.global"):
        misure.read_image(path)
        assert not caplog.records
        nibabel.load(path)
        assert caplog.records
