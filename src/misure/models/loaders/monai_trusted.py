"""A bundle's configuration with expressions, which run code: with `trust` alone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from misure._util.optional import require
from misure.errors import InputError
from misure.models.loaders.file import reading
from misure.models.loaders.monai_config import Config, Resolver


class TrustingResolver(Resolver):
    """Values of a configuration whose expressions MONAI's parser evaluates: this runs code."""

    def __init__(self, config: Config, bundle_root: Path) -> None:
        super().__init__(config, bundle_root)
        bundle = require("monai.bundle", extra="monai", purpose="read the bundle's configuration")
        self._root, self._num = bundle_root, 0
        self._parser = bundle.ConfigParser(self.config)

    def network(self, name: str) -> nn.Module:
        net = self._parsed(name)
        if not isinstance(net, nn.Module):
            raise InputError(
                f"expected {name} of the bundle to be a torch module, got {type(net).__name__}."
            )
        return net

    def _of_expression(self, text: str, depth: int) -> Any:  # noqa: ARG002
        self._num += 1
        name = f"misure_value_{self._num}"
        self._parser[name] = text
        return self._parsed(name)

    def _parsed(self, name: str) -> Any:
        with reading(f"a value for {name} in the bundle"), _importing_from(self._root):
            self._parser.parse(reset=True)
            return self._parser.get_parsed_content(name)


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve()))
