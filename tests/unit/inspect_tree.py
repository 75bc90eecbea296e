# SPDX-License-Identifier: GPL-3.0-or-later
"""A small root tree in which an inspection finds nothing, and a builder whose traces it would know."""

from __future__ import annotations

import os
from pathlib import Path

from debfleet.common.inspect.host import Host

BUILDER = Host(
    names=frozenset({"builder17", "builder17.example.org"}),
    nameservers=frozenset({"192.0.2.53"}),
    resolver="search example.org\nnameserver 192.0.2.53\n",
    mirrors=frozenset({"mirror.example.org"}),
    proxies=frozenset({"proxy.example.org:3128"}),
)

STATUS = """\
Package: base-files
Status: install ok installed
Priority: required
Section: admin
Installed-Size: 340
Maintainer: Somebody <somebody@example.org>
Architecture: amd64
Version: 13
Description: Debian base system miscellaneous files
 This package contains the basic filesystem hierarchy.

Package: libc6
Status: install ok installed
Priority: optional
Section: libs
Installed-Size: 12000
Architecture: amd64
Source: glibc (2.41-12)
Version: 2.41-12+b1
Description: GNU C Library
Homepage: https://www.example.org/libc

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""

FILES = {
    "etc/os-release": "ID=debian\nVERSION_CODENAME=trixie\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nshadow:x:42:\nnogroup:x:65534:\n",
    "etc/hostname": "machine\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/machine-id": "",
    "etc/fstab": "# nothing yet\n",
    "etc/apt/sources.list": "deb http://deb.example.org/debian trixie main\n",
    "etc/apt/apt.conf.d/01autoremove": 'APT { NeverAutoRemove { "^firmware-linux.*"; }; };\n',
    "etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n",
    "var/lib/apt/lists/lock": "",
    "var/lib/dpkg/status": STATUS,
    "var/lib/dpkg/diversions": "/usr/share/man/man1/sh.1.gz\n/usr/share/man/man1/sh.distrib.1.gz\ndash\n",
    "var/lib/dpkg/info/base-files.list": "/.\n/etc\n/etc/os-release\n",
    "var/lib/dpkg/info/libc6:amd64.list": "/.\n/usr\n",
    "var/log/wtmp": "",
    "usr/bin/true": "#!/bin/sh\n",
}
SECRET = {"etc/shadow": "root:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\n", "etc/gshadow": "root:*::\n"}
FOLDERS = {
    "boot": 0o755,
    "root": 0o700,
    "tmp": 0o1777,
    "var/tmp": 0o1777,
    "run/lock": 0o1777,
    "home": 0o755,
    "var/lib/apt/lists/partial": 0o700,
    "var/cache/apt/archives/partial": 0o700,
}


def make(top: Path) -> Path:
    """The tree, owned by who runs the test (known to it as an account, where that isn't root)."""
    files = dict(FILES)
    if os.getuid():
        files["etc/passwd"] += f"tester:x:{os.getuid()}:{os.getgid()}::/home/tester:/bin/sh\n"
        files["etc/group"] += f"tester:x:{os.getgid()}:\n"
    top.mkdir(parents=True)
    top.chmod(0o755)
    for name, text in {**files, **SECRET}.items():
        put(top, name, text, 0o640 if name in SECRET else 0o644)
    for name, mode in FOLDERS.items():
        (top / name).mkdir(parents=True, exist_ok=True)
        (top / name).chmod(mode)
    (top / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    (top / "usr/bin/su").write_text("")
    (top / "usr/bin/su").chmod(0o4755)
    return top


def put(top: Path, name: str, text: str = "x\n", mode: int = 0o644) -> None:
    """Write a file of the tree, replacing what is there."""
    path = top / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
