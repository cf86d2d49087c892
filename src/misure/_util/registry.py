"""Registries: what can be chosen by name, filled where each entry is defined.

Other packages add entries through entry points. Their modules are imported when a registry is first
listed, or searched for a name that it lacks; their decorators register what they define.
"""

import warnings
from collections.abc import Iterator, Mapping, MutableMapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TypeVar

from misure._util.suggestions import did_you_mean
from misure.errors import InputError, reason_of

T = TypeVar("T")


class Registry(MutableMapping[str, T]):
    """A mapping from names to entries, in the order in which they were registered.

    Args:
        noun: what an entry is, for messages, such as "method".
        group: entry points of this group are loaded when they are first needed.
    """

    def __init__(self, noun: str, group: str) -> None:
        self.noun, self.group = noun, group
        self._entries: dict[str, T] = {}
        self._modules: dict[str, str] = {}
        self._are_plugins_loaded = False

    def register(self, name: str, entry: T, module: str) -> None:
        """Adds an entry where it is defined.

        Args:
            name: the key.
            entry: the value.
            module: dotted name of the module that defines it; the same one may register again, as
                it does when it is loaded again.

        Raises:
            InputError: the name belongs to another module.
        """
        if self._modules.get(name, module) != module:
            raise InputError(
                f"expected a new name for the {self.noun} of {module}, got {name!r}, which is "
                f"defined in {self._modules[name]}. Rename it."
            )
        self._entries[name], self._modules[name] = entry, module

    def find(self, name: str) -> T:
        """The entry of this name.

        Raises:
            InputError: there is none; the message lists the names.
        """
        if name not in self:
            raise InputError(
                f"expected a {self.noun} among {', '.join(self)}, got {str(name)[:200]!r}."
                f"{did_you_mean(name, self)}"
            )
        return self[name]

    @property
    def shipped(self) -> Mapping[str, T]:
        """The entries that come with misure, without loading any other package."""
        modules = self._modules
        shipped = {
            name: entry
            for name, entry in self._entries.items()
            if modules.get(name, "").startswith("misure.")
        }
        return MappingProxyType(shipped)

    def load_plugins(self) -> None:
        """Imports what other packages offer, once; one that is broken gives a warning."""
        if self._are_plugins_loaded:
            return
        self._are_plugins_loaded = True
        for point in entry_points(group=self.group):
            self._load(point)

    def _load(self, point: EntryPoint) -> None:
        package = point.dist.name if point.dist else "an unknown package"
        try:
            point.load()
        except Exception as error:
            reason = reason_of(error)
        else:
            if point.name in self._entries:
                return
            reason = f"{point.value} registers nothing of this name."
        warnings.warn(
            f"The package {package} offers the {self.noun} {point.name!r}, but it cannot be used: "
            f"{reason}",
            stacklevel=2,
        )

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            self.load_plugins()
        return self._entries[name]

    def __setitem__(self, name: str, entry: T) -> None:
        self._entries[name] = entry

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self.load_plugins()
        return iter(self._entries)

    def __len__(self) -> int:
        self.load_plugins()
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<{self.noun} registry: {', '.join(self._entries)}>"
