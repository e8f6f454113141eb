"""The ``config.pbtxt`` of a served model: what NVIDIA Triton must know of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from GDLACore.engine.accelerators import CUDA_OPTIONS
from GDLACore.model.card import ModelCard
from GDLACore.serving import contract

BACKENDS = ("onnxruntime", "python")
MODEL_FILE = "model.onnx"  # the name that Triton looks for

# Requests are joined up to so many slices, as far as so many bytes go. A GPU needs about 1500 for
# every pixel of a slice, and 10 for every class of every pixel of its labels: 5 are used, of memory
# that is taken in powers of two.
_LARGEST_BATCH = 32
_SMALLEST_BATCH = 2
_GPU_BYTES = 4 << 30
_GPU_BYTES_PER_PIXEL = 1500
_GPU_BYTES_PER_CLASS = 10

_BATCHING = (
    "# Requests that wait are joined, if their labels are to have the same size. Give it no",
    "# max_queue_size: with one, Triton 2.51 let a request lie for half a second now and then.",
    "dynamic_batching { }",
)


@dataclass(frozen=True)
class TritonConfig:
    """How a model is to run: by which backend, and in how many instances (per GPU, if it has some).

    ``backend`` is one of BACKENDS.
    """

    backend: str
    instances: int = 1


def largest_batch(card: ModelCard) -> int:
    """Return how many slices, those of all requests it joins together, a server takes at a time."""
    network = _GPU_BYTES_PER_PIXEL * card.input_size**2
    labels = _GPU_BYTES_PER_CLASS * card.classes * contract.most_pixels(card)
    return max(_SMALLEST_BATCH, min(_LARGEST_BATCH, _GPU_BYTES // (network + labels)))


def config_text(card: ModelCard, config: TritonConfig) -> str:
    """Return the text of ``config.pbtxt`` for the model of ``card``."""
    on_gpu = config.backend == "onnxruntime"
    return "\n".join(
        [
            f"name: {_quoted(card.name)}",
            f"backend: {_quoted(config.backend)}",
            f"max_batch_size: {largest_batch(card)}",
            *_tensors("input", contract.inputs(card)),
            *_tensors("output", contract.outputs(card)),
            *_BATCHING,
            f"instance_group [ {{ count: {config.instances} "
            f"kind: {'KIND_GPU' if on_gpu else 'KIND_CPU'} }} ]",
            *(_gpu_options(CUDA_OPTIONS) if on_gpu else ()),
            *_warm_up(card),
            *_parameters(contract.parameters(card)),
            "",
        ]
    )


def _tensors(group: str, kinds: Iterable[contract.TensorKind]) -> list[str]:
    listed = [
        f"  {{ name: {_quoted(kind.name)} data_type: TYPE_{kind.datatype} "
        f"dims: {_dims(kind.shape[1:])} }}"
        for kind in kinds
    ]
    return [f"{group} [", ",\n".join(listed), "]"]


def _gpu_options(options: Mapping[str, str]) -> list[str]:
    listed = [
        f"        parameters {{ key: {_quoted(key)} value: {_quoted(value)} }}"
        for key, value in options.items()
    ]
    return [
        "optimization {",
        "  execution_accelerators {",
        "    gpu_execution_accelerator [",
        '      { name: "cuda"',
        *listed,
        "      }",
        "    ]",
        "  }",
        "}",
    ]


def _warm_up(card: ModelCard) -> list[str]:
    """Have one empty slice run before anyone is served: the first is slower by its set-up."""
    side = card.input_size
    lines = ["model_warmup [", '  { name: "one empty slice" batch_size: 1']
    for kind in contract.inputs(card):
        dims = _dims(side if length == contract.FREE else length for length in kind.shape[1:])
        lines.append(
            f"    inputs {{ key: {_quoted(kind.name)} value {{ "
            f"data_type: TYPE_{kind.datatype} dims: {dims} zero_data: true }} }}"
        )
    return [*lines, "  }", "]"]


def _parameters(parameters: Mapping[str, str]) -> list[str]:
    return [
        f"parameters {{ key: {_quoted(key)} value {{ string_value: {_quoted(value)} }} }}"
        for key, value in parameters.items()
    ]


def _dims(lengths: Iterable[int]) -> str:
    return f"[ {', '.join(map(str, lengths))} ]"


def _quoted(text: str) -> str:
    """Return ``text`` as protobuf's text format writes it; any character may be in it."""
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\{byte:03o}"
        for byte in text.encode("utf-8")
    )
    return f'"{escaped}"'
