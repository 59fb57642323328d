"""SQL lives in `.sql` files, one statement each, named for the port method that it serves."""

from importlib.resources import files


def load_statements(package: str) -> dict[str, str]:
    """The text of each `.sql` file in the package's `sql` folder, by file name without its ending."""
    folder = files(package) / "sql"
    return {
        entry.name.removesuffix(".sql"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }
