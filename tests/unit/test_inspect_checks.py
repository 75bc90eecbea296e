# SPDX-License-Identifier: GPL-3.0-or-later
"""Each problem planted once into a clean tree: the right check names it, and no other check does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_tree import BUILDER, STATUS, make, put

from debfleet.common import inspect
from debfleet.common.inspect.inspection import DISK, TREE
from debfleet.docs import inspection

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlanted stranger@builder"
HASH = "$6$saltsalt$Zk1uPzX"
Plant = Callable[[Path], None]


def file(name: str, text: str = "x\n", mode: int = 0o644) -> Plant:
    return lambda top: put(top, name, text, mode)


def appended(name: str, text: str) -> Plant:
    def plant(top: Path) -> None:
        with (top / name).open("a", encoding="utf-8") as opened:
            opened.write(text)

    return plant


def changed(name: str, old: str, new: str) -> Plant:
    def plant(top: Path) -> None:
        text = (top / name).read_text(encoding="utf-8")
        assert old in text
        (top / name).write_text(text.replace(old, new), encoding="utf-8")

    return plant


def mode(name: str, bits: int) -> Plant:
    return lambda top: (top / name).chmod(bits)


def linked(name: str, target: str, text: str) -> Plant:
    def plant(top: Path) -> None:
        put(top, target, text)
        (top / name).symlink_to(f"/{target}")

    return plant


PLANTED: list[tuple[str, str, Plant]] = [
    ("ssh-host-keys", "/etc/ssh/ssh_host_ed25519_key", file("etc/ssh/ssh_host_ed25519_key", mode=0o600)),
    ("ssh-host-keys", "/etc/ssh/ssh_host_rsa_key.pub", file("etc/ssh/ssh_host_rsa_key.pub")),
    ("ssh-host-keys", "/etc/dropbear/dropbear_rsa_host_key", file("etc/dropbear/dropbear_rsa_host_key")),
    ("machine-id", "/etc/machine-id", file("etc/machine-id", "4f0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d\n")),
    ("machine-id", "/var/lib/dbus/machine-id", file("var/lib/dbus/machine-id", "4f0b1c2d\n")),
    ("machine-id", "/etc/nvme/hostid", file("etc/nvme/hostid", "1b4e28ba-2fa1-11d2-883f-0016d3cca427\n")),
    ("passwords", "/etc/shadow", changed("etc/shadow", "root:*:", f"root:{HASH}:")),
    ("passwords", "/etc/shadow", changed("etc/shadow", "nobody:*:", "nobody::")),
    ("passwords", "/etc/passwd", changed("etc/passwd", "nobody:x:", "nobody::")),
    ("passwords", "/etc/passwd", changed("etc/passwd", "root:x:", f"root:{HASH}:")),
    ("passwords", "/etc/shadow-", file("etc/shadow-", f"root:{HASH}:20000::::::\n", 0o600)),
    ("passwords", "/etc/gshadow", changed("etc/gshadow", "root:*:", f"root:{HASH}:")),
    (
        "passwords",
        "/var/cache/debconf/passwords.dat",
        file("var/cache/debconf/passwords.dat", "Name: a/b\nValue: pw\n"),
    ),
    ("authorized-keys", "/root/.ssh/authorized_keys", file("root/.ssh/authorized_keys", KEY)),
    ("authorized-keys", "/home/left/.ssh/authorized_keys2", file("home/left/.ssh/authorized_keys2", KEY)),
    ("authorized-keys", "/nonexistent/.ssh/authorized_keys", file("nonexistent/.ssh/authorized_keys", KEY)),
    ("authorized-keys", "/etc/ssh/authorized_keys.d/root", file("etc/ssh/authorized_keys.d/root", KEY)),
    ("private-keys", "/etc/ssl/private/ssl-cert-snakeoil.key", file("etc/ssl/private/ssl-cert-snakeoil.key")),
    ("private-keys", "/root/.ssh/id_ed25519", file("root/.ssh/id_ed25519", mode=0o600)),
    ("random-seeds", "/var/lib/systemd/random-seed", file("var/lib/systemd/random-seed")),
    ("random-seeds", "/var/lib/systemd/credential.secret", file("var/lib/systemd/credential.secret")),
    ("resolver", "/etc/resolv.conf", file("etc/resolv.conf", "nameserver 198.51.100.1\n")),
    ("resolver", "/etc/resolv.conf", file("etc/resolv.conf", BUILDER.resolver)),
    ("resolver", "/etc/systemd/resolved.conf.d/x.conf", file("etc/systemd/resolved.conf.d/x.conf", "DNS=192.0.2.53\n")),
    ("hostname", "/etc/hostname", file("etc/hostname", "builder17\n")),
    ("hostname", "/etc/hosts", appended("etc/hosts", "127.0.1.1 builder17.example.org builder17\n")),
    ("hostname", "/etc/mailname", file("etc/mailname", "builder17.example.org\n")),
    ("hostname", "/etc/postfix/main.cf", file("etc/postfix/main.cf", "mydestination = $myhostname, builder17\n")),
    ("hostname", "/etc/mdadm/mdadm.conf", file("etc/mdadm/mdadm.conf", "ARRAY /dev/md0 name=builder17:0\n")),
    ("apt-sources", "/etc/apt/sources.list", changed("etc/apt/sources.list", "deb.example", "mirror.example")),
    (
        "apt-sources",
        "/etc/apt/sources.list.d/x.sources",
        file(
            "etc/apt/sources.list.d/x.sources", "Types: deb\nURIs: https://mirror.example.org/debian\nSuites: trixie\n"
        ),
    ),
    ("apt-sources", "/etc/apt/sources.list", appended("etc/apt/sources.list", "deb file:/srv/archive trixie main\n")),
    (
        "apt-sources",
        "/etc/apt/sources.list",
        appended("etc/apt/sources.list", "deb https://me:secret@private.example.org/debian trixie main\n"),
    ),
    (
        "apt-sources",
        "/etc/apt/apt.conf.d/proxy",
        file("etc/apt/apt.conf.d/proxy", 'Acquire::http::Proxy "http://10.0.0.1:3142";\n'),
    ),
    (
        "apt-sources",
        "/etc/apt/apt.conf",
        file("etc/apt/apt.conf", 'Acquire { https { Proxy "http://10.0.0.1:3142"; }; };\n'),
    ),
    (
        "apt-sources",
        "/etc/apt/apt.conf.d/99valid",
        file("etc/apt/apt.conf.d/99valid", 'Acquire::Check-Valid-Until "false";\n'),
    ),
    (
        "apt-sources",
        "/etc/apt/auth.conf.d/x.conf",
        file("etc/apt/auth.conf.d/x.conf", "machine a login b password c\n"),
    ),
    ("apt-sources", "/etc/environment", file("etc/environment", "http_proxy=http://proxy.example.org:3128\n")),
    ("apt-lists", "/var/lib/apt/lists/x_Packages", file("var/lib/apt/lists/x_Packages")),
    ("apt-lists", "/var/cache/apt/pkgcache.bin", file("var/cache/apt/pkgcache.bin")),
    ("apt-lists", "/var/cache/apt/archives/a_1_all.deb", file("var/cache/apt/archives/a_1_all.deb")),
    ("logs", "/var/log/dpkg.log", file("var/log/dpkg.log")),
    ("logs", "/var/log/apt/history.log", file("var/log/apt/history.log")),
    ("logs", "/var/log/journal/4f0b/system.journal", file("var/log/journal/4f0b/system.journal")),
    ("temporary-files", "/tmp/apt.conf.x", file("tmp/apt.conf.x")),
    ("temporary-files", "/run/utmp", file("run/utmp")),
    ("temporary-files", "/root/.bash_history", file("root/.bash_history")),
    ("temporary-files", "/root/.ansible", file("root/.ansible/tmp/x")),
    ("cloud-init", "/var/lib/cloud/instance", linked("var/lib/cloud/instance", "var/lib/cloud/x/y", "")),
    ("cloud-init", "/var/lib/cloud/instances/i-1", file("var/lib/cloud/instances/i-1/boot-finished")),
    ("policy-rc.d", "/usr/sbin/policy-rc.d", file("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)),
    (
        "diversions",
        "/usr/sbin/update-initramfs",
        appended("var/lib/dpkg/diversions", "/usr/sbin/update-initramfs\n/usr/sbin/update-initramfs.off\n:\n"),
    ),
    ("bootstrap-leftovers", "/debootstrap", file("debootstrap/required")),
    ("bootstrap-leftovers", "/etc/apt/apt.conf.d/99mmdebstrap", file("etc/apt/apt.conf.d/99mmdebstrap", "")),
    ("bootstrap-leftovers", "/usr/bin/qemu-arm-static", file("usr/bin/qemu-arm-static")),
    ("bootstrap-leftovers", "/etc/ld.so.preload", file("etc/ld.so.preload", "/usr/lib/libeatmydata.so\n")),
    ("packages", "/var/lib/dpkg/status", changed("var/lib/dpkg/status", "ok installed", "ok half-configured")),
    ("packages", "/var/lib/dpkg/status", changed("var/lib/dpkg/status", "ok installed", "reinstreq installed")),
    ("packages", "/var/lib/dpkg/status", lambda top: (top / "var/lib/dpkg/info/libc6:amd64.list").unlink()),
    ("packages", "/var/lib/dpkg/updates/0001", file("var/lib/dpkg/updates/0001")),
    ("packages", "/var/lib/dpkg/triggers/Unincorp", file("var/lib/dpkg/triggers/Unincorp", "ldconfig libc6\n")),
    ("modes", "/etc/shadow", mode("etc/shadow", 0o644)),
    ("modes", "/tmp", mode("tmp", 0o755)),
    ("modes", "/etc/sudoers.d/x", file("etc/sudoers.d/x", "", 0o644)),
    ("world-writable", "/usr/bin/true", mode("usr/bin/true", 0o666)),
    ("world-writable", "/home", mode("home", 0o777)),
    ("fstab", "/etc/fstab", file("etc/fstab", "/dev/loop0p1 / ext4 defaults 0 1\n")),
    ("fstab", "/boot/grub/grub.cfg", file("boot/grub/grub.cfg", "linux /vmlinuz root=/dev/mapper/loop0p1 ro\n")),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make(tmp_path / "root")


def look(tree: Path, manifest: dict[str, Any] | None = None) -> inspect.Report:
    return inspect.report(tree, manifest, host=BUILDER)


def failing(report: inspect.Report) -> dict[str, list[str]]:
    """The paths of the findings of each check that failed."""
    errors = {c.name: [finding.path for finding in c.findings if finding.severity == "error"] for c in report.checks}
    return {check.name: errors[check.name] for check in report.checks if not check.ok}


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="owners can't be right without root")


@root_only
def test_nothing_is_found_in_a_clean_tree(tree: Path) -> None:
    report = look(tree)
    assert report.ok, report.to_text()
    assert [check.name for check in report.checks] == list(TREE)
    assert all(check.looked_at for check in report.checks)


@root_only
@pytest.mark.parametrize(
    ("check", "path", "plant"), PLANTED, ids=[f"{c}:{p}:{n}" for n, (c, p, _) in enumerate(PLANTED)]
)
def test_each_problem_is_named_by_its_check_alone(tree: Path, check: str, path: str, plant: Plant) -> None:
    plant(tree)
    found = failing(look(tree))
    assert list(found) == [check]
    assert set(found[check]) == {path}


def test_every_check_of_a_tree_has_a_problem_that_it_names() -> None:
    assert {check for check, _, _ in PLANTED} == set(TREE) - {"owners", "setuid"}  # these two below


@pytest.mark.root
def test_a_file_of_an_unknown_owner_is_named(tree: Path) -> None:
    os.chown(tree / "usr/bin/true", 4711, 0)
    os.chown(tree / "home", 0, 4711)
    assert failing(look(tree)) == {"owners": ["/home", "/usr/bin/true"]}


@pytest.mark.root
def test_a_sudoers_file_that_is_not_roots_is_named(tree: Path) -> None:
    put(tree, "etc/sudoers.d/x", "", 0o440)
    os.chown(tree / "etc/sudoers.d/x", 65534, 65534)
    assert failing(look(tree)) == {"modes": ["/etc/sudoers.d/x"]}


@root_only
def test_setuid_files_are_told_and_no_finding(tree: Path) -> None:
    report = look(tree)
    told = {check.name: check for check in report.checks}["setuid"]
    assert told.ok
    assert [(finding.severity, finding.path) for finding in told.findings] == [("note", "/usr/bin/su")]


def wished(**plugins: Any) -> dict[str, Any]:
    return {"plugins": plugins}


@root_only
@pytest.mark.parametrize(
    ("plants", "manifest"),
    [
        ([changed("etc/shadow", "root:*:", f"root:{HASH}:")], wished(root_password={"password-crypted": HASH})),
        (
            [appended("etc/shadow", f"admin:{HASH}:1::::::\n")],
            wished(admin_user={"username": "admin", "password-crypted": HASH}),
        ),
        (
            [
                appended("etc/passwd", "admin:x:0:0::/home/admin:/bin/sh\n"),
                file("home/admin/.ssh/authorized_keys", f"no-pty {KEY}\n"),
            ],
            wished(admin_user={"username": "admin", "pubkey": KEY}),
        ),
        (
            [file("root/.ssh/authorized_keys", KEY)],
            wished(file_copy={"files": [{"dst": "/root/.ssh/authorized_keys"}]}),
        ),
        (
            [changed("etc/apt/sources.list", "deb.example", "mirror.example")],
            {"packages": {"mirror": "http://mirror.example.org/debian"}},
        ),
        (
            [appended("etc/apt/sources.list", "deb http://mirror.example.org/x trixie main\n")],
            {"packages": {"sources": {"x": ["deb http://mirror.example.org/x trixie main"]}}},
        ),
        (
            [file("etc/apt/apt.conf.d/p", 'Acquire::http::Proxy "http://10.0.0.1:3142";\n')],
            wished(apt_proxy={"address": "10.0.0.1", "port": 3142, "persistent": True}),
        ),
        (
            [file("etc/apt/auth.conf.d/apt_proxy.conf", "machine http://10.0.0.1:3142\nlogin a password b\n")],
            wished(apt_proxy={"address": "10.0.0.1", "port": 3142, "username": "a", "persistent": True}),
        ),
        (
            [file("etc/apt/apt.conf.d/v", 'Acquire::Check-Valid-Until "false";\n')],
            {"packages": {"apt.conf.d": {"v": 'Acquire::Check-Valid-Until "false";'}}},
        ),
        ([file("etc/hostname", "builder17\n")], {"system": {"hostname": "builder17"}}),
        (
            [file("etc/resolv.conf", "nameserver 198.51.100.1\n")],
            wished(file_copy={"files": [{"dst": "/etc/resolv.conf"}]}),
        ),
    ],
)
def test_what_the_manifest_asks_for_is_no_finding(tree: Path, plants: list[Plant], manifest: dict[str, Any]) -> None:
    for plant in plants:
        plant(tree)
    assert not look(tree).ok
    report = look(tree, manifest)
    assert report.ok, report.to_text()


@root_only
@pytest.mark.parametrize(
    "plant",
    [
        file("etc/machine-id", "uninitialized\n"),
        lambda top: (top / "etc/machine-id").unlink(),
        linked("etc/dbus-id", "etc/machine-id", ""),
        file("etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0\n"),
        file("etc/resolv.conf", "# written at boot\n"),
        file("etc/hostname", "builder171\n"),
        file("etc/hosts", "127.0.1.1 notbuilder17 # not builder17 either\n"),
        file("etc/postfix/main.cf", "# as builder17 had it\nsmtpd_banner = builder17\n"),
        file(
            "etc/apt/apt.conf.d/x", '// Acquire::http::Proxy "http://10.0.0.1:3142";\nAcquire::http::Proxy "false";\n'
        ),
        file("etc/apt/apt.conf.d/y", 'Acquire::Check-Valid-Until "true";\n'),
        file("etc/iscsi/initiatorname.iscsi", "GenerateName=yes\n"),
        file("root/.ssh/authorized_keys", "\n# none\n"),
        changed("etc/shadow", "root:*:", f"root:!{HASH}:"),
        file("etc/environment", "# http_proxy=http://proxy.example.org:3128\n"),
    ],
)
def test_what_only_looks_like_a_problem_is_no_finding(tree: Path, plant: Plant) -> None:
    plant(tree)
    report = look(tree)
    assert report.ok, report.to_text()


@root_only
def test_what_a_package_brings_is_no_leftover(tree: Path) -> None:
    put(tree, "usr/sbin/policy-rc.d", "#!/bin/sh\n", 0o755)
    put(tree, "usr/bin/qemu-arm-static")
    put(tree, "var/lib/dpkg/info/policyrcd.list", "/.\n/usr/sbin/policy-rc.d\n/usr/bin/qemu-arm-static\n")
    assert look(tree).ok


@root_only
def test_a_key_beside_the_one_asked_for_is_named(tree: Path) -> None:
    put(tree, "home/admin/.ssh/authorized_keys", f"{KEY}\nssh-rsa AAAAother other@example.org\n")
    report = look(tree, wished(admin_user={"username": "admin", "pubkey": KEY}))
    assert failing(report) == {"authorized-keys": ["/home/admin/.ssh/authorized_keys"]}
    assert "1 key that nobody asked for (other@example.org)" in report.to_text()


@root_only
def test_a_missing_status_is_unread_not_clean(tree: Path) -> None:
    (tree / "var/lib/dpkg/status").write_text("")
    found = {check.name: check for check in look(tree).checks}["packages"]
    assert not found.ok
    assert found.unread == ["/var/lib/dpkg/status: it is empty"]


@root_only
def test_a_check_that_can_not_read_says_so_and_the_others_go_on(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(subject: object, result: object) -> None:
        raise OSError(5, "Input/output error", str(tree / "var/log"))

    monkeypatch.setitem(TREE, "logs", broken)
    report = look(tree)
    assert not report.ok
    assert report.troubles() == ["logs: could not read /var/log: Input/output error"]


def test_every_check_documents_itself() -> None:
    for name, check in {**DISK, **TREE}.items():
        assert check.__doc__, name


def test_the_documentation_is_current(repo: Path) -> None:
    assert (repo / "docs/inspection.md").read_text(encoding="utf-8") == inspection.markdown()


def test_the_half_installed_package_is_named(tree: Path) -> None:
    put(tree, "var/lib/dpkg/status", STATUS.replace("install ok installed", "install ok unpacked", 1))
    assert "base-files is unpacked" in look(tree).to_text()


@root_only
def test_a_proxy_that_is_not_persistent_must_not_be_left(tree: Path) -> None:
    file("etc/apt/apt.conf.d/p", 'Acquire::http::Proxy "http://10.0.0.1:3142";\n')(tree)
    file("etc/apt/auth.conf.d/apt_proxy.conf", "machine http://10.0.0.1:3142\nlogin a password b\n")(tree)
    report = look(tree, wished(apt_proxy={"address": "10.0.0.1", "port": 3142, "persistent": False}))
    assert "a proxy (10.0.0.1:3142)" in report.to_text() and "credentials of an archive" in report.to_text()
