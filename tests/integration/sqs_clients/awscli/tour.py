"""tour.py <endpoint> <name>: what the AWS CLI does with queues of this name, told line by line.

The commands are those of `aws`, given to its driver in this process: an `aws` of its own for each takes a second.
"""

import base64
import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from typing import Any

from awscli.clidriver import create_clidriver

endpoint, name = sys.argv[1:]
os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
driver = create_clidriver()


def run(command: str, **options: Any) -> tuple[int, str, str]:
    """Exit code, output and error of `aws sqs <command> --<option> <value> …`; values that are no text go as JSON."""
    words = ["--endpoint-url", endpoint, "sqs", *shlex.split(command)]
    for option, value in options.items():
        words += ["--" + option.replace("_", "-"), value if isinstance(value, str) else json.dumps(value)]
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(io.StringIO()) as error:
        code = driver.main(words)
    return code, output.getvalue(), error.getvalue()


def aws(command: str, **options: Any) -> dict[str, Any]:
    code, output, error = run(command, **options)
    if code:
        raise SystemExit(f"aws sqs {command}: {error}")
    return json.loads(output) if output.strip() else {}


def refusal(command: str, **options: Any) -> str:
    code, _, error = run(command, **options)
    found = re.search(r"An error occurred \((\S+)\) when calling the", error)
    if not code or found is None:
        raise SystemExit(f"aws sqs {command} was not refused: {error}")
    return found[1]


def attributes(url: str, *names: str) -> dict[str, str]:
    return aws(f"get-queue-attributes --queue-url {url} --attribute-names {' '.join(names)}")["Attributes"]


