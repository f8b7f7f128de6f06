// Verifies a webhook of QueueMaaS with the public "standardwebhooks" package, as a receiver should.
//
//   echo '{"secret":"whsec_…","headers":{"webhook-id":"…","webhook-timestamp":"…","webhook-signature":"v1,…"},"body":"…"}' | node verify.mjs
//
// Prints "valid" and ends with 0, or "invalid: REASON" and ends with 1. The body must be the exact bytes received:
// parsing and writing it again changes the signature.

import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

try {
  const { secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
  new Webhook(secret).verify(body, headers);
  console.log("valid");
} catch (error) {
  console.log(`invalid: ${error.message}`);
  process.exitCode = 1;
}
