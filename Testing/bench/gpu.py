"""What a CUDA GPU makes of it: the network, a whole CT, and how far both are from the floor.

    python Testing/bench/gpu.py --docs

First the floor is measured, then the network in every precision, number of slices and way of
running; then a CT of 512 x 512 x N from int16 in the host's memory to uint8 labels there: by the
published way on the same GPU, by our engines, and all on the device in each precision.
``--device cpu --slices 4`` runs the same code where there is no GPU, to see that it works.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing/core")]  # the golden vectors are the tests' own

import torch  # noqa: E402
from engines import ENGINES, TORCH  # noqa: E402
from fresh import run_fresh  # noqa: E402
from gpu_end_to_end import PUBLISHED, end_to_end, on_device, our_engine, published_on  # noqa: E402
from gpu_floor import bandwidth, matrix_rate, median_seconds, traffic, transfer_seconds  # noqa: E402
from gpu_network import (  # noqa: E402
    PRECISIONS,
    Timing,
    image,
    in_precision,
    sweep,
    use_precision,
    use_pytorch_defaults,
)
from macs import count  # noqa: E402
from models import GOLDEN, ModelFile, model_file  # noqa: E402
from published_way import CHUNK  # noqa: E402
from report import add_report_arguments, heading, publish, table  # noqa: E402
from scan import write_nrrd  # noqa: E402
from torch import nn  # noqa: E402

from GDLACore.imaging.reading import read_volume  # noqa: E402
from GDLACore.imaging.volume import Volume  # noqa: E402
from GDLACore.network.checkpoint import load_model  # noqa: E402

NOT_MEASURED = "Not measured: no CUDA GPU."
TARGETS = (
    "Targets: 300 slices in less than 0.2 s, 30 times as fast as the published way on the same "
    "GPU; the network alone 4 times as fast."
)

# Sides of matrices and MiB to copy: large enough to keep a GPU busy, small enough to try a CPU.
_SIDES = {"cuda": (1024, 2048, 4096, 8192), "cpu": (64, 128)}
_COPIED = {"cuda": 1024, "cpu": 4}


def main() -> None:
    """Measure, print and save; say so where there is nothing to measure on."""
    arguments = _arguments()
    result = heading(arguments, "gpu")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        publish(arguments, result, [NOT_MEASURED])
        return
    if arguments.device == "cuda":
        result["machine"]["GPU"] = _gpu()
    model = model_file(arguments.model)
    run_fresh("published_way.py")
    network, _ = load_model(model.path, model.card_name)
    with tempfile.TemporaryDirectory() as folder:
        write_nrrd(Path(folder) / "ct.nrrd", arguments.slices)
        volume = read_volume(Path(folder) / "ct.nrrd")
    result |= measure(arguments, network, model, volume)
    publish(arguments, result, _lines(result))


def measure(
    arguments: argparse.Namespace, network: nn.Module, model: ModelFile, volume: Volume
) -> dict[str, Any]:
    """Return the floor, the network's times and whole CTs'."""
    device, card = arguments.device, model.card
    floor = _floor(network, model, device, volume)
    timings = sweep(network, device, card.in_channels, card.input_size, tuple(arguments.batches))
    best = {
        precision: min(
            (timing for timing in timings if timing.precision == precision),
            key=lambda timing: timing.seconds_per_slice,
        )
        for precision in PRECISIONS
    }
    contenders = {
        f"engine {name}, {borders} borders": our_engine(name, volume, model, device, borders)
        for name in arguments.engines
        for borders in ("published", "smooth")
    }
    contenders |= {
        f"all on the device, {precision}": on_device(network, timing, volume, model, device)
        for precision, timing in best.items()
    }
    return {
        "floor": floor,
        "network": [dataclasses.asdict(timing) for timing in timings],
        "best": {precision: dataclasses.asdict(timing) for precision, timing in best.items()},
        "published_network_seconds_per_slice": _published_network(model, device),
        "end_to_end": end_to_end(volume, model, device, contenders, arguments.rounds),
    }


def _floor(
    network: nn.Module, model: ModelFile, device: str, volume: Volume
) -> dict[str, dict[str, float]]:
    """Return, in each precision, rates, the least seconds of a slice, and the two transfers."""
    card = model.card
    size, voxels = card.input_size, volume.array.size
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    macs = sum(count(shapes, size, size).values())
    speed = bandwidth(device, _COPIED[device])
    there, back = transfer_seconds(device, 2 * voxels, voxels)
    floors = {}
    for precision, dtype in PRECISIONS.items():
        use_precision(precision)
        rate = matrix_rate(device, dtype, _SIDES[device])
        own = in_precision(network, precision, device)
        moved = traffic(own, image(own, 1, card.in_channels, size))
        floors[precision] = {
            "macs_per_second": rate,
            "bytes_per_second": speed,
            "operations_seconds": macs / rate,
            "traffic_seconds": moved / speed,
            # Both go on at the same time.
            "slice_seconds": max(macs / rate, moved / speed),
            "transfer_seconds": there + back,
        }
    return floors


def _published_network(model: ModelFile, device: str) -> float:
    """Return the seconds of a slice in the published way's network, as many at once as there."""
    network, card = published_on(model, device), model.card
    use_pytorch_defaults()
    shape = (CHUNK, card.in_channels, card.input_size, card.input_size)
    images = torch.rand(shape, device=device)
    with torch.no_grad():
        return median_seconds(device, lambda: network(images)) / CHUNK


