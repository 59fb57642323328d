"""Stores: memory, SQLite, PostgreSQL, and decorators that wrap any of them."""
