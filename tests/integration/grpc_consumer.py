"""python -m tests.integration.grpc_consumer <address> <queue>: takes five messages, prints ids, holds them."""

import sys
import time

import grpc

from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb
from sqslite.entrypoints.grpc.v1.sqslite_pb2_grpc import QueueServiceStub

CREDITS = 5


def said(queue: str):
    yield pb.ConsumeRequest(start=pb.ConsumeStart(queue=queue, visibility_ms=60_000), credits=CREDITS)
    time.sleep(3_600)


def main() -> None:
    address, queue = sys.argv[1:]
    with grpc.insecure_channel(address) as channel:
        for answer in QueueServiceStub(channel).Consume(said(queue)):
            for delivery in answer.deliveries:
                print(delivery.message.id, flush=True)


if __name__ == "__main__":
    main()
