"""Which numbers of an annotation belong to each class where classes overlap: `WT=1+2+4,ET=4`."""

import re
from collections.abc import Mapping, Sequence

from misure.errors import InputError

IGNORED = "ignore"
"""The name of the numbers that are not judged, as in nnU-Net's dataset.json."""

_NUMBERS = re.compile(r"\d{1,5}(\+\d{1,5})*")


def read_regions(rule: str | Mapping[str, int | Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """Class -> the numbers of its pixels, in the order given.

    Args:
        rule: a text such as `WT=1+2+4,TC=1+4,ET=4`, or a mapping such as `{"WT": [1, 2, 4]}`.
            Classes are names or numbers as text; `ignore` stands for pixels that are not judged.

    Raises:
        InputError: anything else, or a class twice.

    >>> read_regions("WT=1+2+4,ET=4")
    {'WT': (1, 2, 4), 'ET': (4,)}
    """
    regions = dict[str, tuple[int, ...]]()
    for name, numbers in _pairs(rule):
        is_right = bool(numbers) and all(type(one) is int and 0 <= one <= 65535 for one in numbers)
        if not name or name in regions or not is_right:
            raise InputError(
                "expected the numbers of each class once, such as WT=1+2+4,TC=1+4,ET=4, got "
                f"{str(rule)[:200]!r}."
            )
        regions[name] = numbers
    return regions


def _pairs(
    rule: str | Mapping[str, int | Sequence[int]],
) -> list[tuple[str, tuple[int, ...]]]:
    if isinstance(rule, Mapping):
        return [
            (str(name), (numbers,) if isinstance(numbers, int) else tuple(numbers))
            for name, numbers in rule.items()
        ]
    pairs = []
    for part in str(rule).split(","):
        name, _, numbers = part.rpartition("=")
        is_right = _NUMBERS.fullmatch(numbers.strip())
        found = tuple(int(one) for one in numbers.split("+")) if is_right else ()
        pairs.append((name.strip(), found))
    return pairs


def regions_by_class(
    regions: Mapping[str, Sequence[int]],
    class_names: Sequence[str] = (),
    num_classes: int | None = None,
) -> tuple[tuple[int, ...], ...]:
    """The numbers of each class, in the order of the classes.

    Args:
        regions: class -> numbers; see `read_regions`.
        class_names: of the network, if it has names.
        num_classes: K, if it is known.

    Raises:
        InputError: a class that the network lacks, or one without numbers.
    """
    known = len(class_names) or num_classes or len([name for name in regions if name != IGNORED])
    names = [class_names[i] if class_names else str(i) for i in range(known)]
    by_index = dict[int, tuple[int, ...]]()
    for name, numbers in regions.items():
        if name == IGNORED and name not in names:
            continue
        is_number = name.isdecimal() and int(name) < known
        index = names.index(name) if name in names else int(name) if is_number else None
        if index is None or index in by_index:
            raise InputError(
                f"expected the numbers of each class ({', '.join(names[:20])}) once, got "
                f"{name!r} among {', '.join(regions)}."
            )
        by_index[index] = tuple(numbers)
    missing = [name for index, name in enumerate(names) if index not in by_index]
    if missing:
        raise InputError(
            f"expected the numbers of each class that annotations have, got none of {missing[0]}. "
            f"Add them: {missing[0]}=1+2."
        )
    return tuple(by_index[index] for index in range(known))
