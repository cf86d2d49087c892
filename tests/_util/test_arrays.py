"""Arrays in one file: exactly those that were written, and nothing that runs."""

import io

import numpy as np
import pytest

from misure._util.arrays import read_arrays, write_arrays

ARRAYS = {
    "region": np.array([[True, False], [False, True]]),
    "saliency_map": np.linspace(0, 1, 7, dtype=np.float32),
    "file": np.array(3),
    "allow_pickle": np.array(["a", "ü"]),
    "ordered": np.asfortranarray(np.arange(6).reshape(2, 3)),
}


@pytest.mark.parametrize("names", [[], ["region"], list(ARRAYS)])
def test_exactly_what_was_written_is_read_back(tmp_path, names):
    wanted = {name: ARRAYS[name] for name in names}
    write_arrays(tmp_path / "a.npz", wanted)
    stream = io.BytesIO()
    write_arrays(stream, wanted)
    assert stream.getvalue() == (tmp_path / "a.npz").read_bytes()
    stream.seek(0)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as loaded:
        assert loaded.files == names
    for arrays in (read_arrays(tmp_path / "a.npz"), read_arrays(stream)):
        assert list(arrays) == names
        for name, array in arrays.items():
            assert array.dtype == wanted[name].dtype
            assert np.array_equal(array, wanted[name])


def test_objects_are_neither_written_nor_read(tmp_path):
    objects = np.array([{"a": 1}, None], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        write_arrays(tmp_path / "a.npz", {"objects": objects})
    assert not list(tmp_path.iterdir())
    np.savez(tmp_path / "b.npz", objects=objects)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_arrays(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes((tmp_path / "b.npz").read_bytes()[:50])
    with pytest.raises(ValueError, match="zip"):
        read_arrays(tmp_path / "c.npz")
