"""The seam where concurrent calls will be merged into one: today every call passes straight through."""

from sqslite.adapters.stores.intercepted import InterceptedStore


class CoalescingStore(InterceptedStore):
    """Passes calls on as they come."""
