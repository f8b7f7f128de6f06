#!/usr/bin/env python3
"""Texts: which desk a customer's message belongs to, from messages that this script puts together.

    python3 examples/texts.py

Trains with the recipe `text-default`, sorts one message, and writes the evaluation's page.
"""
import json
import random
import zipfile
import io

import queuemaas

TOPICS = {
    "billing": ["the invoice shows an amount that we never agreed to", "I was charged twice this month", "please refund the payment", "the discount is missing on the bill", "my card was debited before the due date"],
    "delivery": ["the parcel has not arrived", "the courier left the box in the rain", "tracking stands still since monday", "half of the order is missing from the package", "please send it to the new address"],
    "technical": ["the app closes when I open the settings", "the device does not turn on any more", "the update ends with an error", "the screen stays black after the restart", "it loses the connection every few minutes"],
    "account": ["I cannot sign in with the new password", "please close my account", "the reset mail never comes", "somebody else uses my profile", "change the name on my profile please"],
}
BEFORE = ["hello", "good morning", "dear team", "hi there", "once again", "to whom it may concern", ""]
# What could be said at any desk, and leads astray.
BESIDE = ["I have been a customer for years", "please call me back", "this is the third time that I write", "the app says that my order is complete", "my last invoice was fine", "I changed my password yesterday", "thank you"]


def message(draw):
    topic = draw.choice(list(TOPICS))
    parts = [draw.choice(BEFORE), *draw.sample(TOPICS[topic], draw.choice([1, 1, 2])), *draw.sample(BESIDE, draw.choice([0, 1, 2]))]
    words = [word for word in " ".join(parts).split() if draw.random() > 0.25]
    # Some messages were put on the wrong desk.
    return {"text": " ".join(words) or "hello", "label": topic if draw.random() > 0.04 else draw.choice(list(TOPICS))}


def main():
    draw, archive = random.Random(3), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for split, count in (("train", 3000), ("test", 800)):
            files.writestr(f"{split}.jsonl", "\n".join(json.dumps(message(draw)) for _ in range(count)))
    with queuemaas.service() as service:
        service.upload("messages", archive.getvalue())
        trained = service.run("training", {"model": "desk", "dataset": "messages", "recipe": "text-default", "deploy": "production"}, "training")
        print(f"  validation accuracy {trained['validationAccuracy']:.3f}, stopped by {trained.get('stoppedBy', 'the last epoch')} after {len(trained['history'])} epochs")
        answer = service.run("inference", {"model": "desk", "text": "hi there, the parcel with my new device has still not arrived"}, "a message")
        print(f"  {answer['labels'][0]}")
        evaluated = service.run("evaluation", {"model": "desk", "dataset": "messages", "split": "test"}, "evaluation")
        figures = evaluated["model"]["classification"]
        print(f"  accuracy {figures['accuracy']:.3f}, macro F1 {figures['macroF1']:.3f}, ECE {figures['calibration']['ece']:.3f} on {evaluated['items']} messages")
        service.report(evaluated, "texts")


if __name__ == "__main__":
    main()
