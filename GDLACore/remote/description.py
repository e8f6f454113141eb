"""What a server tells of itself and of its models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from GDLACore.errors import ModelFileError
from GDLACore.model.card import ModelCard
from GDLACore.remote.client import Ask, json_of
from GDLACore.remote.server import RemoteServer
from GDLACore.remote.troubles import Refused, WrongAnswer, in_one_line
from GDLACore.serving.contract import told_card

_NAMES = {"triton": "Triton"}
_NO_SERVER = "Check the address and its port: another program may be there."
_JSON = {"Content-Type": "application/json"}

# What servers of the protocol answer to what they do not offer: it is an extension of Triton's.
_NOT_OFFERED = (400, 404, 405, 501)


@dataclass(frozen=True)
class ServerProgram:
    """The program that answers, as it calls itself."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


@dataclass(frozen=True)
class ListedModel:
    """A model in a server's list: ``reason`` says why it is not ``ready``."""

    name: str
    version: str
    ready: bool
    reason: str


@dataclass(frozen=True)
class DescribedModel:
    """A model as its server describes it.

    ``version`` is the newest one's, None where the server has no versions. ``card`` is None where
    it tells none. ``most`` is how many slices it takes at a time, None where it does not say.
    """

    name: str
    version: str | None
    card: ModelCard | None
    most: int | None
    metadata: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def path(self) -> str:
        """Return where the server answers for it."""
        version = "" if self.version is None else f"/versions/{quote(self.version, safe='')}"
        return f"{model_path(self.name)}{version}"

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name} version {self.version}"


def model_path(name: str) -> str:
    """Return where a server answers for the model called ``name``."""
    return f"/models/{quote(name, safe='')}"


def server_program(ask: Ask, server: RemoteServer) -> ServerProgram:
    """Return which program answers; raise ServerError if it does not speak the protocol."""
    try:
        told = json_of(ask("GET", ""), server)
    except Refused as error:
        if error.status == 404:
            raise WrongAnswer(
                f"What answers at {server.host} does not speak the Open Inference Protocol.",
                _NO_SERVER,
            ) from error
        raise
    name = told.get("name") if isinstance(told, dict) else None
    if not isinstance(name, str) or not name:
        raise WrongAnswer(
            f"What answers at {server.host} does not speak the Open Inference Protocol.", _NO_SERVER
        )
    version = told.get("version")
    return ServerProgram(
        in_one_line(_NAMES.get(name, name)),
        in_one_line(version) if isinstance(version, str) else "",
    )


def listed_models(ask: Ask, server: RemoteServer) -> list[ListedModel] | None:
    """Return the models that the server has, None if it cannot tell; raise ServerError."""
    try:
        listed = json_of(
            ask("POST", "/repository/index", {"Content-Type": "application/json"}, b"{}"), server
        )
    except Refused as error:
        if error.status in _NOT_OFFERED:
            return None
        raise
    if not isinstance(listed, list):
        raise WrongAnswer(f"The server {server.host} does not list its models.", _NO_SERVER)
    return [_listed(entry) for entry in listed if isinstance(entry, dict) and entry.get("name")]


def described_model(ask: Ask, server: RemoteServer, name: str) -> DescribedModel:
    """Return what the server tells of its model called ``name``.

    Raises Refused if it has none; ServerError for a server that gives no usable description.
    """
    metadata = json_of(ask("GET", model_path(name)), server)
    if not isinstance(metadata, dict) or metadata.get("name") != name:
        raise WrongAnswer(
            f"The server {server.host} does not describe its model {in_one_line(name)}.", _NO_SERVER
        )
    config = _config(ask, server, name)
    try:
        card = told_card(config)
    except ModelFileError as error:
        raise WrongAnswer(f"{server.host}: {error.message}", error.hint) from error
    most = config.get("max_batch_size")
    # To Triton, 0 is a model without an axis for slices, which would differ in its tensors, too.
    most = most if isinstance(most, int) and most > 0 else None
    return DescribedModel(name, _newest(metadata.get("versions")), card, most, metadata)


def _listed(entry: dict[str, Any]) -> ListedModel:
    name, version, state, reason = (
        str(entry.get(key) or "") for key in ("name", "version", "state", "reason")
    )
    # Only servers that load some of their models, and not others, say which.
    return ListedModel(name, version, state in ("", "READY"), in_one_line(reason))


def _config(ask: Ask, server: RemoteServer, name: str) -> dict[str, Any]:
    try:
        config = json_of(ask("GET", f"{model_path(name)}/config"), server)
    except Refused as error:
        if error.status in _NOT_OFFERED:
            return {}
        raise
    return config if isinstance(config, dict) else {}


def _newest(versions: object) -> str | None:
    """Return the version with the highest number, as servers choose; the last if none is one."""
    if not isinstance(versions, list):
        return None
    texts = [version for version in versions if isinstance(version, str) and version]
    numbers = [version for version in texts if version.isascii() and version.isdigit()]
    return max(numbers, key=_number) if numbers else (texts[-1] if texts else None)


def _number(digits: str) -> tuple[int, str]:
    """Return what orders numbers of any length, of which Python converts only short ones."""
    digits = digits.lstrip("0")
    return len(digits), digits
