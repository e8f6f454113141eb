"""Tables on the terminal: by rich where it is installed, else aligned by spaces."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Print ``rows``; columns of numbers are flush right, others flush left."""
    try:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        _print_plain(header, rows, title)
        return
    if title:
        print(title)
    table = Table(box=SIMPLE_HEAD)
    for name, numbers in zip(header, _are_numbers(header, rows), strict=True):
        table.add_column(Text(name), justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _print_plain(header: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    numbers = _are_numbers(header, rows)
    if title:
        print(title)
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ]
        print("  ".join(cells).rstrip())


def _are_numbers(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    return [
        all(cell == "-" or cell.replace(".", "", 1).isdecimal() for cell in column)
        for column in list(zip(*rows, strict=True)) or [[""]] * len(header)
    ]
