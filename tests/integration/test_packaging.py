"""What `pip install .` gives: the wheel carries everything the command needs, and works without the checkout."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCE = CHECKOUT / "src"

# Built once, by one process, whatever the number of test processes.
pytestmark = pytest.mark.xdist_group("packaging")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    build(CHECKOUT, folder, "sdist")
    build(CHECKOUT, folder, "wheel")
    return folder


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    run("-m", "pip", "--isolated", "install", "--quiet", "--no-deps", "--no-index", "--target", folder, wheel_in(dist))
    return folder


def run(*words: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(project: Path, folder: Path, kind: str) -> None:
    run("-m", "hatchling", "build", "--target", kind, "--directory", folder, cwd=project)


def wheel_in(folder: Path) -> Path:
    (wheel,) = folder.glob("sqslite-*.whl")
    return wheel


def files_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def resources() -> Iterator[str]:
    """Where the wheel should carry each file that is not Python."""
    yield "sqslite/py.typed"
    yield "sqslite/entrypoints/grpc/v1/sqslite.proto"
    for migration in (CHECKOUT / "migrations").glob("*/*.sql"):
        yield f"sqslite/migrations/{migration.parent.name}/{migration.name}"
    for statement in (SOURCE / "sqslite" / "adapters" / "stores").glob("*/sql/**/*.sql"):
        yield statement.relative_to(SOURCE).as_posix()


def test_the_wheel_carries_migrations_statements_and_the_typing_marker(dist: Path) -> None:
    expected = set(resources())
    for technology in ("sqlite", "postgres"):
        assert any(name.startswith(f"sqslite/migrations/{technology}/") for name in expected)
        assert any(name.startswith(f"sqslite/adapters/stores/{technology}/sql/") for name in expected)
    assert expected - files_in(wheel_in(dist)) == set()


def test_the_wheel_carries_every_module_and_nothing_beside_the_package(dist: Path) -> None:
    names = files_in(wheel_in(dist))
    modules = {module.relative_to(SOURCE).as_posix() for module in SOURCE.rglob("*.py")}
    assert modules - names == set()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"sqslite"}


def test_the_source_distribution_builds_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    (archive,) = dist.glob("sqslite-*.tar.gz")
    run("-m", "tarfile", "--extract", archive, tmp_path)
    (project,) = tmp_path.iterdir()
    build(project, tmp_path, "wheel")
    assert files_in(wheel_in(tmp_path)) == files_in(wheel_in(dist))


@pytest.mark.parametrize("technology", ["sqlite", "postgres"])
def test_an_installed_wheel_finds_its_own_migrations(installed: Path, technology: str) -> None:
    in_checkout = sorted(file.stem for file in (CHECKOUT / "migrations" / technology).glob("*.sql"))
    # -I keeps the checkout's working directory out; the folder goes before the checkout's own installation.
    program = (
        f"import sys; sys.path.insert(0, {str(installed)!r})\n"
        "import sqslite.adapters.migrations as migrations\n"
        f"assert migrations.__file__.startswith({str(installed)!r}), migrations.__file__\n"
        f"print(*[migration.name for migration in migrations.load_migrations({technology!r})])\n"
    )
    assert run("-I", "-c", program, cwd=installed).split() == in_checkout


def test_an_installed_wheel_brings_the_command(installed: Path) -> None:
    (command,) = installed.glob("bin/sqslite")
    program = (
        f"import sys; sys.path.insert(0, {str(installed)!r})\n"
        f"sys.argv = [{str(command)!r}, '--help']\n"
        f"exec(compile(open({str(command)!r}).read(), 'sqslite', 'exec'))\n"
    )
    said = run("-I", "-c", program, cwd=installed)
    assert "serve" in said
    assert "migrate" in said
