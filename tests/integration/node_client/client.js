// node client.js <address> <proto file>: enqueues, consumes with credits, and tells as JSON what it saw.
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, proto] = process.argv.slice(2);
const MESSAGES = 30;
const CREDITS = 5;

const options = { longs: Number, enums: String, defaults: true };
const { sqslite } = grpc.loadPackageDefinition(loader.loadSync(proto, options));
const queues = new sqslite.v1.QueueService(address, grpc.credentials.createInsecure());

const call = (name, request, callOptions = {}) =>
  new Promise((resolve, reject) => {
    queues[name](request, callOptions, (error, answer) => (error ? reject(error) : resolve(answer)));
  });

const refusal = (name, request, callOptions) =>
  call(name, request, callOptions).then(
    () => null,
    (error) => ({ status: grpc.status[error.code], code: error.metadata.get("sqslite-code")[0], text: error.details }),
  );

function consumed() {
  return new Promise((resolve, reject) => {
    const seen = { bodies: [], openMax: 0, settled: 0, refused: 0 };
    let open = 0;
    const stream = queues.consume();
    stream.on("error", reject);
    stream.on("end", () => resolve(seen));
    stream.on("data", ({ deliveries, settled }) => {
      open += deliveries.length;
      seen.openMax = Math.max(seen.openMax, open);
      for (const { message, receipt } of deliveries) {
        seen.bodies.push(message.body.toString());
        open -= 1;
        stream.write({ acks: [{ receipt }], credits: 1 });
      }
      seen.settled += settled.length;
      seen.refused += settled.filter(({ result }) => result.error).length;
      if (seen.settled === MESSAGES) stream.end();
    });
    stream.write({ start: { queue: "node" }, credits: CREDITS });
  });
}

async function main() {
  const messages = Array.from({ length: MESSAGES }, (_, n) => ({
    body: Buffer.from(JSON.stringify({ n })),
    bodyKind: "BODY_KIND_JSON",
    attributes: { from: "node" },
  }));
  const { results } = await call("enqueueBatch", { queue: "node", messages });
  const seen = await consumed();
  const stats = await call("stats", { queue: "node" });
  await call("enqueue", { queue: "node", message: { body: Buffer.from([0, 255]) } });
  const { deliveries } = await call("receive", { queue: "node", max: 1 });
  const [{ message, receipt }] = deliveries;
  await call("ack", { receipt });
  console.log(
    JSON.stringify({
      ids: results.map(({ id }) => id),
      seen,
      ready: stats.ready,
      acked: stats.ackedTotal,
      binary: [...message.body],
      kind: message.bodyKind,
      again: await refusal("ack", { receipt }),
      late: await refusal("receive", { queue: "waiting" }, { deadline: Date.now() + 300 }),
    }),
  );
  queues.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
