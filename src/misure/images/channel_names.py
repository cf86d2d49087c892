"""What the names of files say of channels: nnU-Net's numbers, and the sequences of BraTS.

`case_0000.nii.gz` and `case_0001.nii.gz` are the channels of `case`;
`BraTS-GLI-00000-000-t1n.nii.gz` (or `BraTS20_Training_001_t1ce.nii.gz`) is one sequence of one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from misure.errors import InputError
from misure.images.volumes import stem_of

_SYNONYMS = {
    "t1n": ("t1", "t1w", "t1n", "t1native", "t1pre"),
    "t1c": ("t1c", "t1ce", "t1gd", "t1wce", "t1post", "t1contrast", "t1wgd", "t1km", "ct1"),
    "t2w": ("t2", "t2w"),
    "t2f": ("t2f", "flair", "fla", "t2flair", "t2wflair", "fl"),
}
_SEQUENCE_OF = {word: name for name, words in _SYNONYMS.items() for word in words}
_NUMBERED = re.compile(r"(.+)_(\d{4})")
_SEQUENCED = re.compile(r"(.+?)[-_](t1|t1n|t1c|t1ce|t1gd|t1w|t2|t2w|t2f|flair)", re.IGNORECASE)
_LABELS = re.compile(r"(.+)[-_]seg", re.IGNORECASE)


@dataclass(frozen=True)
class NamedChannel:
    """What the name of a file says.

    Attributes:
        case: what all channels of one image have in common.
        channel: `0000` or a sequence, `t1n`, `t1c`, `t2w` or `t2f`.
    """

    case: str
    channel: str

    @property
    def is_numbered(self) -> bool:
        return self.channel.isdecimal()


def named_channel(path: Path) -> NamedChannel | None:
    """The case and the channel that a file is named as; None if it is named otherwise.

    >>> named_channel(Path("a/hippo_003_0001.nii.gz"))
    NamedChannel(case='hippo_003', channel='0001')
    >>> named_channel(Path("BraTS20_Training_001_t1ce.nii"))
    NamedChannel(case='BraTS20_Training_001', channel='t1c')
    """
    stem = Path(stem_of(path)).name
    if match := _NUMBERED.fullmatch(stem):
        return NamedChannel(match[1], match[2])
    if match := _SEQUENCED.fullmatch(stem):
        return NamedChannel(match[1], _SEQUENCE_OF[match[2].lower()])
    return None


def labelled_case(path: Path) -> str:
    """The case whose labels a file holds, by BraTS' `CASE-seg` and `CASE_seg`; else empty."""
    match = _LABELS.fullmatch(Path(stem_of(path)).name)
    return match[1] if match else ""


def canonical(name: str) -> str:
    """One word for all ways to write a channel: sequences, numbers, or the name itself.

    >>> canonical("T1Gd"), canonical("FLAIR"), canonical("0"), canonical("Phase 2")
    ('t1c', 't2f', '0000', 'phase2')
    """
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    if word.isdecimal():
        return f"{int(word):04d}"
    return _SEQUENCE_OF.get(word, word)


def check_order(files: Sequence[Path], channels: Sequence[str]) -> None:
    """Raises an InputError if the names of files say that they are the channels in another order.

    Args:
        files: of one image, in the order given.
        channels: what the network calls its channels, if that is known.
    """
    named = [one.channel if (one := named_channel(path)) else "" for path in files]
    wanted = [canonical(name) for name in channels]
    are_numbers = all(name.isdecimal() for name in named)
    if are_numbers and sorted(wanted) != sorted(named):
        wanted = sorted(named)
    if len(named) > 1 and sorted(wanted) == sorted(named) and wanted != named:
        raise InputError(
            f"expected the channels in the order {', '.join(wanted)}, got files named "
            f"{', '.join(named)}. Change the order, or say what the channels are "
            f"(--image-option channels={','.join(named)})."
        )


def case_of_files(files: Sequence[Path]) -> str:
    """A name for an image: that of its file without the ending, or of the case that it is.

    >>> case_of_files([Path("a/b_0000.nii.gz"), Path("a/b_0001.nii.gz")])
    'b'
    >>> case_of_files([Path("a/b_0000.nii.gz")]), case_of_files([Path("red.png"), Path("ir.png")])
    ('b_0000', 'red-ir')
    """
    stems = [Path(stem_of(path)).name for path in files]
    named = [named_channel(path) for path in files]
    cases = {one.case for one in named if one}
    if len(files) > 1 and None not in named and len(cases) == 1:
        return cases.pop()
    return "-".join(stems)
