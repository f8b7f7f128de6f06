# The PyTorch rows of docs/benchmarks.md: the same recipes with plain PyTorch.
#   python3 train.py speed cnn-small|resnet-18 [seconds]
#   python3 train.py accuracy ZIP [epochs] [seeds]
#   python3 train.py decode ZIP
# Debian 12: apt-get install python3-torch python3-pil
import io, sys, time, zipfile
import torch
from torch import nn
import torch.nn.functional as F


def cnn_small():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10))


class Block(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width))
        self.shortcut = nn.Identity() if stride == 1 and channels == width else nn.Sequential(
            nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def resnet18():
    layers, channels = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for width, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        layers.append(Block(channels, width, stride))
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def speed(network, seconds):
    model, batch = (cnn_small(), 64) if network == "cnn-small" else (resnet18(), 32)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    inputs, labels = torch.rand(640, 3, 32, 32), torch.randint(0, 10, (640,))
    steps, started = 0, None
    while started is None or time.perf_counter() - started < seconds:
        at = steps * batch % (640 - batch + 1)
        loss = F.cross_entropy(model(inputs[at:at + batch]), labels[at:at + batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        steps += 1
        if steps == 3:
            started = time.perf_counter()
    print(f"{network}: {(steps - 3) * batch / (time.perf_counter() - started):.1f} images/s, {torch.get_num_threads()} threads, PyTorch {torch.__version__}")


def read(path):
    from PIL import Image
    import numpy
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".jpg"))
        classes = sorted({n.split("/")[-2] for n in names})
        names.sort(key=lambda n: (classes.index(n.split("/")[-2]), n))
        started = time.perf_counter()
        images = [numpy.asarray(Image.open(io.BytesIO(archive.read(n))).convert("RGB")) for n in names]
        print(f"Pillow decoded {len(names)} images in {time.perf_counter() - started:.2f} s: {len(names) / (time.perf_counter() - started):.0f} images/s")
    labels = torch.tensor([classes.index(n.split("/")[-2]) for n in names])
    return torch.from_numpy(numpy.stack(images)).permute(0, 3, 1, 2).contiguous(), labels


def accuracy(path, epochs, seeds):
    images, labels = read(path)
    place, held = {}, []
    for i, label in enumerate(labels.tolist()):
        held.append(place.get(label, 0) % 5 == 4)
        place[label] = place.get(label, 0) + 1
    held = torch.tensor(held)
    train, test, results = (~held).nonzero().flatten(), held.nonzero().flatten(), []
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = cnn_small()
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        started = time.perf_counter()
        for _ in range(epochs):
            for chunk in train[torch.randperm(len(train))].split(64):
                loss = F.cross_entropy(model(images[chunk].float() / 255), labels[chunk])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        rate = epochs * len(train) / (time.perf_counter() - started)
        with torch.no_grad():
            right = sum((model(images[c].float() / 255).argmax(1) == labels[c]).sum().item() for c in test.split(1000))
        results.append(right / len(test))
        print(f"seed {seed}: {results[-1]:.2%} after {epochs} epochs, {rate:.0f} images/s", flush=True)
    print(f"mean of {seeds}: {sum(results) / seeds:.2%}")


if sys.argv[1] == "speed":
    speed(sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 10)
elif sys.argv[1] == "decode":
    read(sys.argv[2])
else:
    accuracy(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 10, int(sys.argv[4]) if len(sys.argv) > 4 else 3)
