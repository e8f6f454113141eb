"""An ONNX file and the card in it, read and checked before ONNX Runtime sees the file.

ONNX Runtime believes a file: it opens the other files that one names, allocates what one declares
and runs whatever operators one asks for. So the structure of a file, though not its weights, is
read here first, and what a network exported by this program would not have is refused. Not
checked: how much memory the operators of a well-formed graph will need when they run.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard
from GDLACore.model.file_access import AGAIN, opened, printable
from GDLACore.model.onnx_graph import check_graph
from GDLACore.model.onnx_operators import IR_VERSION, OPSET
from GDLACore.model.onnx_tensor import EXPORT_AGAIN
from GDLACore.model.protobuf import Message, WireError, read_message

CARD_KEY = "gdla_card"
# The SHA-256, in hexadecimal digits, of the graph with its weights followed by the card. One bit
# lost on the way here would move a border unseen, or give a structure the name of another.
HASH_KEY = "gdla_sha256"

_WORDS = {CARD_KEY: "model card", HASH_KEY: "hash of its contents"}

# onnx.proto: ModelProto
_FORMAT, _GRAPH, _OPERATOR_SETS, _METADATA, _TRAINING, _FUNCTIONS = 1, 7, 8, 14, 20, 25

FIRST_BYTE = b"\x08"  # the key of _FORMAT, with which every writer begins
# Bytes 4 to 7 of ONNX Runtime's own format. A producer's name can put them into an ONNX file, which
# is then read as that other format, if it is handed over in memory.
_ORT_MARK = b"ORTM"

_LARGEST_FILE = 1 << 31  # protobuf's limit, in bytes
# The largest of our networks has under 50,000; made-up ones must not keep anyone waiting.
_MOST_FIELDS = 300_000
_LARGEST_TEXT = 1 << 20

_NOT_OURS = "Choose an .onnx file written by `gdla export` or `gdla import`."


def read_onnx_card(path: Path) -> ModelCard:
    """Return the card in the metadata of the ONNX file at ``path``; the network is not looked at.

    Raises ModelFileError if the file cannot be read, is not ONNX, is cut off, or carries no card
    or an invalid one.
    """
    with opened_model(path) as model:
        return _card(model, path)


def check_onnx_file(path: Path) -> ModelCard:
    """Return the card in the ONNX file at ``path`` if the whole structure of the file is sound.

    The weights themselves are only compared, together with the card, with the hash in the metadata,
    if there is one. Raises ModelFileError as ``read_onnx_card`` does, and if the network or the
    card was damaged or changed since it was exported, needs other versions of ONNX or operators
    than ours, refers to another file, declares what it does not carry, has more than one network in
    it, or has an input or output that is not float32 [n, channels, h, w] with the channels of the
    card.
    """
    with opened_model(path) as model:
        card = _card(model, path)
        _check_versions(model, path)
        if model.numbers() & {_TRAINING, _FUNCTIONS}:
            raise ModelFileError(
                f"{path} holds more than a network: functions or a training.", EXPORT_AGAIN
            )
        graph = model.message(_GRAPH)
        if graph is None:
            raise ModelFileError(f"{path} holds no network.", EXPORT_AGAIN)
        check_graph(graph, card, path)
        _check_hash(model, path)
        return card


@contextmanager
def opened_model(path: Path) -> Iterator[Message]:
    """Yield the outermost message of the file; a WireError inside becomes a ModelFileError."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        if not start.startswith(FIRST_BYTE) or start[4:] == _ORT_MARK:
            raise ModelFileError(f"{path} is not an ONNX file.", _NOT_OURS)
        if size >= _LARGEST_FILE:
            raise ModelFileError(
                f"{path} has {size / 2**30:.1f} GiB, which no ONNX file can have.", _NOT_OURS
            )
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                yield read_message(data, _MOST_FIELDS)
            except WireError as error:
                raise ModelFileError(
                    f"{path} is cut off, damaged or not an ONNX file: {error}.", AGAIN
                ) from error


def _card(model: Message, path: Path) -> ModelCard:
    card = _metadata(model, CARD_KEY, path)
    if card is None:
        raise ModelFileError(f"{path} holds no model card.", _NOT_OURS)
    return ModelCard.from_json(card, f"The card in {path}")


def _check_hash(model: Message, path: Path) -> None:
    expected, card = (_metadata(model, key, path) for key in (HASH_KEY, CARD_KEY))
    if expected is not None and expected != model.sha256(_GRAPH, (card or "").encode("utf-8")):
        raise ModelFileError(
            f"{path} is damaged or was changed: its network or card is not what was exported.",
            AGAIN,
        )


def _metadata(model: Message, key: str, path: Path) -> str | None:
    entries = [entry for entry in model.messages(_METADATA) if entry.text(1) == key]
    if len(entries) > 1 or any((entry.size(2) or 0) > _LARGEST_TEXT for entry in entries):
        raise ModelFileError(f"{path} holds no usable {_WORDS[key]}.", _NOT_OURS)
    return entries[0].text(2) if entries else None


def _check_versions(model: Message, path: Path) -> None:
    """Refuse other versions than we write, and operators that ONNX Runtime has not itself."""
    if (found := model.integer(_FORMAT)) != IR_VERSION:
        raise ModelFileError(
            f"{path} has version {found} of the ONNX format; files of ours have always had "
            f"{IR_VERSION}.",
            EXPORT_AGAIN,
        )
    sets = [(entry.text(1), entry.integer(2)) for entry in model.messages(_OPERATOR_SETS)]
    for domain, _ in sets:
        if domain:
            raise ModelFileError(
                f"{path} needs operators of its own ({printable(domain)}).",
                "Export the model again with `gdla export`, which needs none.",
            )
    if len(sets) != 1:
        raise ModelFileError(
            f"{path} does not name one version of ONNX operators, but {len(sets)}.", EXPORT_AGAIN
        )
    if (version := sets[0][1]) != OPSET:
        raise ModelFileError(
            f"{path} is written for version {version} of the ONNX operators; files of ours have "
            f"always had {OPSET}.",
            EXPORT_AGAIN,
        )
