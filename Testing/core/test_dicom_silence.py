"""What pydicom thinks of the values in a file is kept from the log and the screen."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import warnings

import pydicom.config
from dicom_files import values, write_series

from GDLACore.imaging.dicom_silence import quiet


def test_values_that_dicom_forbids_are_not_said_on_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.IGNORE)
    write_series(
        tmp_path / "ct",
        values(),
        SeriesInstanceUID="1.2.03.SECRETUID",
        SeriesDescription="Secret^Patient " + "x" * 80,
        PatientBirthDate="SECRETDATE",
    )
    program = (
        "import logging, sys; logging.basicConfig(level=0);"
        "from GDLACore.imaging.reading import read_volume; print(read_volume(sys.argv[1]).shape)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "always", "-c", program, tmp_path / "ct"],
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout.strip()) == (0, "(5, 6, 7)")
    assert "secret" not in run.stderr.lower()


def test_the_silence_lasts_while_any_thread_needs_it_and_no_longer():
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with quiet():
            entered.set()
            assert leave.wait(30)

    def told() -> bool:
        with warnings.catch_warnings(record=True) as raised:
            warnings.warn("said", stacklevel=1)
        loggers = map(logging.getLogger, ("pydicom", "highdicom"))
        return bool(raised) or any(logger.isEnabledFor(logging.ERROR) for logger in loggers)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        thread = threading.Thread(target=work)
        with quiet():
            thread.start()
            assert entered.wait(30)
            assert not told()
        assert not told()
        leave.set()
        thread.join(30)
        assert told() and warnings.filters == filters
    assert logging.getLogger("highdicom").level == logging.NOTSET
