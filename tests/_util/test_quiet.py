"""Warnings of libraries are silenced; those of misure go on, from every thread."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import misure
from misure.errors import MisureWarning


def test_warnings_are_as_before_after_many_threads_have_read_pictures(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: misure.read_image(path), range(100)))
    assert warnings.filters == before
    with pytest.warns(MisureWarning, match="still here"):
        warnings.warn("still here", MisureWarning, stacklevel=1)
