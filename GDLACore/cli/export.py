"""``gdla export``, also called ``gdla import``: a checkpoint as one ONNX file with its card.

Or, with ``--triton``, as a model of a server's repository.
"""

from __future__ import annotations

import json
import logging
import os
from argparse import Namespace
from pathlib import Path

from GDLACore.calibration.input_check import check_inputs
from GDLACore.calibration.input_statistics import input_statistics
from GDLACore.errors import ModelFileError, OutputError
from GDLACore.export.model_file import onnx_model, write_onnx_model
from GDLACore.imaging.writing import check_output
from GDLACore.model.catalogue import model_file
from GDLACore.model.file_access import check_readable
from GDLACore.serving.repository import check_repository, write_repository
from GDLACore.serving.served_graph import served_graph
from GDLACore.serving.triton_config import BACKENDS, TritonConfig
from GDLACore.weights.identified import load_identified
from GDLACore.weights.loading import ModelWeights

_SUFFIX = ".onnx"

_LOG = logging.getLogger(__name__)


def run(arguments: Namespace) -> None:
    """Write ``arguments.model`` as ONNX; raise GDLAError before anything is written or replaced."""
    source = model_file(arguments.model)
    check_readable(source)
    if arguments.triton is not None:
        _export_to_repository(arguments, source)
    else:
        _export_to_file(arguments, source)


def _export_to_file(arguments: Namespace, source: Path) -> None:
    for option in ("backend", "instances"):
        if getattr(arguments, option) is not None:
            raise OutputError(f"--{option} is about a server's model.", "Add --triton DIR.")
    if _is_onnx(source):
        raise ModelFileError(
            f"{source} is an ONNX file already.", "Use it as it is, or give its checkpoint."
        )
    output = arguments.output or Path(f"{Path(arguments.model).with_suffix('')}{_SUFFIX}")
    check_output(output, inputs=[source], overwrite=arguments.force, suffixes=(_SUFFIX,))
    model = load_identified(source, arguments.card)
    write_onnx_model(output, model, arguments.precision)
    facts = {"precision": arguments.precision, "bytes": output.stat().st_size}
    _tell(arguments, model, output, facts)


def _export_to_repository(arguments: Namespace, source: Path) -> None:
    config = TritonConfig(arguments.backend or BACKENDS[0], arguments.instances or 1)
    model = load_identified(source, arguments.card)
    check_repository(arguments.triton, model.card, overwrite=arguments.force)
    precision = arguments.precision
    if config.backend == "onnxruntime":
        content = served_graph(model, precision)
    elif not _is_onnx(source):
        content = onnx_model(model, precision)
    elif precision == "fp32":
        # Written anew, its weights would differ by rounding.
        content, precision = source.read_bytes(), "as it was"
    else:
        raise ModelFileError(
            f"{source} is served by the backend python in the precision that it has.",
            "Leave out --precision, or give the checkpoint that it was made from.",
        )
    _warn_of_path(arguments.triton, config)
    folder = write_repository(
        arguments.triton, model.card, content, config, overwrite=arguments.force
    )
    facts = {"precision": precision, "bytes": len(content), "backend": config.backend}
    _tell(arguments, model, folder, facts)


def _warn_of_path(repository: Path, config: TritonConfig) -> None:
    path = os.path.abspath(repository)
    # Triton 2.51 then does not load the model; with a blank, too, the server itself ends.
    if config.backend == "python" and not (path.isascii() and path.isprintable()):
        _LOG.warning(
            "Triton's Python backend cannot use %s: give the server this folder under a path of "
            "plain English letters, digits and signs.",
            path,
        )


def _is_onnx(path: Path) -> bool:
    return path.suffix.lower() == _SUFFIX


def _tell(
    arguments: Namespace, model: ModelWeights, output: Path, facts: dict[str, str | int]
) -> None:
    card = model.card
    verdict = check_inputs(input_statistics(model.tensors), card)
    if arguments.json:
        told = {
            "output": str(output),
            "model": card.name,
            "classes": card.classes,
            "in_channels": card.in_channels,
            "training_inputs": verdict.outcome,
            **facts,
        }
        print(json.dumps(told, indent=2))
    elif not arguments.quiet:
        print(f"{card.name} {card.version}: {card.title}")
        channels = f"{card.in_channels} input channel{'s' if card.in_channels != 1 else ''}"
        print(f"Fits the card: {card.classes} classes, {channels}.")
        print(verdict.sentence)
        size = f"{int(facts['bytes']) / 1e6:.1f} MB, {facts['precision']}"
        backend = f", for Triton's backend {facts['backend']}" if "backend" in facts else ""
        print(f"Written: {output} ({size}{backend})")
