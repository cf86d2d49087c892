"""What docstrings say."""

from misure._util.docstrings import first_sentence, meanings
from misure.explanation.presets import Preset


def test_the_attributes_of_a_class_have_meanings():
    told = meanings(Preset.__doc__)
    assert told["edge_px"] == "width of the soft edge from shown to removed."
    assert told["baseline_image"].endswith("a region has to suffice with each.")
    assert "\n" not in "".join(told.values())


def test_sections_without_arguments_say_nothing():
    assert meanings(None) == {}
    assert meanings("Title.\n\nRaises:\n    InputError: always.\n") == {}
    assert meanings("Title.\n\nArgs:\n    a: first,\n\n        then more.\n    b: second.") == {
        "a": "first, then more.",
        "b": "second.",
    }
    assert first_sentence(None) == ""
