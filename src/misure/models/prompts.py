"""Prompts: points, boxes and texts that say which object a network shall draw.

Points are pixels (row, column) of the user's own image, boxes have their ends exclusive. As text:

    point:120,88                  a point of the object
    point:120,88;130,95;-60,40    two points of it, and one (with a minus) that is none of it
    box:R0,C0,R1,C1               a box around it; points may follow
    text:a horse                  what it is
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from misure.errors import InputError, entrance

Point = tuple[float, float]
Box = tuple[float, float, float, float]

FORMS = "point:R,C (more with ;, -R,C for one outside of it), box:R0,C0,R1,C1 or text:WORDS"
POINT, BOX, TEXT = "point", "box", "text"
_LIMIT = 1000


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a network is told about the object that it shall draw.

    Attributes:
        points: pixels (row, column) of the object, in the user's image.
        outside: pixels (row, column) that are none of the object.
        box: first row, first column, end row, end column around it, ends exclusive; None: no box.
        text: what it is, in words; it stands alone.

    Raises:
        InputError: nothing at all, only points outside, text beside places, or an empty box.
    """

    points: tuple[Point, ...] = ()
    outside: tuple[Point, ...] = ()
    box: Box | None = None
    text: str = ""

    @entrance("Prompt")
    def __post_init__(self) -> None:
        has_place = bool(self.points or self.outside or self.box)
        if has_place == bool(self.text.strip()):
            raise InputError(
                f"expected a prompt by places or by a text, got {self!r}. Say {FORMS}."
            )
        if self.outside and not (self.points or self.box):
            raise InputError(
                "expected a point or a box of the object beside points outside of it, got none. "
                "Say point:R,C;-R,C."
            )
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise InputError(
                "expected a box R0,C0,R1,C1 whose ends are larger than its starts, got "
                f"{_listed(self.box)}."
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it is made of: `point`, `box`, `text`."""
        parts = ((POINT, self.points or self.outside), (BOX, self.box), (TEXT, self.text))
        return tuple(kind for kind, part in parts if part)

    def __str__(self) -> str:
        """The prompt in words, such as `point 120,88`: the name of its class."""
        if self.text:
            return self.text
        parts = []
        if self.box is not None:
            parts.append(f"box {_listed(self.box)}")
        if self.points:
            many = "s" if len(self.points) > 1 else ""
            parts.append(f"point{many} {' and '.join(map(_listed, self.points))}")
        if self.outside:
            parts.append(f"not {' and '.join(map(_listed, self.outside))}")
        return " ".join(parts)

    @property
    def spec(self) -> str:
        """The prompt as it is written on the command line."""
        if self.text:
            return f"text:{self.text}"
        parts = [] if self.box is None else [f"box:{_listed(self.box)}"]
        parts += [f"point:{_listed(point)}" for point in self.points]
        return ";".join([*parts, *(f"not:{_listed(point)}" for point in self.outside)])

    def mirrored(self, width: float) -> "Prompt":
        """The prompt for the image mirrored left to right; `width` is its number of columns."""
        if self.text:
            return self
        points, outside = (
            tuple((row, width - 1 - column) for row, column in each)
            for each in (self.points, self.outside)
        )
        box = self.box and (self.box[0], width - self.box[3], self.box[2], width - self.box[1])
        return replace(self, points=points, outside=outside, box=box)

    def check_inside(self, spatial: Sequence[int]) -> None:
        """Raises an InputError if it lies outside of an image of shape (*spatial)."""
        if len(spatial) != 2:
            raise InputError(
                f"expected an image (H, W) for a prompt, got {tuple(spatial)}. Take a slice of the "
                "volume (slice_index, --slice)."
            )
        corners = () if self.box is None else (self.box[:2], self.box[2:])
        within = [(point, 1) for point in (*self.points, *self.outside)]
        for (row, column), margin in [*within, *((corner, 0) for corner in corners)]:
            if 0 <= row <= spatial[0] - margin and 0 <= column <= spatial[1] - margin:
                continue
            raise InputError(
                f"expected a prompt inside the image of {spatial[0]} rows and {spatial[1]} "
                f"columns, got {self.spec!r}. Prompts are written row first: R,C."
            )


def parse_prompt(text: str) -> Prompt:
    """The prompt that a text such as `point:120,88` means.

    Raises:
        InputError: it means none.
    """
    kind, colon, rest = text.strip().partition(":")
    if kind == TEXT and colon:
        words = rest.strip()
        is_quoted = len(words) > 1 and words[0] == words[-1] and words[0] in "\"'"
        return Prompt(text=words[1:-1] if is_quoted else words)
    points: list[Point] = []
    outside: list[Point] = []
    box = None
    named = ""
    for part in text.split(";"):
        head, colon, numbers = part.strip().rpartition(":")
        named = head.strip() if colon else (POINT if named == BOX else named)
        values = _numbers(numbers.strip().removeprefix("-"), text)
        is_outside = named == "not" or numbers.strip().startswith("-")
        if named == BOX and len(values) == 4 and box is None and not is_outside:
            box = (values[0], values[1], values[2], values[3])
        elif named in (POINT, "not") and len(values) == 2:
            (outside if is_outside else points).append((values[0], values[1]))
        else:
            raise _unreadable(text)
    return Prompt(points=tuple(points), outside=tuple(outside), box=box)


def as_prompts(given: Any) -> tuple[Prompt, ...]:
    """The prompts that are meant by one, or by a sequence of them, as texts or as Prompts.

    Raises:
        InputError: none, the same one twice, or what is no prompt.
    """
    is_one = isinstance(given, (str, Prompt))
    listed = [given] if is_one else list(given) if isinstance(given, Sequence) else None
    if not listed or not all(isinstance(one, (str, Prompt)) for one in listed):
        raise InputError(f"expected prompts, each as {FORMS}, got {given!r}.")
    prompts = tuple(one if isinstance(one, Prompt) else parse_prompt(one) for one in listed)
    names = [str(prompt) for prompt in prompts]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"expected prompts that differ, got {twice[0]!r} twice. Give it once.")
    if len(prompts) > _LIMIT:
        raise InputError(f"expected at most {_LIMIT} prompts, got {len(prompts)}.")
    return prompts


def _numbers(text: str, whole: str) -> list[float]:
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        raise _unreadable(whole) from None
    if not all(map(isfinite, numbers)):
        raise _unreadable(whole)
    return numbers


def _unreadable(text: str) -> InputError:
    return InputError(f"expected a prompt as {FORMS}, got {text[:200]!r}.")


def _listed(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
