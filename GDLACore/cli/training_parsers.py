"""The options of ``gdla train`` and of what goes with it."""

from __future__ import annotations

import argparse
from pathlib import Path

from GDLACore.cli import commands
from GDLACore.cli.options import positive_number


def add_train(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser(
        "train",
        parents=[common],
        help="train a model",
        description="Train a model as a YAML or JSON file says.",
    )
    parser.set_defaults(command=commands.train)
    parser.add_argument("config", metavar="CONFIG", type=Path, help="the training file")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        required=True,
        help="for checkpoints and logs",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--processes",
        metavar="N",
        type=positive_number,
        default=1,
        help="processes that share every batch, each with a GPU of its own (default: %(default)s)",
    )
    parser.add_argument(
        "--nodes",
        metavar="N",
        type=positive_number,
        default=1,
        help="computers with as many processes each; start the command on all of them, through "
        "torchrun or SLURM (default: %(default)s)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the training in FOLDER")