def left(url: str) -> int:
    counts = attributes(url, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    return sum(map(int, counts.values()))


def receive(url: str, more: str = "") -> list[dict[str, Any]]:
    return aws(f"receive-message --queue-url {url} {more}").get("Messages", [])


def told(outcome: dict[str, Any]) -> str:
    done = sorted(entry["Id"] for entry in outcome["Successful"])
    return " ".join([*done, "refused", *(f"{entry['Id']} {entry['Code']}" for entry in outcome["Failed"])])


def last(text: str) -> str:
    return re.split("[/:]", text)[-1]


def create() -> tuple[str, str, str, str]:
    dead = aws(f"create-queue --queue-name {name}-dead")["QueueUrl"]
    dead_arn = attributes(dead, "QueueArn")["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    wanted = {"VisibilityTimeout": "30", "RedrivePolicy": policy}
    main = aws(f"create-queue --queue-name {name} --tags team=orders", attributes=wanted)["QueueUrl"]
    print("queue", main)
    settings = attributes(main, "All")
    deliveries = json.loads(settings["RedrivePolicy"])["maxReceiveCount"]
    team = aws(f"list-queue-tags --queue-url {main}")["Tags"]["team"]
    print(f"settings VisibilityTimeout={settings['VisibilityTimeout']} maxReceiveCount={deliveries} team={team}")
    kinds = "FifoQueue=true,ContentBasedDeduplication=true"
    fifo = aws(f"create-queue --queue-name {name}.fifo --attributes {kinds}")["QueueUrl"]
    print("listed", *map(last, aws(f"list-queues --queue-name-prefix {name}")["QueueUrls"]))
    return main, dead, dead_arn, fifo


def one_message(main: str) -> None:
    given = {
        "text": {"DataType": "String", "StringValue": "x & y"},
        "count": {"DataType": "Number", "StringValue": "12"},
        "raw": {"DataType": "Binary", "BinaryValue": "é"},
    }
    sent = aws(f"send-message --queue-url {main}", message_body="hello <&> é😀", message_attributes=given)
    print("sent", sent["MD5OfMessageBody"], sent["MD5OfMessageAttributes"])
    (first,) = receive(main, "--attribute-names All --message-attribute-names All")
    text, count, raw = (first["MessageAttributes"][key] for key in ("text", "count", "raw"))
    print("received", first["Body"])
    in_hex = base64.b64decode(raw["BinaryValue"]).hex()
    print(f"attributes text={text['StringValue']} count={count['StringValue']} raw={in_hex}")
    print("invisible", len(receive(main)))
    handle = first["ReceiptHandle"]
    aws(f"change-message-visibility --queue-url {main} --receipt-handle {handle} --visibility-timeout 0")
    (second,) = receive(main, "--attribute-names All")
    print("delivery", *(seen["Attributes"]["ApproximateReceiveCount"] for seen in (first, second)))
    aws(f"delete-message --queue-url {main} --receipt-handle {second['ReceiptHandle']}")
    print("left", left(main))


def batches(main: str) -> None:
    bodies = {"a": "first", "b": "second", "bad": "\u0001"}
    entries = [{"Id": key, "MessageBody": body} for key, body in bodies.items()]
    print("batch sent", told(aws(f"send-message-batch --queue-url {main}", entries=entries)))
    messages = receive(main, "--max-number-of-messages 10")
    print("batch received", *sorted(message["Body"] for message in messages))
    handles = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
    handles.append({"Id": "bad", "ReceiptHandle": "garbage"})
    longer = [{**handle, "VisibilityTimeout": 60} for handle in handles]
    print("batch extended", told(aws(f"change-message-visibility-batch --queue-url {main}", entries=longer)))
    print("batch deleted", told(aws(f"delete-message-batch --queue-url {main}", entries=handles)))


def long_poll(main: str) -> None:
    # The driver captures one output at a time, so the message that comes later is sent by an `aws` of its own.
    command = f"--endpoint-url {endpoint} sqs send-message --queue-url {main} --message-body late"
    words = [sys.executable, "-m", "awscli", *shlex.split(command)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL):
        (message,) = receive(main, "--wait-time-seconds 20")
    print("long poll", message["Body"])
    aws(f"delete-message --queue-url {main} --receipt-handle {message['ReceiptHandle']}")


def in_order(fifo: str) -> None:
    for body in "1223":
        aws(f"send-message --queue-url {fifo} --message-body {body} --message-group-id g")
    messages = receive(fifo, "--max-number-of-messages 2")
    print("in order", *(message["Body"] for message in messages), "then", len(receive(fifo)))


def dead_letter(main: str, dead: str, dead_arn: str) -> None:
    aws(f"send-message --queue-url {main} --message-body poison")
    for _ in range(2):
        receive(main, "--wait-time-seconds 20 --visibility-timeout 0")
    (message,) = receive(dead, "--wait-time-seconds 20 --visibility-timeout 0 --attribute-names All")
    print("dead", message["Body"], "from", last(message["Attributes"]["DeadLetterQueueSourceArn"]))
    aws(f"start-message-move-task --source-arn {dead_arn}")
    print("moved", receive(main, "--wait-time-seconds 20")[0]["Body"])


def refusals(main: str) -> None:
    print(
        "refused",
        refusal(f"get-queue-url --queue-name {name}-nowhere"),
        refusal(f"create-queue --queue-name {name} --attributes DelaySeconds=9"),
        refusal(f"delete-message --queue-url {main} --receipt-handle garbage"),
        refusal(f"delete-message-batch --queue-url {main}", entries=[]),
        refusal(f"get-queue-attributes --queue-url {main} --attribute-names Colour"),
    )


def the_end(main: str, dead: str, fifo: str) -> None:
    aws(f"purge-queue --queue-url {main}")
    print("purged", left(main))
    print("refused", refusal(f"purge-queue --queue-url {main}"))
    for url in (main, dead, fifo):
        aws(f"delete-queue --queue-url {url}")
    print("gone", refusal(f"send-message --queue-url {main} --message-body x"))


main, dead, dead_arn, fifo = create()
one_message(main)
batches(main)
long_poll(main)
in_order(fifo)
dead_letter(main, dead, dead_arn)
refusals(main)
the_end(main, dead, fifo)
