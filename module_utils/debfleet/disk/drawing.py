# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk drawn as a bar, with a legend."""

from __future__ import annotations

from ..sizes import shown
from .shape import Layout

LEAST = 24  # columns that a bar takes at least


def bar(layout: Layout, width: int = 80) -> str:
    """The disk as a bar of `width` columns, proportional to the sizes, above a line for each partition.

    Every partition has at least one column. A cell says name and size where there is room, else the number.
    """
    parts = layout.partitions
    columns = _columns([part.size for part in parts], max(width, LEAST, 3 * len(parts) + 1) - len(parts) - 1)
    cells = [(str(part.number or ""), part.name, shown(part.size)) for part in parts]
    rows = [
        "┌" + "┬".join("─" * count for count in columns) + "┐",
        "│"
        + "│".join(_fitting(count, name, number) for count, (number, name, _) in zip(columns, cells, strict=True))
        + "│",
        "│" + "│".join(_fitting(count, size) for count, (_, _, size) in zip(columns, cells, strict=True)) + "│",
        "└" + "┴".join("─" * count for count in columns) + "┘",
    ]
    head = {"gpt": "GPT", "msdos": "MBR", "none": "no partition map"}[layout.map]
    table = [
        (
            number,
            name,
            size,
            f"{100 * part.size / layout.size:.0f}%" if part.size * 200 >= layout.size else "<1%",
            part.filesystem or "-",
            part.mount or "-",
            ",".join(part.mountopts),
        )
        for part, (number, name, size) in zip(parts, cells, strict=True)
    ]
    widths = [max(len(row[column]) for row in table) for column in range(7)]
    right = (0, 2, 3)
    legend = [
        "  ".join(
            text.rjust(widths[column]) if column in right else text.ljust(widths[column])
            for column, text in enumerate(row)
        ).rstrip()
        for row in table
    ]
    return "\n".join([f"{head}, {shown(layout.size)}", *rows, *legend]) + "\n"


def _fitting(count: int, *texts: str) -> str:
    """The first of the texts that fits into so many columns, else blanks."""
    return next((text for text in texts if len(text) <= count), "").center(count)


def _columns(sizes: list[int], room: int) -> list[int]:
    """So many columns shared out in proportion: one at least, the rest by the largest remainders."""
    spare, total = room - len(sizes), sum(sizes)
    exact = [spare * size / total for size in sizes]
    columns = [1 + int(share) for share in exact]
    order = sorted(range(len(sizes)), key=lambda index: int(exact[index]) - exact[index])
    for index in order[: room - sum(columns)]:
        columns[index] += 1
    return columns
