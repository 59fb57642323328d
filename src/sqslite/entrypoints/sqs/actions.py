"""The table of all actions: what each is asked, who answers it, and where it can be called."""

from msgspec import Struct

from sqslite.entrypoints.sqs import holding, inputs, move_tasks, permissions, queues, receiving, sending, tags
from sqslite.entrypoints.sqs.calls import Handler


class Action(Struct, frozen=True):
    """An action of the API.

    `answers`: it has a result, if an empty one. `of_queue`: it is called at a queue's URL as well.
    """

    handle: Handler
    asked: type[inputs.Input]
    answers: bool = True
    of_queue: bool = True


ACTIONS: dict[str, Action] = {
    "AddPermission": Action(permissions.add_permission, inputs.AddPermission, answers=False),
    "CancelMessageMoveTask": Action(move_tasks.cancel_message_move_task, inputs.CancelMessageMoveTask, of_queue=False),
    "ChangeMessageVisibility": Action(holding.change_message_visibility, inputs.ChangeMessageVisibility, answers=False),
    "ChangeMessageVisibilityBatch": Action(
        holding.change_message_visibility_batch, inputs.ChangeMessageVisibilityBatch
    ),
    "CreateQueue": Action(queues.create_queue, inputs.CreateQueue, of_queue=False),
    "DeleteMessage": Action(holding.delete_message, inputs.DeleteMessage, answers=False),
    "DeleteMessageBatch": Action(holding.delete_message_batch, inputs.DeleteMessageBatch),
    "DeleteQueue": Action(queues.delete_queue, inputs.OfQueue, answers=False),
    "GetQueueAttributes": Action(queues.get_queue_attributes, inputs.GetQueueAttributes),
    "GetQueueUrl": Action(queues.get_queue_url, inputs.GetQueueUrl),
    "ListDeadLetterSourceQueues": Action(queues.list_dead_letter_source_queues, inputs.ListDeadLetterSourceQueues),
    "ListMessageMoveTasks": Action(move_tasks.list_message_move_tasks, inputs.ListMessageMoveTasks, of_queue=False),
    "ListQueueTags": Action(tags.list_queue_tags, inputs.OfQueue),
    "ListQueues": Action(queues.list_queues, inputs.ListQueues, of_queue=False),
    "PurgeQueue": Action(queues.purge_queue, inputs.OfQueue, answers=False),
    "ReceiveMessage": Action(receiving.receive_message, inputs.ReceiveMessage),
    "RemovePermission": Action(permissions.remove_permission, inputs.RemovePermission, answers=False),
    "SendMessage": Action(sending.send_message, inputs.SendMessage),
    "SendMessageBatch": Action(sending.send_message_batch, inputs.SendMessageBatch),
    "SetQueueAttributes": Action(queues.set_queue_attributes, inputs.SetQueueAttributes, answers=False),
    "StartMessageMoveTask": Action(move_tasks.start_message_move_task, inputs.StartMessageMoveTask, of_queue=False),
    "TagQueue": Action(tags.tag_queue, inputs.TagQueue, answers=False),
    "UntagQueue": Action(tags.untag_queue, inputs.UntagQueue, answers=False),
}
