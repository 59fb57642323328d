"""A load test of any sqslite, over REST or gRPC: how fast it is, and whether it keeps every message it accepted.

Producers send numbered messages, consumers receive and ack them, and a ledger remembers what was answered to whom. At
the end it says what is missing and what came twice without a reason.
"""
