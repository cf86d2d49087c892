"""Tables that say what the numbers of a label map mean, for 3D Slicer and for ITK-SNAP.

Their forms are those that the programs document and write: Slicer's colour table (`.ctbl`), one
`NUMBER NAME R G B A` a line, without spaces or ticks around a name; and ITK-SNAP's label
descriptions (`.txt`), one `NUMBER R G B A VISIBLE MESH "NAME"` a line. No name may be empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from misure._util.files import durable_file

_SNAP_HEADER = """\
################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
# Fields:
#    IDX:   Zero-based index
#    -R-:   Red color component (0..255)
#    -G-:   Green color component (0..255)
#    -B-:   Blue color component (0..255)
#    -A-:   Label transparency (0.00 .. 1.00)
#    VIS:   Label visibility (0 or 1)
#    MSH:   Label mesh visibility (0 or 1)
#  LABEL:   Label description
################################################
    0     0    0    0        0  0  0    "Clear Label"
"""


@dataclass(frozen=True)
class MapLabel:
    """One number of a label map.

    Attributes:
        number: 1 or more; 0 is the background of all maps.
        name: in words.
        colour: `#rrggbb`.
    """

    number: int
    name: str
    colour: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.colour.removeprefix("#"))
        return red, green, blue


def write_label_tables(labels: Sequence[MapLabel], path: Path) -> None:
    """Writes the tables of a label map beside it, with its name: `.ctbl` and `.txt`.

    Args:
        labels: of the map.
        path: of the map, `NAME.nii.gz`.
    """
    stem = path.name.removesuffix(".gz").removesuffix(".nii")
    for ending, text in ((".ctbl", _as_slicer(labels, stem)), (".txt", _as_snap(labels))):
        with durable_file(path.with_name(stem + ending)) as unfinished:
            unfinished.write_text(text, encoding="utf-8")


def _as_slicer(labels: Sequence[MapLabel], stem: str) -> str:
    lines = [f"# Color table file {stem}.ctbl", f"# {len(labels) + 1} values"]
    lines.append("0 background 0 0 0 0")
    for label in labels:
        name = "_".join(label.name.split()).strip("'") or str(label.number)  # as it reads them
        lines.append(f"{label.number} {name} {' '.join(map(str, label.rgb))} 255")
    return "\n".join(lines) + "\n"


def _as_snap(labels: Sequence[MapLabel]) -> str:
    lines = []
    for label in labels:
        red, green, blue = label.rgb
        name = " ".join(label.name.replace('"', "'").split()) or str(label.number)
        lines.append(
            f'{label.number:5d} {red:5d} {green:4d} {blue:4d}        1  1  1    "{name}"\n'
        )
    return _SNAP_HEADER + "".join(lines)
