"""Tells what happens to the orders of a few customers. Run twice, it tells nothing twice."""

import os

from sqslite import Client, QueueSettings

CUSTOMERS = ["ada", "grace", "linus"]
STEPS = ["placed", "paid", "packed", "shipped"]

with Client(os.environ.get("SQSLITE_URL", "http://localhost:8080")) as client:
    client.administration.put("order-events", QueueSettings(fifo=True))
    for step in STEPS:
        for customer in CUSTOMERS:
            sent = client.send(
                "order-events",
                {"customer": customer, "step": step},
                # What has the same group is delivered in this order; different groups wait for nothing of each other.
                group_id=customer,
                # What is sent again with the same id, after a crash say, is kept once.
                dedup_id=f"{customer}-{step}",
            )
            print(f"{customer} {step}: " + ("known already" if sent.duplicate else f"message {sent.id}"))
