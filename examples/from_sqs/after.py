"""Thumbnails, by way of sqslite and its own client."""

import os

from sqslite import Client, QueueSettings

with Client(os.environ.get("SQSLITE_URL", "http://localhost:8080")) as client:
    client.administration.put("thumbnails", QueueSettings(visibility_ms=60_000))

    for picture in ("cat.jpg", "dog.jpg"):
        client.send("thumbnails", {"picture": picture}, attributes={"size": "small"})

    while deliveries := client.receive("thumbnails", 10, wait_ms=1_000):
        for delivery in deliveries:
            print(f"{delivery.body['picture']}: {delivery.message.attributes['size']}", flush=True)
            client.finish(delivery)
