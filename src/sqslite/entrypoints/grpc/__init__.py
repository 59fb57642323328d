"""The gRPC API, beside REST and on a port of its own; it needs the extra `grpc`.

This module does without the extra, so that its absence can be told before anything starts.
"""

from importlib.util import find_spec

from sqslite.entrypoints.settings import SettingsError

EXTRA = ("grpc", "grpc_health", "grpc_reflection", "google.protobuf")


def check_installed(port: int) -> None:
    """Raise SettingsError where the libraries for serving gRPC on that port are not there."""
    if not all(map(_is_there, EXTRA)):
        allowed = "0 while the extra for gRPC is not installed (pip install 'sqslite[grpc]')"
        raise SettingsError("GRPC_PORT", port, allowed)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
