#!/usr/bin/env python3
"""Makes the picture and the table at the top of README.md from the figures in docs/figures.md.

    ci/picture.py            writes docs/figures.svg, and the table between the two marks in README.md
    ci/picture.py --check    fails if one of them is not what docs/figures.md says

Nothing is measured here, and no figure stands in this file: it has only the names of rows.
"""

import re
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs/figures.md"
PICTURE = ROOT / "docs/figures.svg"
README = ROOT / "README.md"
TABLE = re.compile(r"(<!-- made by ci/picture.py -->\n).*?(<!-- end -->)", re.DOTALL)

# What docs/figures.md says of the machine: how many processors, which, and the system.
MACHINE = re.compile(r"on a machine with (\d+ virtual CPUs) \(([^;)]*?), one L3\).*?(Linux [\d.]+)", re.DOTALL)

AGAINST = "Against the raw limit and the rival in the same run"
SMALL, LARGE, TRIP = "One way, 64 B", "One way, 1 MiB", "Round trip of 64 B, both sides spin"
PYTHON = "Python, beside multiprocessing"
OURS = ("Slots", "Pipe", "Queue", "slipring")

# The bars of panels about short messages: what is written, and the row.
SHORT_MESSAGES = {
    "Slots": "Slots",
    "Pipe": "Pipe",
    "Queue": "Queue",
    "iceoryx2": "iceoryx2 publish-subscribe",
    "OS pipe": "OS pipe",
    "Unix socket": "Unix sockets, SOCK_STREAM",
}
# A panel: its title, its unit, the section of docs/figures.md, and the bars: what is written, and the row.
PANELS = [
    (
        "64 bytes to another process",
        "time per message",
        SMALL,
        SHORT_MESSAGES,
    ),
    (
        "1 MiB to another process",
        "time per message",
        LARGE,
        {
            "Pipe": "Pipe",
            "Queue": "Queue",
            "iceoryx2": "iceoryx2 publish-subscribe",
            "Unix socket": "Unix sockets, SOCK_STREAM",
            "OS pipe of 1 MiB": "OS pipe, buffer of 1 MiB",
            "OS pipe": "OS pipe",
        },
    ),
    (
        "64 bytes there and back",
        "time per round trip, both sides spin",
        TRIP,
        SHORT_MESSAGES,
    ),
]
# The row of Python's panel, which has rates and not times: longer bars are better.
SMALL_INTS = "queue, small int, 1p1c"


def sections(text):
    """The tables of a document: heading -> name of a row -> its cells by the names of the columns."""
    found, heading, columns = {}, "", None
    for line in text.splitlines():
        if line.startswith("#"):
            heading, columns = line.lstrip("# "), None
        elif not line.startswith("|"):
            columns = None
        else:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if columns is None:
                columns = cells
            elif not set(line) <= set("|-: "):
                found.setdefault(heading, {})[cells[0]] = dict(zip(columns, cells, strict=True))
    return found


def nanoseconds(text):
    number, unit = text.split()
    return float(number) * {"ns": 1, "µs": 1e3, "ms": 1e6}[unit]


def rate(thousands):
    """A rate as it is read: `11.1 M/s` from `1.11e+04` thousands."""
    value = float(thousands)
    return f"{value / 1e3:.1f} M/s" if value >= 1e3 else f"{value:.0f} k/s"


# The table


def times(ratio):
    return f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"


def table(figures, machine):
    """The table, and the sentences behind it: every figure that README.md has."""

    def channel(section, what, ours, rival, rival_name):
        rows = figures[section]
        a, b = (next(cell for column, cell in rows[row].items() if column.startswith("per ")) for row in (ours, rival))
        return what, a, f"{rival_name}: {b}", nanoseconds(b) / nanoseconds(a)

    mutex = figures[AGAINST]["Mutex, uncontended, lock and unlock"]
    ints = figures[PYTHON][SMALL_INTS]
    rows = [
        channel(SMALL, "64 bytes, one process to one: `Slots`", "Slots", "iceoryx2 publish-subscribe", "iceoryx2"),
        channel(SMALL, "64 bytes, through a queue for many: `Queue`", "Queue", "OS pipe", "OS pipe"),
        channel(LARGE, "1 MiB: `Pipe`", "Pipe", "OS pipe, buffer of 1 MiB", "OS pipe, buffer of 1 MiB"),
        channel(TRIP, "64 bytes there and back: `Pipe`", "Pipe", "Unix sockets, SOCK_STREAM", "Unix socket"),
        (
            "lock and unlock, nobody waits: `Mutex`",
            mutex["ours"],
            f"robust pthread mutex: {mutex['beside it']}",
            nanoseconds(mutex["beside it"]) / nanoseconds(mutex["ours"]),
        ),
        (
            "Python, small integers: `Queue`",
            rate(ints["slipring"]),
            f"multiprocessing: {rate(ints['multiprocessing'])}",
            float(ints["slipring"]) / float(ints["multiprocessing"]),
        ),
    ]
    lines = ["| what | Slipring | rival | times as fast |", "|---|--:|--:|--:|"]
    lines += [f"| {what} | {ours} | {rival} | **{times(ratio)}** |" for what, ours, rival, ratio in rows]

    number, processor, system = machine
    queue, threads = (figures[SMALL][row]["per message"] for row in ("Queue", "crossbeam-channel"))
    lines += [
        "",
        f"Measured on {processor}, with {number} and {system}. [docs/figures.md](docs/figures.md) has all figures and",
        f"how they were measured, also those where a rival is faster: a `Queue` between processes takes {queue} a",
        f"message, a crossbeam channel between the threads of one process {threads}.",
    ]
    return "\n".join(lines)


