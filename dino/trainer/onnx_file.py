"""ONNX files: a trained network for programs without PyTorch. docs/guides/onnx.md uses one.

    difference = export_onnx(model, metadata, Path("model.onnx"))

The network's inputs are `noisy` (N, C, H, W), `noise_level` (N, 1, 1, 1), and if it knows words, `condition`
(N, n_words). Its output is `denoised` (N, C, H, W). Any batch goes, and all sizes that the network can halve.
"""

import copy
import importlib.util
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from ..common.atomic_file import replacing
from ..common.errors import DinoError
from ..common.version import VERSION
from ..images import seeded
from .model_file import image_shape, vocabulary
from .noising import check_plain
from .trial import Method, apply

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
PORTABLE = Method("float32", "contiguous", "amax")  # amax, because a pooling window of any size isn't ONNX
TOLERANCE = 1e-3  # of a number in [0, 1]; two programs add up in different orders and differ by about 1e-6


def export_onnx(model: nn.Module, metadata: dict[str, Any], path: Path) -> float:
    """Write a network as an ONNX file, and compare its predictions with PyTorch's at several batches and sizes.

    Args:
        model: as from `load_model`. It stays as it is.
        metadata: of its file.
        path: the file to write.

    Returns:
        The largest difference between a prediction of onnxruntime and PyTorch's, of a number that is about in [0, 1].

    Raises:
        DinoError: if a package is missing, the file can't be written, or the predictions differ.
    """
    check_packages()
    check_plain(metadata, "an ONNX file")
    model = apply(PORTABLE, copy.deepcopy(model), torch.device("cpu")).eval()
    proto = _labeled(_exported(model, metadata), metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())
        difference = largest_difference(model, metadata, temporary)
        if not difference < TOLERANCE:
            raise DinoError(f"the network in {path} would differ from PyTorch's by {difference:.2g}, so it isn't kept")
    return difference


def check_packages() -> None:
    """Raise an error if a package that ONNX needs is missing.

    Raises:
        DinoError: if one is missing.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise DinoError(
            f"ONNX files need other packages ({', '.join(missing)}). In the course's folder run: "
            "pip install -e '.[onnx]' (or, with uv: uv sync --extra onnx)"
        )


def size_multiple(metadata: dict[str, Any]) -> int:
    """Return what the height and width of an image must be divisible by."""
    return 2 ** (len(metadata["config"]["widths"]) - 1)


def input_shapes(metadata: dict[str, Any]) -> dict[str, tuple[str | int, ...]]:
    """Return the shape of each input, with letters for the numbers that are free."""
    channels, *_ = image_shape(metadata)
    words = len(vocabulary(metadata))
    shapes: dict[str, tuple[str | int, ...]] = {"noisy": ("N", channels, "H", "W"), "noise_level": ("N", 1, 1, 1)}
    return shapes | ({"condition": ("N", words)} if words else {})


def largest_difference(model: nn.Module, metadata: dict[str, Any], path: Path) -> float:
    """Return the largest difference between the predictions of an ONNX file and those of a network on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    generator, differences = seeded("cpu", 0, "onnx"), []
    for n, height, width in checked_shapes(metadata):
        inputs = _random_inputs(metadata, n, height, width, generator)
        with torch.no_grad():
            expected = model(*inputs.values())
        (found,) = session.run(None, {name: values.numpy() for name, values in inputs.items()})
        differences.append((torch.from_numpy(found) - expected).abs().max().item())
    return max(differences)


def checked_shapes(metadata: dict[str, Any]) -> list[tuple[int, int, int]]:
    """Return the numbers of images, heights and widths that an export is checked at."""
    multiple, size = size_multiple(metadata), metadata["config"]["size"]
    return [(1, size, size), (5, size, size), (1, multiple, multiple), (2, 3 * multiple, 2 * multiple)]


def _random_inputs(
    metadata: dict[str, Any], n: int, height: int, width: int, generator: torch.Generator
) -> dict[str, Tensor]:
    free = {"N": n, "H": height, "W": width}
    return {
        name: torch.rand([side if isinstance(side, int) else free[side] for side in shape], generator=generator)
        for name, shape in input_shapes(metadata).items()
    }


# ---- the export -----------------------------------------------------------------------------------------------------


def _exported(model: nn.Module, metadata: dict[str, Any]) -> Any:
    """Return the network as an ONNX model, through torch's exporter."""
    multiple = size_multiple(metadata)
    free = {"N": Dim("N"), "H": multiple * Dim("rows"), "W": multiple * Dim("columns")}
    shapes = input_shapes(metadata)
    dims = tuple({k: free[side] for k, side in enumerate(shape) if side in free} for shape in shapes.values())
    example = _random_inputs(metadata, 2, 2 * multiple, 3 * multiple, seeded("cpu", 0, "onnx"))
    with torch.no_grad():
        # Strict, because otherwise `len(noisy)` fixes the number of images to that of the example.
        program = torch.export.export(model, tuple(example.values()), dynamic_shapes=dims, strict=True)
        exported = torch.onnx.export(
            program, dynamo=True, input_names=list(shapes), output_names=["denoised"], verbose=False
        )
    assert exported is not None
    return exported.model_proto


def _labeled(proto: Any, metadata: dict[str, Any]) -> Any:
    """Name the free sides of inputs and output, and add what a program must know to draw with the network."""
    shapes = input_shapes(metadata)
    for value in [*proto.graph.input, *proto.graph.output]:
        for side, name in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, shapes["noisy"]), strict=True):
            if isinstance(name, str):
                side.dim_param = name
    del proto.graph.value_info[:]  # the shapes of what is in between, under the exporter's own names
    for node in proto.graph.node:
        del node.metadata_props[:]  # stack traces, with paths of this machine
    channels, size, _ = image_shape(metadata)
    facts = {
        "channels": channels, "size": size, "size_multiple": size_multiple(metadata),
        "vocabulary": list(vocabulary(metadata)),
    }  # fmt: skip
    for name, fact in facts.items():
        proto.metadata_props.add(key=name, value=json.dumps(fact))
    proto.producer_name, proto.producer_version = "dino-diffusion", VERSION
    return proto
