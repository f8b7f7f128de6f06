// Uploads a file in parts with a tus client, breaks off after the first part, and goes on: prints the artifact's id.
//
//   node upload.mjs http://localhost:8080/v1/uploads < FILE
// Needs `npm ci` in this folder once.

import { readFileSync } from "node:fs";
import * as tus from "tus-js-client";

const [endpoint] = process.argv.slice(2);
if (!endpoint) {
  console.error("usage: node upload.mjs UPLOADS_ADDRESS < FILE");
  process.exit(64);
}

const file = readFileSync(0);
const chunkSize = Math.ceil(file.length / 3);
const fail = (error) => {
  console.error(`upload: ${error.message}`);
  process.exit(1);
};

/** Begins an upload and gives it up once something has arrived; answers where to go on. */
const begun = await new Promise((resolve) => {
  const first = new tus.Upload(file, {
    endpoint,
    chunkSize,
    metadata: { filename: "model.onnx" },
    onError: fail,
    onChunkComplete: () => first.abort().then(() => resolve(first.url), fail),
    onSuccess: () => fail(new Error("the upload was to be broken off")),
  });
  first.start();
});

const second = new tus.Upload(file, {
  endpoint,
  uploadUrl: begun,
  chunkSize,
  onError: fail,
  onSuccess: async () => {
    const upload = await (await fetch(begun)).json();
    console.log(upload.artifact);
  },
});
second.start();
