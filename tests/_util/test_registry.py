"""Registries, and what other packages add to them."""

import sys
import warnings

import pytest

from misure._util.registry import Registry
from misure.errors import InputError


def _registry(group="misure.nothing"):
    registry = Registry("letter", group)
    registry.register("a", 1, "first")
    registry.register("b", 2, "second")
    return registry


def test_a_registry_is_a_mapping_in_the_order_of_registration():
    registry = _registry()
    assert dict(registry) == {"a": 1, "b": 2}
    assert len(registry) == 2
    assert registry["b"] == registry.find("b") == 2
    assert "c" not in registry
    registry["c"] = 3
    assert list(registry) == ["a", "b", "c"]
    del registry["c"]
    with pytest.raises(KeyError):
        registry["c"]
    with pytest.raises(InputError, match="^expected a letter among a, b, got 'c'.$"):
        registry.find("c")


def test_a_name_belongs_to_one_module():
    registry = _registry()
    registry.register("a", 5, "first")
    assert registry["a"] == 5
    message = "^expected a new name for the letter of third, got 'a', which is defined in first."
    with pytest.raises(InputError, match=message):
        registry.register("a", 6, "third")
    assert registry["a"] == 5


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """A package with a dist-info folder, as pip would have installed it."""
    info = tmp_path / "letters_of_others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: letters-of-others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[misure.letters]\nz = letters_z\nbroken = letters_broken\nnothing = letters_nothing\n"
    )
    (tmp_path / "letters_z.py").write_text(
        "from test_registry_target import registry\ndef z(): pass\nregistry.register('z', 26, z)\n"
    )
    (tmp_path / "letters_broken.py").write_text("import a_library_that_is_not_there\n")
    (tmp_path / "letters_nothing.py").write_text("")
    registry = _registry("misure.letters")
    target = type(sys)("test_registry_target")
    target.registry = registry
    monkeypatch.setitem(sys.modules, "test_registry_target", target)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield registry
    for name in ("letters_z", "letters_broken", "letters_nothing"):
        sys.modules.pop(name, None)


def test_another_package_adds_entries_and_a_broken_one_gives_a_sentence(distribution):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert distribution["a"] == 1  # a known name loads no package
        assert "letters_z" not in sys.modules
    with pytest.warns(UserWarning, match="The package letters-of-others") as told:
        assert distribution["z"] == 26
    sentences = [str(warning.message) for warning in told]
    offers = "The package letters-of-others offers the letter"
    missing = "ModuleNotFoundError: No module named 'a_library_that_is_not_there'"
    nothing = "letters_nothing registers nothing of this name."
    assert sentences == [
        f"{offers} 'broken', but it cannot be used: {missing}",
        f"{offers} 'nothing', but it cannot be used: {nothing}",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(distribution) == ["a", "b", "z"]


def test_what_is_shipped_is_known_without_other_packages(distribution):
    distribution.register("own", 3, "misure.letters")
    assert dict(distribution.shipped) == {"own": 3}
    assert "letters_z" not in sys.modules
