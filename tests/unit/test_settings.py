"""Settings: every variable at and around its bounds, every refusal a full sentence, no password anywhere."""

import io

import pytest
import rich.console
from hypothesis import given
from hypothesis import strategies as st

from sqslite.domain.limits import BODY_BYTES_MAX_CEILING, VISIBILITY_MS_MAX
from sqslite.entrypoints.settings import DATABASE_URL_ALLOWED, VARIABLES, DatabaseUrl, Settings, SettingsError

# Variable, lowest value, highest value: written out here, so that a changed limit is a changed test.
NUMBERS = [
    ("PORT", 1, 65_535),
    ("WORKERS", 1, 64),
    ("SWEEPER_INTERVAL", 1, 86_400),
    ("VISIBILITY_TIMEOUT", 1, VISIBILITY_MS_MAX // 1_000),
    ("RECEIVE_MAX", 1, 1_000),
    ("BODY_BYTES_MAX", 1, BODY_BYTES_MAX_CEILING),
    ("DB_CONNECTION_TIMEOUT", 1, 300),
    ("DB_POOL_SIZE", 1, 500),
    ("DB_WAITERS_MAX", 1, 100_000),
    ("KEEP_ALIVE_TIMEOUT", 1, 3_600),
]
SWITCHES = [("SWEEPER", "sweeper"), ("RETENTION_FOREVER", "retention_forever")]
NO_NUMBERS = ["", " ", "abc", "1.0", "1e3", "0x10", "1_0", " 1", "1 ", "+1", "--1", "١", "²", "1;", "nan", "9" * 5_000]
URLS = [
    "memory://",
    "sqlite:///sqslite.db",
    "sqlite:////var/lib/sqslite/a b.db",
    "postgresql://localhost/sqslite",
    "postgres://user:password@db.example.org:5432/sqslite?sslmode=require",
    "postgresql://user@/sqslite",
    "postgresql:///sqslite?host=/run/postgresql",
    "postgresql://u:p@[::1]:5432/sqslite",
    "postgresql://u:p@one:5432,two:5433,three/sqslite?target_session_attrs=read-write",
    "postgresql://u:a:b@host/db",
    "postgresql://u:%40%2f%25@%2Frun%2Fpostgresql/db",
]
NO_URLS = [
    "",
    "sqslite.db",
    "mysql://root:hunter2@localhost/db",
    "memory",
    "memory://x",
    "sqlite://",
    "sqlite:///",
    "sqlite://relative.db",
    "postgresql:",
    "postgresql:/localhost/db",
    "postgresql://localhost:0/db",
    "postgresql://localhost:65536/db",
    "postgresql://localhost:port/db",
    "postgresql://u:p@one:5432,two:x/db",
    "postgresql://u:p@[::1/db",
    "postgresql://u:p w@localhost/db",
    "postgresql://localhost/db#fragment",
    "host=localhost password=hunter2",
    "POSTGRESQL://localhost/db",
]
SECRET = "hunter2"
LEAKY = [
    f"postgresql://user:{SECRET}@host/db",
    f"postgres://user:{SECRET}@host:5432/db?sslmode=require",
    f"postgresql://:{SECRET}@host/db",
    f"postgresql://user:%40{SECRET}%2F%3A%25@host/db",
    f"postgresql://user:x:{SECRET}@host/db",
    f"postgresql://host/db?password={SECRET}",
    f"postgresql://host/db?user=u&password={SECRET}&sslpassword={SECRET}",
    f"postgresql://host/db?p%61ssword={SECRET}",
    # None of these can be a setting, and the refusal must not tell either.
    f"postgresql://user:x@{SECRET}@host/db",
    f"postgresql://user:x/{SECRET}@host/db",
    f"postgresql://user:x?{SECRET}@host/db",
    f"postgresql://user:5?{SECRET}@host/db",
    f"postgresql://user:x#{SECRET}@host/db",
    f"postgresql://user:x[{SECRET}@host/db",
    f"postgresql://user:x]{SECRET}@host/db",
    f"postgresql://user:x%{SECRET}@host/db",
    f"postgresql://user:x {SECRET}@host/db",
    f"postgresql://user:x\n{SECRET}@host/db",
    f"postgresql://user:{SECRET}",
    f"postgresql://host/db?password=x@{SECRET}",
    f"mysql://user:{SECRET}@host/db",
    f"host=localhost password={SECRET}",
    SECRET,
]


def refusal(**environ: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(environ)
    return caught.value


def every_text_of(url: str) -> str:
    """Whatever a person could ever be shown of a URL, by any of the ways that things are shown."""
    wide = rich.console.Console(file=io.StringIO(), width=10_000)
    subjects = [DatabaseUrl(url), Settings(database_url=DatabaseUrl(url))]
    texts = []
    for subject in subjects:
        wide.print(subject)
        texts += [str(subject), repr(subject), f"{subject}", f"{subject!r}"]
    try:
        Settings.from_environment({"DATABASE_URL": url})
    except SettingsError as error:
        texts += [str(error), repr(error), repr(error.args)]
        texts += [repr(error.__cause__)]
    try:
        Settings.from_environment({"DATABASE_URL": url, "WORKERS": "2", "SWEEPER": "no"})
    except SettingsError as error:
        texts += [str(error), repr(error)]
    return "\n".join([*texts, wide.file.getvalue()])  # type: ignore[attr-defined]


def test_nothing_set_means_the_defaults():
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert str(settings.database_url) == "sqlite:///sqslite.db"
    assert (settings.host, settings.port, settings.workers, settings.sweeper) == ("127.0.0.1", 8080, 1, True)
    assert (settings.sweeper_interval_s, settings.visibility_timeout_s, settings.receive_max) == (60, 30, 10)
    assert (settings.log_level, settings.db_connection_timeout_s) == ("info", 5)


def test_every_setting_has_a_variable_and_every_variable_a_setting():
    assert sorted(variable.field for variable in VARIABLES) == sorted(Settings.__struct_fields__)
    assert len({variable.name for variable in VARIABLES}) == len(VARIABLES)
    assert all(variable.meaning.endswith(".") for variable in VARIABLES)


def test_variables_of_others_are_none_of_our_business():
    assert Settings.from_environment({"PATH": "", "port": "x", "SQSLITE_PORT": "x"}) == Settings()


@pytest.mark.parametrize(("name", "low", "high"), NUMBERS)
def test_a_number_is_taken_at_its_bounds_and_refused_beyond_them(name, low, high):
    postgres = {"DATABASE_URL": "postgresql://localhost/db"}
    field = next(variable.field for variable in VARIABLES if variable.name == name)
    for value in (low, low + 1, high - 1, high):
        assert getattr(Settings.from_environment({name: str(value), **postgres}), field) == value
    assert getattr(Settings.from_environment({name: f"000{high}", **postgres}), field) == high
    for value in (low - 1, high + 1, -high):
        assert (
            str(refusal(**{name: str(value)})) == f'{name} must be a whole number from {low} to {high}; got "{value}"'
        )


@pytest.mark.parametrize(("name", "low", "high"), NUMBERS)
@pytest.mark.parametrize("text", NO_NUMBERS, ids=ascii)
def test_what_is_no_whole_number_is_refused_by_name_and_value(name, low, high, text):
    error = refusal(**{name: text})
    assert error.field == name
    assert str(error).startswith(f'{name} must be a whole number from {low} to {high}; got "{text[:70]}')
    assert len(str(error)) < 200


@pytest.mark.parametrize("text", ["debug", "info", "warning", "error", "INFO", "Debug"])
def test_a_log_level_is_taken_in_any_case(text):
    assert Settings.from_environment({"LOG_LEVEL": text}).log_level == text.lower()


@pytest.mark.parametrize("text", ["", "trace", "warn", "info ", "1"])
def test_an_unknown_log_level_is_refused_with_the_known_ones(text):
    assert str(refusal(LOG_LEVEL=text)) == f'LOG_LEVEL must be one of debug, info, warning, error; got "{text}"'


@pytest.mark.parametrize(("name", "field"), SWITCHES)
def test_a_switch_is_on_or_off(name, field):
    assert getattr(Settings.from_environment({name: "ON"}), field) is True
    assert getattr(Settings.from_environment({name: "off"}), field) is False


@pytest.mark.parametrize(("name", "field"), SWITCHES)
@pytest.mark.parametrize("text", ["", "true", "1", "yes", "0"])
def test_a_switch_neither_on_nor_off_is_refused(name, field, text):
    assert str(refusal(**{name: text})) == f'{name} must be one of on, off; got "{text}"'


@pytest.mark.parametrize("text", ["123456789012", "000000000001"])
def test_an_account_has_twelve_digits(text):
    assert Settings.from_environment({"SQS_ACCOUNT": text}).sqs_account == text


@pytest.mark.parametrize(
    "text", ["", "1", "12345678901", "1234567890123", "12345678901a", "١٢٣٤٥٦٧٨٩٠١٢", " 12345678901"]
)
def test_what_is_no_account_is_refused(text):
    with pytest.raises(SettingsError, match="12 digits"):
        Settings.from_environment({"SQS_ACCOUNT": text})


def test_messages_are_kept_for_ever_only_where_the_operator_says_so():
    assert Settings.from_environment({}).defaults.retention_forever is False
    assert Settings.from_environment({"RETENTION_FOREVER": "on"}).defaults.retention_forever is True


@pytest.mark.parametrize("text", ["127.0.0.1", "0.0.0.0", "::1", "::", "2001:db8::1"])
def test_a_host_is_an_address(text):
    assert Settings.from_environment({"SQSLITE_HOST": text}).host == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "localhost",
        "http://127.0.0.1",
        "127.0.0.1\n",
        "127.0.0.1/8",
        "127.1",
        "999.1.1.1",
        "fe80::1%eth0",
        "[::1]",
    ],
)
def test_what_is_no_host_is_refused(text):
    assert str(refusal(SQSLITE_HOST=text)).startswith(
        "SQSLITE_HOST must be an IP address to listen on, such as 127.0.0.1, 0.0.0.0 or ::; got"
    )


