"""Would another precision or engine pay? All of them with a trained model and a real CT.

    python Testing/bench/alternatives.py --model demo-ct

Timed is the network alone on one slice at a time and on one core, as our engine runs it on each
core; all contenders in one process and in turns. The labels of the whole sample series, on its own
grid with the published borders, are compared with those of ONNX Runtime in float32. Needs the
packages onnx and openvino.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import openvino  # noqa: E402
from int8_products import with_int8_products  # noqa: E402
from int8_weights import with_int8_weights  # noqa: E402
from label_agreement import agreement  # noqa: E402
from machine import instructions  # noqa: E402
from models import model_file  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402
from rounds import round_robin, seconds  # noqa: E402
from sample_images import Sample, read_sample  # noqa: E402

from GDLACore.engine.session_options import session_options  # noqa: E402
from GDLACore.export.model_file import onnx_model  # noqa: E402
from GDLACore.weights.loading import load_weights  # noqa: E402

REFERENCE = "ONNX Runtime, float32"

# What OpenVINO is asked to calculate in; where the processor cannot, it takes something else.
HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}

Network = Callable[[np.ndarray], np.ndarray]

TARGET = "One would be offered from 1.3 times the speed at 99.9 % of the same labels."


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, f"alternatives {arguments.model}")
    networks, told = _networks(arguments)
    sample = read_sample(model_file(arguments.model).card, arguments.slices)
    labels = {name: sample.labels(_logits(network, sample)) for name, network in networks.items()}
    image = sample.images[:1]
    timed = {
        name: lambda network=network: seconds(lambda: network(image))
        for name, network in networks.items()
    }
    times = round_robin(timed, arguments.rounds)
    result["contenders"] = {
        name: {
            "calculates_in": told[name],
            "seconds": statistics.median(times[name]),
            "speed": statistics.median(
                other / own for own, other in zip(times[name], times[REFERENCE], strict=True)
            ),
            **agreement(labels[name], labels[REFERENCE]),
        }
        for name in networks
    }
    result["refused"] = {name: reason for name, reason in told.items() if name not in networks}
    publish(arguments, result, _lines(result))


def _networks(arguments: argparse.Namespace) -> tuple[dict[str, Network], dict[str, str]]:
    """Return what runs, and for every contender in what it calculates or why it does not run."""
    file = model_file(arguments.model)
    weights = load_weights(file.path, file.card_name)
    single, half = (
        onnx.load_model_from_string(onnx_model(weights, precision))
        for precision in ("fp32", "fp16")
    )
    networks: dict[str, Network] = {
        REFERENCE: _onnxruntime(single),
        "ONNX Runtime, float16": _onnxruntime(half),
        "ONNX Runtime, int8 products": _onnxruntime(with_int8_products(single)),
    }
    told = dict(zip(networks, ("f32", "f32, rounded to f16", "u8 x s8"), strict=True))
    files = {f"OpenVINO, {name}": (single, hint) for name, hint in HINTS.items()}
    files["OpenVINO, int8 weights"] = (with_int8_weights(single), "f32")
    for name, (proto, hint) in files.items():
        try:
            networks[name], told[name] = _openvino(proto, hint)
        # A trial: whatever OpenVINO does not take is a result, and the rest is still measured.
        except RuntimeError as error:
            told[name] = _reason(error)
    return networks, told


def _onnxruntime(model: onnx.ModelProto) -> Network:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(),
        session_options(onnxruntime),
        providers=["CPUExecutionProvider"],
    )
    return lambda images: session.run(None, {"image": images})[0]


def _reason(error: Exception) -> str:
    """Return the lines in which OpenVINO lists what it cannot convert, else its last one."""
    lines = str(error).strip().splitlines()
    return "; ".join(line[3:] for line in lines if line.startswith("-- ")) or lines[-1]


def _openvino(model: onnx.ModelProto, hint: str) -> tuple[Network, str]:
    core = openvino.Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": 1,
    }
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", settings)
    request = compiled.create_infer_request()

    def network(images: np.ndarray) -> np.ndarray:
        return request.infer({"image": images})["logits"].copy()

    network(np.zeros((1, 1, 64, 64), np.float32))
    return network, compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()


def _logits(network: Network, sample: Sample) -> np.ndarray:
    return np.concatenate([network(image[None]) for image in sample.images])


def _lines(result: dict[str, Any]) -> list[str]:
    settings = result["settings"]
    rows = [
        [
            name,
            facts["calculates_in"],
            f"{1e3 * facts['seconds']:.1f}",
            f"{facts['speed']:.2f}",
            f"{facts['same_labels']:.4%}",
            f"{facts['same_structures']:.4%}",
        ]
        for name, facts in result["contenders"].items()
    ]
    header = ["", "calculates in", "ms per slice", "speed", "same labels", "same, of structures"]
    return [
        f"`{settings['model']}`, one slice at a time on one core; median of {settings['rounds']} "
        f"rounds; labels of {settings['slices'] or 'all'} slices of the sample CT:",
        "",
        *table(header, rows),
        "",
        *(f"- {name} does not run: {why}" for name, why in result["refused"].items()),
        f"- This processor has {instructions()}. Half precision without instructions of its own "
        "is emulated (bfloat16) or replaced by float32 (float16).",
        "- Integer products scale the image's side anew each time; integers throughout, with "
        "scales found beforehand, were not tried. Int8 weights are widened before each product.",
        f"- {TARGET}",
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="demo-ct", help="demo-ct, golden-b2 or a model file")
    parser.add_argument("--slices", type=int, default=0, help="of the sample; 0 takes all")
    parser.add_argument("--rounds", type=int, default=30)
    add_report_arguments(parser, "alternatives")
    return parser.parse_args()


if __name__ == "__main__":
    main()
