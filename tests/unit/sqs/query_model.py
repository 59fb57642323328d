"""botocore's model of SQS as it was for the Query protocol: the same shapes, with the names that forms and XML use."""

import copy
import json

from botocore.loaders import Loader
from botocore.model import ServiceModel

# What the API reference calls the members of lists and maps in this protocol, by shape.
LISTS = {
    "AWSAccountIdList": "AWSAccountId",
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "MessageAttributeNameList": "MessageAttributeName",
    "TagKeyList": "TagKey",
    "StringList": "StringListValue",
    "BinaryList": "BinaryListValue",
    "QueueUrlList": "QueueUrl",
    "MessageList": "Message",
    "BatchResultErrorEntryList": "BatchResultErrorEntry",
    "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
    "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
    "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
    "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
    "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
    "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
    "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
}
MAPS = {
    "QueueAttributeMap": ("Attribute", "Name", "Value"),
    "MessageSystemAttributeMap": ("Attribute", "Name", "Value"),
    "MessageBodyAttributeMap": ("MessageAttribute", "Name", "Value"),
    "MessageBodySystemAttributeMap": ("MessageSystemAttribute", "Name", "Value"),
    "TagMap": ("Tag", "Key", "Value"),
}
# What the Query protocol calls errors; the others as in JSON.
CODES = {
    "QueueNameExists": "QueueAlreadyExists",
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
} | {
    name: f"AWS.SimpleQueueService.{name}"
    for name in (
        "BatchEntryIdsNotDistinct",
        "BatchRequestTooLong",
        "EmptyBatchRequest",
        "InvalidBatchEntryId",
        "TooManyEntriesInBatchRequest",
        "MessageNotInflight",
        "PurgeQueueInProgress",
        "QueueDeletedRecently",
        "UnsupportedOperation",
    )
}


def json_description() -> dict:
    return copy.deepcopy(Loader().load_service_model("sqs", "service-2"))


def query_description() -> dict:
    model = json_description()
    shapes = model["shapes"]
    for shape in shapes.values():
        for member in shape.get("members", {}).values():
            if member["shape"] in MAPS:
                member["locationName"] = MAPS[member["shape"]][0]
    for name, shape in shapes.items():
        if shape.get("exception"):
            shape["error"] = {"code": CODES.get(name, name), "httpStatusCode": 400, "senderFault": True}
    for name, item in LISTS.items():
        shapes[name]["member"]["locationName"] = item
    for name, (_, key, value) in MAPS.items():
        shapes[name]["key"]["locationName"] = key
        shapes[name]["value"]["locationName"] = value
    for name, operation in model["operations"].items():
        output = operation.get("output")
        if output:
            output["resultWrapper"] = f"{name}Result"
    model["metadata"] |= {
        "protocol": "query",
        "protocols": ["query"],
        "xmlNamespace": "http://queue.amazonaws.com/doc/2012-11-05/",
    }
    for key in ("awsQueryCompatible", "jsonVersion", "targetPrefix"):
        model["metadata"].pop(key, None)
    return json.loads(json.dumps(model))


JSON_MODEL = ServiceModel(json_description(), "sqs")
QUERY_MODEL = ServiceModel(query_description(), "sqs")
