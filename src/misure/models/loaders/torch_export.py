"""`export:FILE.pt2`: a program saved by torch.export, which is run.

`torch.export.load` trusts its files: it may unpickle constants, evaluate the expressions of dynamic
shapes, and call whatever a node names. Load only files that you trust.
"""

from typing import Any

import torch
from torch import nn
from torch.export.passes import move_to_device_pass

from misure.errors import InputError
from misure.models.loaders.file import existing_file, reading
from misure.models.loaders.fixed_shape import OneByOne, settings_for_shape
from misure.models.loaders.registry import loader


@loader("export", usage="export:FILE.pt2")
def load(argument: str, device: torch.device) -> tuple[nn.Module, dict[str, Any]]:
    """A program saved by torch.export, and its input size if it was exported for one.

    This runs code of the file.

    Raises:
        InputError: the file is missing or damaged, or the program does not take one image batch.
    """
    path = existing_file(argument)
    with reading(f"a program saved by torch.export in {path}"):
        program = torch.export.load(path)
        if device.type != "cpu":
            program = move_to_device_pass(program, device)
        net = program.module()
    inputs = program.graph_signature.user_inputs
    nodes = [node for node in program.graph.nodes if node.name in inputs]
    if len(nodes) != 1 or not hasattr(nodes[0].meta.get("val"), "shape"):
        raise InputError(
            f"expected a program with one image batch as input, {path} takes {len(nodes)} inputs."
        )
    shape = [side if isinstance(side, int) else None for side in nodes[0].meta["val"].shape]
    settings, takes_one = settings_for_shape(shape, path)
    return (OneByOne(net) if takes_one else net), settings
