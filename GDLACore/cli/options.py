"""Arguments that several commands have, and how typed texts become values."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from GDLACore.errors import GDLAError

if TYPE_CHECKING:
    from GDLACore.remote import RemoteServer

# Those of GDLACore.engine, .export and .serving, which it would take too long to import for --help.
DEVICES = ("auto", "cpu", "cuda", "directml", "coreml", "openvino", "tensorrt")
RUNTIMES = ("auto", "onnx", "torch")
PRECISIONS = ("fp32", "fp16")
SERVER_BACKENDS = ("onnxruntime", "python")

# Not an argument: those of a running program can be read by everybody on the computer.
TOKEN_VARIABLE = "GDLA_SERVER_TOKEN"


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


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Let another computer do the work; ``server_of`` reads what was typed."""
    parser.add_argument(
        "--server",
        metavar="URL",
        help="have a server that speaks the Open Inference Protocol do the work, such as "
        f"https://gpu.hospital.org; a token, where it wants one, is taken from {TOKEN_VARIABLE}",
    )
    add_ca_file(parser)
    parser.add_argument(
        "--fall-back",
        action="store_true",
        help="go on on this computer, as --device and --runtime say, if the server fails",
    )


def add_ca_file(parser: argparse.ArgumentParser) -> None:
    """Let the certificates that the server is checked against be named."""
    parser.add_argument(
        "--ca-file",
        metavar="FILE",
        type=named_path,
        help="the certificates (PEM) that vouch for the server, where this computer has them not",
    )


def server_of(arguments: argparse.Namespace) -> RemoteServer | None:
    """Return the server that the arguments of ``add_server_options`` name, or None for none.

    Raises GDLAError if that is no server's address, or if something is said about a server but not
    which one it is.
    """
    if arguments.server is None:
        for said, option in (arguments.ca_file, "--ca-file"), (arguments.fall_back, "--fall-back"):
            if said:
                raise GDLAError(f"{option} says nothing without a server.", "Add --server URL.")
        return None
    # Only here: --help must not wait for it.
    from GDLACore.remote import RemoteServer

    return RemoteServer(
        arguments.server,
        token=os.environ.get(TOKEN_VARIABLE, "").strip() or None,
        # Other computers, too, may be told of it, which start elsewhere.
        ca_file=None if arguments.ca_file is None else os.path.abspath(arguments.ca_file),
        fall_back=arguments.fall_back,
    )


def add_labelling(parser: argparse.ArgumentParser) -> None:
    """Let it be chosen how the network's output becomes labels."""
    parser.add_argument(
        "--borders",
        choices=("smooth", "published"),
        default="smooth",
        help="smooth: interpolate the network's output; published: enlarge its labels, "
        "as the published results were made (default: %(default)s)",
    )
    parser.add_argument(
        "--largest-component",
        action="store_true",
        help="keep only the largest connected part of each structure",
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
