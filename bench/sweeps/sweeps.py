"""Measures sweeps on the embedded service: asha against the full grid, and two training slots against one.

    python3 bench/sweeps/sweeps.py --data images.zip [--limit 5000] [--epochs 27] [--what asha|slots|all]

images.zip is an image folder (train/<class>/*.jpg), such as CIFAR-10. Each trial has one thread (OMP_NUM_THREADS=1).
A service of its own is started for each run, in a folder that is removed afterwards, from the Release build.
"""
import argparse, json, os, shutil, subprocess, tempfile, time, urllib.request
from datetime import datetime

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "src/QueueMaaS/bin/Release/net10.0/QueueMaaS.dll")


class Service:
    def __init__(self, slots, port):
        self.url, self.folder = f"http://127.0.0.1:{port}", tempfile.mkdtemp(prefix="queuemaas-bench-")
        self.process = subprocess.Popen(
            ["dotnet", PROGRAM, "serve", f"--urls={self.url}", f"--Storage:DataFolder={self.folder}", f"--Jobs:TrainingSlots={slots}", "--Api:MaxUploadBytes=4000000000"],
            env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(120):
            try:
                urllib.request.urlopen(self.url + "/health/ready", timeout=5)
                return
            except OSError:
                time.sleep(0.5)
        raise SystemExit("The service does not start.")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, data=body, method=method, headers={"content-type": "application/json"} if method == "POST" else {})
        with urllib.request.urlopen(request, timeout=600) as response:
            return json.loads(response.read())

    def upload(self, path):
        with open(path, "rb") as file:
            self.call("PUT", "/v1/datasets/images", file.read())

    def sweep(self, training, search):
        """Runs a sweep; gives its seconds, and of each trial's jobs the moment and the figure."""
        job = self.call("POST", "/v1/jobs", json.dumps({"kind": "sweep", "input": {"training": training, "search": search, "register": "best"}}).encode())
        while True:
            job = self.call("GET", f"/v1/jobs/{job['id']}?wait=30")
            if "finishedAt" in job:
                break
        if job["state"] != "succeeded":
            raise SystemExit(f"The sweep {job['state']}: {job.get('error')}")
        board = self.call("GET", f"/v1/jobs/{job['id']}/leaderboard?limit=1000")
        ended = []
        for trial in board["trials"]:
            for rung in range((trial.get("reached") or 0) + 1):
                child = self.call("GET", f"/v1/jobs/{job['id']}:trial-{trial['trial']:04}" + (f".{rung}" if rung else ""))
                if child["state"] == "succeeded":
                    ended.append((moment(child["finishedAt"]) - moment(job["startedAt"]), child["output"]["metrics"]["validationAccuracy"]))
        return moment(job["finishedAt"]) - moment(job["startedAt"]), sorted(ended), job["output"]


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def asha(options, training, space):
    with Service(options.slots, 8497) as service:
        service.upload(options.data)
        service.sweep({**training, "epochs": 1}, {"method": "grid", "space": {"seed": {"values": [1]}}})  # reads and keeps the images
        whole, grid, best = service.sweep(training, {"method": "grid", "space": space})
        goal = max(figure for _, figure in grid) - 0.005
        total, steps, won = service.sweep(training, {"method": "asha", "fromGrid": True, "seed": 1, "space": space})
    reached = next((at for at, figure in steps if figure >= goal), None)
    print(f"grid: {len(grid)} trials, {whole:.1f} s, best {goal + 0.005:.4f} with {best['best']['parameters']}")
    print(f"asha: {len(steps)} trainings, {total:.1f} s in all ({total / whole:.3f} of the grid), best {won['best']['metric']:.4f} with {won['best']['parameters']}")
    print("asha did not come within 0.5 points of the grid's best" if reached is None else f"within 0.5 points of the grid's best after {reached:.1f} s: {reached / whole:.3f} of the grid")


def slots(options, training):
    taken = {}
    for count in (1, 2):
        with Service(count, 8497) as service:
            service.upload(options.data)
            service.sweep({**training, "epochs": 1}, {"method": "grid", "space": {"seed": {"values": [1]}}})
            taken[count] = service.sweep(training, {"method": "random", "trials": options.trials, "seed": 1, "space": {"learningRate": {"logUniform": [0.0003, 0.01]}}})
            print(f"{options.trials} trials on {count} of one thread: {taken[count][0]:.1f} s")
    print(f"two against one: {taken[1][0] / taken[2][0]:.2f} times as fast; the same figures: {sorted(f for _, f in taken[1][1]) == sorted(f for _, f in taken[2][1])}")


parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True)
parser.add_argument("--limit", type=int, default=5000)
parser.add_argument("--epochs", type=int, default=27)
parser.add_argument("--rates", type=int, default=9, help="learning rates of the grid; times three batch sizes")
parser.add_argument("--trials", type=int, default=16)
parser.add_argument("--slots", type=int, default=2)
parser.add_argument("--what", choices=["asha", "slots", "all"], default="all")
options = parser.parse_args()
common = {"dataset": "images", "preset": "cnn-small", "limit": options.limit, "epochs": options.epochs}
if options.what != "slots":
    asha(options, common, {"learningRate": {"logUniform": [0.0001, 0.03], "points": options.rates}, "batchSize": {"values": [32, 64, 128]}})
if options.what != "asha":
    slots(options, {**common, "epochs": max(1, options.epochs // 9)})
