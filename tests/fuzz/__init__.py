"""Requests that nobody would write: made of bytes, so that a fuzzer may choose them (`make fuzz`)."""
