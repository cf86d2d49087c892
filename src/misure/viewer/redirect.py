"""A file that leads a browser to a secret address, which no other user of the machine can read.

The address itself would stand in the arguments of the browser's process, which all users see.
"""

import html
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>misure view</title>
<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url={address}">
</head><body><p><a href="{address}">Open the viewer</a></p></body></html>
"""


@contextmanager
def redirect_file(address: str) -> Iterator[Path]:
    """A context with an HTML file that opens an address; it is gone at the end.

    Only its owner can read it (mode 0600, in a folder of mode 0700).

    Args:
        address: where it leads.
    """
    with tempfile.TemporaryDirectory(prefix="misure-view-") as folder:
        path = Path(folder) / "open.html"
        path.touch(mode=0o600)
        path.write_text(_PAGE.format(address=html.escape(address)), encoding="utf-8")
        yield path
