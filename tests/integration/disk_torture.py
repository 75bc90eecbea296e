# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree with every odd thing that a filesystem can hold, and a description of any tree to compare it by."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

FORMAT_FIELDS = ("type", "mode", "owner", "mtime", "device", "content", "xattrs", "links")


def plant(root: Path) -> None:
    """Make the tree. Needs root, setcap and setfacl."""
    for folder in ("etc", "var/tmp", "var/lib", "srv", "usr/bin", "boot/efi/EFI/tool", "home/user"):
        (root / folder).mkdir(parents=True)
    os.chmod(root / "var/tmp", 0o1777)
    write(root / "var/tmp/left")
    write(root / "boot/efi/EFI/tool/file.txt")
    # links: two in one filesystem, two in a nested one, and a pair across both
    write(root / "usr/bin/tool")
    os.link(root / "usr/bin/tool", root / "usr/bin/alias")
    write(root / "var/lib/data")
    os.link(root / "var/lib/data", root / "var/lib/data2")
    write(root / "srv/shared", b"both sides\n")
    os.link(root / "srv/shared", root / "var/lib/shared")
    os.symlink("tool", root / "usr/bin/short")
    os.symlink("/nowhere/" + "t" * 200, root / "usr/bin/long")
    with (root / "var/sparse").open("wb") as file:
        file.truncate(16 << 20)
        file.seek(1 << 20)
        file.write(b"A" * 4096)
    write(root / "empty", b"")
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("nobody", 0o000)):
        os.chmod(write(root / "usr/bin" / name), mode)
    for folder, mode in (("sticky", 0o1777), ("group", 0o2775)):
        (root / "srv" / folder).mkdir()
        os.chmod(root / "srv" / folder, mode)
    subprocess.run(["setcap", "cap_net_raw,cap_net_bind_service+ep", write(root / "usr/bin/ping")], check=True)
    write(root / "etc/xattr")
    os.setxattr(root / "etc/xattr", "user.bytes", bytes(range(256)))
    os.setxattr(root / "etc/xattr", "trusted.t", b"t")
    os.setxattr(root / "etc", "user.folder", b"f")
    os.setxattr(root / "var", "user.top", b"of a nested filesystem")
    subprocess.run(["setfacl", "-m", "u:1234:rw,g:99999:r", write(root / "etc/acl")], check=True)
    (root / "srv/acl").mkdir()
    subprocess.run(["setfacl", "-m", "u:1234:rwx,d:u:1234:rwx,d:g:55:r", root / "srv/acl"], check=True)
    os.mknod(root / "srv/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "srv/block", stat.S_IFBLK | 0o660, os.makedev(259, 1000))
    os.mkfifo(root / "srv/fifo")
    here = os.getcwd()
    os.chdir(root / "srv")  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    os.chdir(here)
    for name in ("n" * 255, "ü€𝄞 space'q\"uote", "new\nline", "back\\slash", "-dash", "trail ", "tab\tx"):
        write(root / "home/user" / name)
    write(Path(os.fsdecode(os.fsencode(root / "home/user") + b"/latin1_\xe9\xff")))
    os.chown(root / "etc/acl", 70000, 4294967290)
    os.chown(root / "home/user", 1000, 1001)
    os.chown(root / "var", 5, 6)
    for number in range(200):
        write(root / "var/lib" / f"many{number}", b"%d\n" % number * (number * 40))
    for name, seconds in (("old", -315000000), ("zero", 0), ("new", 1700000000)):
        os.utime(write(root / "srv" / name), (seconds, seconds))
    os.utime(root / "var", (1234567890, 1234567890))
    os.chown(root, 77, 88)
    os.chmod(root, 0o751)
    os.utime(root, ns=(1400000000222222222,) * 2)


def write(path: Path, data: bytes = b"x\n") -> Path:
    path.write_bytes(data)
    return path


def describe(root: str, inner: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Each entry of a tree by path; nothing below the folders `inner`, which are of other filesystems."""
    found: dict[str, dict[str, Any]] = {}
    links: dict[tuple[int, int], list[str]] = defaultdict(list)
    for folder, folders, files in os.walk(root):
        inside = "/" + os.path.relpath(folder, root) if folder != root else ""
        for name in [*([""] if folder == root else []), *folders, *files]:
            path, key = os.path.join(folder, name), f"{inside}/{name}"
            status = os.lstat(path)
            entry: dict[str, Any] = {
                "type": stat.S_IFMT(status.st_mode),
                "mode": stat.S_IMODE(status.st_mode),
                "owner": [status.st_uid, status.st_gid],
                "mtime": int(status.st_mtime_ns // 10**9),
                "xattrs": {
                    attribute: os.getxattr(path, attribute, follow_symlinks=False).hex()
                    for attribute in sorted(os.listxattr(path, follow_symlinks=False))
                    if not attribute.startswith("trusted.SGI_ACL_")  # xfs shows an ACL a second time
                },
            }
            if stat.S_ISLNK(status.st_mode):
                entry["content"] = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                entry["content"] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                entry["sparse"] = status.st_size > 1 << 20 and status.st_blocks * 512 < status.st_size // 2
                links[status.st_dev, status.st_ino].append(key)
            elif not stat.S_ISDIR(status.st_mode):
                entry["device"] = status.st_rdev
            found[key] = entry
        folders[:] = [name for name in folders if f"{inside}/{name}" not in inner]
    for names in links.values():
        for name in names:
            found[name]["links"] = sorted(names)
    found.pop("/lost+found", None)
    return found


if __name__ == "__main__":  # python disk_torture.py FOLDER: describe it in JSON
    print(json.dumps(describe(sys.argv[1])))