# The picture

STYLE = """
  .card { fill: #ffffff; stroke: #d0d7de } .title { fill: #1f2328; font-weight: 600; font-size: 14px }
  .text { fill: #1f2328; font-size: 12px } .small { fill: #59636e; font-size: 11px }
  .ours { fill: #0f766e } .rival { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #3d444d } .title, .text { fill: #f0f6fc } .small { fill: #9198a1 }
    .ours { fill: #2dd4bf } .rival { fill: #59636e }
  }
"""
WIDTH, PANEL, ROW, NAMES, BARS = 840, 410, 22, 112, 190


def panel(x, y, title, note, bars):
    """One panel. A bar is its name, its length and what is written at its end."""
    longest = max(length for _, length, _ in bars)
    out = [
        f'<text class="title" x="{x}" y="{y}">{escape(title)}</text>',
        f'<text class="small" x="{x}" y="{y + 17}">{escape(note)}</text>',
    ]
    for number, (name, length, label) in enumerate(bars):
        top, wide = y + 28 + number * ROW, max(1.5, BARS * length / longest)
        kind = "ours" if name in OURS else "rival"
        out += [
            f'<text class="text" x="{x + NAMES - 8}" y="{top + 12}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{x + NAMES}" y="{top}" width="{wide:.1f}" height="15" rx="2"/>',
            f'<text class="text" x="{x + NAMES + wide + 6:.1f}" y="{top + 12}">{escape(label)}</text>',
        ]
    return out


def picture(figures, machine):
    """All panels, and below them where the figures are from."""
    number, processor, system = machine
    source = f"Measured on {processor}, {number}, {system}. Coloured: Slipring. Grey: others. Source: docs/figures.md"
    shown = []
    for title, unit, section, rows in PANELS:
        bars = []
        for name, row in rows.items():
            label = next(cell for column, cell in figures[section][row].items() if column.startswith("per "))
            bars.append((name, nanoseconds(label), label))
        shown.append((title, f"{unit}: shorter is better", bars))
    ints = figures[PYTHON][SMALL_INTS]
    names = ("slipring", "multiprocessing", "faster-fifo")
    shown.append(
        (
            "Python: small integers through a queue",
            "objects per second: longer is better",
            [(name, float(ints[name]), rate(ints[name])) for name in names],
        )
    )

    height = 36 + 2 * (60 + 6 * ROW) + 24
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" font-family="-apple-system, \'Segoe UI\', Helvetica, Arial, sans-serif">',
        "<title>Slipring beside its rivals: bars from docs/figures.md</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
    ]
    for number, (title, note, bars) in enumerate(shown):
        out += panel(20 + number % 2 * PANEL, 34 + number // 2 * (66 + 6 * ROW), title, note, bars)
    out += [f'<text class="small" x="20" y="{height - 16}">{escape(source)}</text>', "</svg>"]
    return "\n".join(out) + "\n"


def main():
    text = FIGURES.read_text(encoding="utf-8")
    figures, machine = sections(text), MACHINE.search(text).groups()
    readme = README.read_text(encoding="utf-8")
    if not TABLE.search(readme):
        sys.exit("error: README.md has no place for the table")
    wanted = {
        PICTURE: picture(figures, machine),
        README: TABLE.sub(lambda marks: marks[1] + table(figures, machine) + "\n" + marks[2], readme),
    }
    for path, text in wanted.items():
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"error: {path.relative_to(ROOT)} is not what docs/figures.md says; run ci/picture.py")


if __name__ == "__main__":
    main()
