#!/usr/bin/env python3
"""A table: who earns more than 50,000 a year, from census-like people that this script makes up.

    python3 examples/table.py [--people 10000] [--epochs 60]

Trains with the recipe `tabular-default` behind a gate, asks about a person, has the model's traffic watched, and writes the evaluation's page.
"""
import argparse
import csv
import io
import math
import random
import zipfile

import queuemaas

EDUCATION = {"school": -0.8, "vocational": -0.2, "bachelor": 0.6, "master": 1.1, "doctorate": 1.6}
OCCUPATION = {"service": -0.7, "craft": -0.1, "office": 0.0, "technical": 0.4, "management": 1.0}


def person(draw):
    age = min(85, max(17, draw.gauss(40, 13)))
    education, occupation = draw.choice(list(EDUCATION)), draw.choice(list(OCCUPATION))
    hours = max(5, draw.gauss(40, 10))
    married = draw.random() < 1 / (1 + math.exp(-(age - 32) / 6))
    capital = round(math.exp(draw.gauss(8, 1))) if draw.random() < 0.08 else 0
    # Middle age earns most; the rest is luck.
    score = 1.3 * EDUCATION[education] + OCCUPATION[occupation] + (hours - 40) / 9 - ((age - 50) / 18) ** 2 + 0.9 * married + (1.5 if capital > 5000 else 0) - 0.6
    rich = draw.random() < 1 / (1 + math.exp(-2.2 * score))
    row = {"age": round(age), "education": education, "occupation": occupation, "hours": round(hours), "married": str(married).lower(), "capital": capital}
    # Some people leave out what they are asked.
    if draw.random() < 0.03:
        row[draw.choice(["age", "hours", "education"])] = ""
    return row | {"income": "over50k" if rich else "under50k"}


def table(draw, count):
    text = io.StringIO()
    people = [person(draw) for _ in range(count)]
    writer = csv.DictWriter(text, people[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(people)
    return text.getvalue()


def main():
    options = argparse.ArgumentParser(description="Who earns more than 50,000 a year, from census-like people that are made up.")
    options.add_argument("--people", type=int, default=10_000, help="how many, a fifth of them to test with")
    options.add_argument("--epochs", type=int, help="at most (default: the recipe's)")
    options = options.parse_args()
    draw, archive = random.Random(7), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("train.csv", table(draw, options.people - options.people // 5))
        files.writestr("test.csv", table(draw, options.people // 5))
    with queuemaas.service() as service:
        service.upload("census", archive.getvalue())
        trained = service.run("training", {
            "model": "income", "dataset": "census", "recipe": "tabular-default", "deploy": "production",
            "gate": {"metrics": [{"metric": "accuracy", "atLeast": 0.75, "dataset": "census", "split": "test"}], "latency": {"p99Ms": 100}},
            "monitor": {"windowSeconds": 600}} | ({"epochs": options.epochs} if options.epochs else {}), "training")
        print(f"  {trained['model']}@{trained['version']} after epoch {trained['epoch']} of {len(trained['history'])}")
        decision = service.wait(trained["promotion"], "gate")
        print(f"  {decision['outcome']}: {decision['reason']}")
        for condition in decision["conditions"]:
            print(f"    {condition['condition']}: {condition['reason']}")
        service.wait(f"{trained['job']}:baseline", "baseline of the drift monitor")
        answer = service.run("inference", {"model": "income", "row": {"age": 47, "education": "master", "occupation": "management", "hours": 50, "married": True, "capital": 0}}, "a question")
        print(f"  {answer['labels'][0]}")
        evaluated = service.run("evaluation", {"model": "income", "dataset": "census", "split": "test", "slices": ["education", "occupation", "age"]}, "evaluation")
        figures = evaluated["model"]["classification"]
        print(f"  accuracy {figures['accuracy']:.3f}, macro F1 {figures['macroF1']:.3f}, ECE {figures['calibration']['ece']:.3f} on {evaluated['items']} people")
        service.report(evaluated, "table")


if __name__ == "__main__":
    main()
