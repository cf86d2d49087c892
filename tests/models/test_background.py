import pytest

from misure.models.background import is_named_background


@pytest.mark.parametrize("name", ["background", "__background__", "LABEL_0", "", "unlabeled area"])
def test_names_of_a_background(name):
    assert is_named_background(name)


@pytest.mark.parametrize("name", ["wall", "road", "aorta", "LABEL_1", "ground"])
def test_names_of_classes(name):
    assert not is_named_background(name)
