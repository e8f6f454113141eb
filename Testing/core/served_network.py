"""A model as a server of the Open Inference Protocol has it: what it tells, takes and gives.

Strictly what contract 1 says: a request with anything else in it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from GDLACore.engine.confidence import margin
from GDLACore.engine.label_maps import enlarged_labels
from GDLACore.engine.protocol import label_type
from GDLACore.imaging.slice_resampling import slice_resampling
from GDLACore.model.card import ModelCard
from GDLACore.serving import contract

Logits = Callable[[np.ndarray], np.ndarray]
HEAD_LENGTH = "Inference-Header-Content-Length"


def bright(images: np.ndarray, classes: int = 4) -> np.ndarray:
    """Return logits [n, classes, s, s] of images [n, c, s, s]: classes are bands of brightness."""
    middles = (np.arange(classes, dtype=np.float32) + 0.5) / classes
    return -np.square(images[:, :1] - middles[:, None, None]) * 50


@dataclass
class ServedNetwork:
    """A model of the server; tests may change what it is while it is served."""

    card: ModelCard
    logits: Logits = bright
    version: str = "1"
    tells_card: bool = True
    state: str = "READY"
    reason: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    most: int = 64

    def told(self) -> dict[str, Any]:
        """Return the answer to ``v2/models/NAME``."""
        tensors = {"inputs": contract.inputs(self.card), "outputs": contract.outputs(self.card)}
        described = {
            key: [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in kinds]
            for key, kinds in tensors.items()
        }
        name = self.card.name
        return {"name": name, "versions": [self.version], "platform": "x", **described} | (
            self.metadata
        )

    def config(self) -> dict[str, Any]:
        """Return the answer to ``v2/models/NAME/config``."""
        told = contract.parameters(self.card) if self.tells_card else {}
        parameters = {key: {"string_value": value} for key, value in told.items()}
        name = self.card.name
        return {"name": name, "max_batch_size": self.most, "parameters": parameters}


@dataclass
class Request:
    """What somebody sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def head(self) -> dict[str, Any]:
        """Return the JSON of a request to infer."""
        return json.loads(self.body[: int(self.headers[HEAD_LENGTH])])


@dataclass
class Reply:
    """An answer to a request to infer, before it is sent: ``outputs`` are arrays by their names."""

    head: dict[str, Any]
    outputs: dict[str, np.ndarray]


class Refused(Exception):
    """A request is answered by an HTTP status, ``code``, and the message."""

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code


def right_reply(networks: dict[str, ServedNetwork], request: Request) -> Reply:
    """Return the right answer; raise Refused for a request that the contract does not know."""
    parts = request.path.split("/")  # "", v2, models, NAME[, versions, V], infer
    network = networks.get(parts[3])
    if network is None or network.state != "READY":
        raise Refused(f"Request for unknown model: '{parts[3]}' is not found", 404)
    if parts[4:] not in (["infer"], ["versions", network.version, "infer"]):
        raise Refused(f"Request for unknown model: '{parts[3]}' version is not found", 404)
    given = _tensors(network.card, request)
    images = contract.dequantised(given["image"], given["scaling"])
    shape = given["rows"].shape[1], given["columns"].shape[1]
    if not 0 < len(images) <= network.most:
        raise Refused(f"batch-size must be <= {network.most}")
    logits = network.logits(images).astype(np.float32)
    if shape[0] * shape[1] > contract.most_pixels(network.card):
        raise Refused("labels of too many pixels are asked for")
    made = _outputs(network.card, logits, shape)
    asked = request.head["outputs"]
    if any(one["parameters"] != {"binary_data": True} for one in asked):
        raise Refused("outputs are given as binary data only")
    with np.errstate(invalid="ignore"):  # of networks that give what is no number
        outputs = {one["name"]: made[one["name"]]() for one in asked}
    head = {"model_name": network.card.name, "model_version": network.version}
    return Reply(head | {"id": request.head["id"]}, outputs)


def _tensors(card: ModelCard, request: Request) -> dict[str, np.ndarray]:
    head, start = request.head, int(request.headers[HEAD_LENGTH])
    kinds = {kind.name: kind for kind in contract.inputs(card)}
    given = {}
    for one in head["inputs"]:
        size = one["parameters"]["binary_data_size"]
        kind = kinds.pop(one["name"])
        if one["datatype"] != kind.datatype or len(one["shape"]) != len(kind.shape):
            raise Refused(f"unexpected datatype or shape for input '{one['name']}'")
        if any(k not in (-1, s) for k, s in zip(kind.shape, one["shape"], strict=True)):
            raise Refused(f"unexpected shape for input '{one['name']}'")
        part = request.body[start : start + size]
        start += size
        given[one["name"]] = np.frombuffer(part, kind.numpy_type).reshape(one["shape"])
    if kinds or start != len(request.body) or set(head) != {"id", "inputs", "outputs"}:
        raise Refused("the request is not what the model takes")
    if len({len(array) for array in given.values()}) > 1 or given["rows"].any():
        raise Refused("the inputs do not belong together")
    return given


def _outputs(
    card: ModelCard, logits: np.ndarray, shape: tuple[int, int]
) -> dict[str, Callable[[], np.ndarray]]:
    plan, kind = slice_resampling(card.resampling, shape, card.input_size), label_type(card)
    return {
        "labels": lambda: np.stack([enlarged_labels(one.copy(), plan, kind) for one in logits]),
        "margin": lambda: np.stack([margin(one) for one in logits]).astype(np.float16),
        "logits": lambda: logits,
        "weights": lambda: np.tile(contract.weights_mark(card), (len(logits), 1)),
        "finite": lambda: np.isfinite(logits).all(axis=(1, 2, 3))[:, None].astype(np.uint8),
    }


def datatype(array: np.ndarray) -> str:
    names = {np.dtype(kind): name for name, kind in contract.NUMPY_TYPES.items()}
    return names.get(array.dtype, "INT64")


def listed(network: ServedNetwork) -> dict[str, str]:
    entry = {"name": network.card.name, "version": network.version, "state": network.state}
    return entry | ({"reason": network.reason} if network.reason else {})
