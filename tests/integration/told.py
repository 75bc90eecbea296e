# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions asked inside a booted image: a unit runs them at boot, and tells the answers on the serial port.

Boot proofs ask what every image must be; this asks what a test wants to know besides.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LINE = re.compile(r"told (\d+)/(\d+) (\d+) ([A-Za-z0-9+/=]+)")
TIMES = 3  # what the kernel or getty writes in between spoils a line, not three
TELL = """#!/bin/sh
# Ask, and tell three times: each line with its number, how many there are, and its length.
exec < /dev/null
{ %s
} 2>&1 | base64 -w 72 > /run/told
awk -v of="$(wc -l < /run/told)" '{ print "\\ntold " NR "/" of " " length($0) " " $0 }' /run/told > /run/told.lines
for time in %s; do cat /run/told.lines > /dev/ttyS0; done
"""
UNIT = """\
[Unit]
Description=Tell a test what it asks
After=%s

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/tell

[Install]
WantedBy=multi-user.target
"""


def plugins(folder: Path, questions: Mapping[str, str], after: Sequence[str]) -> dict[str, Any]:
    """The settings of file_copy and commands that put the unit into an image.

    :param questions: lines for the shell, by names of their own.
    :param after: the units that must be up before.
    """
    asked = "\n".join(f'echo "@@ {name}"; {line}' for name, line in questions.items())
    (folder / "tell").write_text(TELL % (asked, " ".join(map(str, range(TIMES)))))
    (folder / "tell.service").write_text(UNIT % " ".join(after))
    files = [
        {"src": str(folder / "tell"), "dst": "/usr/local/sbin/tell", "permissions": "0755"},
        {"src": str(folder / "tell.service"), "dst": "/etc/systemd/system/tell.service", "permissions": "0644"},
    ]
    return {"file_copy": {"files": files}, "commands": {"commands": [["systemctl", "enable", "tell.service"]]}}


def answers(serial: str) -> dict[str, str]:
    """What the image has told, by question. Fails where a line came through none of the times."""
    lines: dict[int, str] = {}
    of = 0
    for number, count, length, text in LINE.findall(serial):
        if len(text) == int(length):
            lines[int(number)], of = text, int(count)
    missing = [number for number in range(1, of + 1) if number not in lines]
    assert of and not missing, f"of {of} lines {missing} are missing:\n{serial[-3000:]}"
    whole = base64.b64decode("".join(lines[number] for number in sorted(lines))).decode()
    sections = re.findall(r"^@@ (\S+)\n(.*?)(?=^@@ |\Z)", whole, re.MULTILINE | re.DOTALL)
    return {name: text.strip() for name, text in sections}
