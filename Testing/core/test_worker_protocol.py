"""Client and worker understand each other, and say so where they do not."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from phantom import make_card

from GDLACore.errors import DeviceError, GDLAError, VolumeError, WorkerError
from GDLACore.model.fields import FieldError
from GDLACore.options import SegmentOptions
from GDLACore.remote import RemoteServer
from GDLACore.worker import events, messages, protocol
from GDLACore.worker.messages import ModelRequest, VolumeFile
from GDLACore.worker.protocol import (
    OtherVersion,
    ProtocolError,
    decode_command,
    decode_report,
    encode,
)

ROOT = Path(__file__).resolve().parents[2]

CARD = make_card(("liver", "räumliche Struktur 肝"))
MODEL = ModelRequest("/Modelle/é 中文.onnx", None, "cpu", "onnx", 2)
SERVER = RemoteServer("https://gpu.hospital.org/gdla", "secret-word", "/etc/ca.pem", 12.5, True)
REMOTE = ModelRequest("synapse", server=SERVER)
VOLUME = VolumeFile("volume.npy", tuple(np.eye(4).ravel().tolist()), 'CT "1"\n2', None)
OPTIONS = SegmentOptions(range(3, 60, 2), 7, "published", None, True)

COMMANDS = [
    messages.Hello(messages.VERSION, 600.0),
    messages.Load(1, MODEL),
    messages.Load(1, REMOTE),
    messages.Segment(2, MODEL, VOLUME, OPTIONS, None, "labels.npy", "cleaned.npy", "sure.npy"),
    messages.Segment(
        *(2, ModelRequest("demo-ct"), VOLUME, SegmentOptions()),
        *(messages.CorrectedSlices("corrected.npy", (3, 9)), "l.npy", "c.npy", "s.npy"),
    ),
    messages.Preview(3, MODEL, VOLUME, (7, 8, 6), "smooth"),
    messages.Cancel(),
    messages.Unload(),
    messages.Quit(),
]
REPORTS = [
    messages.Greeting(messages.VERSION, 4711),
    messages.Alive(),
    messages.ModelReady(1, CARD, "CPU (2 threads)"),
    messages.SegmentStarted(2, CARD, "CPU (2 threads)"),
    events.SlicesDone(2, 0, (3, 5, 7), 3, 29),
    events.SlicesDone(2, 2, (), 0, 29),
    events.Phase(2, "cleaning", 1, 8),
    events.Warned(2, "All values are the same."),
    messages.SegmentFinished(2, True, "CPU", 1.25),
    messages.SegmentFinished(2, False, "CPU", 1.25, events.Doubt((3, 5), (0.0, 12.5))),
    events.PreviewDone(3),
    events.Stopped(2),
    messages.Leaving(),
]


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


@pytest.mark.parametrize("command", COMMANDS, ids=repr)
def test_a_command_arrives_as_it_was_sent(command):
    assert decode_command(encode(command)) == command


@pytest.mark.parametrize("report", REPORTS, ids=repr)
def test_a_report_arrives_as_it_was_sent(report):
    assert decode_report(encode(report)) == report


def test_every_message_of_the_protocol_is_tried_here():
    assert {type(command) for command in COMMANDS} == set(protocol.COMMANDS.values())
    tried_below = {events.Failed, events.Previewed, messages.Refused}
    assert {type(report) for report in REPORTS} | tried_below == set(protocol.REPORTS.values())


@pytest.mark.parametrize(
    "error", [VolumeError("CT 5 is empty.", "Choose another."), DeviceError("")]
)
def test_an_error_arrives_with_its_kind_message_and_hint(error):
    for report in events.Failed(7, error), messages.Refused(error):
        arrived = decode_report(encode(report)).error
        assert type(arrived) is type(error)
        assert (arrived.message, arrived.hint) == (error.message, error.hint)


def test_a_special_kind_of_error_arrives_as_the_public_kind_that_it_is():
    report = decode_report(encode(events.Failed(1, FieldError("labels[2]", "is missing"))))
    assert type(report.error).__name__ == "ModelFileError"
    assert report.error.message == "labels[2] is missing."


def test_an_error_of_a_kind_that_is_not_known_is_still_an_error_with_its_message():
    line = b'{"type":"failed","job":1,"error":{"kind":"NewError","message":"No.","hint":"Wait."}}\n'
    error = decode_report(line).error
    assert type(error) is GDLAError
    assert (error.message, error.hint) == ("No.", "Wait.")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_the_labels_of_a_slice_arrive_as_they_were_sent(kind):
    volume = np.arange(5 * 300 * 7).reshape(5, 300, 7).astype(kind)
    for labels in volume[3], volume[:, :, 2], volume[:, ::-1, 0], volume[2, :1, :1]:
        arrived = decode_report(encode(events.Previewed(3, 1, 4, labels)))
        assert (arrived.job, arrived.axis, arrived.index) == (3, 1, 4)
        assert arrived.labels.dtype == kind and not arrived.labels.flags.writeable
        np.testing.assert_array_equal(arrived.labels, labels)


def test_the_labels_of_a_large_slice_are_far_from_the_longest_line():
    labels = np.random.default_rng(0).integers(0, 9, (2048, 2048)).astype(np.uint8)  # the worst
    assert len(encode(events.Previewed(3, 0, 4, labels))) < protocol.LONGEST_LINE / 4


PREVIEWED = json.loads(encode(events.Previewed(3, 0, 4, np.ones((2, 3), np.uint8))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dtype": "float64"}, "'float64' is no type of labels"),
        ({"dtype": ["uint8"]}, "is no type of labels"),
        ({"shape": [2, 3, 1]}, r"[2, 3, 1] is no shape of a slice"),
        ({"shape": [-2, -3]}, "is no shape of a slice"),
        ({"shape": [2, True]}, "is no shape of a slice"),
        ({"shape": "23"}, "is no shape of a slice"),
        ({"shape": [2, 4]}, "labels are not of 8 bytes"),
        ({"shape": [2, 2]}, "labels are not of 4 bytes"),
        ({"shape": [10**15, 10**15]}, "labels cannot be unpacked"),
        ({"shape": [10**15, 7]}, "labels are not of 7000000000000000 bytes"),
        ({"dtype": "uint16"}, "labels are not of 12 bytes"),
        ({"zlib": None}, "labels are missing"),
        ({"zlib": "eJxjZGBg"}, "labels are not of 6 bytes"),
        ({"zlib": "AAAA"}, "labels cannot be unpacked"),
        ({"zlib": "a"}, "is wrong: "),
        ({"zlib": "ä"}, "is wrong: "),
    ],
)
def test_labels_that_are_none_are_refused_in_words(change, words):
    with pytest.raises(ProtocolError) as refused:
        decode_report(line(**{**PREVIEWED, "labels": {**PREVIEWED["labels"], **change}}))
    assert words in refused.value.message


def test_a_message_is_one_line_whatever_the_names_in_it():
    for message in [*COMMANDS, *REPORTS]:
        line = encode(message)
        assert line.count(b"\n") == 1 and line.endswith(b"\n")
        assert isinstance(json.loads(line.decode("utf-8"))["type"], str)


def test_a_path_that_is_not_valid_unicode_arrives():
    path = os.fsdecode(b"/tmp/\xff\xfe.onnx") if os.name == "posix" else "x.onnx"
    command = messages.Load(1, ModelRequest(path))
    assert decode_command(encode(command)) == command


def test_numbers_out_of_numpy_are_numbers():
    options = SegmentOptions(focus_slice=np.int64(5), batch_size=np.int32(2))
    command = messages.Segment(np.int64(1), MODEL, VOLUME, options, None, "l.npy", "c.npy", "s.npy")
    assert decode_command(encode(command)).options == SegmentOptions(focus_slice=5, batch_size=2)


LOAD = json.loads(encode(COMMANDS[1]))
SEGMENT = json.loads(encode(COMMANDS[3]))


@pytest.mark.parametrize(
    ("garbage", "words"),
    [
        (b"hello?\n", "a message is not JSON."),
        (b"\xff\xfe\x00\n", "is not JSON"),
        (b"\n", "is not JSON"),
        (b"[" * 100_000 + b"\n", "is not JSON"),
        (b'"hello"\n', "is none that is known"),
        (b"[1, 2]\n", "is none that is known"),
        (line(job=1), "is none that is known"),
        (line(type="alive"), "is none that is known"),  # a report
        (line(type=["load"]), "is none that is known"),
        (line(type="load", job=1), 'of type "load" is wrong: model is missing'),
        (line(**{**LOAD, "urgent": True}), "'urgent' is not a known field"),
        (line(**{**LOAD, "job": "1"}), "'1' is not of type int"),
        (line(**{**LOAD, "job": True}), "True is not of type int"),
        (line(**{**LOAD, "job": None}), "None is not of type int"),
        (line(**{**LOAD, "model": "demo-ct"}), "'demo-ct' is not of type dict"),
        (line(**{**LOAD, "model": {**LOAD["model"], "threads": 1.5}}), "1.5 is not of type int"),
        (line(**{**SEGMENT, "options": {**SEGMENT["options"], "slices": [1, 2]}}), "unpack"),
        (line(**{**SEGMENT, "options": {**SEGMENT["options"], "borders": "x"}}), "borders must be"),
        (
            line(**{**SEGMENT, "volume": {**SEGMENT["volume"], "ijk_to_ras": ["1"] * 16}}),
            "'1' is not a number",
        ),
        (encode(COMMANDS[3]).replace(b"1.0", b"1" * 400, 1), "too large"),
        (
            encode(COMMANDS[3]).replace(b"1.0", b"NaN", 1),
            "nan is not a number",
        ),
    ],
)
def test_what_is_no_command_is_refused_in_words(garbage, words):
    with pytest.raises(ProtocolError) as refused:
        decode_command(garbage)
    assert words in refused.value.message
    assert len(refused.value.message) < 300
    assert refused.value.message.isprintable()


def test_a_card_that_breaks_the_rules_is_refused():
    data = json.loads(encode(REPORTS[2]))
    data["card"]["modality"] = "X-ray"
    with pytest.raises(ProtocolError, match="modality must be one of"):
        decode_report(line(**data))


@pytest.mark.parametrize("version", [0, 1, 2, 4, "3", None])
def test_another_version_is_told_by_the_greeting_whatever_else_is_in_it(version):
    greeting = line(type="hello", version=version, surprise={})
    for decode in decode_command, decode_report:
        with pytest.raises(OtherVersion, match=f"has version {version!r} instead of 3") as refused:
            decode(greeting)
        assert isinstance(refused.value, WorkerError)
        assert "install it again" in refused.value.hint


def test_numbers_that_json_does_not_have_are_not_sent():
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(messages.Hello(messages.VERSION, float("inf")))


def test_files_are_named_in_full_and_names_of_the_catalogue_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = ModelRequest("folder/model.onnx", card="own.json").with_full_paths()
    assert request.model == str(tmp_path / "folder" / "model.onnx")
    assert request.card == str(tmp_path / "own.json")
    named = ModelRequest("demo-ct", card="synapse")
    assert named.with_full_paths() == named


def test_a_dot_in_the_name_of_a_servers_model_makes_it_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server = RemoteServer("https://gpu", ca_file="ca.pem")
    named = ModelRequest("synapse-v1.2", server=server).with_full_paths()
    assert named.model == "synapse-v1.2"
    assert named.server == RemoteServer("https://gpu", ca_file=str(tmp_path / "ca.pem"))
    (tmp_path / "own.onnx").touch()
    (tmp_path / "synapse").touch()
    for model in "own.onnx", "folder/own.onnx":
        found = ModelRequest(model, server=server).with_full_paths()
        assert found.model == str(tmp_path / model)
    assert REMOTE.with_full_paths() == REMOTE


REMOTE_LOAD = json.loads(encode(messages.Load(1, REMOTE)))


def with_server(**changes: object) -> bytes:
    model = REMOTE_LOAD["model"]
    return line(**{**REMOTE_LOAD, "model": {**model, "server": {**model["server"], **changes}}})


@pytest.mark.parametrize(
    "garbage",
    [
        with_server(token=["secret-word"]),
        with_server(token={"secret-word": 1}),
        with_server(token="secret-word with a blank"),
        with_server(timeout_s="secret-word"),
        with_server(timeout_s=-1),
        with_server(fall_back="secret-word"),
        with_server(url="https://secret-word@gpu.hospital.org"),
        with_server(url="http://gpu.hospital.org"),
        with_server(**{"secret-word": 1}),
        line(**{**REMOTE_LOAD, "model": {**REMOTE_LOAD["model"], "server": "secret-word"}}),
        line(**{**REMOTE_LOAD, "model": {**REMOTE_LOAD["model"], "server": ["secret-word"]}}),
        line(**{**REMOTE_LOAD, "job": {"token": "secret-word"}}),
        line(**{**REMOTE_LOAD, "type": {"token": "secret-word"}}),
        encode(messages.Load(1, REMOTE))[:-20] + b"\n",
    ],
)
def test_nothing_that_is_said_of_a_wrong_message_holds_the_servers_token(garbage):
    with pytest.raises(ProtocolError) as refused:
        decode_command(garbage)
    error = refused.value
    while error is not None:
        assert "secret" not in f"{error} {error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_no_piece_of_a_line_gives_the_servers_token_away():
    whole = encode(messages.Load(1, REMOTE))
    for start in range(1, len(whole)):
        with pytest.raises(ProtocolError) as refused:
            decode_command(whole[start:])
        assert "secret" not in str(refused.value)


def test_the_servers_token_is_in_no_picture_of_a_request():
    for shown in REMOTE, messages.Load(1, REMOTE), SERVER:
        assert "secret" not in f"{shown} {shown!r}"


def fields(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize(
    ("section", "kinds"), [("Commands", protocol.COMMANDS), ("Reports", protocol.REPORTS)]
)
def test_every_message_is_documented_with_all_its_fields(section, kinds):
    page = (ROOT / "docs" / "worker-protocol.md").read_text(encoding="utf-8")
    part = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| .* \|$", part, re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", cell)) for name, cell in rows} == {
        name: fields(kind) for name, kind in kinds.items()
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("model", ModelRequest), ("volume", VolumeFile), ("options", SegmentOptions)),
        *(("corrections", messages.CorrectedSlices), ("server", RemoteServer)),
    ],
)
def test_every_object_in_a_message_is_documented_with_all_its_fields(name, kind):
    page = (ROOT / "docs" / "worker-protocol.md").read_text(encoding="utf-8")
    (cell,) = re.findall(rf"^\| `{name}` \| (.*) \|$", page, re.MULTILINE)
    assert fields(kind) <= set(re.findall(r"`(\w+)`", cell))
