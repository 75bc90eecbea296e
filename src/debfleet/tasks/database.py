# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages from UDD, and build times from wanna-build: tables of Debian's databases, over PostgreSQL.

A database is named by a DSN as libpq takes it: `service=udd`, `host=… dbname=udd user=…`, `postgresql://…`. A password
belongs into ~/.pgpass or PGPASSWORD: in a DSN at the prompt everyone on the machine can read it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, LiteralString

from debfleet.common.errors import DebfleetError, MissingError
from debfleet.kinds import Entry

from .estimate import History, Seen

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 20
SOURCES: LiteralString = """
    SELECT source, version::text, architecture, component FROM sources
    WHERE distribution = 'debian' AND release = %s AND component = ANY(%s)
"""
PACKAGES: LiteralString = """
    SELECT package, version::text, architecture, component FROM packages
    WHERE distribution = 'debian' AND release = %s AND component = ANY(%s) AND (architecture = ANY(%s))
"""
# The last build that went well, whatever suite it was for: a package takes about as long in the next suite.
TIMES: LiteralString = """
    SELECT DISTINCT ON (package, architecture) package, architecture, build_time FROM pkg_history
    WHERE result = 'successful' AND architecture = ANY(%s) AND build_time > 0
    ORDER BY package, architecture, "timestamp" DESC
"""
STATES: LiteralString = """
    SELECT source, architecture FROM wannabuild
    WHERE distribution = %s AND state = ANY(%s) AND architecture = ANY(%s)
"""


@contextlib.contextmanager
def connected(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that only reads. Raises DebfleetError, without the DSN's password, when there is none."""
    try:
        import psycopg
    except ImportError as error:
        raise MissingError("psycopg is not installed", hint="pip install 'debfleet[database]'") from error
    try:
        settings = psycopg.conninfo.conninfo_to_dict(dsn)
        secret = settings.pop("password", None)
        told = " ".join(f"{name}={value}" for name, value in settings.items())
    except psycopg.Error as error:
        raise DebfleetError("this is no DSN of a PostgreSQL database", hint="write host=… dbname=… user=…") from error
    if secret is not None:
        raise DebfleetError(
            "the DSN has a password, which everyone on this machine could read",
            where=told,
            hint="write it into ~/.pgpass, or set PGPASSWORD",
        )
    try:
        with psycopg.connect(dsn, autocommit=False, connect_timeout=CONNECT_SECONDS) as connection:
            connection.read_only = True
            yield connection
    except psycopg.errors.UndefinedTable as error:
        raise DebfleetError("the database lacks a table", where=told, why=str(error).partition("\n")[0]) from error
    except psycopg.Error as error:
        raise DebfleetError("could not read the database", where=told, why=str(error)) from error


def entries(dsn: str, suite: str, about: str, components: Sequence[str], architectures: Sequence[str]) -> list[Entry]:
    """The packages that UDD has of a suite; it doesn't tell sizes. Raises DebfleetError when it has none."""
    with connected(dsn) as connection:
        if about == "source":
            rows = connection.execute(SOURCES, (suite, list(components))).fetchall()
        else:
            rows = connection.execute(PACKAGES, (suite, list(components), [*architectures, "all"])).fetchall()
    if not rows:
        raise DebfleetError(
            f"the database has no packages of {suite}", hint="its names of suites are those of the table's release"
        )
    return [Entry(name, version, tuple((words or "any").split()), part) for name, version, words, part in rows]


def build_times(dsn: str, kind: str, architectures: Sequence[str]) -> History:
    """How long each package's last successful build took, from wanna-build's pkg_history."""
    with connected(dsn) as connection:
        rows = connection.execute(TIMES, (list(architectures),)).fetchall()
    return {(kind, arch, package): Seen(round(float(time)), None, "database") for package, arch, time in rows}


def in_states(dsn: str, suite: str, states: Sequence[str], architectures: Sequence[str]) -> set[tuple[str, str]]:
    """The source packages, each with an architecture, that wanna-build has in one of these states, as UDD copies it."""
    with connected(dsn) as connection:
        rows = connection.execute(STATES, (suite, list(states), list(architectures))).fetchall()
    return {(source, arch) for source, arch in rows}