@pytest.mark.parametrize("url", URLS)
def test_a_database_url_is_taken_as_it_is(url):
    settings = Settings.from_environment({"DATABASE_URL": url})
    assert settings.database_url.url == url


def test_the_scheme_tells_the_technology():
    assert {DatabaseUrl(url).technology for url in URLS} == {"memory", "sqlite", "postgresql"}
    assert DatabaseUrl("postgres://host/db").technology == "postgresql"


def test_three_slashes_are_relative_and_four_absolute():
    assert str(DatabaseUrl("sqlite:///a/b.db").path) == "a/b.db"
    assert str(DatabaseUrl("sqlite:////a/b.db").path) == "/a/b.db"


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_database_url_is_refused_with_what_is_allowed(url):
    text = str(refusal(DATABASE_URL=url))
    assert text.startswith(f"DATABASE_URL must be {DATABASE_URL_ALLOWED}; got ")


def test_an_unknown_technology_is_named():
    assert str(refusal(DATABASE_URL="mysql://root:hunter2@localhost/db")).endswith('got "mysql://***"')


@pytest.mark.parametrize("url", LEAKY)
def test_no_text_shows_a_password(url):
    assert SECRET not in every_text_of(url)


@given(password=st.text(st.sampled_from("@:/%?#[]&=+ \t\n*~\\\"'aZ0ü"), max_size=6))
def test_no_password_whatsoever_is_shown_raw(password):
    secret = f"S3CR3T{password}S3CR3T"
    for url in (f"postgresql://user:{secret}@host/db", f"postgresql://host/db?password={secret}"):
        assert "S3CR3T" not in every_text_of(url)


