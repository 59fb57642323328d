"""Break each promise in the code on purpose, one by one, and see the test named for it go red.

`make promises` runs this on a copy of the tree; numbers as arguments choose promises, `--table` prints the table of
docs/promises.md instead.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = ("src", "tests", "migrations", "docs", "benchmarks", "scripts", "pyproject.toml", "README.md", "Makefile")
STORES = "src/sqslite/adapters/stores"
TEST_S_MAX = 180


@dataclass(frozen=True)
class Break:
    """One promise, the lines that keep it, what they are broken to, and the tests that must notice."""

    promise: int
    how: str
    file: str
    kept: str
    broken: str
    tests: tuple[str, ...]


BREAKS = (
    Break(
        1,
        "SQLite answers, and the commit does not happen",
        f"{STORES}/sqlite/connections.py",
        'await self._writer.execute_fetchall("COMMIT")',
        'await self._writer.execute_fetchall("ROLLBACK")',
        ("tests/unit/test_sqlite_store.py -k test_a_message_comes_back_as_it_was_sent",),
    ),
    Break(
        1,
        "PostgreSQL answers before anything is committed",
        f"{STORES}/postgres/connections.py",
        '"autocommit": True',
        '"autocommit": False',
        ("tests/integration/test_postgres_store.py -k test_a_message_comes_back_as_it_was_sent",),
    ),
    Break(
        2,
        "a claim on PostgreSQL takes leased messages, too",
        f"{STORES}/postgres/sql/claim.sql",
        "lease_until IS NULL AND ",
        "",
        ("tests/integration/test_postgres_store.py -k test_a_leased_message_is_not_claimable",),
    ),
    Break(
        2,
        "a claim on SQLite takes leased messages, too",
        f"{STORES}/sqlite/sql/claim.sql",
        "messages INDEXED BY messages_ready\n        WHERE partition_id = :partition_id\n"
        "          AND lease_until IS NULL\n",
        "messages\n        WHERE partition_id = :partition_id\n",
        ("tests/unit/test_sqlite_store.py -k test_a_leased_message_is_not_claimable",),
    ),
    Break(
        3,
        "an ack answers and deletes nothing",
        f"{STORES}/memory/store.py",
        "                self._state.remove(outcome)",
        "                pass",
        ("tests/unit/test_memory_store.py -k test_an_acked_message_is_gone_for_good",),
    ),
    Break(
        4,
        "a receipt counts whatever its secret",
        f"{STORES}/memory/rows.py",
        "return self.partition_id == receipt.partition_id and self.secret == receipt.secret",
        "return self.partition_id == receipt.partition_id",
        ("tests/unit/test_memory_store.py -k test_a_superseded_receipt_changes_nothing",),
    ),
    Break(
        4,
        "an ack on PostgreSQL does not look at the secret",
        f"{STORES}/postgres/sql/ack.sql",
        "m.receipt_secret = substring($3::bytea FROM (width_bucket(m.id, $2::bigint[]) - 1) * 16 + 1 FOR 16)",
        "m.receipt_secret IS NOT NULL AND $3::bytea IS NOT NULL",
        ("tests/integration/test_postgres_store.py -k test_a_superseded_receipt_changes_nothing",),
    ),
    Break(
        5,
        "a message of a group that waits for its retry blocks nothing",
        f"{STORES}/memory/groups.py",
        "return self._fifo and bool(self.in_work)",
        "return False",
        ("tests/unit/test_memory_store.py -k test_a_message_that_waits_for_its_retry_blocks_its_group",),
    ),
    Break(
        6,
        "the sweeper sleeps its whole interval",
        "src/sqslite/domain/sweep.py",
        "LOOK_EVERY_MS = 250",
        "LOOK_EVERY_MS = 60_000",
        ("tests/unit/test_sweep.py -k test_a_lease_is_settled_within_a_second",),
    ),
    Break(
        7,
        "a write that got no answer is told as undone",
        f"{STORES}/postgres/errors.py",
        "    if writing:\n",
        "    if False:\n",
        ("tests/unit/test_postgres_errors.py -k test_a_connection_lost_on_the_way",),
    ),
    Break(
        7,
        "a commit that fails on SQLite is told as undone",
        f"{STORES}/sqlite/connections.py",
        "raise OutcomeUnknown(",
        "raise StoreUnavailable(",
        ("tests/integration/test_sqlite_file.py -k commit",),
    ),
    Break(
        7,
        "a commit that no standby has confirmed is a success",
        f"{STORES}/postgres/connections.py",
        "if writing and session.replication_given_up:",
        "if False:",
        ("tests/integration/test_postgres_faults.py -k test_a_commit_that_no_standby_has_confirmed",),
    ),
    Break(
        8,
        "a body is parsed and printed again",
        "src/sqslite/wire/bodies.py",
        "    if kind is BodyKind.JSON:\n        return raw\n",
        "    if kind is BodyKind.JSON:\n        return msgspec.json.encode(msgspec.json.decode(raw))\n",
        ("tests/unit/test_rest_bodies.py -k test_odd_json_comes_back_byte_for_byte",),
    ),
)


def table() -> str:
    """The table of docs/promises.md."""
    rows = ["| promise | broken on purpose | in | test that goes red |", "| --- | --- | --- | --- |"]
    for case in BREAKS:
        tests = "<br>".join(f"`{test}`" for test in case.tests)
        rows.append(f"| {case.promise} | {case.how} | `{case.file}` | {tests} |")
    return "\n".join(rows)


def noticed(case: Break) -> list[str]:
    """What went wrong with this case: tests that stayed green, or were not green before. Empty: all is well."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, Path(folder) / name)
        faults = [f"red before anything was broken: {test}" for test in case.tests if not _passes(folder, test)]
        broken = Path(folder) / case.file
        text = broken.read_text()
        if case.kept not in text:
            return [f"{case.file} no longer has the lines to break"]
        broken.write_text(text.replace(case.kept, case.broken))
        return faults + [f"still green: {test}" for test in case.tests if _passes(folder, test)]


def _passes(folder: str, test: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *test.split()]
    environment = {"PYTHONPATH": f"{folder}/src", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": folder}
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, timeout=TEST_S_MAX, check=False, text=True
    )
    # 5: no test was selected, which must not count as red.
    if run.returncode not in (0, 1):
        raise SystemExit(f"{test} did not run:\n{run.stdout[-2_000:]}{run.stderr[-2_000:]}")
    return run.returncode == 0


def main() -> None:
    """Run all cases; exit with 1 where one went unnoticed."""
    if "--table" in sys.argv:
        print(table())
        return
    failed = False
    wanted = [int(argument) for argument in sys.argv[1:]]
    for case in BREAKS:
        if wanted and case.promise not in wanted:
            continue
        faults = noticed(case)
        failed = failed or bool(faults)
        print(f"promise {case.promise}: {case.how}: {'; '.join(faults) or 'noticed'}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
