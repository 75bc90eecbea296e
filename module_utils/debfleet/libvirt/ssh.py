# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in to a guest by OpenSSH's client, with a key that is thrown away."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from ..run import Done, find, run

HOST = "127.0.0.1"
CONNECTION_FAILED = 255


@dataclass(frozen=True)
class Login:
    """Who logs in where: a user, the file of a private key, a port of 127.0.0.1."""

    user: str
    key: Path
    port: int


def make_key(folder: Path) -> tuple[Path, str]:
    """Make a key pair in this folder; returns the private key's file and the public key's text."""
    find("ssh-keygen", "openssh-client")
    key = folder / "key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "debfleet-proof", "-f", key])
    return key, key.with_suffix(".pub").read_text(encoding="utf-8").strip()


def listening(port: int, patience: float = 8.0) -> str:
    """What is at the other end of a forwarded port: `banner` (an SSH server), `closed`, or `silent` (no network)."""
    try:
        with socket.create_connection((HOST, port), timeout=patience) as connection:
            connection.settimeout(patience)
            return "banner" if connection.recv(64).startswith(b"SSH-") else "closed"
    except TimeoutError:
        return "silent"
    except OSError:
        return "closed"


def run_there(login: Login, argv: list[str], *, stdin: str = "", limit: int = 300) -> Done:
    """Run a program in the guest, for at most `limit` seconds.

    Raises nothing for its exit status; 255 says that there was no login, 124 that time was up.
    """
    find("ssh", "openssh-client")
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "20",
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "LogLevel": "ERROR",
        "PreferredAuthentications": "publickey",
        "ServerAliveInterval": "15",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    words += ["-i", str(login.key), "-p", str(login.port)]
    command = ["ssh", "-F", "none", *words, f"{login.user}@{HOST}", "--", *argv]
    return run(["timeout", "--kill-after=5", str(limit), *command], stdin=stdin, check=False, shown=command)
