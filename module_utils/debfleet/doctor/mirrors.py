# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the machine's apt sources answer: asked by apt's own downloader, with its proxies and certificates."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..bootstrap.mirror import Entry, read_builder
from ..errors import DebfleetError
from ..masking import masked
from ..run import run
from .finding import MISSING, OK, WARN, Finding

GROUP = "Mirrors"
HELPER = "/usr/lib/apt/apt-helper"
SECONDS = 10  # that a mirror has to answer
DEBIAN = ("Debian", "Debian-Security")  # labels of the archive's own
LIMITS = [f"-oAcquire::{scheme}::Timeout={SECONDS}" for scheme in ("http", "https")]


def look() -> Iterator[Finding]:
    """Ask each suite of the sources for its Release file."""
    entries = {(entry.uri, entry.release): entry for entry in read_builder().entries}
    if not entries:
        why = "apt has no Debian source, or its lists were never fetched"
        yield Finding(GROUP, "apt sources", WARN, "where packages come from", why, "apt-get update")
        return
    with ThreadPoolExecutor(8) as pool:
        yield from pool.map(_ask, entries.values())


def _ask(entry: Entry) -> Finding:
    name = f"{entry.release} ({entry.label})" if entry.label else entry.release
    purpose = masked(f"packages from {entry.uri.rstrip('/')}")
    folder = "" if entry.release.endswith("/") else f"dists/{entry.release}/"
    with tempfile.TemporaryDirectory(prefix="debfleet-doctor.") as scratch:
        url = f"{entry.uri.rstrip('/')}/{folder}"
        for file in ("InRelease", "Release"):
            target = Path(scratch) / file
            words = [HELPER, "-oAcquire::Retries=0", "-oAPT::Sandbox::User=root", *LIMITS]
            try:
                done = run([*words, "download-file", url + file, target], check=False)
            except DebfleetError as error:
                return Finding(GROUP, name, WARN, purpose, error.what, "apt-get install apt")
            if done.returncode == 0 and target.exists():
                return Finding(GROUP, name, OK, purpose)
    why = next((line for line in reversed((done.stdout + done.stderr).splitlines()) if line.strip()), "no answer")
    state = MISSING if entry.label in DEBIAN else WARN
    return Finding(
        GROUP,
        name,
        state,
        purpose,
        masked(why.strip()),
        "apt-get update tells more; http_proxy or https_proxy, if you need one",
    )
