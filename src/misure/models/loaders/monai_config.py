"""The configuration of a MONAI bundle, read as data: no code of it runs.

MONAI's own parser imports and evaluates whatever a configuration names. Here references (`@name`,
`@name#0#key`) are followed, arithmetic of literals is worked out, and components stay dictionaries
with a `_target_`; any other expression is refused.
"""

import ast
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from misure._util.optional import require
from misure._util.quoted import quoted
from misure.errors import InputError

Config = dict[str, Any]

_LARGEST = 4_000_000  # bytes of a configuration
_DEEPEST = 40
_LONGEST = 100_000  # of what an expression gives
_ENDINGS = (".json", ".yaml", ".yml")
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def read_config(folder: Path, name: str) -> Config:
    """The mapping in `NAME.json`, `NAME.yaml` or `NAME.yml` of a folder.

    Raises:
        InputError: there is none, it is too large, or it is damaged.
        MissingDependencyError: YAML without PyYAML.
    """
    paths = [folder / f"{name}{ending}" for ending in _ENDINGS]
    path = next((each for each in paths if each.is_file()), None)
    if path is None:
        raise InputError(
            f"expected a MONAI bundle with {name}.json or {name}.yaml, found none in {folder}."
        )
    if path.stat().st_size > _LARGEST:
        raise InputError(f"expected a configuration below 4 MB, got a larger one: {path}.")
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text) if path.suffix == ".json" else _of_yaml(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"expected a configuration in {path}: {quoted(error)}") from error
    if not isinstance(value, dict):
        raise InputError(f"expected a mapping in {path}, got {type(value).__name__}.")
    return value


def _of_yaml(text: str) -> Any:
    yaml = require("yaml", extra="monai", purpose="read configurations in YAML")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


class Resolver:
    """Values of a configuration, without running code.

    Args:
        config: of the bundle.
        bundle_root: stands where the configuration says `bundle_root`.
    """

    def __init__(self, config: Config, bundle_root: Path) -> None:
        self.config = {**config, "bundle_root": str(bundle_root)}

    def value(self, raw: Any, *, depth: int = 0) -> Any:
        """A raw value with its references followed and its arithmetic worked out.

        Raises:
            InputError: an expression that is not understood, an unknown or endless reference.
        """
        if depth > _DEEPEST:
            raise InputError("expected references that end, the configuration's go round. Mend it.")
        if isinstance(raw, dict):
            return {key: self.value(each, depth=depth + 1) for key, each in raw.items()}
        if isinstance(raw, list):
            return [self.value(each, depth=depth + 1) for each in raw]
        if isinstance(raw, str) and raw[:1] in ("@", "%"):
            return self.named(raw[1:], depth=depth + 1)
        if isinstance(raw, str) and raw.startswith("$"):
            return self._of_expression(raw, depth + 1)
        return raw

    def named(self, name: str, *, depth: int = 0) -> Any:
        """The value with a name such as `preprocessing#transforms#0`.

        Raises:
            InputError: there is no such value; else as of `value`.
        """
        found: Any = self.config
        for key in name.replace("::", "#").split("#"):
            if isinstance(found, str):
                found = self.value(found, depth=depth + 1)
            try:
                found = found[int(key)] if isinstance(found, list) else found[key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise InputError(
                    f"expected {name} in the bundle's configuration, found none. Complete it."
                ) from None
        return self.value(found, depth=depth + 1)

    def _of_expression(self, text: str, depth: int) -> Any:
        names: list[str] = []
        source = _without_references(text[1:], names)
        try:
            tree = ast.parse(source, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise refused(text) from None

        def walk(node: ast.AST, level: int) -> Any:
            if level > _DEEPEST:
                raise refused(text)
            match node:
                case ast.Constant(value=value):
                    return value
                case ast.Name(id=name) if name.startswith("__reference_"):
                    return self.named(names[int(name.removeprefix("__reference_"))], depth=depth)
                case ast.List(elts=each) | ast.Tuple(elts=each):
                    return [walk(one, level + 1) for one in each]
                case ast.UnaryOp(op=ast.USub(), operand=operand):
                    return -walk(operand, level + 1)
                case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _OPERATORS:
                    sides = walk(left, level + 1), walk(right, level + 1)
                    return _worked_out(type(kind), sides, text)
            raise refused(text)

        return walk(tree, 0)


def _worked_out(kind: type[ast.operator], sides: tuple[Any, Any], text: str) -> Any:
    are_numbers = all(isinstance(side, (int, float)) for side in sides)
    are_alike = type(sides[0]) is type(sides[1]) and isinstance(sides[0], (str, list))
    if not are_numbers and not (kind is ast.Add and are_alike):
        raise refused(text)
    try:
        result = _OPERATORS[kind](*sides)
    except (ArithmeticError, TypeError, ValueError):
        raise refused(text) from None
    if isinstance(result, (str, list)) and len(result) > _LONGEST:
        raise refused(text)
    return result


def _without_references(text: str, names: list[str]) -> str:
    """The text with each `@name` as a Python name; the names are added to the list."""
    parts, rest = [], text
    while "@" in rest:
        before, _, rest = rest.partition("@")
        length = next((i for i, x in enumerate(rest) if not (x.isalnum() or x in "_#:")), len(rest))
        name = rest[:length].rstrip(":")
        parts.append(f"{before}__reference_{len(names)}")
        names.append(name)
        rest = rest[len(name) :]
    return "".join([*parts, rest])


def refused(text: str) -> InputError:
    """The error of an expression that would run code."""
    return InputError(
        f"expected references and arithmetic in the bundle's configuration, got {text[:200]!r}, "
        "which runs code. If you trust the bundle, say trust=True (--model-option trust=true)."
    )


def is_disabled(component: Mapping[str, Any]) -> bool:
    """Whether a component of a configuration is switched off."""
    return str(component.get("_disabled_", False)).strip().lower() == "true"


def monai_name(component: Any, modules: Sequence[str]) -> str | None:
    """The name of MONAI's component that a mapping with `_target_` stands for; None: another one.

    Args:
        component: a value of a configuration.
        modules: dotted names that the target may begin with, such as `monai.transforms`.
    """
    target = component.get("_target_") if isinstance(component, Mapping) else None
    if not isinstance(target, str):
        return None
    module, _, name = target.rpartition(".")
    is_there = not module or any(module == own or module.startswith(f"{own}.") for own in modules)
    return name if is_there else None
