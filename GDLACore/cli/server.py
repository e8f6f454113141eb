"""``gdla server``: whether a server can be used, how far away it is, and which models it has."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from GDLACore.cli.options import server_of
from GDLACore.cli.tables import print_table
from GDLACore.remote import RemoteServer, ServedModel, ServerReport, check_server


def describe(arguments: Namespace) -> None:
    """Print what the server tells of itself; raise GDLAError if it cannot be used."""
    server = server_of(arguments)
    report = check_server(server)
    if arguments.json:
        print(json.dumps(_facts(server, report), indent=2))
        return
    print(f"{server.host}: {report.name} {report.version}, answers in {_milliseconds(report)} ms")
    rows = [
        [
            model.name,
            model.version,
            "ready" if model.ready else "cannot be used",
            model.card.modality if model.card else "-",
            str(len(model.card.labels)) if model.card else "-",
            model.card.title if model.card else "-",
        ]
        for model in report.models
    ]
    print_table(["Model", "Version", "State", "Modality", "Structures", "Title"], rows)
    for model in report.models:
        if model.problem:
            print(f"{model.name}: {model.problem}")


def _facts(server: RemoteServer, report: ServerReport) -> dict[str, Any]:
    return {
        "server": server.url,
        "name": report.name,
        "version": report.version,
        "latency_ms": _milliseconds(report),
        "models": [_facts_of_model(model) for model in report.models],
    }


def _facts_of_model(model: ServedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "version": model.version,
        "ready": model.ready,
        "problem": model.problem,
        "title": model.card.title if model.card else None,
        "sha256": model.card.sha256 if model.card else None,
        "structures": [label.name for label in model.card.labels] if model.card else None,
    }


def _milliseconds(report: ServerReport) -> float:
    return round(1000 * report.latency_s, 1)
