"""What the operator decides, read once from the environment and checked before anything starts."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from msgspec import Struct, field

from sqslite.domain import limits
from sqslite.domain.errors import InvalidValue
from sqslite.domain.queues import Defaults
from sqslite.entrypoints.sqs.access_keys import ACCESS_KEYS_ALLOWED, AccessKeys
from sqslite.entrypoints.sqs.names import ACCOUNT

LOG_LEVELS = ("debug", "info", "warning", "error")
SECONDS_MAX = 86_400
DATABASE_URL_ALLOWED = (
    "memory://, sqlite:///relative.db, sqlite:////absolute.db or postgresql://user:password@host:port/database "
    "(in user and password, write each of @ / ? # [ ] % and white space as % and two hex digits)"
)


# PostgreSQL, "Connection URIs". What stands raw in user and password is what no parser can take for the end of them,
# so that a password is told apart from everything else with certainty.
_CREDENTIAL = r"(?:[^%@:/?#\[\]\s]|%[0-9A-Fa-f]{2})"
_POSTGRES_URL = re.compile(
    r"(?P<scheme>postgres(?:ql)?)://"
    rf"(?:(?P<user>{_CREDENTIAL}*)(?P<password>:(?:{_CREDENTIAL}|:)*)?@)?"
    r"(?P<hosts>[^@/?#\s]*)(?P<database>/[^@?#\s]*)?(?:\?(?P<parameters>[^@#\s]*))?"
)
_POSTGRES_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_SCHEME = re.compile(r"[a-z]{1,20}://")
_HIDDEN = "***"
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


class SettingsError(InvalidValue):
    """An environment variable has a value that it must not have; nothing was started."""


class DatabaseUrl(Struct, frozen=True):
    """Where messages live; its text never shows a password, nor anything that might be part of one."""

    url: str

    def __str__(self) -> str:
        if self.technology in ("sqlite", "memory"):
            return self.url
        if parts := _postgres_parts(self.url):
            password = f":{_HIDDEN}" if parts["password"] else ""
            user = "" if parts["user"] is None else f"{parts['user']}{password}@"
            parameters = "" if parts["parameters"] is None else f"?{_without_passwords(parts['parameters'])}"
            return f"{parts['scheme']}://{user}{parts['hosts']}{parts['database'] or ''}{parameters}"
        scheme = _SCHEME.match(self.url)
        return f"{scheme[0] if scheme else ''}{_HIDDEN}"

    __repr__ = __str__

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("url", str(self))]

    @property
    def technology(self) -> str:
        """Memory, sqlite or postgresql."""
        scheme = self.url.partition(":")[0]
        return "postgresql" if scheme == "postgres" else scheme

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self.url.removeprefix("sqlite:///"))


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that can be set, with what holds when nothing is."""

    database_url: DatabaseUrl = field(default_factory=lambda: DatabaseUrl("sqlite:///sqslite.db"))
    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int = 0
    workers: int = 1
    sweeper: bool = True
    sweeper_interval_s: int = 60
    visibility_timeout_s: int = limits.VISIBILITY_MS_DEFAULT // limits.SECOND_MS
    receive_max: int = limits.CLAIM_DEFAULT
    body_bytes_max: int = limits.BODY_BYTES_MAX_DEFAULT
    retention_forever: bool = False
    sqs_port: int = 0
    sqs_strict_timing: bool = True
    sqs_account: str = ACCOUNT
    sqs_access_keys: AccessKeys = field(default_factory=AccessKeys)
    sqs_anonymous: bool = False
    keep_alive_timeout_s: int = 75
    log_level: str = "info"
    testing: bool = False
    db_connection_timeout_s: int = 5
    db_pool_size: int = 10
    db_waiters_max: int = 1_000

    @property
    def on_loopback(self) -> bool:
        """Whether only programs on this machine reach the server."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def mode(self) -> str:
        """Testing, in which time and faults are the test's to decide, or production."""
        return "testing" if self.testing else "production"

    @property
    def defaults(self) -> Defaults:
        """What holds for queues that do not say."""
        return Defaults(
            visibility_ms=self.visibility_timeout_s * limits.SECOND_MS,
            claim_max=self.receive_max,
            body_bytes_max=self.body_bytes_max,
            retention_forever=self.retention_forever,
        )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings in the environment. Raises SettingsError naming variable, value and what is allowed."""
        values = {
            variable.field: variable.parse(variable.name, environ[variable.name])
            for variable in VARIABLES
            if variable.name in environ
        }
        settings = cls(**values)  # type: ignore[arg-type]  # each parser returns its field's type
        settings.check()
        return settings

    def check(self) -> None:
        """Raise SettingsError where values do not go together."""
        if self.grpc_port == self.port:
            raise SettingsError("GRPC_PORT", self.grpc_port, "another port than PORT")
        if self.testing and self.database_url.technology == "postgresql":
            allowed = f"off with {self.database_url}: PostgreSQL has a time of its own; use memory:// or sqlite:///"
            raise SettingsError("SQSLITE_TESTING", "on", allowed)
        if self.workers > 1 and self.database_url.technology != "postgresql":
            raise SettingsError(
                "WORKERS",
                self.workers,
                f"1 with {self.database_url}: SQLite has one writer, so one process serves it best, and memory "
                "cannot be shared; use postgresql:// for more",
            )


def _postgres_parts(text: str) -> re.Match[str] | None:
    """The parts of a PostgreSQL URL, None where it is none that PostgreSQL's own library would read the same way."""
    parts = _POSTGRES_URL.fullmatch(text)
    hosts = [_POSTGRES_HOST.fullmatch(host) for host in parts["hosts"].split(",")] if parts else []
    return parts if all(host and 1 <= int(host["port"] or 1) <= 65_535 for host in hosts) else None


