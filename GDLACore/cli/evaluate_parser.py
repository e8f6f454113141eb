"""What can be typed after ``gdla evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from GDLACore.cli import commands
from GDLACore.cli.options import add_card, add_engine_options, add_json, named_path

_EVALUATE = """\
Score a model, or segmentations another program made, against the references of a dataset.

DATASET is a dataset file as for training. Each structure of each case gets Dice, HD95, normalised
surface distance, mean surface distance and volume difference, in mm on the grid of the image; means
have 95 % intervals over patients. FOLDER receives scores.csv, scores.json, report.html and pictures
of the worst cases. docs/evaluation.md defines every number.
"""


def add_evaluate(subparsers: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "evaluate",
        parents=[common],
        help="score a model on the cases of a dataset",
        description=_EVALUATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=commands.evaluate)
    parser.add_argument("dataset", metavar="DATASET", type=named_path, help="a dataset file")
    scored = parser.add_mutually_exclusive_group(required=True)
    scored.add_argument("--model", help="a name that `gdla models` lists, or a model file")
    scored.add_argument(
        "--segmentations",
        metavar="FOLDER",
        type=named_path,
        help="a folder with one segmentation for each case, named after its id",
    )
    add_card(parser)
    add_engine_options(parser)
    parser.add_argument(
        "--split",
        choices=("test", "validation", "training"),
        help="which cases (default: test if there are any, else validation)",
    )
    parser.add_argument(
        "--protocol",
        choices=("native", "paper"),
        default="native",
        help="paper: beside the scores in mm, those that published figures can be set beside "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--tolerance",
        metavar="[NAME=]MM",
        type=tolerance,
        action="append",
        default=[],
        help="of the normalised surface distance, for all structures or for one; may be repeated "
        "(default: 2)",
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True)
    parser.add_argument("--force", action="store_true", help="replace the report in FOLDER")
    add_json(parser)


def tolerance(text: str) -> tuple[str | None, float]:
    """Return the structure, None for all, and the length of ``Liver=3`` or ``3``."""
    name, equals, length = text.rpartition("=")
    try:
        value = float(length)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length such as 2 or Liver=3") from None
    if equals and not name:
        raise argparse.ArgumentTypeError(f"{text!r} names no structure")
    return (name or None), value
