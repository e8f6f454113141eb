"""The measurements of floor.py in one process; prints them as JSON."""

from __future__ import annotations

import argparse
import json

import numpy as np
from engines import network_alone, open_engine
from macs import count
from matrix_rate import products
from models import model_file
from rounds import median_seconds

from GDLACore.weights.shapes import weight_shapes


def main() -> None:
    """Time matrix products and networks in turns."""
    arguments = _arguments()
    model = model_file(arguments.model)
    card = model.card
    shapes = weight_shapes(card.architecture, card.in_channels, card.classes)
    matrices = products(arguments.threads)
    contenders = {name: call for name, (_, call) in matrices.items()}
    shape = (arguments.slices, card.in_channels, card.input_size, card.input_size)
    images = np.random.default_rng(0).random(shape, np.float32)
    engines = {
        name: open_engine(name, model, threads=arguments.threads) for name in arguments.engines
    }
    for name, engine in engines.items():
        contenders[f"network {name}"] = network_alone(engine, images)
    seconds = median_seconds(contenders, arguments.rounds)
    result = {
        "size": card.input_size,
        "multiply_adds": count(shapes, card.input_size, card.input_size),
        "gigamacs_per_second": {
            name: macs / seconds[name] / 1e9 for name, (macs, _) in matrices.items()
        },
        "engines": {
            name: {
                "device": engine.describe(),
                "network_seconds": seconds[f"network {name}"] / arguments.slices,
            }
            for name, engine in engines.items()
        },
    }
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--engines", nargs="+", required=True)
    parser.add_argument("--slices", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
