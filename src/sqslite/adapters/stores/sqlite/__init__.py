"""The SQLite backend: one file, nothing to set up."""
