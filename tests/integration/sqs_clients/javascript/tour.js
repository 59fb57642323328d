// node tour.js <endpoint> <name>: what the AWS SDK for JavaScript v3 does with queues of this name, told line by line.
import * as sqs from "@aws-sdk/client-sqs";

const [endpoint, name] = process.argv.slice(2);
const client = new sqs.SQSClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
});

const call = (action, input) => client.send(new sqs[`${action}Command`](input));
const tell = (...words) => console.log(words.join(" "));
const last = (text) => text.split(/[/:]/).at(-1);
const ids = (entries = []) => entries.map(({ Id }) => Id).sort().join(" ");
const codes = (entries = []) => entries.map(({ Id, Code }) => `${Id} ${Code}`).join(" ");
const attributes = async (QueueUrl, ...AttributeNames) =>
  (await call("GetQueueAttributes", { QueueUrl, AttributeNames })).Attributes;
const receive = async (QueueUrl, options = {}) =>
  (await call("ReceiveMessage", { QueueUrl, WaitTimeSeconds: 0, ...options })).Messages ?? [];
const waitFor = (QueueUrl, options) => receive(QueueUrl, { WaitTimeSeconds: 20, ...options });
const left = async (QueueUrl) => {
  const counts = await attributes(QueueUrl, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible");
  return Object.values(counts).reduce((sum, count) => sum + Number(count), 0);
};

async function refusal(exception, action, input) {
  try {
    await call(action, input);
  } catch (error) {
    if (error instanceof sqs[exception]) return error.name;
    throw error;
  }
  throw new Error(`${action} was not refused`);
}

async function queues() {
  const { QueueUrl: dead } = await call("CreateQueue", { QueueName: `${name}-dead` });
  const { QueueArn: deadArn } = await attributes(dead, "QueueArn");
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: deadArn, maxReceiveCount: 2 });
  const { QueueUrl: main } = await call("CreateQueue", {
    QueueName: name,
    Attributes: { VisibilityTimeout: "30", RedrivePolicy },
    tags: { team: "orders" },
  });
  tell("queue", main);
  const settings = await attributes(main, "All");
  const { Tags } = await call("ListQueueTags", { QueueUrl: main });
  const { maxReceiveCount } = JSON.parse(settings.RedrivePolicy);
  tell(`settings VisibilityTimeout=${settings.VisibilityTimeout} maxReceiveCount=${maxReceiveCount} team=${Tags.team}`);
  const { QueueUrl: fifo } = await call("CreateQueue", {
    QueueName: `${name}.fifo`,
    Attributes: { FifoQueue: "true", ContentBasedDeduplication: "true" },
  });
  const { QueueUrls } = await call("ListQueues", { QueueNamePrefix: name });
  tell("listed", ...QueueUrls.map(last));
  return { main, dead, deadArn, fifo };
}

async function oneMessage({ main }) {
  const sent = await call("SendMessage", {
    QueueUrl: main,
    MessageBody: "hello <&> é😀",
    MessageAttributes: {
      text: { DataType: "String", StringValue: "x & y" },
      count: { DataType: "Number", StringValue: "12" },
      raw: { DataType: "Binary", BinaryValue: Buffer.from([0xc3, 0xa9]) },
    },
  });
  tell("sent", sent.MD5OfMessageBody, sent.MD5OfMessageAttributes);
  const every = { MessageAttributeNames: ["All"], MessageSystemAttributeNames: ["All"] };
  const [first] = await receive(main, every);
  const { text, count, raw } = first.MessageAttributes;
  tell("received", first.Body);
  tell(`attributes text=${text.StringValue} count=${count.StringValue} raw=${Buffer.from(raw.BinaryValue).toString("hex")}`);
  tell("invisible", (await receive(main)).length);
  await call("ChangeMessageVisibility", { QueueUrl: main, ReceiptHandle: first.ReceiptHandle, VisibilityTimeout: 0 });
  const [second] = await receive(main, every);
  tell("delivery", first.Attributes.ApproximateReceiveCount, second.Attributes.ApproximateReceiveCount);
  await call("DeleteMessage", { QueueUrl: main, ReceiptHandle: second.ReceiptHandle });
  tell("left", await left(main));
}

