"""Arguments that several commands have, and how typed texts become values."""

from __future__ import annotations

import argparse
from pathlib import Path

# Those of GDLACore.engine and GDLACore.export, which it would take too long to import for --help.
DEVICES = ("auto", "cpu", "cuda", "directml", "coreml", "openvino", "tensorrt")
RUNTIMES = ("auto", "onnx", "torch")
PRECISIONS = ("fp32", "fp16")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let the command print JSON."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def add_card(parser: argparse.ArgumentParser) -> None:
    """Let the card of a checkpoint be named."""
    parser.add_argument(
        "--card",
        metavar="CARD",
        help="the listed model that a .ckpt file is a checkpoint of, or a card's .json file, as "
        "gdla calibrate writes them",
    )


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Let the device and the way to use it be chosen."""
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="auto: the fastest that computes rightly, found out by trying (default: %(default)s)",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        help="auto: ONNX Runtime, unless only PyTorch can use the GPU (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=positive_number,
        help="slices that a CPU works on at a time (default: one on each core)",
    )


def add_choice_of_image(parser: argparse.ArgumentParser) -> None:
    """Let one of several images in a file or folder be chosen."""
    parser.add_argument(
        "--series", help="one of several DICOM series in a folder: its number in the list, or UID"
    )
    parser.add_argument(
        "--frame", metavar="N", type=whole_number, help="one frame of a 4D image, from 0"
    )


def named_path(text: str) -> Path:
    """Return the path ``text``; an empty one, of a variable not set, is not the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return Path(text)


def slice_range(text: str) -> tuple[int | None, int | None]:
    """Return first and end of ``A:B``, None where left out; ``A`` alone is one slice."""
    first, colon, end = text.partition(":")
    try:
        start = int(first) if first else None
        stop = int(end) if end else None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range such as 10:20") from None
    if not colon and start is not None:
        stop = start + 1
    if (start or 0) < 0 or (stop is not None and stop <= (start or 0)):
        raise argparse.ArgumentTypeError(f"{text!r} holds no slice")
    return start, stop


def whole_number(text: str) -> int:
    """Return the number in ``text``, from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not 0, 1, 2, …")
    return int(text)


def positive_number(text: str) -> int:
    """Return the number in ``text``, from 1."""
    if (number := whole_number(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
