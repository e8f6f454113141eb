"""What ONNX Runtime prints when it refuses a GPU: caught, understood, and stripped of names."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

from GDLACore.engine.native_output import captured_output
from GDLACore.engine.refusal import error_in_words, refusal_in_words
from GDLACore.errors import DeviceError

NO_CUBLAS = (
    "[E:onnxruntime:Default, provider_bridge_ort.cc:2458] [ONNXRuntimeError] : 1 : FAIL : "
    "Failed to load library /home/jane/capi/libonnxruntime_providers_cuda.so with error: "
    "libcublasLt.so.13: cannot open shared object file: No such file or directory"
)

# As ONNX Runtime 1.19 to 1.31 and the drivers print them.
MESSAGES = [
    (NO_CUBLAS, "libcublasLt.so.13 missing"),
    (
        "with error: libcuda.so.1: cannot open shared object file: No such file",
        "no NVIDIA driver found",
    ),
    (
        r'Error loading "C:\Users\Jane\capi\onnxruntime_providers_cuda.dll" which depends on '
        '"cudnn64_9.dll" which is missing. (Error 126: "...")',
        "cudnn64_9.dll missing",
    ),
    (  # in a Chinese Windows, which leaves nothing but the name
        'Error loading "E:\\AI\\x.dll" N0Rc\ufffd!jWW0")n "cudnn64_9.dll" which is missing. (Error',
        "cudnn64_9.dll missing",
    ),
    (
        r'LoadLibrary failed with error 126 "" when trying to load "C:\x\providers_cuda.dll"',
        "a library that it needs is missing",
    ),
    (
        "/src/cuda_call.cc:123 bool onnxruntime::CudaCall CUDA failure 35: CUDA driver version is "
        "insufficient for CUDA runtime version ; GPU=-1 ; hostname=WARD-7",
        "the NVIDIA driver is too old",
    ),
    (
        "CUDA failure 100: no CUDA-capable device is detected ; GPU=32 ; hostname=WARD-7",
        "no NVIDIA GPU found",
    ),
    (
        "CUDA failure 209: no kernel image is available for execution on the device ; GPU=0",
        "this GPU is of a kind that it was not built for",
    ),
    ("CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0", "the GPU has too little free memory"),
    ("pybind_state.cc:729 Please install TensorRT libraries as mentioned", "TensorRT missing"),
    ("factory.cc:141 [ERROR] [OpenVINO] Device GPU is not available", "no Intel GPU found"),
    ("", "no reason is given"),
    ("\n \x1b[m \n", "no reason is given"),
]


@pytest.mark.parametrize("message, words", MESSAGES)
def test_a_known_message_becomes_a_few_plain_words(message, words):
    assert refusal_in_words(message) == words


def test_a_missing_library_explains_more_than_the_advice_that_follows_it():
    message = f"{NO_CUBLAS}\nPlease install TensorRT libraries as mentioned in the page"
    assert refusal_in_words(message) == "libcublasLt.so.13 missing"


@pytest.mark.parametrize(
    "message",
    [
        "/home/jane/src/x.cc:12 [ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : odd shape in "
        "C:\\Jane\\m ; GPU=0 ; hostname=WARD-7 ; file=/home/jane/x.cc",
        "\x1b[1;31mD:\\a\\_work\\Jane\\x.cpp(64)\\onnxruntime.dll!00007FF806: odd shape ; "
        "hostname=WARD-7\x1b[m\nsecond line",
    ],
)
def test_an_unknown_message_is_shown_without_folders_and_computers(message):
    words = refusal_in_words(message)
    assert "odd shape" in words
    assert not any(name in words for name in ("jane", "Jane", "WARD", "\n", "\x1b", "/", "\\"))


def test_an_unknown_message_is_cut_where_it_gets_long():
    assert len(refusal_in_words("word " * 1000)) <= 160


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError(f"{NO_CUBLAS}\nat /home/jane"), "libcublasLt.so.13 missing"),
        (DeviceError("The GPU is busy.", "Close other programs."), "the GPU is busy"),
        (MemoryError(), "the GPU has too little free memory"),
        (OSError(), "no reason is given"),
    ],
)
def test_of_an_error_of_ours_the_message_is_told_and_of_others_the_reason(error, words):
    assert error_in_words(error) == words


def test_what_libraries_and_python_print_is_caught_and_nothing_lost_afterwards(capfd):
    with captured_output() as printed:
        os.write(2, "native ünïcode\n".encode())
        print("python")
        print("python's stderr", file=sys.stderr)
        warnings.warn("a warning", stacklevel=1)
        inside = printed()
    os.write(2, b"after\n")
    assert sorted(inside.splitlines()) == ["native ünïcode", "python", "python's stderr"]
    assert capfd.readouterr() == ("", "after\n")


def test_the_terminal_is_given_back_when_something_fails_inside(capfd):
    with pytest.raises(ZeroDivisionError), captured_output():
        os.write(2, b"inside\n")
        raise ZeroDivisionError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_bytes_that_are_no_text_do_not_hide_the_rest():
    with captured_output() as printed:
        os.write(2, b"\xff\xfe libx.so.1")
        assert "libx.so.1" in printed()


def test_a_program_without_a_stderr_is_served_too():
    code = (
        "import os, sys\n"
        "os.close(2); sys.stderr = sys.__stderr__ = None\n"
        "from GDLACore.engine.native_output import captured_output\n"
        "with captured_output() as printed:\n"
        "    print('inside')\n"
        "    text = printed()\n"
        "print(repr(text))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert result.stdout == "'inside\\n'\n"
