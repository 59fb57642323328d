"""Testing with sqslite: a clock that is set forward, faults on purpose, and fixtures for pytest."""
