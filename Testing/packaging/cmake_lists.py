"""The lists of files in a CMakeLists.txt, compared with the files that there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_LIST = re.compile(r"^set\((\w+)\n(.*?)^ *\)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class FileList:
    """The files of one ``set(NAME …)``, in the order of the list."""

    where: str
    name: str
    files: list[str]

    def corrections(self, present: set[str]) -> list[str]:
        """Return what to change so that the list names the files ``present``, in order."""
        right = sorted(present)
        found = []
        for file in right:
            if file not in self.files:
                found.append(f"{self.where}: add  {file}  to {self.name} {_place(right, file)}")
        for file in dict.fromkeys(self.files):
            if file not in present:
                found.append(f"{self.where}: remove  {file}  from {self.name}, it does not exist")
            elif self.files.count(file) > 1:
                found.append(f"{self.where}: {file}  stands twice in {self.name}")
        if not found and self.files != right:
            found += [
                f"{self.where}: move  {there}  in {self.name} {_place(right, there)}"
                for here, there in zip(self.files, right, strict=True)
                if here != there
            ][:1]
        return found


def _place(files: list[str], file: str) -> str:
    position = files.index(file)
    return f"after  {files[position - 1]}" if position else "as the first"


def file_lists(path: Path) -> dict[str, FileList]:
    """Return the lists of a CMakeLists.txt by name; one line of a list is one file."""
    where = f"{path.parent.name}/{path.name}"
    return {
        name: FileList(where, name, [line.strip() for line in lines.splitlines()])
        for name, lines in _LIST.findall(path.read_text("utf-8"))
    }
