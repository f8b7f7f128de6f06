// Runs a batch with OpenAI's own client library against QueueMaaS: upload, create, wait, download. Prints what came as one JSON object.
//
//   node openai-batch.mjs http://localhost:8080/v1 ENDPOINT < FILE.jsonl
// Needs `npm ci` in this folder once.

import { readFileSync } from "node:fs";
import OpenAI, { toFile } from "openai";

const [baseURL, endpoint] = process.argv.slice(2);
if (!endpoint) {
  console.error("usage: node openai-batch.mjs BASE_ADDRESS ENDPOINT < FILE.jsonl");
  process.exit(64);
}

const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const input = await client.files.create({ file: await toFile(readFileSync(0), "requests.jsonl"), purpose: "batch" });
const created = await client.batches.create({ input_file_id: input.id, endpoint, completion_window: "24h", metadata: { team: "red" } });
let batch = created;
const states = new Set();
while (!["completed", "failed", "expired", "cancelled"].includes(batch.status)) {
  states.add(batch.status);
  await new Promise((resolve) => setTimeout(resolve, 50));
  batch = await client.batches.retrieve(created.id);
}

const read = async (id) => (id ? (await (await client.files.content(id)).text()).split("\n").filter(Boolean).map((line) => JSON.parse(line)) : null);
const result = { batch, states: [...states], output: await read(batch.output_file_id), errors: await read(batch.error_file_id), listed: [], files: [] };
for await (const one of client.batches.list({ limit: 1 })) result.listed.push(one.id);
for await (const one of client.files.list({ purpose: "batch" })) result.files.push(one.id);
result.deleted = (await client.files.delete(input.id)).deleted;
try {
  await client.files.retrieve(input.id);
} catch (error) {
  result.missing = { status: error.status, code: error.code };
}

console.log(JSON.stringify(result));
