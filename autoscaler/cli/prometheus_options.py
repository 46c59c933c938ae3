"""The options that say how to reach a Prometheus server, for all commands that ask one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from autoscaler.cli.params import is_typed, parse_days, parse_positive_duration_s
from autoscaler.errors import UsageError

if TYPE_CHECKING:
    from autoscaler.sources.connection import Connection

PANEL = "Prometheus"
_TAKEN_COLUMNS = {"timestamp": "the column of times", "bin_seconds": "the column of the bins' width"}
DEFAULT_TIMEOUT_S = 10.0
DEFAULT_DAYS = 14.0
DEFAULT_BIN_S = 60.0
_WITH_TRACE = "counts for nothing with a TRACE; give either a file or --prometheus and --query"
_USER_IN_URL = re.compile(r"(https?://)[^/\s]*@", re.IGNORECASE)
# No PromQL begins like this: between two operands an equals sign is '=='.
_NAMED_QUERY = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=(?![=~])\s*(\S.*)", re.DOTALL)


class Header(NamedTuple):
    """A header to send with each query."""

    name: str
    value: str


class Query(NamedTuple):
    """A query for work per second; `unit` is None where only the query was given."""

    unit: str | None
    promql: str


def parse_header(given: str) -> Header:
    """'X-Scope-OrgID=team-a'."""
    name, equals, value = str(given).partition("=")
    if not equals or not name.strip():
        # What was given may be a secret: it is not repeated.
        raise typer.BadParameter("must be NAME=VALUE, such as X-Scope-OrgID=team-a")
    return Header(name.strip(), value.strip())


def parse_query(given: str) -> Query:
    """A query, or 'prompt_tokens=QUERY' where the work has several units."""
    named = _NAMED_QUERY.fullmatch(str(given))
    if named:
        return Query(named[1], named[2].strip())
    if not str(given).strip():
        raise typer.BadParameter("is empty; give PromQL for work per second, such as sum(rate(requests_total[1m]))")
    return Query(None, str(given).strip())


def queries_by_unit(queries: list[Query], unit: str) -> dict[str, str]:
    """Queries as a mapping from unit to PromQL; a bare query is for `unit`. Raises UsageError for a unit with two."""
    by_unit: dict[str, str] = {}
    for query in queries:
        name = unit if query.unit is None else query.unit
        if name in by_unit:
            raise UsageError(f"--query: {name} has two queries; write those of other units as UNIT=QUERY")
        if not name.strip():
            raise UsageError("--unit: is empty; give the name of the column, such as requests")
        if name in _TAKEN_COLUMNS:
            raise UsageError(f"--unit: a unit must not be called '{name}', which is {_TAKEN_COLUMNS[name]}")
        by_unit[name] = query.promql
    return by_unit


def refuse_typed(context: typer.Context, why: str = _WITH_TRACE) -> None:
    """Raise UsageError for the first of these options that was typed, where a file is given instead of a query.

    What is set in the environment is not meant for this command.
    """
    for param in context.command.params:
        if getattr(param, "rich_help_panel", None) == PANEL and is_typed(context, param.name):
            option = max(param.opts, key=len)
            raise UsageError(f"{option}: {why}")


def without_secrets(arguments: list[str]) -> list[str]:
    """A command line without user and password in addresses, and without the values of headers."""
    kept = [_USER_IN_URL.sub(r"\1", argument) for argument in arguments]
    for index, argument in enumerate(kept):
        option, equals, header = argument.partition("=")
        if option == "--prometheus-header" and equals:
            kept[index] = f"{option}={header.partition('=')[0]}=..."
        elif argument == "--prometheus-header" and index + 1 < len(kept):
            kept[index + 1] = f"{kept[index + 1].partition('=')[0]}=..."
    return kept


UrlOption = Annotated[
    str | None,
    typer.Option(
        "--prometheus",
        metavar="URL",
        envvar="HEADSTART_PROMETHEUS_URL",
        help="The server, or what speaks its API: Thanos, Mimir, VictoriaMetrics.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
QueryOption = Annotated[
    list[Query] | None,
    typer.Option(
        "--query",
        parser=parse_query,
        metavar="QUERY | UNIT=QUERY",
        help="PromQL for work that arrives per second, summed to one series. Several units: repeat it as UNIT=QUERY.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
DaysOption = Annotated[
    float,
    typer.Option(
        "--days",
        parser=parse_days,
        metavar="NUMBER",
        help="How far back from now.",
        show_default=f"{DEFAULT_DAYS:g}",
        rich_help_panel=PANEL,
    ),
]
AllowedServersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prometheus-allowed-server",
        metavar="URL",
        envvar="HEADSTART_PROMETHEUS_ALLOWED_SERVERS",
        help="Let objects and triggers name this server, by scheme, host and port, beside --prometheus; repeat it."
        " Link-local addresses are refused always.",
        show_default="any server",
        rich_help_panel=PANEL,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach a server: the options of all commands that ask one. See `option_group`."""

    timeout_s: Annotated[
        float,
        typer.Option(
            "--prometheus-timeout",
            parser=parse_positive_duration_s,
            metavar="DURATION",
            envvar="HEADSTART_PROMETHEUS_TIMEOUT",
            help="The longest that one query may take.",
            show_default=f"{DEFAULT_TIMEOUT_S:g}s",
            rich_help_panel=PANEL,
        ),
    ] = DEFAULT_TIMEOUT_S
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--prometheus-token-file",
            metavar="FILE",
            envvar="HEADSTART_PROMETHEUS_TOKEN_FILE",
            help="Holds a bearer token; read for each query, so that it may be rotated.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    user: Annotated[
        str | None,
        typer.Option(
            "--prometheus-user",
            metavar="NAME",
            envvar="HEADSTART_PROMETHEUS_USER",
            help="For basic authentication, with a password file.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--prometheus-password-file",
            metavar="FILE",
            envvar="HEADSTART_PROMETHEUS_PASSWORD_FILE",
            help="Holds the password; read for each query.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--prometheus-ca-file",
            metavar="FILE",
            envvar="HEADSTART_PROMETHEUS_CA_FILE",
            help="PEM certificates to trust instead of the system's.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    client_cert: Annotated[
        Path | None,
        typer.Option(
            "--prometheus-client-cert",
            metavar="FILE",
            envvar="HEADSTART_PROMETHEUS_CLIENT_CERT",
            help="PEM certificate to show the server; with its key, or beside --prometheus-client-key.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    client_key: Annotated[
        Path | None,
        typer.Option(
            "--prometheus-client-key",
            metavar="FILE",
            envvar="HEADSTART_PROMETHEUS_CLIENT_KEY",
            help="The certificate's key.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None
    headers: Annotated[
        list[Header] | None,
        typer.Option(
            "--prometheus-header",
            parser=parse_header,
            metavar="NAME=VALUE",
            envvar="HEADSTART_PROMETHEUS_HEADERS",
            help="Sent with each query, such as X-Scope-OrgID=team-a; repeat it.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None

    def connection_to(self, url: str | None, allowed_servers: Sequence[str] | None = None) -> Connection:
        """The connection that the options describe. Raises UsageError."""
        from autoscaler.sources.connection import Connection

        if url is None:
            raise UsageError("--prometheus: is missing; give the server's address, or set HEADSTART_PROMETHEUS_URL")
        return Connection(
            url=url,
            timeout_s=self.timeout_s,
            token_file=self.token_file,
            user=self.user,
            password_file=self.password_file,
            ca_file=self.ca_file,
            client_cert=self.client_cert,
            client_key=self.client_key,
            headers=tuple((header.name, header.value) for header in self.headers or ()),
            allowed_servers=tuple(allowed_servers or ()),
        )
