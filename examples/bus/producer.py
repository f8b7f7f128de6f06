#!/usr/bin/env python3
"""Plain Python beside QueueMaaS: sends a job over RabbitMQ, and hears of its end by a signed webhook.

    python3 examples/bus/producer.py '{"kind":"inference","input":{"model":"digits","inputs":[…]}}'

Needs pika (Debian: python3-pika; else `pip install pika`), and nothing else that is not in Python's standard library.
The receiver listens on this machine, so the service must be told that it may call private addresses (Webhooks__AllowPrivateTargets=true).
Ends with 0 when the job succeeded, 2 when it ended otherwise, 3 when it was refused, 1 when anything else went wrong.
"""
import argparse
import base64
import hashlib
import hmac
import http.server
import json
import queue
import secrets
import sys
import threading
import time
import uuid

import pika

EXCHANGE = "queuemaas.submit"
TOLERANCE_SECONDS = 300


def verified(secret, headers, body):
    """Standard Webhooks 1.0.0: HMAC-SHA256 over id.timestamp.body, over the bytes as they came; one signature for each secret that holds."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    expected = base64.b64encode(hmac.new(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(f"v1,{expected}", given) for given in headers.get("webhook-signature", "").split())


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers at once and puts what was told into a queue: a receiver that works while the service waits is tried again."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        valid = verified(self.server.secret, self.headers, body)
        # A wrong signature is told as such and not looked at any further.
        self.send_response(204 if valid else 401)
        self.send_header("content-length", "0")
        self.end_headers()
        # A delivery may come twice: its id stays the same.
        if valid and self.headers["webhook-id"] not in self.server.seen:
            self.server.seen.add(self.headers["webhook-id"])
            self.server.told.put(json.loads(body))

    def log_message(self, *_):
        pass


def receive(address, port, secret):
    server = http.server.ThreadingHTTPServer((address, port), Receiver)
    server.secret, server.seen, server.told = secret, set(), queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def submit(url, job, seconds):
    """Publishes the job and waits for the reply, which comes when the job's row is committed."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        # Without confirms a publish can vanish unseen; with `mandatory`, one that nothing is bound to comes back.
        channel.confirm_delivery()
        reply_to = channel.queue_declare("", exclusive=True).method.queue
        correlation = str(uuid.uuid4())
        channel.basic_publish(EXCHANGE, "", json.dumps(job).encode(), pika.BasicProperties(
            content_type="application/json", delivery_mode=2, message_id=str(uuid.uuid4()), reply_to=reply_to, correlation_id=correlation), mandatory=True)
        for method, properties, body in channel.consume(reply_to, auto_ack=True, inactivity_timeout=seconds):
            if method is None:
                raise TimeoutError(f"no reply within {seconds} s: does QueueMaaS run on this broker?")
            if properties.correlation_id == correlation:
                return json.loads(body)
    finally:
        connection.close()


def main():
    options = argparse.ArgumentParser(description="Sends a job over RabbitMQ and waits for its webhook.")
    options.add_argument("job", help="the job as JSON, without `webhook`")
    options.add_argument("--amqp", default="amqp://guest:guest@localhost:5672/")
    options.add_argument("--listen", default="127.0.0.1", help="the address that the service can reach this program at")
    options.add_argument("--port", type=int, default=0, help="default: a free one")
    options.add_argument("--wait", type=float, default=600, help="seconds until the end of the job")
    options = options.parse_args()
    job = json.loads(options.job)
    secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    server = receive(options.listen, options.port, secret)
    try:
        job["webhook"] = {"url": f"http://{options.listen}:{server.server_port}/", "secret": secret, "events": ["completed"]}
        reply = submit(options.amqp, job, 30)
        if not reply["accepted"]:
            print(f"refused: {reply['problem']['code']}: {reply['problem']['message']}", file=sys.stderr)
            return 3
        print(f"accepted: job {reply['jobId']}")
        told = server.told.get(timeout=options.wait)["data"]
        print(f"webhook: job {told['jobId']} has {told['state']} after attempt {told['attempt']}; its result: {told['resultUrl']}")
        if told["state"] != "succeeded":
            print(f"  {told.get('error')}", file=sys.stderr)
        return 0 if told["state"] == "succeeded" else 2
    finally:
        server.shutdown()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except queue.Empty:
        sys.exit("no webhook in time: may the service call this address (Webhooks__AllowPrivateTargets)?")
    except pika.exceptions.AMQPConnectionError as error:
        sys.exit(f"RabbitMQ cannot be reached or refuses ({error!r}); see --amqp")
    except (OSError, TimeoutError, ValueError, pika.exceptions.AMQPError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
