"""Image files as a data set: nobody says what is in them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from misure.datasets.sample import Sample
from misure.errors import InputError
from misure.image import read_image, read_viewing_order


class ImageFiles:
    """Files that `read_image` can read, each read when it is asked for.

    Args:
        paths: the files; a path is the key of its sample.
        num_channels, slice_index: see `read_image`.

    Raises:
        InputError: no path, or one that comes twice.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        num_channels: int | None = None,
        slice_index: int | None = None,
    ) -> None:
        self.keys = [str(path) for path in paths]
        twice = [key for key, num in Counter(self.keys).items() if num > 1]
        if not paths or twice:
            got = f"{twice[0]} twice" if twice else "none"
            raise InputError(f"ImageFiles: expected paths of different images, got {got}.")
        self._num_channels, self._slice_index = num_channels, slice_index

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Sample:
        key = self.keys[index]
        image = read_image(key, num_channels=self._num_channels, slice_index=self._slice_index)
        return Sample(key, image, order=read_viewing_order(key))
