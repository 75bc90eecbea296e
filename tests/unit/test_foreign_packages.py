# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions that native tools must have: those of the packages that were resolved for the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from debfleet.common.bootstrap import apt as apt_
from debfleet.common.bootstrap import nearby
from debfleet.common.bootstrap.apt import Apt
from debfleet.common.foreign import packages


def test_they_are_those_of_what_was_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(_apt: Apt, argv: Sequence[str], **_: object) -> SimpleNamespace:
        asked.extend(argv[2:])
        said = "".join(f"{name}:\n  Installed: (none)\n  Candidate: 1.2-{name}\n" for name in argv[2:])
        return SimpleNamespace(stdout=said)

    monkeypatch.setattr(apt_, "ask", ask)
    monkeypatch.setattr(nearby, "chosen", lambda apt, _words: apt)
    image = Apt(tmp_path, "armhf", "bookworm")
    nearby.note(image, ["dpkg"], ["dpkg", "libc6"])
    assert packages.of_image(image) == {"dpkg": "1.2-dpkg", "libc6": "1.2-libc6"}
    assert asked == ["dpkg", "libc6"]
