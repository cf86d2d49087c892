"""The eight organs of the Synapse benchmark: their numbers, in which files, and its split.

The benchmark is 30 abdominal CT volumes of the MICCAI 2015 challenge "Beyond the Cranial Vault"
(synapse.org, syn3193805). Its users learn eight of the thirteen organs drawn there, in an order of
their own, on 18 volumes, and test on 12.
"""

from collections.abc import Mapping

from misure.errors import InputError

CLASS_NAMES = (
    "background",
    "aorta",
    "gallbladder",
    "left kidney",
    "right kidney",
    "liver",
    "pancreas",
    "spleen",
    "stomach",
)
"""Names of the class indices 0 to 8, as in the widely shared prepared files."""

WINDOW = "window:-125:275"
"""How Hounsfield units become [0, 1] (see `intensity`)."""

TRAIN_CASES = (
    "0031", "0007", "0009", "0005", "0026", "0039", "0024", "0034", "0033",
    "0030", "0023", "0040", "0010", "0021", "0006", "0027", "0028", "0037",
)  # fmt: skip
TEST_CASES = (
    "0008", "0022", "0038", "0036", "0032", "0002", "0029", "0003", "0001", "0004", "0025", "0035",
)  # fmt: skip

BTCV_LABELS = (
    "background",
    "spleen",
    "right kidney",
    "left kidney",
    "gallbladder",
    "esophagus",
    "liver",
    "stomach",
    "aorta",
    "inferior vena cava",
    "portal and splenic vein",
    "pancreas",
    "right adrenal gland",
    "left adrenal gland",
)
"""Names of the numbers 0 to 13 in the challenge's own files."""

_TOTALSEGMENTATOR_LABELS = {
    1: "spleen",
    2: "right kidney",
    3: "left kidney",
    4: "gallbladder",
    5: "liver",
    6: "stomach",
    7: "pancreas",
    52: "aorta",
}
_TOTALSEGMENTATOR_LAST = 117


def _class_index(name: str) -> int:
    return CLASS_NAMES.index(name) if name in CLASS_NAMES else 0


LABEL_MAPS: dict[str, dict[int, int]] = {
    "btcv": {number: _class_index(name) for number, name in enumerate(BTCV_LABELS)},
    "totalsegmentator": {
        number: _class_index(_TOTALSEGMENTATOR_LABELS.get(number, "background"))
        for number in range(_TOTALSEGMENTATOR_LAST + 1)
    },
}
"""Source of the labels -> number in the file -> class index, 0 for all but the eight organs."""


def label_map(text: str) -> Mapping[int, int]:
    """The label map with this name, or the one that is written out as `1=7,2=4`.

    Args:
        text: a name in `LABEL_MAPS`, or NUMBER=CLASS with commas.

    Raises:
        InputError: the text is neither.

    >>> label_map("btcv")[8], label_map("52=1,5=5")
    (1, {52: 1, 5: 5})
    """
    if text in LABEL_MAPS:
        return LABEL_MAPS[text]
    try:
        pairs = [part.split("=") for part in text.split(",")]
        classes = {int(number): int(index) for number, index in pairs}
    except ValueError:
        classes = {}
    is_map = bool(classes) and min(classes) >= 0
    if not is_map or not 0 <= min(classes.values()) <= max(classes.values()) <= 8:
        raise InputError(
            f"expected a label map, {', '.join(LABEL_MAPS)} or NUMBER=CLASS with commas and "
            f"classes from 0 to 8, got {text!r}."
        )
    return classes
