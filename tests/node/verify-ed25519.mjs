// Verifies an ed25519 webhook of QueueMaaS (Standard Webhooks, `v1a`) with Node's own crypto: the "standardwebhooks" package knows `v1` only.
//
//   echo '{"publicKey":"whpk_…","headers":{"webhook-id":"…","webhook-timestamp":"…","webhook-signature":"v1a,…"},"body":"…"}' | node verify-ed25519.mjs
//
// Prints "valid" and ends with 0, or "invalid" and ends with 1.

import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const { publicKey, headers, body } = JSON.parse(readFileSync(0, "utf8"));
const x = Buffer.from(publicKey.replace(/^whpk_/, ""), "base64").toString("base64url");
const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
const signed = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
const fresh = Math.abs(Date.now() / 1000 - Number(headers["webhook-timestamp"])) < 300;
// While a key is replaced there is one signature by each, and `v1` ones beside them where the endpoint was signed so before.
const valid = fresh && headers["webhook-signature"].split(" ").filter((s) => s.startsWith("v1a,")).some((s) => verify(null, signed, key, Buffer.from(s.slice(4), "base64")));
console.log(valid ? "valid" : "invalid");
process.exitCode = valid ? 0 : 1;
