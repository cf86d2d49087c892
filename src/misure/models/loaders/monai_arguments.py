"""The arguments of one transform of a MONAI bundle, checked."""

from collections.abc import Mapping
from typing import Any

from misure.errors import InputError

Arguments = Mapping[str, Any]


class Given:
    """The arguments of one transform.

    Args:
        name: of the transform, as the configuration has it.
        arguments: its mapping.
        place, num: the place of the image among its keys, and their number.
    """

    def __init__(self, name: str, arguments: Arguments, place: int, num: int) -> None:
        self.name, self.arguments, self.place, self.num = name, arguments, place, num

    def __call__(self, key: str, default: Any = None) -> Any:
        return self.arguments.get(key, default)

    def of_key(self, key: str, default: Any = None) -> Any:
        """An argument that may be a list with one entry for each key."""
        value = self(key, default)
        is_each = isinstance(value, list) and self.num and len(value) == self.num
        return value[self.place] if is_each else value

    def number(self, key: str, default: float | None = None) -> float:
        value = self(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.unusable(key, value, "a number")
        return float(value)

    def optional(self, key: str, default: float | None = None) -> float | None:
        return None if self(key, default) is None else self.number(key, default)

    def check(self, **wanted: Any) -> None:
        """Refuses other values of arguments than these, which are also their defaults."""
        for key, value in wanted.items():
            if self.of_key(key, value) not in (value, None):
                raise self.unusable(key, self(key), repr(value))

    def sides(self, key: str, axes: int) -> list[int]:
        """Whole numbers for each axis; one counts for all."""
        value = self(key)
        each = [value] * axes if isinstance(value, int) else value
        if not isinstance(each, list) or len(each) != axes or not all(type(n) is int for n in each):
            raise self.unusable(key, value, f"{axes} whole numbers")
        return each

    def unusable(self, key: str, value: Any, wanted: str) -> InputError:
        return InputError(
            f"expected {key}={wanted} in {self.name} of the bundle, got {str(value)[:100]!r}, "
            f"which is not supported. Leave the step out with without={self.name}, or prepare the "
            "images yourself."
        )
