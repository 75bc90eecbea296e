# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an image's programs is run by a native one of the same path, package and version: data, and nothing else.

What isn't named here is emulated: among it everything that loads what the image has (plugins of PAM, modules of GTK
and Python), that tells of the machine, and that writes what differs from one architecture to the other. Compilers and
binutils are none of these tools, ever.
"""

from __future__ import annotations

# Packages whose programs are taken, as patterns; what they depend on comes along as libraries alone. Those that a suite
# hasn't are left out.
PACKAGES = (
    *("bash", "bsdextrautils", "bsdutils", "busybox", "bzip2", "coreutils", "cpio", "dash"),
    *("dbus-bin", "debianutils", "diffutils", "dpkg", "dracut-install", "e2fsprogs", "findutils", "gawk"),
    *("gettext-base", "grep", "gzip", "hostname", "initramfs-tools-bin", "install-info", "kmod"),
    *("libc-bin", "libcap2-bin", "libglib2.0-bin", "login", "lz4", "mawk", "mount", "ncurses-bin", "openssh-client"),
    *("openssl", "passwd", "patch", "perl", "perl-base", "procps", "sed", "shared-mime-info", "desktop-file-utils"),
    *("systemd", "sysvinit-utils", "tar", "udev", "util-linux", "util-linux-extra"),
    *("xz-utils", "zstd"),
)
# Python's interpreters, which come by the versions that python3-minimal depends on.
PYTHON = ("python3-minimal", "libpython3-stdlib")
PYTHON_PROGRAMS = "python3.*-minimal"
PERL = ("perl", "perl-base")
# Modules of perl in C that scripts of packages load.
PERL_MODULES = ("liblocale-gettext-perl", "libtext-charwidth-perl", "libtext-iconv-perl", "libtext-wrapi18n-perl")

# Without these of the image's own version, no other of the tools is taken.
ESSENTIAL = ("bash", "coreutils", "dash", "dpkg", "libc-bin", "perl-base", "sed", "tar")

# Programs of these packages that are emulated all the same, by name.
EMULATED = frozenset({
    # tell of the machine, or of what runs it
    *("arch", "uname", "getarch", "getconf", "lscpu", "lsmem", "chcpu", "setarch", "linux32", "linux64"),
    *("uname26", "systemd-detect-virt", "systemd-analyze", "nproc", "pldd"),
    # write or read what is of the architecture, or load what the image has
    *("ldconfig", "ldd", "ld.so", "iconvconfig", "iconv", "zic", "zdump", "sprof", "nscd", "catchsegv"),
    *("su", "runuser", "login", "sulogin", "passwd", "chfn", "chsh", "chpasswd", "newusers", "agetty", "newgrp"),
    *("gdbus", "gio", "gio-querymodules", "gsettings", "gapplication", "gresource"),
    *("gcc", "cc", "as", "ld", "ar", "nm", "objcopy", "objdump", "readelf", "strip", "ranlib"),
    # are asked what they can do with the image's own libraries
    *("ssh", "ssh-agent", "ssh-add", "ssh-pkcs11-helper", "ssh-sk-helper"),
})  # fmt: skip

# Programs that write what is of the machine's byte order: native where the image's is the same.
OF_BYTE_ORDER = frozenset({"localedef", "glib-compile-schemas", "update-mime-database"})

# The tools of dpkg, which have the architecture's name built in: it is put in where it has room.
DPKG = frozenset({
    *("dpkg", "dpkg-deb", "dpkg-divert", "dpkg-query", "dpkg-realpath", "dpkg-split", "dpkg-statoverride"),
    *("dpkg-trigger", "update-alternatives"),
})  # fmt: skip

# Folders that tools are in, below /usr.
FOLDERS = (*("bin", "sbin", "lib/systemd", "lib/udev", "lib/dpkg", "lib/openssh", "lib/initramfs-tools", "lib/dracut"),)
# Tools that lie beside the libraries, in the folder that has the name of the architecture, by the package.
BESIDE_LIBRARIES = {"glib-2.0/glib-compile-schemas": "libglib2.0-0*"}

# What py3compile asks each interpreter about its byte code: in bookworm, and later.
ASKED = "imp.get_magic imp.get_tag importlib.util.MAGIC_NUMBER sys.implementation.cache_tag"

# Rules that the dispatcher follows (dispatcher.c), by the pattern of a tool's name. {library} is the image's folder of
# libraries, {native} the tools'. Native Python is for byte code alone: it can't load the image's modules.
RULES = {
    "python3.*": (
        "argument py3compile py3clean py_compile compileall " + ASKED,
        "named",
    ),
    "perl*": ("modules {library}/perl5 {native}/perl5",),
}
