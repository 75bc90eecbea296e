# SPDX-License-Identifier: GPL-3.0-or-later
"""Faster ways of initramfs-tools' shell functions, each for texts of a function that it was compared with.

Stock functions start some ten programs for each file they copy, to ask what the shell itself can tell. These start
programs only where a path is out of the ordinary, and copy kernel modules all at once. What comes into the initramfs
is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Faster:
    """What makes a function faster.

    :param replaced: pieces of its text, and what is put in their place, wherever they stand.
    :param whole: its whole new text, in place of all that.
    """

    replaced: tuple[tuple[str, str], ...] = ()
    whole: str = ""


# Before all functions. `__canonical PATH` holds where readlink -f and realpath -s both give PATH itself.
PREAMBLE = r"""
__bin="$(readlink -f /bin)"

__canonical()
{
	local path

	case "${1}/" in
	/ | [!/]* | *//* | */./* | */../*) return 1 ;;
	esac
	path="${1}"
	while [ -n "${path}" ]; do
		if [ -L "${path}" ]; then
			return 1
		fi
		path="${path%/*}"
	done
}
"""

COPY_FILE = Faster(
    (
        ("local type src target link_target\n", "local type src target link_target path\n"),
        (
            'target="$(realpath -ms "/${target}")" || return 2\n',
            'target="/${target#/}"\n'
            '\tcase "${target}/" in\n'
            '\t*//* | */./* | */../*) target="$(realpath -ms "${target}")" || return 2 ;;\n'
            "\tesac\n",
        ),
        ('[ "$(readlink -f /bin)" = /usr/bin ]', '[ "${__bin}" = /usr/bin ]'),
        (
            'mkdir -p "${DESTDIR}/${target%/*}"\n',
            '[ -d "${DESTDIR}/${target%/*}" ] || mkdir -p "${DESTDIR}/${target%/*}"\n',
        ),
        (
            '\tlink_target="$(readlink -f "${src}")" || return $(($? + 1))\n'
            '\tif [ "${link_target}" != "$(realpath -s "$src")" ]; then\n',
            '\tif __canonical "${src}"; then\n'
            '\t\tlink_target="${src}"\n'
            '\t\tpath="${src}"\n'
            "\telse\n"
            '\t\tlink_target="$(readlink -f "${src}")" || return $(($? + 1))\n'
            '\t\tpath="$(realpath -s "$src")"\n'
            "\tfi\n"
            '\tif [ "${link_target}" != "${path}" ]; then\n',
        ),
    )
)

# The two edits of a library's path change none that lacks these words.
OPTIMISED = "*/tls* | */i686* | */sse2* | */neon* | */vfp*"
COPY_EXEC = Faster(
    (
        (
            '\t\tnonoptlib=$(echo "${x}" | sed -e ',
            f'\t\tnonoptlib="${{x}}"\n\t\tcase "${{x}}" in\n\t\t{OPTIMISED})\n\t\tnonoptlib=$(echo "${{x}}" | sed -e ',
        ),
        ('\n\t\tif [ -e "${nonoptlib}" ]; then\n', '\t\t;;\n\t\tesac\n\n\t\tif [ -e "${nonoptlib}" ]; then\n'),
    )
)

# Modules with links in their paths go the stock way. A missing firmware is told as before: only of modules that this
# machine has loaded, or that are asked for by name.
ADD_MODULES = Faster(
    whole=r"""manual_add_modules()
{
	local kmod path files linked firmware missing named

	if [ $# -eq 0 ]; then
		return
	fi

	files=
	linked=
	for kmod in $(
		{
		/sbin/modprobe --all --set-version="${version?}" --ignore-install --quiet --show-depends "$@"
		/sbin/modprobe --all --set-version="${version}" --quiet --show-depends "$@"
		} |
		sed -n 's/^insmod *\([^ ]*\).*/\1/p' | LC_ALL=C sort -u
	); do
		path="${kmod}"
		case "${kmod}" in
		/lib/*) path="/usr${kmod}" ;;
		esac
		if [ "${__bin}" != /usr/bin ] || ! __canonical "${path}"; then
			linked="${linked} ${kmod}"
		elif [ -f "${path}" ] && ! [ -e "${DESTDIR}/${path}" ]; then
			files="${files} ${path}"
			if [ "${verbose?}" = "y" ]; then
				echo "Adding module ${path}"
			fi
		fi
	done
	if [ -n "${files}" ]; then
		printf '%s\n' ${files} | sed 's,^/\(.*\)/[^/]*$,\1,' | LC_ALL=C sort -u |
		(cd "${DESTDIR}" && xargs mkdir -p)
		printf '%s\n' ${files} | sed 's,^/,,' |
		(cd / && cpio --quiet --pass-through --preserve-modification-time "${DESTDIR}")
	fi
	for kmod in ${linked}; do
		if copy_file module "${kmod}"; then
			files="${files} ${kmod}"
		fi
	done
	if [ -z "${files}" ]; then
		return 0
	fi

	# Add required firmware
	missing=
	for firmware in $(printf '%s\n' ${files} | xargs modinfo -k "${version}" -F firmware | LC_ALL=C sort -u); do
		add_firmware "${firmware}" || missing="${missing} ${firmware} "
	done
	if [ -z "${missing}" ] || ! [ -e /proc/modules ]; then
		return 0
	fi
	named=" $(cat /proc/modules "${CONFDIR}/modules" 2>/dev/null | sed 's/[[:space:]].*//' | tr '\n' ' ')"
	for kmod in ${files}; do
		path="${kmod##*/}"
		path="${path%%.*}"
		case "${named}" in
		*" ${path} "*) ;;
		*) continue ;;
		esac
		for firmware in $(modinfo -k "${version}" -F firmware "${kmod}"); do
			case "${missing}" in
			*" ${firmware} "*)
				echo "W: Possible missing firmware /lib/firmware/${firmware} for module ${path}" >&2
				;;
			esac
		done
	done
}"""
)

# By the name of a function, then by the SHA-256 of its text. None: that text was looked at, and has nothing to gain.
# initramfs-tools 0.142 is bookworm's, 0.148 trixie's, 0.151 sid's.
KNOWN: Mapping[str, Mapping[str, Faster | None]] = {
    "copy_file": {
        "696315bc30ecbbf21cd903258e3fe5a97cc57fc02329b3a46b1d553e5a53ddd7": COPY_FILE,  # 0.142 and 0.148
        "d64340af2217736ed8813c7e6858419b499b2e17869bf1fb0a7f0f7a72f859e8": COPY_FILE,  # 0.151
    },
    "copy_exec": {
        "b28ee52429c998d011b49998ffe54a6415ffd18078804d27310f677eea1e6402": COPY_EXEC,  # 0.142
        "d7d864cc5b80e6c8bf55681ab55e37bf72c00f90d6a4bbb007f7398807a12e9b": COPY_EXEC,  # 0.148 and 0.151
    },
    "manual_add_modules": {
        "1500a043d6fd13db788156189938c00f40b79697fc22d2910ceaf7c317b5be4d": ADD_MODULES,  # 0.142
        "08c4c9693c8028ec9a18da992c5c92ee2cf966c7330962b89f184b8f88299fa2": None,  # 0.148 and 0.151: dracut-install
    },
}
