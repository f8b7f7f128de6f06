// Sends one job to QueueMaaS over RabbitMQ and prints the reply: the smallest producer that is not a .NET program.
//
//   node produce.mjs amqp://user:password@localhost:5672/ '{"kind":"inference","input":{"model":"digits","inputs":[…]}}'
//   node produce.mjs amqp://user:password@localhost:5672/ < job.json
// Needs `npm ci` in this folder once.
//
// Ends with 0 when the job was accepted, 3 when it was refused (the reply says why), 1 when anything else went wrong.
// It needs nothing but plain JSON and three AMQP properties: contentType, replyTo and correlationId.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import amqp from "amqplib";

const EXCHANGE = "queuemaas.submit";
const REPLY_WITHIN_MS = 30_000;

const [url, argument] = process.argv.slice(2);
if (!url) {
  console.error("usage: node produce.mjs AMQP_URL [JOB_JSON]   (the job is read from standard input when it is not given)");
  process.exit(64);
}

/** Publishes the job and resolves with the reply's text. */
async function submit(connection, job) {
  // On a confirm channel the broker acknowledges each message once it is safe; without, a publish can vanish unseen.
  const channel = await connection.createConfirmChannel();
  return await new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error(`no reply within ${REPLY_WITHIN_MS / 1000} s`)), REPLY_WITHIN_MS);
    const settle = (end) => (value) => {
      clearTimeout(deadline);
      end(value);
    };
    const succeed = settle(resolve);
    const fail = settle(reject);

    // A missing exchange closes the channel: that is how AMQP says 404.
    channel.on("error", fail);
    // Sent back by the broker because no queue is bound to the exchange: QueueMaaS has never run here.
    channel.on("return", () => fail(new Error(`nothing listens to the exchange ${EXCHANGE}`)));

    (async () => {
      // A queue with a name of the broker's choice that only this connection sees and that goes away with it.
      const { queue: replyTo } = await channel.assertQueue("", { exclusive: true });
      const correlationId = randomUUID();
      await channel.consume(
        replyTo,
        (message) => {
          // null: the broker cancelled the consumer. Another correlationId: an answer to something else.
          if (message?.properties.correlationId === correlationId) succeed(message.content.toString("utf8"));
        },
        { noAck: true },
      );
      channel.publish(EXCHANGE, "", Buffer.from(job), {
        contentType: "application/json",
        persistent: true,
        mandatory: true,
        messageId: randomUUID(),
        replyTo,
        correlationId,
      });
      await channel.waitForConfirms();
    })().catch(fail);
  });
}

let connection;
try {
  const job = argument ?? readFileSync(0, "utf8");
  JSON.parse(job); // A typing error is better reported here than by a reply.
  connection = await amqp.connect(url);
  const reply = await submit(connection, job);
  console.log(reply);
  process.exitCode = JSON.parse(reply).accepted === true ? 0 : 3;
} catch (error) {
  console.error(`produce: ${error.message}`);
  process.exitCode = 1;
} finally {
  await connection?.close().catch(() => {});
}
