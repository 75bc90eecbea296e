# SPDX-License-Identifier: GPL-3.0-or-later
"""What failures look like in a log: a table of classes, and tables of stages. The first class that fits counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN = "unknown"
TAIL = 400  # lines before the end in which a `late` rule looks


@dataclass(frozen=True)
class Rule:
    """One class of failures, by one kind of line.

    :param needles: words of which a line has one; they are looked for before the pattern, for speed.
    :param pattern: matched from the start of the line; it takes time that grows with the line, and no faster.
    :param cause: what it likely means.
    :param infrastructure: whether it is the machine's or the archive's fault.
    :param stages: where it counts; empty: everywhere.
    :param late: whether it counts only near the end of what failed: elsewhere such lines are often a test's business.
    """

    category: str
    needles: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    cause: str
    infrastructure: bool = False
    stages: tuple[str, ...] = ()
    late: bool = False


def _rules(
    category: str,
    cause: str,
    *looks: tuple[str | tuple[str, ...], str],
    infrastructure: bool = False,
    stages: Sequence[str] = (),
    late: bool = False,
) -> list[Rule]:
    """Rules of one class; each look is the needle or needles, and the pattern."""
    return [
        Rule(
            category,
            tuple(word.encode() for word in ((needles,) if isinstance(needles, str) else needles)),
            re.compile(pattern.encode()),
            cause,
            infrastructure,
            tuple(stages),
            late,
        )
        for needles, pattern in looks
    ]


# Where a source file, a line and mostly a column begin a message.
PLACE = r"[^\s:][^:\n]{0,300}:\d{1,9}(?::\d{1,9})?: "
BEFORE = ("fetch", "dependencies", "chroot")

RULES: tuple[Rule, ...] = (
    *_rules(
        "disk-full",
        "a disk of the machine is full",
        ("No space left on device", r".*No space left on device"),
        ("Disk quota exceeded", r".*Disk quota exceeded"),
        ("Disk space is probably not sufficient", r".*Disk space is probably not sufficient"),
        infrastructure=True,
        late=True,
    ),
    *_rules(
        "memory",
        "it needs more memory than it was given",
        ("virtual memory exhausted", r".*virtual memory exhausted"),
        (("out of memory", "Out of memory"), r".*[Oo]ut of memory"),
        ("Cannot allocate memory", r".*Cannot allocate memory"),
        ("Killed signal terminated program", r".*Killed signal terminated program"),
        ("std::bad_alloc", r".*std::bad_alloc"),
        ("memory exhausted", r".*memory exhausted"),
        ("Killed", r"(?:make(?:\[\d+\])?: \*\*\* .*|/.*: line \d+: .*)?\bKilled$"),
        ("MemoryError", r"MemoryError\b"),
        infrastructure=True,
        late=True,
    ),
    *_rules(
        "hang",
        "it was silent for longer than it may be, and was ended",
        ("minutes of inactivity", r"E: Build killed with signal \w+ after \d+ minutes of inactivity"),
    ),
    *_rules(
        "archive",
        "the mirror did not give what it lists: it is not reached, or being synchronised",
        (
            "Failed to fetch",
            r"E: Failed to fetch .*(?:[45]0[0-9]|Hash Sum mismatch|unexpected size|[Tt]imed out|[Cc]onnect|resolv)",
        ),
        ("Hash Sum mismatch", r".*Hash Sum mismatch"),
        ("resolving", r".*(?:Temporary failure|Could not|Something wicked happened) resolving"),
        ("Unable to fetch some archives", r"E: Unable to fetch some archives"),
        (
            "Release file",
            r"E: (?:The repository .* does not have a Release file|Release file for .* is (?:not valid|expired))",
        ),
        ("NO_PUBKEY", r".*NO_PUBKEY"),
        infrastructure=True,
        stages=BEFORE,
    ),
    *_rules(
        "source-gone",
        "the archive has no such source, or no longer",
        ("Unable to find a source package", r"E: Unable to find a source package for"),
        ("Could not find", r"E: Could not find \S+\.dsc"),
        ("does not exist", r"E: .{0,200}\.dsc.{0,100} does not exist"),
        ("Fetching source files failed", r"E: Fetching source files failed"),
        stages=("fetch",),
    ),
    *_rules(
        "dependencies",
        "packages that it needs to be built are not there, or don't fit together",
        ("but it is not installable", r".{0,200}Depends: .{0,200}but it is not installable"),
        ("but it is not going to be installed", r".{0,200}Depends: .{0,200}but it is not going to be installed"),
        ("is to be installed", r".{0,200}Depends: .{0,200}but \S{1,100} is to be installed"),
        ("Unmet build dependencies", r".*Unmet build dependencies"),
        ("unsatisfiable", r".*unsatisfiable"),
        ("Unable to correct problems", r"E: Unable to correct problems, you have held broken packages"),
        ("Package installation failed", r"E: Package installation failed"),
    ),
    *_rules(
        "chroot",
        "the chroot could not be made ready",
        ("Error creating chroot", r"E: Error creating chroot"),
        ("Chroot", r"E: Chroot .*(?:not found|failed)"),
        ("dpkg was interrupted", r".*dpkg was interrupted"),
        ("Failed to lock session", r"E: Failed to lock"),
        infrastructure=True,
        stages=("chroot", "dependencies", ""),
    ),
    *_rules(
        "patch",
        "a patch doesn't apply to the source, or the source is not what it should be",
        ("hunk", r".{0,100}\d+ out of \d+ hunks? FAILED"),
        ("the patch has fuzz", r"dpkg-source: info: the patch has fuzz"),
        ("dpkg-source: error: ", r"dpkg-source: error: "),
        ("Hunk #", r"Hunk #\d+ FAILED"),
    ),
    *_rules(
        "compiler-crash",
        "the compiler itself failed",
        ("internal compiler error: ", r".*internal compiler error"),
        ("PLEASE submit a bug report", r"PLEASE submit a bug report"),
        ("thread 'rustc' panicked", r"thread 'rustc' panicked"),
    ),
    *_rules(
        "compile-error",
        "the compiler refuses the source",
        ("error: ", rf"{PLACE}(?:fatal )?error: "),
        ("Error: ", rf"{PLACE}Error: "),
        ("error[E", r"error\[E\d+\]"),
        ("error TS", r".{0,300}error TS\d+: "),
        (".java:", r"(?:\[ERROR\] |\s+\[javac\] )?\S{1,300}\.java:\[?\d+[,:\]].{0,20}error"),
        (".hs:", r"\S{1,300}\.hs:\d+:\d+: error"),
        (".go:", r"\S{1,300}\.go:\d+:\d+: "),
        ("SyntaxError", r"SyntaxError: "),
    ),
    *_rules(
        "link-error",
        "the linker doesn't find or accept something",
        ("undefined reference to", r".{0,400}undefined reference to "),
        ("cannot find -l", r".{0,300}ld(?:\.\w+)?: cannot find -l"),
        ("multiple definition of", r".{0,400}multiple definition of "),
        ("final link failed", r".{0,300}final link failed"),
        ("linker command failed", r".{0,40}linker command failed"),
        ("ld returned", r"collect2: (?:fatal )?error: ld returned"),
        ("undefined symbol", r"ld(?:\.lld)?: error: undefined symbol"),
    ),
    *_rules(
        "configure-error",
        "its configuration doesn't find or accept something",
        ("configure: error: ", r"configure: error: "),
        ("CMake Error", r"CMake Error"),
        ("ERROR: ", r"(?:\S{0,300}meson\.build|meson\.build):\d+:\d+: ERROR: "),
        ("Package requirements", r".{0,100}Package requirements .{0,300} were not met"),
        ("autoreconf", r"autoreconf: error: "),
        ("aclocal", r"(?:aclocal|automake|autoconf)(?:-[\d.]+)?: error: "),
    ),
    *_rules(
        "symbols",
        "a library's symbols are not those that its symbols file says",
        ("dpkg-gensymbols", r"dpkg-gensymbols: error: "),
        ("symbols or patterns disappeared", r".*some symbols or patterns disappeared"),
    ),
    *_rules(
        "test-failure",
        "its own tests fail",
        ("FAIL: ", r"(?:not )?FAIL: "),
        ("FAILED", r"(?:FAILED (?:\(|\S+)|.{0,300}\bFAILED$|\s*Failed: .*|=+ .*\d+ failed)"),
        (" failed", r"=+ .{0,80}\b\d+ failed\b"),
        ("not ok ", r"\s*not ok \d"),
        ("***Failed", r".{0,200}\*\*\*(?:Failed|Exception|Timeout)"),
        ("tests failed out of", r".{0,100}\d+ tests failed out of \d+"),
        ("Result: FAIL", r"Result: FAIL"),
        ("--- FAIL: ", r"\s*--- FAIL: "),
        ("... FAILED", r"test .{0,300}\.\.\. FAILED"),
        ("AssertionError", r"(?:E +)?AssertionError"),
        ("Assertion", r".{0,300}Assertion .{0,300}failed"),
        stages=("test", "build"),
    ),
    *_rules(
        "network",
        "it wants the network while it is built",
        ("Could not resolve", r".{0,200}Could not resolve host"),
        ("Temporary failure in name resolution", r".{0,400}Temporary failure in name resolution"),
        ("Network is unreachable", r".{0,400}Network is unreachable"),
        ("ENOTFOUND", r".{0,200}getaddrinfo ENOTFOUND"),
        stages=("configure", "build", "test", "install", "package"),
    ),
    *_rules(
        "missing-files",
        "files that its packages should have were not made, or some are in no package",
        ("dh_install", r"dh_install(?:\w*): (?:error|warning): (?:missing files|Cannot find)"),
        ("dh_missing", r"dh_missing: error: "),
        ("Cannot find (any matches for)", r"dh_\w+: (?:error|warning): Cannot find"),
        stages=("install", "package"),
    ),
    *_rules(
        "missing-program",
        "a program or file that it uses is not there",
        ("command not found", r".{0,300}command not found"),
        ("not found", r"/bin/(?:ba)?sh: (?:line )?\d+: .{0,200}: not found"),
        ("No such file or directory", r".{0,400}No such file or directory"),
        ("ModuleNotFoundError", r"(?:E +)?ModuleNotFoundError: "),
        ("Can't locate", r"Can't locate \S+ in @INC"),
    ),
    *_rules(
        "test-failure",
        "its own tests fail",
        ("dh_auto_test", r"(?:dh_auto_test: error: |make.*override_dh_auto_test)"),
        ("Error ", r"make(?:\[\d+\])?: \*\*\* \[.{0,200}(?:check|test)\S{0,100}\] Error "),
        stages=("test",),
    ),
    *_rules(
        "command-failed",
        "a command of the build ended with an error",
        ("*** [", r"g?make(?:\[\d+\])?: \*\*\* \["),
        (": error: ", r"[\w.+-]{1,60}: error: "),
        ("Error", r"[A-Za-z_.]{0,80}Error: "),
        ("ninja: build stopped", r"ninja: build stopped"),
        ("E: ", r"E: "),
    ),
)

# sbuild's Fail-Stage in our words; `build` is looked into further.
SBUILD_STAGES = {
    "fetch-src": "fetch",
    "install-deps": "dependencies",
    "explain-bd-uninstallable": "dependencies",
    "run-build-deps-failed-commands": "dependencies",
    "arch-check": "architecture",
    "check-architecture": "architecture",
    "chroot-arch": "architecture",
    "unpack": "unpack",
    "check-unpacked-version": "unpack",
    "check-space": "space",
    "build": "build",
    "dpkg-buildpackage": "build",
    "post-build": "package",
    "parse-changes": "package",
    "source-only-changes": "package",
    "init": "chroot",
    "create-session": "chroot",
    "create-build-dir": "chroot",
    "lock-session": "chroot",
    "dump-build-env": "chroot",
    "apt-get-clean": "chroot",
    "apt-get-update": "chroot",
    "apt-get-upgrade": "chroot",
    "apt-get-dist-upgrade": "chroot",
    "run-chroot-setup-commands": "chroot",
    "run-chroot-cleanup-commands": "chroot",
}
# A section of sbuild's log, and the stage that fails in it.
SECTIONS = {
    "Update chroot": "chroot",
    "Fetch source files": "fetch",
    "Install package build dependencies": "dependencies",
    "Check architectures": "architecture",
    "Build": "build",
    "Post Build": "package",
}
# Stages of sbuild that are no fault of the package.
INFRASTRUCTURE_STAGES = ("chroot", "space")
# A helper of debhelper, and the stage it stands for; one that isn't here goes with the one before it.
STEPS = {
    "dh_clean": "clean",
    "dh_auto_clean": "clean",
    "dh_update_autotools_config": "configure",
    "dh_autoreconf": "configure",
    "dh_auto_configure": "configure",
    "dh_auto_build": "build",
    "dh_auto_test": "test",
    "dh_testroot": "install",
    "dh_prep": "install",
    "dh_auto_install": "install",
    "dh_install": "install",
    "dh_missing": "install",
    "dh_strip": "package",
    "dh_makeshlibs": "package",
    "dh_shlibdeps": "package",
    "dh_gencontrol": "package",
    "dh_builddeb": "package",
}
