"""One measurement of scaling.py in a process of its own; prints it as JSON."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable

import torch
from memory import peak_mebibytes, reset_peak, resident_mebibytes
from rounds import seconds

from GDLACore.network.block import build_block
from GDLACore.network.pvt_gdla import PVTGDLA

# Of PVTv2-b1 to b5 at strides 4, 8 and 16; the depth counts from the image.
_WIDTHS = {1: 64, 2: 128, 3: 320}


@torch.inference_mode()
def main() -> None:
    """Run once to warm up and then until the time is spent; a long first run counts itself."""
    arguments = _arguments()
    torch.manual_seed(0)
    make = _decoder if arguments.part == "decoder" else _network
    run = make(arguments.mixer, arguments.size, arguments.encoder)
    reset_peak()
    before = resident_mebibytes()
    times = [seconds(run)]
    used = peak_mebibytes() - before
    spent = times[0]
    if spent < arguments.seconds:
        times.clear()
    while spent < arguments.seconds:
        times.append(seconds(run))
        spent += times[-1]
    result = {"seconds": statistics.median(times), "runs": len(times), "mebibytes": used}
    print(json.dumps(result))


def _decoder(mixer: str, size: int, _encoder: str) -> Callable[[], object]:
    blocks = [build_block(mixer, width, depth).eval() for depth, width in _WIDTHS.items()]
    images = []
    for depth, width in _WIDTHS.items():
        side = size >> (depth + 1)
        images.append(torch.randn(1, side, side, width))
    return lambda: [block(image) for block, image in zip(blocks, images, strict=True)]


def _network(mixer: str, size: int, encoder: str) -> Callable[[], object]:
    network = PVTGDLA(in_channels=1, classes=9, encoder=encoder, mixer=mixer).eval()
    network = network.to(memory_format=torch.channels_last)
    image = torch.rand(1, 1, size, size)
    return lambda: network(image)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("part", "mixer", "encoder"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
