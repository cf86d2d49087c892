"""Names of files and folders that a person can read, and that every file system takes."""

import re
import unicodedata

_NEITHER = re.compile(r"[^A-Za-z0-9.]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # by Windows
_LONGEST = 100  # characters; a file system takes 255 bytes


def readable_name(*parts: str) -> str:
    """Parts of a name, joined by `_`: ASCII letters, digits, `.` and `-` in each of them.

    Accents are dropped; what has no such letters is left out.

    >>> readable_name("imagesTs/case01", "left kidney", "1"), readable_name("Größe  (mm)")
    ('imagesTs-case01_left-kidney_1', 'Groe-mm')
    >>> readable_name("CON"), readable_name("猫"), readable_name("..", "x.")
    ('CON_', 'unnamed', 'x')
    """
    written = [_plain(part) for part in parts]
    name = "_".join(part for part in written if part)[:_LONGEST].rstrip(".-_") or "unnamed"
    return f"{name}_" if _RESERVED.fullmatch(name) else name


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _NEITHER.sub("-", letters).strip("-.")


class DistinctNames:
    """Makes names distinct, for file systems that do not tell capitals apart, too."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, name: str) -> str:
        """The name, or the first of `NAME-2`, `NAME-3` ... that was not given before."""
        number, distinct = 1, name
        while distinct.casefold() in self._taken:
            number += 1
            distinct = f"{name}-{number}"
        self._taken.add(distinct.casefold())
        return distinct
