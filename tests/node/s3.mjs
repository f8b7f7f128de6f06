// An S3 server for the tests: the public "s3rver" package, with what it lacks added after the S3 API reference.
//
//   node s3.mjs FOLDER BUCKET ACCESS_KEY SECRET_KEY [PORT [TLS]]      prints its port, and ends when standard input is closed
//                                                                   TLS: a folder with server.pem and server.key
//
// Added: signatures (version 4) and the hash of each body are checked; an object or part whose body does not arrive whole
// is not kept; ListMultipartUploads and AbortMultipartUpload. Its continuation tokens are made with a cipher that exists.

import { createHash, createHmac, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readFile, readdir, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { pipeline } from "node:stream/promises";

const require = createRequire(import.meta.url);
const crypto = require("node:crypto");
// Its continuation tokens are DES, which today's OpenSSL has no more.
for (const name of ["createCipheriv", "createDecipheriv"]) {
  const create = crypto[name];
  crypto[name] = (algorithm, key, iv, ...rest) =>
    algorithm === "des" ? create("aes-128-ctr", Buffer.concat([key, key]), Buffer.concat([iv, iv])) : create(algorithm, key, iv, ...rest);
}
const S3rver = require("s3rver");
const S3Error = require("s3rver/lib/models/error");
const Account = require("s3rver/lib/models/account");

const [folder, bucket, accessKey, secretKey, wanted, tls] = process.argv.slice(2);
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();
const encode = text => encodeURIComponent(text).replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** The signature that the request should have: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
function signatureOf(ctx, scope, names) {
  const [date, region, service, end] = scope;
  const query = [...new URLSearchParams(ctx.querystring)].map(([k, v]) => `${encode(k)}=${encode(v)}`).sort().join("&");
  const canonical = [
    ctx.method, ctx.req.url.split("?")[0], query,
    ...names.map(name => `${name}:${ctx.req.headers[name].trim().replace(/ +/g, " ")}`), "",
    names.join(";"), ctx.get("x-amz-content-sha256"),
  ].join("\n");
  const text = ["AWS4-HMAC-SHA256", ctx.get("x-amz-date"), scope.join("/"), createHash("sha256").update(canonical).digest("hex")].join("\n");
  const key = [region, service, end].reduce(hmac, hmac(`AWS4${secretKey}`, date));
  return createHmac("sha256", key).update(text).digest("hex");
}

function authenticate(ctx) {
  const parts = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(ctx.get("authorization"));
  if (!parts) throw new S3Error("AccessDenied", "Access Denied");
  if (parts[1] !== accessKey) throw new S3Error("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.");
  if (signatureOf(ctx, parts[2].split("/"), parts[3].split(";")) !== parts[4])
    throw new S3Error("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.");
}

/** Takes a body in whole, or not at all. */
async function spool(content, hash) {
  await mkdir(path.join(folder, ".incoming"), { recursive: true });
  const file = path.join(folder, ".incoming", randomUUID());
  const digest = createHash("sha256");
  try {
    await pipeline(content, async function* (source) {
      for await (const chunk of source) {
        digest.update(chunk);
        yield chunk;
      }
    }, createWriteStream(file));
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
  if (/^[0-9a-f]{64}$/.test(hash ?? "") && digest.digest("hex") !== hash) {
    await rm(file, { force: true });
    throw new S3Error("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.");
  }
  return file;
}

Account.DUMMY_ACCOUNT.createKeyPair(accessKey, secretKey);
const certificate = tls ? { cert: await readFile(path.join(tls, "server.pem")), key: await readFile(path.join(tls, "server.key")) } : {};
const server = new S3rver({ ...certificate, address: "127.0.0.1", port: Number(wanted ?? 0), silent: true, directory: folder, configureBuckets: bucket ? [{ name: bucket }] : [] });
const { store } = server;
const uploads = name => path.join(folder, name, "._S3rver_uploads");

const putObject = store.putObject.bind(store);
store.putObject = async object => {
  if (Buffer.isBuffer(object.content) || object.content.path) return putObject(object);
  const file = await spool(object.content, object.content.headers?.["x-amz-content-sha256"]);
  object.content = createReadStream(file);
  try {
    return await putObject(object);
  } finally {
    await rm(file, { force: true });
  }
};
const putPart = store.putPart.bind(store);
store.putPart = async (name, uploadId, number, content) => {
  await stat(path.join(uploads(name), uploadId)).catch(() => { throw new S3Error("NoSuchUpload", "The specified upload does not exist."); });
  const file = await spool(content, content.headers?.["x-amz-content-sha256"]);
  try {
    return await putPart(name, uploadId, number, createReadStream(file));
  } finally {
    await rm(file, { force: true });
  }
};

server.middleware.splice(server.middleware.length - 1, 0, async (ctx, next) => {
  authenticate(ctx);
  const [, name, ...key] = decodeURIComponent(ctx.path).split("/");
  if (ctx.method === "GET" && "uploads" in ctx.query && key.join("") === "") {
    const found = [];
    for (const id of await readdir(uploads(name)).catch(() => [])) {
      const upload = path.join(uploads(name), id);
      const [Key, made] = await Promise.all([readFile(path.join(upload, "key"), "utf8"), stat(path.join(upload, "key"))]);
      if (Key.startsWith(ctx.query.prefix ?? "")) found.push({ Key, UploadId: id, Initiated: made.mtime.toISOString() });
    }
    ctx.body = { ListMultipartUploadsResult: { Bucket: name, Upload: found, IsTruncated: false } };
  } else if (ctx.method === "DELETE" && ctx.query.uploadId) {
    await rm(path.join(uploads(name), path.basename(ctx.query.uploadId)), { recursive: true, force: true });
    ctx.status = 204;
  } else {
    await next().catch(error => {
      // What the server itself does not understand is told to whoever runs the tests.
      if (!(error instanceof S3Error) && error.code !== "ECONNRESET") console.error(ctx.method, ctx.url, error);
      throw error;
    });
  }
});

const { port } = await server.run();
console.log(port);
process.stdin.resume().on("end", () => process.exit(0));
