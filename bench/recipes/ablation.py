#!/usr/bin/env python3
"""What each ingredient of the recipe cifar-best gives: the recipe, and the recipe without one of them, a few epochs each.

    python3 bench/recipes/ablation.py IMAGES.zip [epochs] [name of a row ...]

Every tenth image is held out. Prints a Markdown table. About two minutes for an epoch and row on two cores.
"""
import json
import re
import subprocess
import sys

BIASES = {"match": "*.bias", "learningRateScale": 0.22, "momentum": 0.85}
HEAD = {"match": "head.*", "learningRateScale": 2.8, "momentum": 0.85}
STILL = {"match": "whiten.weight", "learningRateScale": 0}


def network(whitening=True, identity=True):
    """The preset `airbench`, some of its first weights left to chance."""
    first = {"type": "conv2d", "id": "whiten", "out": 24, "kernel": 2}
    if whitening:
        first["init"] = {"weight": "whitening", "bias": 0}
    layers = [first, {"type": "gelu"}]
    for block, width in ((1, 64), (2, 256), (3, 256)):
        for half in "ab":
            conv = {"type": "conv2d", "id": f"block{block}.{half}.conv", "out": width, "kernel": 3, "padding": 1, "bias": False}
            if identity:
                conv["init"] = {"weight": "dirac"}
            layers.append(conv)
            if half == "a":
                layers.append({"type": "maxPool2d", "kernel": 2})
            layers += [{"type": "batchNorm", "id": f"block{block}.{half}.norm", "momentum": 0.4, "epsilon": 1e-12, "scale": False}, {"type": "gelu"}]
    return layers + [{"type": "adaptivePool2d", "mode": "max"}, {"type": "flatten"}, {"type": "linear", "id": "head", "bias": False}, {"type": "scale", "by": 1 / 9}]


ROWS = {
    "the recipe": {},
    "momentum (sgd, Nesterov) in place of muon": {
        "optimizer": "sgd", "learningRate": 1.5, "schedule": {"kind": "oneCycle", "peak": 0.23, "start": 0.2},
        "optimization": {"momentum": 0.85, "nesterov": True, "weightDecay": 0.00133, "groups": [STILL, {"match": "*.bias", "learningRateScale": 64}]}},
    "weights not held at their length": {"optimization": {"normalizeWeights": False}},
    "first convolution by chance, and trained": {"network": network(whitening=False), "optimization": {"groups": [BIASES, HEAD]}},
    "no convolution begins as the identity": {"network": network(identity=False)},
    "without label smoothing": {"loss": {"labelSmoothing": 0}},
    "without flips and shifts": {"data": {"augmentation": None}},
    "random flips in place of alternating ones": {"data": {"augmentation": {"flip": "random"}}},
    "float32 in place of bfloat16": {"precision": "float32"},
}


def main():
    archive, epochs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2
    wanted = sys.argv[3:] or list(ROWS)
    print("| | held out, averaged over views | one look | minutes |\n| --- | --- | --- | --- |", flush=True)
    for name in wanted:
        settings = json.dumps({"epochs": epochs, **ROWS[name]})
        out = subprocess.run(["dotnet", "run", "-c", "Release", "--no-build", "--project", "bench/QueueMaaS.TrainingBench", "--", "recipe", "cifar-best", archive, settings], capture_output=True, text=True)
        last = re.search(r"held out ([\d.]+) % \(([\d.]+) % without views\), ([\d.]+) min", out.stdout)
        print(f"| {name} | {last[1]} % | {last[2]} % | {last[3]} |" if last else f"| {name} | failed: {out.stderr.strip().splitlines()[-1] if out.stderr.strip() else out.returncode} | | |", flush=True)


if __name__ == "__main__":
    main()
