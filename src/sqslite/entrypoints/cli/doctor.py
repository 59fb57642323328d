"""The doctor: what is wrong with settings, database and schema, and what to do about it."""

import asyncio
import os
import sys
from pathlib import Path

import click

from sqslite.adapters.examination import Finding, Health
from sqslite.domain.errors import SqsliteError
from sqslite.entrypoints.cli.asking import EXIT_REFUSED, showing
from sqslite.entrypoints.cli.showing import print_rows
from sqslite.entrypoints.settings import DatabaseUrl, Settings

# A store in memory is always there.
UNREACHABLE = {
    "postgresql": "start the database, and check DATABASE_URL, its user and its rights",
    "sqlite": "check DATABASE_URL, that the file's folder is there, and that this user may write both",
}


@click.command()
@showing
def doctor(as_json: bool) -> None:
    """Check settings, database, schema, clock, indexes and bloat, and say what to do. Ends with 1 on a fault.

    It examines the storage of DATABASE_URL and changes nothing.
    """
    findings = asyncio.run(_examined())
    rows = [{"subject": f.subject, "health": f.health, "found": f.found, "advice": f.advice} for f in findings]
    print_rows(rows, as_json)
    sys.exit(EXIT_REFUSED if any(finding.health is Health.FAULT for finding in findings) else 0)


async def _examined() -> list[Finding]:
    from sqslite.entrypoints.container import Container
    from sqslite.entrypoints.logs import configure_logging

    try:
        settings = Settings.from_environment(os.environ)
    except SqsliteError as refusal:
        return [Finding("settings", Health.FAULT, str(refusal), "correct the environment variable")]
    findings = [Finding("settings", Health.FINE, f"DATABASE_URL is {settings.database_url}")]
    if settings.testing:
        advice = "unset SQSLITE_TESTING, unless this is a server for tests"
        findings.append(Finding("testing", Health.WARNING, "clients may move the time and empty queues", advice))
    if _lacks_file(settings.database_url):
        advice = "correct DATABASE_URL; or start the server or run `sqslite migrate`, which make it"
        return [*findings, Finding("database", Health.FAULT, f"there is no file {settings.database_url.path}", advice)]
    # What the drivers log of it is among the findings.
    configure_logging("error")
    backend = Container(settings=settings).backend()
    try:
        await backend.open()
        findings += await backend.examine()
    except SqsliteError as refusal:
        findings.append(Finding("database", Health.FAULT, str(refusal), UNREACHABLE[settings.database_url.technology]))
    finally:
        await backend.close()
    return findings


def _lacks_file(url: DatabaseUrl) -> bool:
    """Whether to open the storage would make a file, in a folder that is there."""
    return url.technology == "sqlite" and Path(url.path).parent.is_dir() and not Path(url.path).exists()
