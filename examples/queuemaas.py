"""What the examples share: a service to talk to, and its HTTP API with nothing but Python's standard library.

Uses the service at QUEUEMAAS_URL; where that is not set, starts one of its own (all roles, a folder of its own) and stops it at the end. Reports go to QUEUEMAAS_REPORTS, else to reports/ beside this file.
"""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPORTS = pathlib.Path(os.environ.get("QUEUEMAAS_REPORTS") or pathlib.Path(__file__).resolve().parent / "reports")


class Service:
    """The API. Problems (RFC 9457) end the program with their sentence."""

    def __init__(self, url):
        self.url = url.rstrip("/")

    def call(self, method, path, body=None, raw=False):
        """body: bytes are sent as they are, anything else as JSON."""
        headers = {"X-Api-Key": os.environ["QUEUEMAAS_API_KEY"]} if "QUEUEMAAS_API_KEY" in os.environ else {}
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=600) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            answer = error.read().decode(errors="replace")
            try:
                problem = json.loads(answer)
                sys.exit(f"{method} {path}: {problem['code']}: {problem['detail']}")
            except (ValueError, KeyError, TypeError):
                # It is no problem of the service's: something stands between.
                sys.exit(f"{method} {path}: {error.code}: {answer[:1000]}")
        except urllib.error.URLError as error:
            sys.exit(f"{self.url} cannot be reached: {error.reason}")
        return text if raw else json.loads(text or b"null")

    def upload(self, name, data):
        dataset = self.call("PUT", f"/v1/datasets/{name}", data)
        print(f"data set {dataset['name']}@{dataset['version']}: {dataset['card']['splits']}")

    def run(self, kind, job_input, name):
        """Submits a job and waits for its end; answers its output."""
        started = time.time()
        job = self.call("POST", "/v1/jobs", {"kind": kind, "input": job_input})
        return self.wait(job["id"], name, started)

    def wait(self, job_id, name, started=None):
        started = started or time.time()
        while True:
            job = self.call("GET", f"/v1/jobs/{job_id}?wait=30")
            if job["state"] in ("succeeded", "failed", "cancelled", "expired"):
                break
        if job["state"] != "succeeded":
            error = job.get("error") or {}
            sys.exit(f"{name} {job['state']}: {error.get('code')}: {error.get('message')} (job {job_id})")
        print(f"{name}: done in {time.time() - started:.0f} s (job {job_id})")
        return job["output"] | {"job": job_id}

    def report(self, evaluation, name):
        REPORTS.mkdir(parents=True, exist_ok=True)
        path = REPORTS / f"{name}.html"
        path.write_bytes(self.call("GET", f"/v1/jobs/{evaluation['job']}/report", raw=True))
        print(f"report: {path}")


@contextlib.contextmanager
def service():
    if "QUEUEMAAS_URL" in os.environ:
        yield Service(os.environ["QUEUEMAAS_URL"])
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="queuemaas-example-") as folder:
        print("starting QueueMaaS (the first time it is built, which takes some minutes) …")
        built = subprocess.run(["dotnet", "build", "-c", "Release", "-v", "q", "src/QueueMaaS"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if built.returncode:
            sys.exit(built.stdout)
        program = ROOT / "src/QueueMaaS/bin/Release/net10.0/QueueMaaS.dll"
        settings = {"Storage__DataFolder": folder, "Logging__LogLevel__Default": "Warning", "Urls": f"http://127.0.0.1:{port}"}
        process = subprocess.Popen(["dotnet", str(program), "serve"], cwd=folder, env=os.environ | settings, stdout=subprocess.DEVNULL)
        try:
            own = Service(f"http://127.0.0.1:{port}")
            for _ in range(600):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{own.url}/health/ready", timeout=5)
                    break
                time.sleep(0.1)
            yield own
        finally:
            process.terminate()
            process.wait(30)
