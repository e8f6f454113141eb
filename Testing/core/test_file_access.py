"""Opening model files, and names out of them in messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals import refusal

from GDLACore.errors import ModelFileError
from GDLACore.model.file_access import check_readable, opened, printable


def test_a_file_is_opened_at_its_start(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"content")
    check_readable(path)
    with opened(path) as file:
        assert file.read() == b"content"
    assert file.closed


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (empty := tmp_path / "empty").touch()
    assert "is empty" in refusal(empty, check_readable)
    assert "is a folder, not a model" in refusal(tmp_path, check_readable)
    assert "does not exist" in refusal(tmp_path / "missing", check_readable)
    assert "cannot be read: " in refusal(empty / "below", check_readable)


def test_a_disk_that_fails_while_a_file_is_read_is_no_unexpected_error(tmp_path: Path) -> None:
    (path := tmp_path / "model").write_bytes(b"content")
    with pytest.raises(ModelFileError, match="cannot be read: Input/output error"), opened(path):
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("head.bias", "'head.bias'"),
        ("Größe", r"'Gr\xf6\xdfe'"),
        ("\x1b[31m\n\u202e", r"'\x1b[31m\n\u202e'"),
        ("", "''"),
        (7, "7"),
        ((1, 2), "an entry without a name"),
        (None, "an entry without a name"),
        ("n" * 78, f"'{'n' * 78}'"),
        ("n" * 79, f"'{'n' * 75}...'"),
        ("\n" * 10**6, "'" + r"\n" * 37 + "\\...'"),
    ],
)
def test_a_name_takes_one_short_line(name: object, shown: str) -> None:
    assert printable(name) == shown
    assert len(shown) <= 80
