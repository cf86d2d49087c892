import sys
import warnings

from misure._util.warning_lines import warnings_as_lines
from misure.errors import MisureWarning


def test_own_warnings_are_one_line_and_others_are_silent(capsys, monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", [])
    before = warnings.showwarning
    with warnings_as_lines():
        warnings.warn("one\n thing", MisureWarning, stacklevel=1)
        warnings.warn("of a library", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "misure: warning: one thing\n"
    assert warnings.showwarning is before
