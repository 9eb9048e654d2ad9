#!/usr/bin/env python3
"""Writes the pages that a big service shows in two scrapes: pages.py DIRECTORY [SAMPLES]

page_0.txt and page_1.txt have the same series in the same order and other values: histograms with
twelve buckets are nine tenths of the samples, then counters, gauges and a few summaries, with up to
six labels, some values with escapes or letters beyond ASCII, NaN and infinities.
"""
import pathlib
import random
import sys

BOUNDS = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]
LABELS = {
    "code": ["200", "201", "204", "302", "400", "404", "409", "429", "500", "503"],
    "method": ["GET", "POST", "PUT", "DELETE"],
    "path": ["/orders", "/orders/{id}/lines", "/basket", "/login", "/assets/*"],
    "instance": [f"shop-{i:02x}7f4c9d-x{i:03d}k" for i in range(40)],
    "upstream": [f"outbound|80{i:02d}||pay.shop.svc.cluster.local" for i in range(8)],
    "agent": ["curl/8.5", 'Mozilla \\"quoted\\"', "C:\\\\shop\\\\app", "two\\nlines", "Größe-ångström"],
}
WORDS = ["shop", "http", "grpc", "db", "queue", "cache", "auth", "mesh", "worker", "search", "stock", "mail"]
THINGS = ["requests", "latency", "errors", "bytes", "connections", "retries", "commits", "items", "depth"]


def labels(shape, number):
    """The labels of the series with this number in a family of this shape."""
    parts = [f'{name}="{LABELS[name][(number * (i + 1)) % len(LABELS[name])]}"' for i, name in enumerate(shape)]
    return parts + [f'shard="{number:x}"'] if number else parts


def with_label(own, name, value):
    return "{" + ",".join(own + [f'{name}="{value}"']) + "}"


def family(index, structure, values, tick):
    """One family's lines. `structure` decides what is the same in both pages, `values` what is not."""
    name = f"{structure.choice(WORDS)}_{structure.choice(THINGS)}_{index}"
    kind = structure.choices(["histogram", "counter", "gauge", "summary"], [55, 25, 16, 4])[0]
    name += {"histogram": "_seconds", "counter": "_total"}.get(kind, "")
    yield f"# HELP {name} What there is of {name.replace('_', ' ')}."
    yield f"# TYPE {name} {kind}"
    shape = structure.sample(list(LABELS), structure.randint(0, 5))
    for number in range(min(120, int(structure.paretovariate(0.8)))):
        own = labels(shape, number)
        plain = "{" + ",".join(own) + "}" if own else ""
        base = structure.random() * 10 ** structure.randint(1, 7)
        if kind == "counter":
            yield f"{name}{plain} {int(base * (1 + tick / 100))}"
        elif kind == "gauge":
            odd, digits = values.random(), structure.randint(0, 6)
            value = "NaN" if odd < 0.004 else "+Inf" if odd < 0.006 else repr(round(base * values.random(), digits))
            yield f"{name}{plain} {value}"
        elif kind == "summary":
            for quantile in ("0.5", "0.99"):
                yield f"{name}{with_label(own, 'quantile', quantile)} {values.random()!r}"
            yield f"{name}_sum{plain} {base * values.random()!r}"
            yield f"{name}_count{plain} {int(base) + tick}"
        else:
            total = int(base * (1 + tick / 100)) + 20
            for i, bound in enumerate(BOUNDS):
                yield f"{name}_bucket{with_label(own, 'le', bound)} {total * (i + 1) // len(BOUNDS)}"
            yield f"{name}_sum{plain} {total * 0.07 * (0.9 + 0.2 * values.random())!r}"
            yield f"{name}_count{plain} {total}"


def page(samples, tick):
    structure, values = random.Random(11), random.Random(1000 + tick)
    count = index = 0
    while count < samples:
        for line in family(index, structure, values, tick):
            count += not line.startswith("#")
            yield line
        index += 1


if __name__ == "__main__":
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for tick in (0, 1):
        wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 50_000
        (directory / f"page_{tick}.txt").write_text("\n".join(page(wanted, tick)) + "\n")
