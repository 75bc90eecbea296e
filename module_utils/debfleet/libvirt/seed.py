# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine is given for its first boot: a seed for cloud-init (NoCloud), or systemd credentials."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path

from ..errors import MissingError

TOKEN_FILE = "/run/debfleet-token"
SCRIPT_FILE = "/run/debfleet-collect"
SSHD_FILE = "/etc/ssh/sshd_config.d/00-debfleet.conf"
USER = "debfleet-proof"


def user_data(public_key: str, token: str) -> str:
    """The user-data that makes a throw-away user with this key, and leaves the token in the guest.

    JSON is YAML. The image's own host name and default user stay as they are.
    """
    data = {
        "preserve_hostname": True,
        "users": [
            "default",
            {
                "name": USER,
                "shell": "/bin/sh",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": [public_key],
            },
        ],
        "write_files": [{"path": TOKEN_FILE, "content": token, "permissions": "0644"}],
    }
    return "#cloud-config\n" + json.dumps(data, indent=1) + "\n"


def write_seed(path: Path, files: Mapping[str, str]) -> None:
    """Write an ISO 9660 file with the label cidata and these files, as cloud-init's NoCloud looks for it."""
    try:
        import pycdlib
    except ImportError as error:
        raise MissingError("Python's pycdlib is not installed", hint="pip install pycdlib") from error
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for number, (name, text) in enumerate(sorted(files.items())):
        content = text.encode()
        iso.add_fp(io.BytesIO(content), len(content), f"/FILE{number}.;1", rr_name=name, joliet_path=f"/{name}")
    iso.write(str(path))
    iso.close()


def cloud_init_seed(path: Path, instance: str, public_key: str, token: str) -> None:
    """Write the seed of one boot."""
    files = {"meta-data": f"instance-id: {instance}\n", "user-data": user_data(public_key, token)}
    write_seed(path, files)


def _line(kind: str, path: str, mode: str, content: str, owner: str = "root root") -> str:
    """One line of tmpfiles.d that writes a file (`~`: the content is in base64)."""
    return f"{kind}~ {path} {mode} {owner} - {base64.b64encode(content.encode()).decode()}"


def ssh_credentials(public_key: str, token: str) -> dict[str, str]:
    """Credentials that let root log in with this key, whatever sshd's settings, and leave the token in the guest."""
    lines = [
        _line("f+", TOKEN_FILE, "0644", token),
        _line("f+", SSHD_FILE, "0600", "PermitRootLogin prohibit-password\nPubkeyAuthentication yes\n"),
    ]
    return {"ssh.authorized_keys.root": public_key + "\n", "tmpfiles.extra": "\n".join(lines) + "\n"}


def console_credentials(password_crypted: str, token: str, script: str) -> dict[str, str]:
    """Credentials that let root log in at the serial console by a throw-away password, and leave token and script.

    systemd 252 runs nothing that a credential brings, but it writes files; so root's password is replaced for this
    boot, in the overlay. The other users' passwords aren't needed meanwhile.
    """
    lines = [
        _line("f+", TOKEN_FILE, "0644", token),
        _line("f+", SCRIPT_FILE, "0755", script),
        _line("f+", "/etc/shadow", "0640", f"root:{password_crypted}:19000:0:99999:7:::\n", "root shadow"),
    ]
    return {"tmpfiles.extra": "\n".join(lines) + "\n"}
