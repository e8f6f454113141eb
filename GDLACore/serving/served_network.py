"""The service of a model by our own engine, in a server's Python."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from GDLACore.engine.confidence import margin
from GDLACore.engine.label_maps import largest
from GDLACore.engine.onnx_engine import OnnxEngine
from GDLACore.engine.protocol import label_type
from GDLACore.errors import EngineError
from GDLACore.serving import contract

# On a GPU, one request goes through the network while the labels of another are made.
_GPU_REQUESTS_AT_A_TIME = 3

Outputs = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Question:
    """The inputs of one request, as ``contract.inputs`` has them, and the outputs ``wanted``."""

    image: np.ndarray
    scaling: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    wanted: frozenset[str]

    @property
    def shape(self) -> tuple[int, int]:
        """Return the size (h, w) of the labels wanted."""
        return self.rows.shape[1], self.columns.shape[1]


class ServedNetwork:
    """Answers questions about slices with an engine, ``threads`` slices at a time on a CPU.

    The engine is this object's to close.
    """

    def __init__(self, engine: OnnxEngine, threads: int) -> None:
        self._engine = engine
        at_a_time = threads if engine.on_cpu else _GPU_REQUESTS_AT_A_TIME
        self._pool = ThreadPoolExecutor(at_a_time, "gdla-served")

    def ask(self, question: Question) -> Callable[[], Outputs]:
        """Begin to answer; return the function that waits for the outputs, and returns them.

        Questions are answered in the order in which they are asked. Raises EngineError for no
        slices, and for a size of labels that nobody could have. The function raises it if the
        network cannot be run.
        """
        if not len(question.image):
            raise EngineError("No slices are asked for.", "Send at least one.")
        sides, most = question.shape, contract.most_pixels(self._engine.card)
        # A request of a few bytes must not ask for more labels than there is memory.
        if not 1 <= sides[0] * sides[1] <= most:
            raise EngineError(
                f"Labels of {sides[0]} x {sides[1]} pixels are asked for.",
                f"They may have 1 to {most} pixels. Make larger ones from the logits.",
            )
        with np.errstate(invalid="ignore", over="ignore"):  # told by the output "finite"
            images = contract.dequantised(question.image, question.scaling)
        # One by one, as OnnxEngine does: no slice's labels may depend on which came with it.
        size = 1 if self._engine.on_cpu else len(images)
        futures = [
            self._pool.submit(self._outputs, images[start : start + size], sides, question.wanted)
            for start in range(0, len(images), size)
        ]

        def outputs() -> Outputs:
            parts = [future.result() for future in futures]
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

        return outputs

    def close(self) -> None:
        """End what has begun, drop the rest, and give the model's memory back."""
        self._pool.shutdown(cancel_futures=True)
        self._engine.close()

    def _outputs(
        self, images: np.ndarray, shape: tuple[int, int], wanted: frozenset[str]
    ) -> Outputs:
        logits = self._engine.unchecked_logits(images)
        finite = np.isfinite(logits).all(axis=(1, 2, 3))
        if not finite.all():  # arithmetic with them would only print warnings
            logits = np.where(finite[:, None, None, None], logits, np.float32(0))
        outputs = {}
        if contract.LABELS in wanted:
            outputs[contract.LABELS] = self._labels(logits, shape)
        if contract.MARGIN in wanted:
            outputs[contract.MARGIN] = np.stack([margin(one) for one in logits]).astype(np.float16)
        if contract.LOGITS in wanted:
            outputs[contract.LOGITS] = logits
        if contract.FINITE in wanted:
            outputs[contract.FINITE] = finite[:, None].astype(np.uint8)
        if contract.WEIGHTS in wanted:
            mark = contract.weights_mark(self._engine.card)
            outputs[contract.WEIGHTS] = np.tile(mark, (len(logits), 1))
        return outputs

    def _labels(self, logits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        if shape == logits.shape[2:]:  # rounding in an interpolation could move a border
            kind = label_type(self._engine.card)
            return np.stack([largest(one, kind) for one in logits])
        return self._engine.labels(logits, shape, "smooth")