async function batches({ main }) {
  const bodies = { a: "first", b: "second", bad: "\u0001" };
  const Entries = Object.entries(bodies).map(([Id, MessageBody]) => ({ Id, MessageBody }));
  const sent = await call("SendMessageBatch", { QueueUrl: main, Entries });
  tell("batch sent", ids(sent.Successful), "refused", codes(sent.Failed));
  const messages = await receive(main, { MaxNumberOfMessages: 10 });
  tell("batch received", ...messages.map(({ Body }) => Body).sort());
  const handles = messages.map(({ ReceiptHandle }, at) => ({ Id: `${at}`, ReceiptHandle }));
  handles.push({ Id: "bad", ReceiptHandle: "garbage" });
  const extended = await call("ChangeMessageVisibilityBatch", {
    QueueUrl: main,
    Entries: handles.map((handle) => ({ ...handle, VisibilityTimeout: 60 })),
  });
  tell("batch extended", ids(extended.Successful), "refused", codes(extended.Failed));
  const deleted = await call("DeleteMessageBatch", { QueueUrl: main, Entries: handles });
  tell("batch deleted", ids(deleted.Successful), "refused", codes(deleted.Failed));
}

async function longPoll({ main }) {
  const polling = waitFor(main);
  await new Promise((wake) => setTimeout(wake, 300));
  await call("SendMessage", { QueueUrl: main, MessageBody: "late" });
  const [{ Body, ReceiptHandle }] = await polling;
  tell("long poll", Body);
  await call("DeleteMessage", { QueueUrl: main, ReceiptHandle });
}

async function inOrder({ fifo }) {
  for (const MessageBody of ["1", "2", "2", "3"]) {
    await call("SendMessage", { QueueUrl: fifo, MessageBody, MessageGroupId: "g" });
  }
  const messages = await receive(fifo, { MaxNumberOfMessages: 2 });
  tell("in order", ...messages.map(({ Body }) => Body), "then", (await receive(fifo)).length);
}

async function deadLetter({ main, dead, deadArn }) {
  await call("SendMessage", { QueueUrl: main, MessageBody: "poison" });
  for (let delivery = 0; delivery < 2; delivery += 1) await waitFor(main, { VisibilityTimeout: 0 });
  const [message] = await waitFor(dead, { MessageSystemAttributeNames: ["All"], VisibilityTimeout: 0 });
  tell("dead", message.Body, "from", last(message.Attributes.DeadLetterQueueSourceArn));
  await call("StartMessageMoveTask", { SourceArn: deadArn });
  const [back] = await waitFor(main);
  tell("moved", back.Body);
}

async function refusals({ main }) {
  tell(
    "refused",
    await refusal("QueueDoesNotExist", "GetQueueUrl", { QueueName: `${name}-nowhere` }),
    await refusal("QueueNameExists", "CreateQueue", { QueueName: name, Attributes: { DelaySeconds: "9" } }),
    await refusal("ReceiptHandleIsInvalid", "DeleteMessage", { QueueUrl: main, ReceiptHandle: "garbage" }),
    await refusal("EmptyBatchRequest", "DeleteMessageBatch", { QueueUrl: main, Entries: [] }),
    await refusal("InvalidAttributeName", "GetQueueAttributes", { QueueUrl: main, AttributeNames: ["Colour"] }),
  );
}

async function theEnd({ main, dead, fifo }) {
  await call("PurgeQueue", { QueueUrl: main });
  tell("purged", await left(main));
  tell("refused", await refusal("PurgeQueueInProgress", "PurgeQueue", { QueueUrl: main }));
  for (const QueueUrl of [main, dead, fifo]) await call("DeleteQueue", { QueueUrl });
  tell("gone", await refusal("QueueDoesNotExist", "SendMessage", { QueueUrl: main, MessageBody: "x" }));
}

const made = await queues();
for (const part of [oneMessage, batches, longPoll, inOrder, deadLetter, refusals, theEnd]) await part(made);
