"""The memory backend: for unit tests and throw-away servers; everything is gone when the process ends."""

from sqslite.adapters.stores.memory.backend import MemoryBackend

__all__ = ["MemoryBackend"]
