"""Whether class 0 is named as a background: in networks of ADE20K it is "wall"."""

import re

_NAMES = {
    *("background", "bg", "back", "backdrop", "unlabeled", "unlabelled", "void", "other", "others"),
    *("none", "nothing", "ignore", "ignored", "rest", "outside", "empty", "clear", "no label"),
    *("not labeled", "not labelled", "unknown", "unassigned", "hintergrund", "fond", "fondo"),
}
_NO_NAME = re.compile(r"(label|class)?[ _-]?0?")
_BESIDES = re.compile(r"\b(area|label|class|pixels?|region)\b")


def is_named_background(name: str) -> bool:
    """Whether a name is one of a background, or says nothing, as `LABEL_0`.

    >>> [is_named_background(name) for name in ("__background__", "LABEL_0", "", "wall")]
    [True, True, True, False]
    """
    plain = re.sub(r"[\s_-]+", " ", name.casefold()).strip()
    without = _BESIDES.sub("", plain).strip()
    return bool(_NO_NAME.fullmatch(plain)) or plain in _NAMES or without in _NAMES