def test_what_is_not_secret_is_shown():
    shown = {
        "postgresql://user:pw@host:5432/db?sslmode=require": "postgresql://user:***@host:5432/db?sslmode=require",
        "postgresql://user@host/db": "postgresql://user@host/db",
        "postgres://host/db?password=pw&user=u": "postgres://host/db?***",
        "sqlite:////a/b@c:d.db": "sqlite:////a/b@c:d.db",
        "memory://": "memory://",
    }
    assert {url: str(DatabaseUrl(url)) for url in shown} == shown


@pytest.mark.parametrize("url", ["memory://", "sqlite:///a.db"])
def test_more_workers_than_the_storage_can_have_are_refused_with_the_reason(url):
    text = str(refusal(DATABASE_URL=url, WORKERS="2"))
    assert text.startswith(f"WORKERS must be 1 with {url}: SQLite has one writer")
    assert text.endswith("use postgresql:// for more; got 2")
    assert Settings.from_environment({"DATABASE_URL": url, "WORKERS": "1"}).workers == 1
    assert str(refusal(WORKERS="2")).startswith("WORKERS must be 1 with sqlite:///sqslite.db")


def test_postgresql_serves_many_workers():
    assert Settings.from_environment({"DATABASE_URL": "postgres://host/db", "WORKERS": "64"}).workers == 64


def test_the_domain_hears_of_the_defaults_in_its_own_units():
    environ = {"VISIBILITY_TIMEOUT": "7", "RECEIVE_MAX": "3", "BODY_BYTES_MAX": "99"}
    defaults = Settings.from_environment(environ).defaults
    assert (defaults.visibility_ms, defaults.claim_max, defaults.body_bytes_max) == (7_000, 3, 99)
