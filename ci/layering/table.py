"""The layers that ARCHITECTURE.md draws.

A fenced block is the picture of one folder, bottom first:

    ```layers shm/src
    error                 the one error type
    sys                   system calls
    queue, pipe, slots    channels
    ```

An entry is a file (without its ending) or a folder. Two spaces or more end the entries of a row; what it is follows.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

PICTURE = re.compile(r"^```layers[ \t]+(\S+)[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^(\w+(?:, \w+)*) {2,}\S.*$")


@dataclass
class Layers:
    """The rows of one folder, by entry; 0 is the bottom."""

    folder: Path
    place: str
    rows: dict[str, int] = field(default_factory=dict)


def read_layers(document):
    """All pictures of the document, by folder, and what is wrong with them."""
    layers, problems = {}, []
    text = document.read_text() if document.is_file() else ""
    for picture in PICTURE.finditer(text):
        line = text.count("\n", 0, picture.start()) + 1
        one = read_rows(picture[1], picture[2], document, line, problems)
        if one.folder in layers:
            problems.append(f"{one.place}: {picture[1]} has two blocks of layers: make one of them")
        layers[one.folder] = one
    if not layers:
        problems.append(f"{document.name}: no block ```layers FOLDER: draw the layers there, or nothing is checked")
    return layers, problems


def read_rows(folder, body, document, line, problems):
    one = Layers(document.parent / folder, f"{document.name}:{line}")
    for number, row in enumerate(body.splitlines()):
        place = f"{document.name}:{line + 1 + number}"
        if not row.strip():
            continue
        parts = ROW.match(row)
        if not parts:
            problems.append(
                f"{place}: not a row of layers: write `entry, entry   what it is`, two spaces before the text: {row!r}"
            )
            continue
        for entry in parts[1].split(", "):
            if entry in one.rows:
                problems.append(f"{place}: {entry} stands in two rows of {folder}: leave one")
            one.rows[entry] = number
    if not one.rows:
        problems.append(f"{one.place}: the block of {folder} has no rows: write them")
    return one
