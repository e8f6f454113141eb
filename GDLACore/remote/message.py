"""Requests to infer and their answers, as the protocol's extension for binary tensors has them.

A JSON head, whose length the header ``Inference-Header-Content-Length`` tells, and the tensors'
bytes, little-endian, after it in the head's order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from GDLACore.errors import ModelFileError
from GDLACore.model.fields import parse_json
from GDLACore.remote.connection import Answer
from GDLACore.remote.troubles import WrongAnswer
from GDLACore.serving.contract import TensorKind

_HEAD_LENGTH = "Inference-Header-Content-Length"
_LONGEST_HEAD = 1 << 16


@dataclass(frozen=True)
class Question:
    """What is asked of a model: ``shapes`` are those of the ``wanted`` outputs."""

    id: str
    inputs: Mapping[str, np.ndarray]
    wanted: Sequence[TensorKind]
    shapes: Sequence[tuple[int, ...]]

    @property
    def longest_answer(self) -> int:
        """Return more bytes than the answer can have."""
        sizes = zip(self.wanted, self.shapes, strict=True)
        return _LONGEST_HEAD + sum(_size(kind, shape) for kind, shape in sizes)


def request_of(question: Question, kinds: Sequence[TensorKind]) -> tuple[dict[str, str], bytes]:
    """Return headers and body that ask ``question`` of a model that takes ``kinds``."""
    arrays = [np.ascontiguousarray(question.inputs[kind.name], _wire_type(kind)) for kind in kinds]
    head = {
        "id": question.id,
        "inputs": [
            {
                "name": kind.name,
                "shape": array.shape,
                "datatype": kind.datatype,
                "parameters": {"binary_data_size": array.nbytes},
            }
            for kind, array in zip(kinds, arrays, strict=True)
        ],
        "outputs": [
            {"name": kind.name, "parameters": {"binary_data": True}} for kind in question.wanted
        ],
    }
    text = json.dumps(head, separators=(",", ":")).encode("ascii")
    headers = {"Content-Type": "application/octet-stream", _HEAD_LENGTH: str(len(text))}
    return headers, b"".join([text, *(array.data for array in arrays)])


def outputs_of(
    answer: Answer, question: Question, model: str, version: str | None, host: str
) -> dict[str, np.ndarray]:
    """Return the outputs in ``answer`` by their names, if it is one to ``question``.

    Raises WrongAnswer if it is not, or not of ``version`` of ``model``.
    """
    head, data = _parts(answer, host)
    named = (
        ("model_name", model, "of another model"),
        ("model_version", version, f"of another version of the model {model}"),
        ("id", question.id, "to another question"),
    )
    for key, asked, what in named:
        if asked is not None and head.get(key) != asked:
            raise _wrong(host, f"gives an answer {what}")
    listed = head.get("outputs")
    if not isinstance(listed, list) or len(listed) != len(question.wanted):
        raise _wrong(host, "does not give the outputs that it was asked for")
    pairs = zip(question.wanted, question.shapes, strict=True)
    expected = {kind.name: (kind, shape) for kind, shape in pairs}
    outputs = {}
    start = 0
    for entry in listed:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in expected or name in outputs:
            raise _wrong(host, "does not give the outputs that it was asked for")
        kind, shape = expected[name]
        if entry.get("datatype") != kind.datatype or entry.get("shape") != list(shape):
            raise _wrong(host, f"gives {name} in another type or shape than it was asked for")
        size = _size(kind, shape)
        told = entry.get("parameters")
        if not isinstance(told, dict) or told.get("binary_data_size") != size:
            raise _wrong(host, f"gives {name} in another form than it was asked for")
        part = data[start : start + size]
        if len(part) != size:
            raise _wrong(host, f"gives only a part of {name}")
        stored = np.frombuffer(part, _wire_type(kind))
        outputs[name] = stored.reshape(shape).astype(kind.numpy_type, copy=False)
        start += size
    if start != len(data):
        raise _wrong(host, "gives more than it says")
    return outputs


def _parts(answer: Answer, host: str) -> tuple[dict[str, Any], memoryview]:
    told = answer.headers.get(_HEAD_LENGTH.lower(), "")
    if not (told.isascii() and told.isdigit()) or len(told) > 12 or int(told) > len(answer.body):
        raise _wrong(host, "gives an answer in another form than it was asked for")
    length = int(told)
    try:
        head = parse_json(answer.body[:length], "The answer")
    except ModelFileError as error:
        raise _wrong(host, "gives a damaged answer") from error
    if not isinstance(head, dict):
        raise _wrong(host, "gives a damaged answer")
    return head, memoryview(answer.body)[length:]


def _size(kind: TensorKind, shape: tuple[int, ...]) -> int:
    return math.prod(shape) * _wire_type(kind).itemsize


def _wire_type(kind: TensorKind) -> np.dtype:
    return np.dtype(kind.numpy_type).newbyteorder("<")


def _wrong(host: str, what: str) -> WrongAnswer:
    return WrongAnswer(
        f"The server {host} {what}: nothing of it is used.",
        "Those who look after it must see which models it has, and what is in front of it.",
    )
