"""Which operators of ONNX Runtime the network's time goes to, on one core.

    python Testing/bench/operators.py --model golden-b2

From ONNX Runtime's own profile of many runs: the medians of all operators of a kind, added up. What
a Conv or MatMul reaches is told in multiply-adds per second, to compare with the machine's best.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
from models import model_file  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402

from GDLACore.engine.session_options import session_options  # noqa: E402
from GDLACore.export.model_file import onnx_model  # noqa: E402
from GDLACore.weights.loading import load_weights  # noqa: E402

_SHOWN = 12


def main() -> None:
    """Measure, print and save."""
    arguments = _arguments()
    result = heading(arguments, f"operators {arguments.model}")
    result["kinds"] = _kinds(_profile(arguments))
    publish(arguments, result, _lines(result))


def _profile(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return one event for each operator in each run but the first."""
    file = model_file(arguments.model)
    model = load_weights(file.path, file.card_name)
    card = model.card
    image = np.zeros((1, card.in_channels, card.input_size, card.input_size), np.float32)
    image[..., card.input_size // 4 : -card.input_size // 4] = 0.5
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(onnxruntime)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            onnx_model(model), options, providers=["CPUExecutionProvider"]
        )
        for _ in range(arguments.rounds + 1):
            session.run(None, {"image": image})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return [e for e in events if e["cat"] == "Node" and e["name"].endswith("_kernel_time")]


def _kinds(events: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return number, seconds and multiply-adds of every kind of operator, the longest first."""
    nodes = defaultdict(list)
    for event in events:
        nodes[event["name"]].append(event)
    kinds: dict[str, dict[str, float]] = {}
    for runs in nodes.values():
        facts = runs[0]["args"]
        kind = kinds.setdefault(facts["op_name"], {"count": 0, "seconds": 0.0, "multiply_adds": 0})
        kind["count"] += 1
        kind["seconds"] += statistics.median(run["dur"] for run in runs[1:]) / 1e6
        kind["multiply_adds"] += _multiply_adds(facts)
    return dict(sorted(kinds.items(), key=lambda item: -item[1]["seconds"]))


def _multiply_adds(facts: dict[str, Any]) -> int:
    """Return the multiply-adds of a convolution or a product, 0 of anything else."""
    inputs, outputs = (
        [next(iter(shape.values())) for shape in facts[f"{side}_type_shape"]]
        for side in ("input", "output")
    )
    if facts["op_name"] == "Conv":
        return math.prod(outputs[0]) * math.prod(inputs[1][1:])
    if facts["op_name"] == "ConvTranspose":  # its kernel, 3 x 3, is packed and no input any more
        return math.prod(inputs[0]) * outputs[0][1] * 9
    if facts["op_name"] in ("MatMul", "FusedMatMul", "Gemm"):
        return math.prod(outputs[0]) * inputs[0][-1]
    return 0


def _lines(result: dict[str, Any]) -> list[str]:
    settings, kinds = result["settings"], result["kinds"]
    total = sum(kind["seconds"] for kind in kinds.values())
    rows = []
    for name, kind in list(kinds.items())[:_SHOWN]:
        rate = kind["multiply_adds"] / kind["seconds"] / 1e9
        rows.append(
            [
                name,
                str(kind["count"]),
                f"{1e3 * kind['seconds']:.2f}",
                f"{kind['seconds'] / total:.1%}",
                f"{rate:.0f}" if rate else "-",
            ]
        )
    rest = list(kinds.values())[_SHOWN:]
    seconds = sum(kind["seconds"] for kind in rest)
    count = sum(kind["count"] for kind in rest)
    rows.append(["others", str(count), f"{1e3 * seconds:.2f}", f"{seconds / total:.1%}", "-"])
    return [
        f"`{settings['model']}`, one slice on one core, {1e3 * total:.1f} ms; medians of "
        f"{settings['rounds']} runs:",
        "",
        *table(["operator", "number", "ms", "share", "10^9 multiply-adds per s"], rows),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="golden-b2", help="golden-b2, demo-ct or a model file")
    parser.add_argument("--rounds", type=int, default=20)
    add_report_arguments(parser, "operators")
    return parser.parse_args()


if __name__ == "__main__":
    main()
