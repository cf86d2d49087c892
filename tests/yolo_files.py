"""ONNX files as ultralytics exports YOLO networks of instances, with outputs known by heart."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDES = (64, 96)
METADATA = {
    "task": "segment",
    "stride": "32",
    "imgsz": "[64, 96]",
    "names": "{0: 'red', 1: 'green'}",
    "end2end": "False",
}


def write_yolo(path, proposals, *, by_red=None, metadata=METADATA, free=False):
    """A network of two classes whose prototypes are red - 0.5 and green - 0.5, by fours.

    Args:
        path: of the file.
        proposals: (4 + 2 + 2, A) or (A, 6 + 2): what it returns for every image.
        by_red: of the same shape: what is added, times the brightest red of the image.
        metadata: of the file.
        free: whether batch and sides are free.
    """
    proposals = np.asarray(proposals, np.float32)
    by_red = np.zeros_like(proposals) if by_red is None else np.asarray(by_red, np.float32)
    constants = {
        "proposals": proposals[None],
        "by_red": by_red[None],
        "half": np.float32(0.5),
        **{name: np.array([value], np.int64) for name, value in zip("abc", (0, 1, 2), strict=True)},
        "over": np.array([1, 2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Slice", ["images", "a", "c", "b"], ["colours"]),
        helper.make_node("Slice", ["images", "a", "b", "b"], ["red"]),
        helper.make_node(
            "AveragePool", ["colours"], ["means"], kernel_shape=[4, 4], strides=[4, 4]
        ),
        helper.make_node("Sub", ["means", "half"], ["output1"]),
        helper.make_node("ReduceMax", ["red", "over"], ["most"], keepdims=1),
        helper.make_node("Squeeze", ["most", "b"], ["factor"]),
        helper.make_node("Mul", ["by_red", "factor"], ["added"]),
        helper.make_node("Add", ["proposals", "added"], ["output0"]),
    ]
    shape = ["batch", 3, "height", "width"] if free else [1, 3, *SIDES]
    small = ["batch", 2, "rows", "columns"] if free else [1, 2, SIDES[0] // 4, SIDES[1] // 4]
    rows = [shape[0], *proposals.shape]
    graph = helper.make_graph(
        nodes,
        "yolo",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("output0", TensorProto.FLOAT, rows),
            helper.make_tensor_value_info("output1", TensorProto.FLOAT, small),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
