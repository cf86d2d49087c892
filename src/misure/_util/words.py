"""Numbers with their nouns, for messages."""

from decimal import Decimal


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is 1.

    >>> counted(1, "object"), counted(0, "image"), counted(2, "pass")
    ('1 object', '0 images', '2 passes')
    """
    ending = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}" + ("" if number == 1 else ending)


def share(fraction: float) -> str:
    """A fraction in per cent, with as many digits as it takes not to say 0.

    >>> share(0.2443), share(0.0012), share(0.0)
    ('24.4 %', '0.1 %', '0.0 %')
    >>> share(1 / 512**3)  # a voxel
    '0.0000007 %'
    """
    percent = 100 * fraction
    if percent >= 1 or percent == 0:
        return f"{percent:.1f} %"
    return f"{Decimal(f'{percent:.1g}'):f} %"
