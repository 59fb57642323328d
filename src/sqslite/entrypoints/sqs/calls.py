"""What every action needs: the use cases it speaks to, who calls, and which queue is meant."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property

from msgspec import Struct

from sqslite.domain.administration import QueueAdministration
from sqslite.domain.directory import QueueDirectory
from sqslite.domain.errors import InvalidValue, QueueNotFound
from sqslite.domain.inspection import QueueInspection
from sqslite.domain.ports import Clock
from sqslite.domain.queues import Defaults, Queue
from sqslite.domain.redriving import Redriving
from sqslite.domain.service import QueueService
from sqslite.entrypoints.http.exchange import Incoming
from sqslite.entrypoints.sqs.access_keys import AccessKey
from sqslite.entrypoints.sqs.errors import Kind, SqsError, missing, no_queue
from sqslite.entrypoints.sqs.inputs import Text, text
from sqslite.entrypoints.sqs.names import ACCOUNT, Place, place_of, queue_in


class SqsPorts(Struct, frozen=True, kw_only=True):
    """What the actions speak to, taken from the container once, at start.

    `strict_timing`: a queue's name is free again, and a queue may be purged again, only after 60 seconds, as on AWS.
    `account`: the one that URLs and ARNs name.
    """

    service: QueueService
    administration: QueueAdministration
    directory: QueueDirectory
    inspection: QueueInspection
    redriving: Redriving
    clock: Clock
    defaults: Defaults
    strict_timing: bool = True
    account: str = ACCOUNT


class Call(Struct, frozen=True, kw_only=True, dict=True):
    """One call: by whom, and for the queue of its path (None: the path names none).

    `caller` None: calls are not verified, and may do everything.
    """

    ports: SqsPorts
    incoming: Incoming
    path_queue: str | None = None
    caller: AccessKey | None = None

    @cached_property
    def place(self) -> Place:
        """From where it comes; few actions ask."""
        return place_of(self.incoming.scope, self.ports.account)

    def check_rights(self, queue: str) -> None:
        """Raise SqsError where the caller may not use the queue of that name."""
        if self.caller is not None and not self.caller.may_use(queue):
            raise SqsError(
                Kind.ACCESS_DENIED,
                f"User: {self.caller.id} is not authorized to perform this operation on resource: "
                f"{self.place.arn(queue)}",
            )

    def urls(self, queues: Sequence[Queue]) -> list[str]:
        """The URLs of those of the queues that the caller may use."""
        return [
            self.place.url(queue.name) for queue in queues if self.caller is None or self.caller.may_use(queue.name)
        ]

    def queue_name(self, url: Text) -> str:
        """The name of the queue that the call is about. Raises SqsError."""
        given = text(url)
        name = queue_in(given) if given else self.path_queue
        if not given and name is None:
            raise missing("QueueUrl")
        if name is None:
            raise no_queue()
        self.check_rights(name)
        return name

    async def queue(self, url: Text) -> Queue:
        """The queue that the call is about, as this node knows it. Raises SqsError."""
        queue = await self.ports.directory.find(self.queue_name(url))
        if queue is None:
            raise no_queue()
        return queue

    async def queue_now(self, url: Text) -> Queue:
        """The queue that the call is about, as it is in the catalog now. Raises SqsError and QueueNotFound."""
        return await self.ports.administration.get(self.queue_name(url))

    async def found_now(self, name: str) -> Queue | None:
        """The queue of that name as it is in the catalog now; None where there is none, or can be none."""
        try:
            return await self.ports.administration.get(name)
        except (QueueNotFound, InvalidValue):
            return None


Answer = dict[str, object]
Handler = Callable[..., Awaitable[Answer | None]]