def _lines(result: dict[str, Any]) -> list[str]:
    settings, slices = result["settings"], result["settings"]["slices"]
    return [
        f"`{settings['model']}`, CT of 512 x 512 x {slices} (int16), median of "
        f"{settings['rounds']} rounds.",
        "",
        "The floor; operations and traffic of one slice, transfers of the whole CT:",
        "",
        *_floor_table(result["floor"]),
        "",
        "The network alone, ms per slice; the compiled one at the best number of slices:",
        "",
        *_network_table(result),
        "",
        "From int16 in the host's memory to uint8 there:",
        "",
        *_end_to_end_table(result, slices),
        "",
        TARGETS,
    ]


def _floor_table(floors: dict[str, dict[str, float]]) -> list[str]:
    rows = [
        [
            precision,
            f"{floor['macs_per_second'] / 1e12:.2f}",
            f"{floor['bytes_per_second'] / 1e9:.0f}",
            f"{1e3 * floor['operations_seconds']:.3f}",
            f"{1e3 * floor['traffic_seconds']:.3f}",
            f"{1e3 * floor['transfer_seconds']:.1f}",
        ]
        for precision, floor in floors.items()
    ]
    header = ["", "T multiply-adds/s", "GB/s", "operations, ms", "traffic, ms", "transfers, ms"]
    return table(header, rows)


def _network_table(result: dict[str, Any]) -> list[str]:
    timings = [Timing(**timing) for timing in result["network"]]
    batches = sorted({timing.batch for timing in timings})
    published = result["published_network_seconds_per_slice"]
    rows = []
    for precision, way in dict.fromkeys((timing.precision, timing.way) for timing in timings):
        times = {
            timing.batch: timing.seconds_per_slice
            for timing in timings
            if (timing.precision, timing.way) == (precision, way)
        }
        best = min(times.values())
        rows.append(
            [
                f"{precision}, {way}",
                *(f"{1e3 * times[b]:.3f}" if b in times else "-" for b in batches),
                f"{best / result['floor'][precision]['slice_seconds']:.1f}",
                f"{published / best:.1f}",
            ]
        )
    header = ["slices at a time", *map(str, batches), "of the floor", "of the published speed"]
    lines = table(header, rows)
    return [*lines, "", f"The published way's network, {CHUNK} at a time: {1e3 * published:.3f}."]


def _end_to_end_table(result: dict[str, Any], slices: int) -> list[str]:
    rows = []
    for name, facts in result["end_to_end"].items():
        precision = name.rpartition(", ")[2]
        floor = result["floor"].get(precision, result["floor"]["fp32"])
        least = slices * floor["slice_seconds"] + floor["transfer_seconds"]
        rows.append(
            [
                name,
                f"{facts['seconds']:.3f}",
                f"{facts['speed']:.1f}",
                f"{facts['seconds'] / least:.1f}",
                f"{facts['same_labels']:.4%}",
                f"{facts['same_structures']:.4%}",
            ]
        )
    header = ["", "s", "of the published speed", "of the floor", "same labels"]
    stages = result["end_to_end"][PUBLISHED]["stages"]
    parts = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in stages.items())
    lines = table([*header, "same, of structures"], rows)
    return [*lines, "", f"The published way, in s: {parts}."]


def _gpu() -> str:
    facts = torch.cuda.get_device_properties(0)
    memory = facts.total_memory / 2**30
    return f"{facts.name}, {memory:.0f} GiB, CUDA {torch.version.cuda}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--model", default=GOLDEN, help=f"{GOLDEN}, demo-ct or a model file")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=[TORCH])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--rounds", type=int, default=3)
    add_report_arguments(parser, "gpu")
    return parser.parse_args()


if __name__ == "__main__":
    main()
