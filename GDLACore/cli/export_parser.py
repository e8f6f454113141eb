"""What can be typed after ``gdla export``, also called ``gdla import``."""

from __future__ import annotations

import argparse

from GDLACore.cli import commands
from GDLACore.cli.options import (
    PRECISIONS,
    SERVER_BACKENDS,
    add_card,
    add_json,
    named_path,
    positive_number,
)

_DESCRIPTION = """\
Turn a checkpoint into one .onnx file that holds network, weights and card and needs no PyTorch, on
this computer or another. `gdla import` is the same command: it is how the authors' .ckpt files, of
which --card names the model, become models of this program. Nothing in a file is ever executed.

With --triton, write the model as NVIDIA Triton serves it, ready to be used with --server URL: the
folder DIR/NAME with its configuration, beside other models that DIR may hold. MODEL may be an .onnx
file then, too.
"""


def add_export(
    subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser, epilog: str
) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export",
        aliases=["import"],
        parents=[common],
        help="turn a checkpoint into one ONNX file, or into a model of a server",
        description=_DESCRIPTION,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=commands.export)
    parser.add_argument(
        "model", metavar="MODEL", help="a checkpoint file, or a name that `gdla models` lists"
    )
    destination = parser.add_mutually_exclusive_group()
    destination.add_argument(
        "-o",
        "--output",
        metavar="OUT.onnx",
        type=named_path,
        help="default: MODEL with the ending .onnx",
    )
    destination.add_argument(
        "--triton",
        metavar="DIR",
        type=named_path,
        help="a model repository, which is made if need be: add the model to it",
    )
    add_card(parser)
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="fp16 halves the file and is for GPUs; of the demonstration model it changes 1 label "
        "in 75,000 (default: %(default)s)",
    )
    parser.add_argument(
        "--backend",
        choices=SERVER_BACKENDS,
        help="with --triton: onnxruntime, for servers with a GPU, or python, for servers without "
        "one or without that backend, whose Python has numpy, scipy and onnxruntime "
        "(default: onnxruntime)",
    )
    parser.add_argument(
        "--instances",
        metavar="N",
        type=positive_number,
        help="with --triton: how many requests are worked on at a time, on each GPU if there are "
        "some (default: 1)",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file or model")
    add_json(parser)
