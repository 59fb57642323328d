"""The pure domain: what a queue is and does, with no I/O, no clock, no randomness, no asyncio."""
