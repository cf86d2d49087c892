"""What is written to disk is read back the same; what is not of its definition is named."""

import pytest

import misure
from misure._util.optional import require
from misure._util.records import Record, convert, decode, encode, plain, settings_difference
from misure.errors import entrance


class Sheet(Record, frozen=True, kw_only=True):
    name: str
    num_samples: int = 3


def test_a_record_comes_back_also_with_a_name_that_is_no_text():
    for name in ("street", "caf\udce9", 'quoted "', "😀"):
        assert decode(encode(Sheet(name=name)), Sheet, "a sheet") == Sheet(name=name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": "a", "num_samples": "3"}', r"Expected `int`, got `str` - at `\$.num_samples`"),
        ("{}", "missing required field `name`"),
        ('{"name": "a", "colour": 1}', "unknown field `colour`"),
        ('{"name"', "Expecting"),
        ('{"name": ' + "[" * 100_000, "recursion|Expected `str`"),
        ('{"name": "caf\\udce9", "num_samples": []}', "Expected `int`, got `array`"),
    ],
)
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(misure.InputError, match=f"(?s)expected a sheet, but .*{said}"):
        decode(text, Sheet, "a sheet")


def test_plain_values_are_checked_too():
    assert convert({"name": "a"}, Sheet, "a sheet") == Sheet(name="a")
    with pytest.raises(misure.InputError, match="unknown field `nam`"):
        convert({"nam": "a"}, Sheet, "a sheet")
    assert plain(Sheet(name="a")) == {"name": "a", "num_samples": 3}


def test_numbers_that_are_none_are_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"dice": float("nan")})


def test_settings_that_differ_are_listed():
    assert settings_difference({"a": (1, 2)}, {"a": [1, 2]}) == ""
    assert settings_difference({"a": 1, "b": 2}, {"a": 1, "c": 3}) == (
        "b: 2 there, None now; c: None there, 3 now"
    )


def test_only_the_outermost_entrance_puts_its_name_before_a_message():
    @entrance("inner")
    def inner():
        raise misure.InputError("expected a target, got none.")

    @entrance("outer")
    def outer():
        inner()

    with pytest.raises(misure.InputError, match="^outer: expected a target"):
        outer()
    with pytest.raises(misure.InputError, match="^inner: expected a target"):
        inner()
    with entrance(""), pytest.raises(misure.InputError, match="^expected a target"):
        inner()


def test_a_missing_library_is_told_by_the_function_that_needs_it():
    @entrance("read_image")
    def read():
        require("no_such_library", extra="medical", purpose="read NIfTI files")

    with pytest.raises(misure.MissingDependencyError, match="^read_image: no_such_library is need"):
        read()
