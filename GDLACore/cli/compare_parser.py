"""What can be typed after ``gdla compare``."""

from __future__ import annotations

import argparse
from pathlib import Path

from GDLACore.cli import commands

_DESCRIPTION = """\
Train variants of a network from several seeds on the same data, score their final weights on the
test cases, measure what they cost, and write it all as tables.

COMPARISON is a YAML or JSON file that names a training file and what each variant changes of its
card and recipe. What is in FOLDER already is not done again: a comparison that was stopped goes on
where it was when the command is given again.
"""


def add_compare(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "compare",
        parents=[common],
        help="train, score and measure variants of a network side by side",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=commands.compare)
    parser.add_argument("comparison", metavar="COMPARISON", type=Path, help="the comparison file")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        required=True,
        help="for trainings, scores and tables",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="what trains and scores; costs are those of the CPU (default: %(default)s)",
    )
