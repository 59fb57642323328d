"""ElasticMQ, an SQS server on the Java virtual machine: fetched by Maven once, started in memory, as is its default."""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contenders import BATCH_QUEUE, SINGLE_QUEUE, NotThere, Surroundings, Target, create_queues
from benchmarks.servers import DATA, Server, free_port, running

POM = Path(__file__).with_name("pom.xml")
# The virtual machine compiles what is called often; until then ElasticMQ is several times slower.
WARM_UP_S = 15.0
FETCHING_S_MAX = 300
CONFIGURATION = """
rest-sqs {{ enabled = true, bind-hostname = "127.0.0.1", bind-port = {port} }}
rest-stats {{ enabled = false }}
"""


def version() -> str:
    """Which one it is."""
    found = re.search(r"elasticmq-server_2\.13</artifactId>\s*<version>([^<]+)<", POM.read_text())
    assert found is not None
    return found[1]


@contextlib.contextmanager
def elasticmq(around: Surroundings) -> Iterator[Target]:
    """ElasticMQ with the queues."""
    class_path = _class_path()
    port = free_port()
    configuration = around.folder / "elasticmq.conf"
    configuration.write_text(CONFIGURATION.format(port=port))
    options = [f"-Dconfig.file={configuration}", "-cp", class_path]
    with running(Server(["java", *options, "org.elasticmq.server.Main"], port)) as server:
        create_queues(port, (SINGLE_QUEUE, BATCH_QUEUE))
        yield Target(str(port), server.tree)


def _class_path() -> str:
    """Asked of Maven the first time, and kept."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise NotThere(f"no program {program}")
    kept = DATA / f"elasticmq-{version()}.classpath"
    if not (kept.exists() and all(Path(jar).exists() for jar in kept.read_text().split(":"))):
        DATA.mkdir(exist_ok=True)
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:build-classpath", f"-Dmdep.outputFile={kept}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCHING_S_MAX, check=False)
        except subprocess.TimeoutExpired:
            raise NotThere("Maven Central does not answer") from None
        if done.returncode or not kept.exists():
            said = next((line for line in done.stdout.splitlines() if "ERROR" in line), "Maven does not say why")
            raise NotThere(f"it could not be fetched: {re.sub(r'https?://[^ )]+', 'Maven Central', said)}")
    return kept.read_text().strip()
