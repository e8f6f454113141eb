"""The remote engine: a server does the network, this computer what belongs to the image."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

import numpy as np

from GDLACore.engine.protocol import label_type
from GDLACore.errors import EngineError
from GDLACore.imaging.slice_resampling import slice_resampling
from GDLACore.model.card import ModelCard
from GDLACore.remote.client import Ask, ServerClient
from GDLACore.remote.description import DescribedModel, ServerProgram, described_model
from GDLACore.remote.message import Question, outputs_of, request_of
from GDLACore.remote.pace import Pace
from GDLACore.remote.slice_input import network_input
from GDLACore.remote.troubles import Interruption, Refused, WrongAnswer
from GDLACore.remote.way_back import WayBack
from GDLACore.serving import contract

_log = logging.getLogger(__name__)

# Small, so that the first result comes soon and a slow network never has long to send.
_SLICES = 2

_MARK = contract.WEIGHTS

_Arrays = dict[str, np.ndarray]


class RemoteEngine:
    """A served ``model``, on ``program``, with its ``card``; see ``Engine``.

    Any number of threads may predict at a time. The ``client`` is taken over. Whatever a server
    sends is checked: name and version of the model, the question's number, types, shapes, ranges.

    Raises ServerError where the server cannot be used, WrongAnswer where what it says must not be:
    it is not what was asked for, or the network's results are not finite numbers; EngineError for
    slices without pixels.
    """

    def __init__(
        self, client: ServerClient, program: ServerProgram, model: DescribedModel, card: ModelCard
    ) -> None:
        self.card = card
        self.batch_size = min(_SLICES, model.most or _SLICES)
        self._client, self._program, self._model = client, program, model
        self._host = client.server.host
        self._pace = Pace(client.server.timeout_s)
        # Where nobody tells the weights, those of the first answer count.
        self._mark = {} if card.sha256 is None else {_MARK: contract.weights_mark(card).tobytes()}
        self._inputs = contract.inputs(card)
        self._outputs = {kind.name: kind for kind in contract.outputs(card)}
        client.greet = self._check_unchanged
        if client.server.is_exposed:
            _log.warning(
                "Slices travel to the server %s unencrypted, so that others on the way can see "
                "them: use its https:// address if it has one.",
                self._host,
            )

    @property
    def in_flight(self) -> int:
        """Return how many batches the server is given at a time, now."""
        return self._pace.in_flight

    def predict(self, slices: np.ndarray, borders: str) -> np.ndarray:
        """Return the labels of ``slices``; see ``Engine.predict``."""
        way = self._way_back(slices, borders)
        labels = np.empty((len(slices), *way.plan.shape), label_type(self.card))
        for part, outputs in self._answers(slices, way, (way.output,)):
            labels[part] = way.labels(outputs)
        return labels

    def predict_with_confidence(
        self, slices: np.ndarray, borders: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels of ``slices`` and their confidence; see ``Engine``."""
        way = self._way_back(slices, borders)
        shape = (len(slices), *way.plan.shape)
        labels, confidences = np.empty(shape, label_type(self.card)), np.empty(shape, np.float16)
        for part, outputs in self._answers(slices, way, way.outputs_for_confidence):
            labels[part], confidences[part] = way.labels(outputs), way.confidence(outputs)
        return labels, confidences

    def scores(self, slices: np.ndarray) -> np.ndarray:
        """Return the logits of ``slices``; see ``Engine.scores``."""
        side = self.card.input_size
        scores = np.empty((len(slices), self.card.classes, side, side), np.float32)
        way = self._way_back(slices, "published")
        for part, outputs in self._answers(slices, way, (contract.LOGITS,)):
            scores[part] = outputs[contract.LOGITS]
        return scores

    def use_card(self, card: ModelCard) -> None:
        """Feed images as ``card`` says from now on; see ``Engine.use_card``.

        Its resampling, half of which is the server's part, cannot differ either.
        """
        for field in ("classes", "in_channels", "input_size", "resampling"):
            if getattr(card, field) != getattr(self.card, field):
                raise ValueError(f"the card {card.name} is of a network with other {field}")
        self.card = card

    def warm_up(self) -> None:
        """Run one empty slice; see ``Engine.warm_up``."""
        size = self.card.input_size
        self.predict(np.zeros((1, self.card.in_channels, size, size), np.float32), "published")

    def describe(self) -> str:
        """Return which server works, with which program and model."""
        return f"server {self._host} ({self._program}, model {self._model})"

    def close(self) -> None:
        """End all requests, in whatever thread they wait; see ``Engine.close``."""
        self._client.close()

    def __enter__(self) -> RemoteEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _way_back(self, slices: np.ndarray, borders: str) -> WayBack:
        shape = slices.shape[2], slices.shape[3]
        if 0 in shape:  # which a server may call a failure of its own
            raise EngineError(
                f"Slices of {shape[0]} x {shape[1]} pixels cannot be segmented.",
                "Choose an image that has pixels.",
            )
        plan = slice_resampling(self.card.resampling, shape, self.card.input_size)
        return WayBack(self.card, plan, borders)

    def _answers(
        self, slices: np.ndarray, way: WayBack, wanted: Sequence[str]
    ) -> Iterator[tuple[slice, _Arrays]]:
        """Yield the ``wanted`` outputs of all slices, and of which slices they are."""
        for start in range(0, len(slices), self.batch_size):
            part = slice(start, start + self.batch_size)
            yield part, self._asked(slices[part], way, wanted)

    def _asked(self, slices: np.ndarray, way: WayBack, wanted: Sequence[str]) -> _Arrays:
        count = len(slices)
        image, scaling = contract.quantised(network_input(slices, way.plan, self.card))
        height, width = way.asked_shape
        inputs = {
            contract.IMAGE: image,
            contract.SCALING: scaling,
            contract.ROWS: np.zeros((count, height), np.uint8),
            contract.COLUMNS: np.zeros((count, width), np.uint8),
        }
        kinds = [self._outputs[name] for name in (*wanted, contract.FINITE, contract.WEIGHTS)]
        shapes = [
            (count, height, width) if kind.name == contract.LABELS else (count, *kind.shape[1:])
            for kind in kinds
        ]
        # Nothing that tells anything of the image, its patient or this computer.
        question = Question(secrets.token_hex(8), inputs, kinds, shapes)
        headers, body = request_of(question, self._inputs)
        if contract.LOGITS not in wanted and not self._client.server.is_local:
            headers["Accept-Encoding"] = "gzip"  # labels become a hundred times smaller
        model, begin = self._model, time.monotonic()
        answer = self._client.ask(
            "POST", f"{model.path}/infer", headers, body, question.longest_answer
        )
        self._pace.answered_after(time.monotonic() - begin)
        outputs = outputs_of(answer, question, model.name, model.version, self._host)
        self._check_values(outputs)
        return outputs

    def _check_values(self, outputs: _Arrays) -> None:
        mark, *others = {one.tobytes() for one in outputs[contract.WEIGHTS]}
        # In one step: there are threads. But never from an answer that is of two models.
        if others or mark != self._mark.setdefault(_MARK, mark):
            raise self._other_model()
        if not (outputs[contract.FINITE] == 1).all():
            raise WrongAnswer(
                f"The network's results on the server {self._host} are not finite numbers.",
                "The image's values may be far from what the model was taught; check them.",
            )
        labels = outputs.get(contract.LABELS)
        margin = outputs.get(contract.MARGIN)
        logits = outputs.get(contract.LOGITS)
        if (
            (labels is not None and labels.max() >= self.card.classes)
            or (margin is not None and not ((margin >= 0) & (margin <= 1)).all())
            or (logits is not None and not np.isfinite(logits).all())
        ):
            raise WrongAnswer(
                f"The server {self._host} gives results that the model {self._model.name} cannot "
                "have: nothing of them is used.",
                "Those who look after it must export the model again.",
            )

    def _check_unchanged(self, ask: Ask) -> None:
        """Raise an error if what answers on a new connection has another model than before."""
        model = self._model
        try:
            now = described_model(ask, self._client.server, model.name)
        except Refused as error:
            if error.status not in (400, 404):
                raise
            # A server that has just come back may not have loaded its models yet.
            raise Interruption(error.message, error.hint) from error
        if now.card != model.card or contract.disagreement(now.metadata, self.card):
            raise self._other_model()

    def _other_model(self) -> WrongAnswer:
        return WrongAnswer(
            f"The server {self._host} has another model {self._model.name} than it should.",
            "Segment again: what was done before is of the model that it had.",
        )