def _without_passwords(parameters: str) -> str:
    """The parameters of a PostgreSQL URL; none of them where one is a password, for that may hold a raw `&`."""
    return _HIDDEN if "password" in unquote(parameters).lower() else parameters


Parser = Callable[[str, str], object]


class Variable(Struct, frozen=True):
    """One environment variable: the setting it fills, how its text is read, and what it is for."""

    name: str
    field: str
    parse: Parser
    meaning: str


def _integer(low: int, high: int) -> Parser:
    def parse(name: str, text: str) -> int:
        # int() would also take 1_000, " 80 " and the digits of other scripts.
        value = int(text) if _WHOLE_NUMBER.fullmatch(text) else None
        if value is None or not low <= value <= high:
            raise SettingsError(name, text, f"a whole number from {low} to {high}")
        return value

    return parse


def _one_of(*words: str) -> Parser:
    def parse(name: str, text: str) -> str:
        if text.lower() not in words:
            raise SettingsError(name, text, f"one of {', '.join(words)}")
        return text.lower()

    return parse


def _switch(name: str, text: str) -> bool:
    return _one_of("on", "off")(name, text) == "on"


def _account(name: str, text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise SettingsError(name, text, "12 digits")
    return text


def _access_keys(name: str, text: str) -> AccessKeys:
    try:
        return AccessKeys.parse(text)
    except ValueError as fault:
        # Not the text: it holds secrets.
        raise SettingsError(name, _HIDDEN, f"{ACCESS_KEYS_ALLOWED} ({fault})") from None


def _host(name: str, text: str) -> str:
    try:
        # The server takes addresses, not names, and no zones.
        return str(ipaddress.ip_address("" if "%" in text else text))
    except ValueError:
        raise SettingsError(name, text, "an IP address to listen on, such as 127.0.0.1, 0.0.0.0 or ::") from None


def database_url(name: str, text: str) -> DatabaseUrl:
    """The URL of a database. Raises SettingsError, which calls it `name`."""
    url = DatabaseUrl(text)
    fine = {
        "memory": text == "memory://",
        "sqlite": text.startswith("sqlite:///") and len(text) > len("sqlite:///"),
        "postgresql": _postgres_parts(text) is not None,
    }.get(url.technology, False)
    if not fine:
        raise SettingsError(name, str(url) if text else "", DATABASE_URL_ALLOWED)
    return url


VARIABLES: tuple[Variable, ...] = (
    Variable("DATABASE_URL", "database_url", database_url, f"Where messages live: {DATABASE_URL_ALLOWED}."),
    # Not HOST: shells and compilers of conda export one of their own.
    Variable("SQSLITE_HOST", "host", _host, "Address the server listens on."),
    Variable("PORT", "port", _integer(1, 65_535), "TCP port the server listens on."),
    Variable("GRPC_PORT", "grpc_port", _integer(0, 65_535), "TCP port of the gRPC API; 0: it is not served."),
    Variable("WORKERS", "workers", _integer(1, 64), "Processes that serve; more than 1 needs PostgreSQL."),
    Variable("SWEEPER", "sweeper", _switch, "Whether the server runs a sweeper inside: on or off."),
    Variable(
        "SWEEPER_INTERVAL",
        "sweeper_interval_s",
        _integer(1, SECONDS_MAX),
        "Seconds between sweeps when no lease is due; a due one is never waited for that long.",
    ),
    Variable(
        "VISIBILITY_TIMEOUT",
        "visibility_timeout_s",
        _integer(1, limits.VISIBILITY_MS_MAX // limits.SECOND_MS),
        "Seconds a message is leased for when neither receive nor queue says.",
    ),
    Variable(
        "RECEIVE_MAX",
        "receive_max",
        _integer(1, limits.CLAIM_MAX),
        "Messages a receive takes at most when it does not say.",
    ),
    Variable(
        "BODY_BYTES_MAX", "body_bytes_max", _integer(1, limits.BODY_BYTES_MAX_CEILING), "Bytes a message body may have."
    ),
    Variable(
        "RETENTION_FOREVER",
        "retention_forever",
        _switch,
        "Whether queues and messages may have a retention_ms of 0, which keeps messages for ever: on or off.",
    ),
    Variable(
        "SQS_PORT",
        "sqs_port",
        _integer(0, 65_535),
        "Another TCP port for the SQS API, which is on PORT in any case; 0 for none.",
    ),
    Variable(
        "SQS_STRICT_TIMING",
        "sqs_strict_timing",
        _switch,
        "Whether the SQS API lets 60 seconds pass between two purges of a queue, and between deleting a queue and "
        "creating it again, as AWS does: on or off.",
    ),
    Variable(
        "SQS_ACCOUNT",
        "sqs_account",
        _account,
        "The account in queue URLs and ARNs of the SQS API.",
    ),
    Variable(
        "SQS_ACCESS_KEYS",
        "sqs_access_keys",
        _access_keys,
        f"Who may call the SQS API, signed with a key: {ACCESS_KEYS_ALLOWED}. Without any, calls are not verified.",
    ),
    Variable(
        "SQS_ANONYMOUS",
        "sqs_anonymous",
        _switch,
        "Whether the SQS API takes unverified calls on an address that is not a loopback one, too: on or off.",
    ),
    Variable(
        "KEEP_ALIVE_TIMEOUT",
        "keep_alive_timeout_s",
        _integer(1, 3_600),
        "Seconds a connection may be idle, or a request's headers may take, before the server closes it.",
    ),
    # Not TESTING: too many programs go by a variable of that name.
    Variable(
        "SQSLITE_TESTING",
        "testing",
        _switch,
        "Whether tests may move the server's time and let its calls fail: on or off; never on for messages you need.",
    ),
    Variable("LOG_LEVEL", "log_level", _one_of(*LOG_LEVELS), f"Least level that is logged: {', '.join(LOG_LEVELS)}."),
    Variable(
        "DB_CONNECTION_TIMEOUT",
        "db_connection_timeout_s",
        _integer(1, 300),
        "Seconds to wait for a database connection before answering 503.",
    ),
    Variable("DB_POOL_SIZE", "db_pool_size", _integer(1, 500), "Database connections per process (PostgreSQL)."),
    Variable(
        "DB_WAITERS_MAX",
        "db_waiters_max",
        _integer(1, 100_000),
        "Calls that may wait for a database connection; beyond it they get 503.",
    ),
)
