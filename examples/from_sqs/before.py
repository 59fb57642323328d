"""Thumbnails, by way of AWS SQS and boto3."""

import json

import boto3

sqs = boto3.client("sqs")
url = sqs.create_queue(QueueName="thumbnails", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]

for picture in ("cat.jpg", "dog.jpg"):
    sqs.send_message(
        QueueUrl=url,
        MessageBody=json.dumps({"picture": picture}),
        MessageAttributes={"size": {"DataType": "String", "StringValue": "small"}},
    )

while messages := sqs.receive_message(
    QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
).get("Messages"):
    for message in messages:
        picture = json.loads(message["Body"])["picture"]
        print(f"{picture}: {message['MessageAttributes']['size']['StringValue']}", flush=True)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
