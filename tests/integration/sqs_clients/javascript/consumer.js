// node consumer.js <endpoint> <name>: the polling loop of sqs-consumer over 25 messages, one of which fails at first,
// and one of which takes longer than the queue's visibility, so that its heartbeat must hold it.
import * as sqs from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const MESSAGES = 25;
const VISIBILITY_S = 2;
const SLOW_MS = 2_500;

const [endpoint, name] = process.argv.slice(2);
const client = new sqs.SQSClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
});
const { QueueUrl } = await client.send(new sqs.CreateQueueCommand({ QueueName: name }));
const bodies = Array.from({ length: MESSAGES }, (_, n) => (n === 0 ? "slow" : n === 1 ? "flaky" : `m${n}`));
for (let from = 0; from < MESSAGES; from += 10) {
  const Entries = bodies.slice(from, from + 10).map((MessageBody, n) => ({ Id: `${n}`, MessageBody }));
  await client.send(new sqs.SendMessageBatchCommand({ QueueUrl, Entries }));
}

const deliveries = {};
const done = new Set();
const consumer = Consumer.create({
  queueUrl: QueueUrl,
  sqs: client,
  batchSize: 10,
  waitTimeSeconds: 20,
  visibilityTimeout: VISIBILITY_S,
  heartbeatInterval: VISIBILITY_S / 2,
  terminateVisibilityTimeout: true,
  handleMessage: async (message) => {
    deliveries[message.Body] = (deliveries[message.Body] ?? 0) + 1;
    if (message.Body === "slow") await new Promise((wake) => setTimeout(wake, SLOW_MS));
    if (message.Body === "flaky" && deliveries.flaky === 1) throw new Error("not yet");
    return message;
  },
});
const finished = new Promise((resolve, reject) => {
  consumer.on("error", reject);
  consumer.on("message_processed", ({ Body }) => {
    done.add(Body);
    if (done.size === MESSAGES) resolve();
  });
});
consumer.start();
await finished;
consumer.stop({ abort: true });
const { Attributes } = await client.send(new sqs.GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }));
console.log(`consumed ${done.size}`);
console.log(`deliveries slow=${deliveries.slow} flaky=${deliveries.flaky} m2=${deliveries.m2}`);
console.log(`left ${Attributes.ApproximateNumberOfMessages} ${Attributes.ApproximateNumberOfMessagesNotVisible}`);
