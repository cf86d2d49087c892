"""What is looked at in an exported program before torch reads it.

`torch.export.load` trusts its files: it unpickles some constants, evaluates the expressions of
dynamic shapes, and resolves the target of each node by attribute, so that a program may call
`torch.os.system`. Only archives in which nothing of the kind is left are passed on to it: operators
of the ATen and prims libraries and arithmetic, expressions of a fixed set of functions, constants
that are plain tensors. (Guards, which torch would run as code too, are not asked for.)
"""

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_JSON_LIMIT_BYTES = 200_000_000

_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|quantized|quantized_decomposed)\.\w+(\.\w+)?"
    r"|torch\.sym_\w+|math\.[a-z]\w*"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|pow|neg|pos|lt|le|eq|ne|gt|ge|and_|or_|not_|getitem)"
)
_FORBIDDEN_OPERATORS = ("aten.save", "aten.from_file", "aten.load", "__")
_FUNCTIONS = {
    *("Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Mod", "Abs"),
    *("FloorDiv", "CleanDiv", "CeilDiv", "PythonMod", "ModularIndexing", "IntTrueDiv", "Where"),
    *(
        "FloatTrueDiv",
        "TruncToInt",
        "CeilToInt",
        "FloorToInt",
        "ToFloat",
        "Identity",
        "PowByNatural",
    ),
    *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "And", "Or", "Not"),
    *("StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan"),
}


def refuse_code(path: Path) -> None:
    """Raises ValueError if reading or running the archive could run other code.

    Args:
        path: a `.pt2` archive.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename
            if name.endswith((".so", ".dll", ".dylib", ".o", ".cubin", ".py", ".pyc")):
                raise ValueError(f"it holds compiled code ({name})")
            if "custom_obj_" in name or "opaque_obj_" in name:
                raise ValueError(f"it holds a pickled object ({name})")
            if name.endswith(".json"):
                if entry.file_size > _JSON_LIMIT_BYTES:
                    raise ValueError(f"{name} unpacks to more than {_JSON_LIMIT_BYTES:,} bytes")
                for part in _dictionaries(json.loads(archive.read(entry))):
                    _check(part)


def _dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary inside a JSON value, however deep."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _check(part: dict[str, Any]) -> None:
    if part.get("use_pickle") or any(
        "obj_" in str(part.get(key, "")) for key in ("path_name", "as_custom_obj")
    ):
        raise ValueError("it holds a pickled object")
    if part.get("as_custom_obj") or part.get("as_operator"):
        raise ValueError("it passes objects or operators as arguments")
    if "target" in part and "inputs" in part:
        target = str(part["target"])
        if not _OPERATORS.fullmatch(target) or any(word in target for word in _FORBIDDEN_OPERATORS):
            raise ValueError(f"it calls {target}, which is no tensor operator")
    if part.get("expr_str") is not None and not _is_arithmetic(str(part["expr_str"])):
        raise ValueError(f"a shape is given by {part['expr_str']!r}, which is no arithmetic")


def _is_arithmetic(expression: str) -> bool:
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return _is_term(tree.body)


def _is_term(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return (
            isinstance(node.func, ast.Name)
            and node.func.id in _FUNCTIONS
            and all(map(_is_term, node.args))
            and all(isinstance(keyword.value, ast.Constant) for keyword in node.keywords)
        )
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float)) or bool(
            isinstance(node.value, str) and re.fullmatch(r"[a-z]+\d*", node.value)
        )
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _is_term(node.operand)
    return isinstance(node, ast.Name) and node.id in {"true", "false", "oo", "int_oo"}
