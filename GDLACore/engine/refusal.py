"""Why a processor could not be used, in a few plain words."""

from __future__ import annotations

import re

from GDLACore.errors import GDLAError

_LONGEST = 160

# What ONNX Runtime and the drivers write, and what it means. The first that is found counts. Names
# of folders and computers, of which these messages are full, are never passed on.
_MEANINGS = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (r"libcuda\.so\S*: cannot open|nvcuda\.dll\W+which is missing", "no NVIDIA driver found"),
        (r"([\w.+-]+\.so[\w.]*): cannot open shared object file", r"\1 missing"),
        (r'"([\w.+-]+\.dll)" which is missing', r"\1 missing"),
        (r"error 126\b", "a library that it needs is missing"),
        (r"driver version is insufficient", "the NVIDIA driver is too old"),
        (r"no CUDA-capable device", "no NVIDIA GPU found"),
        (r"no kernel image is available", "this GPU is of a kind that it was not built for"),
        (r"install TensorRT libraries", "TensorRT missing"),
        (r"887A0004|feature level is not supported", "the GPU does not know DirectX 12"),
        (r"Device \[?GPU\S* (?:is )?not available", "no Intel GPU found"),
        (
            r"out of memory|ALLOC_FAILED|bad.?alloc|8007000E|failed to allocate",
            "the GPU has too little free memory",
        ),
    )
)
_COLOURS = re.compile(r"\x1b\[[\d;]*m")
_PREAMBLE = re.compile(r".*\[ONNXRuntimeError\] : \d+ : \w+ : ")
_DETAILS = re.compile(r" ; (?:GPU|hostname|file)=.*")
_PATHS = re.compile(r"\S*[/\\]\S*")


def error_in_words(error: Exception) -> str:
    """Return what ``error``, of whatever library or of ours, says, as part of a sentence."""
    if isinstance(error, GDLAError):
        return (error.message[:1].lower() + error.message[1:]).rstrip(".")
    if isinstance(error, MemoryError):
        return "the GPU has too little free memory"
    return refusal_in_words(str(error))


def refusal_in_words(text: str) -> str:
    """Return what ``text``, all that a library printed or raised, says of its failure.

    The result is part of a sentence, such as "libcudnn.so.9 missing".
    """
    text = _COLOURS.sub("", text)
    for pattern, words in _MEANINGS:
        found = pattern.search(text)
        if found:
            return found.expand(words)
    for line in text.splitlines():
        line = _PATHS.sub("", _DETAILS.sub("", _PREAMBLE.sub("", line)))
        line = " ".join(line.split()).rstrip(".")
        if line:
            return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    return "no reason is given"
