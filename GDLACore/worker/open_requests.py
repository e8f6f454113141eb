"""What the client has asked for and has not got yet, and what it says about that."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from GDLACore.errors import GDLAError
from GDLACore.worker.array_file import map_array
from GDLACore.worker.events import (
    Event,
    Failed,
    Finished,
    Loaded,
    Phase,
    PreviewDone,
    Previewed,
    SlicesDone,
    Started,
    Stopped,
    Warned,
)
from GDLACore.worker.job import Job, Loading
from GDLACore.worker.messages import (
    ModelReady,
    ModelRequest,
    Report,
    SegmentFinished,
    SegmentStarted,
)

_log = logging.getLogger(__name__)


class Requests:
    """At most one job or preview, and one model being made ready.

    ``ready`` is the model that the worker has ready; ``events`` is what has not been told yet.
    """

    def __init__(self) -> None:
        self.job: Job | None = None
        self.preview: Job | None = None
        self.loading: Loading | None = None
        self.ready: ModelRequest | None = None
        self.events: list[Event] = []

    @property
    def open(self) -> list[Job | Loading]:
        """Return what has not ended."""
        return [one for one in (self.job, self.preview, self.loading) if one is not None]

    @property
    def cancelled(self) -> bool:
        """Return whether something was cancelled and has not ended yet."""
        return any(one.cancelled for one in self.open)

    def cancel(self) -> bool:
        """Cancel what the user has asked for; return whether the worker has to be told."""
        if self.job is not None and self.job.cancel():
            self._end_job(Stopped(self.job.number))
        if self.preview is not None and self.preview.cancel():
            self._end_preview(Stopped(self.preview.number))
        if self.loading is not None and self.loading.asked:
            self.loading = replace(self.loading, cancelled=True)
        return self.cancelled

    def forget_loading(self) -> None:
        """Let another request take the place of the model that is being made ready."""
        if self.loading is not None and self.loading.cancelled:
            self._end_loading(Stopped(None))
        self.loading = None

    def give_up_preview(self) -> bool:
        """End the preview without an answer; return whether the worker may be busy with it."""
        if self.preview is None:
            return False
        was_sent = not self.preview.cancel()
        self._end_preview(Stopped(self.preview.number))
        return was_sent

    def fail(self, error: GDLAError) -> None:
        """End all that is open in ``error``, or as stopped if it was cancelled."""
        if self.job is not None:
            self._end_job(Failed(self.job.number, error))
        if self.preview is not None:
            self._end_preview(Failed(self.preview.number, error))
        if self.loading is not None:
            self._end_loading(Failed(None, error))

    def heed_news(self) -> None:
        """Take note of how the volume is being written."""
        for news in self.job.news() if self.job is not None else ():
            if isinstance(news, Failed):
                self._end_job(news)
            else:
                self.events.append(news)
        for news in self.preview.news() if self.preview is not None else ():
            if isinstance(news, Failed):
                self._end_preview(news)
            else:
                self.events.append(news)

    def heed(self, report: Report) -> None:
        """Take note of what the worker says; raise WorkerError if its labels cannot be read."""
        if isinstance(report, Phase) and report.phase == "loading":
            self.ready = None
        if self.job is not None and report.job == self.job.number:
            self.job.begun = True
            self._heed_job(self.job, report)
        elif self.preview is not None and report.job == self.preview.number:
            self.preview.begun = True
            self._heed_preview(self.preview, report)
        elif self.loading is not None and report.job == self.loading.number:
            self.loading = replace(self.loading, begun=True)
            self._heed_loading(self.loading, report)

    def _heed_job(self, job: Job, report: Report) -> None:
        match report:
            case SegmentStarted():
                self.ready = job.model
                labels = map_array(Path(job.request.labels))
                wanted = job.request.options.confidence
                confidence = map_array(Path(job.request.confidence)) if wanted else None
                self.events.append(
                    Started(job.number, report.card, report.device, labels, confidence)
                )
            case SegmentFinished():
                wanted = report.cleaned and not job.cancelled
                cleaned = map_array(Path(job.request.cleaned)) if wanted else None
                self._end_job(
                    Finished(job.number, cleaned, report.device, report.seconds, report.doubt)
                )
            case Stopped() | Failed():
                self._end_job(report)
            case SlicesDone() | Phase() | Warned():
                self.events.append(report)

    def _heed_preview(self, preview: Job, report: Report) -> None:
        match report:
            case Previewed():
                self.ready = preview.model
                self.events.append(report)
            case PreviewDone() | Stopped() | Failed():
                self._end_preview(report)
            case Phase() | Warned():
                self.events.append(report)

    def _heed_loading(self, loading: Loading, report: Report) -> None:
        match report:
            case ModelReady():
                self.ready = loading.model
                self._end_loading(Loaded(report.card, report.device))
            case Failed():
                self._end_loading(Failed(None, report.error))
            case Stopped():
                self._end_loading(Stopped(None))
            case Phase() | Warned() if loading.asked:
                self.events.append(replace(report, job=None))

    def _end_job(self, event: Finished | Stopped | Failed) -> None:
        job, self.job = self.job, None
        self.events.append(Stopped(job.number) if job.cancelled else event)
        job.end()

    def _end_preview(self, event: PreviewDone | Stopped | Failed) -> None:
        preview, self.preview = self.preview, None
        self.events.append(Stopped(preview.number) if preview.cancelled else event)
        preview.end()

    def _end_loading(self, event: Loaded | Stopped | Failed) -> None:
        loading, self.loading = self.loading, None
        if loading.cancelled:
            event = Stopped(None)
        if loading.asked or isinstance(event, Loaded):
            self.events.append(event)
        elif isinstance(event, Failed):
            _log.warning("The model could not be made ready again: %s", event.error)
