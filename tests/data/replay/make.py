#!/usr/bin/python3
"""Draws the recordings of this folder anew: cases on which rank tests over per-minute points go wrong.

Where each comes from stands in cases.json. Fixed seeds, so the files do not change. After a change of
the judge that is meant, `davy_unit -tc="recorded cases*"` with DAVY_WRITE_NUMBERS=1 writes the numbers
that both compilers and every Debian must reach again.
"""
import json
import math
import random

STEP = 15  # seconds per block
BOUNDS = [round(0.002 * 1.08**i, 6) for i in range(70)]


def poisson(rng, mean):
    """Knuth for small means, rounded normal for large ones."""
    if mean > 200:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, k, p = math.exp(-mean), 0, rng.random()
    while p > limit:
        k += 1
        p *= rng.random()
    return k


def binomial(rng, n, p):
    return sum(rng.random() < p for _ in range(n)) if n * p < 2000 else round(n * p)


def histogram(rng, n, scale, slow_share=0.0):
    counts = [0] * (len(BOUNDS) + 1)
    for _ in range(n):
        took = rng.lognormvariate(math.log(0.05), 0.4) * (scale if rng.random() >= slow_share else 10 * scale)
        counts[next((i for i, b in enumerate(BOUNDS) if took <= b), len(BOUNDS))] += 1
    return {"le": BOUNDS, "counts": counts}


def run(name, minutes, rate1, rate2, errors1, errors2, seed, more=None):
    """errors1, errors2: functions of the minute -> error rate; more(rng, minute, block) adds to a block."""
    rng = random.Random(seed)
    with open(name + ".ndjson", "w") as out:
        for i in range(int(minutes * 60 / STEP)):
            minute = i * STEP // 60
            n1, n2 = poisson(rng, rate1 * STEP), poisson(rng, rate2 * STEP) if rate2 else 0
            block = {"t": (i + 1) * STEP, "dt": STEP,
                     "baseline": {"requests": n1, "errors": binomial(rng, n1, errors1(minute))},
                     "canary": {"requests": n2, "errors": binomial(rng, n2, errors2(minute))}}
            if more:
                more(rng, minute, i, block)
            out.write(json.dumps(block, separators=(",", ":")) + "\n")


def flat(p):
    return lambda minute: p


def values(base, ratio, unit, noise=0.03, ramp=1.0):
    def add(rng, minute, i, block):
        level = base * (1 + (ramp - 1) * i / 240)
        common = rng.gauss(1, noise)
        block["baseline"]["values"] = {"load": level * common * rng.gauss(1, 0.01) * unit}
        block["canary"]["values"] = {"load": ratio * level * common * rng.gauss(1, 0.01) * unit}
    return add


def slow_minutes(rng, minute, i, block):
    block["baseline"]["latency"] = histogram(rng, block["baseline"]["requests"], 1)
    block["canary"]["latency"] = histogram(rng, block["canary"]["requests"], 1, 1.0 if minute % 5 == 2 else 0.0)


def dies(rng, minute, i, block):
    if minute >= 4:
        block["canary"] = {"requests": 0, "errors": 0}


run("sparse_errors", 60, 60, 15, flat(0), lambda m: 0.02 if m % 5 == 1 else 0, 1)
run("half_the_minutes", 60, 60, 15, flat(0.001), lambda m: 0.03 if m % 2 else 0.001, 2)
run("slow_minutes", 20, 20, 8, flat(0), flat(0), 3, slow_minutes)
run("tenfold_rare_errors", 30, 500, 500, flat(0.0001), flat(0.001), 4)
run("dead_canary", 20, 60, 15, flat(0.001), flat(0.001), 5, dies)
run("never_alive", 5, 60, 0, flat(0.001), flat(0.001), 6)
run("one_point", 0.25, 60, 15, flat(0.001), flat(0.5), 7)
run("unit_one", 30, 60, 15, flat(0.001), flat(0.001), 8, values(100, 2, 1))
run("unit_millionth", 30, 60, 15, flat(0.001), flat(0.001), 8, values(100, 2, 1e-6))
run("common_ramp_good", 60, 60, 15, flat(0.001), flat(0.001), 9, values(100, 1.0, 1, ramp=2))
run("common_ramp_worse", 60, 60, 15, flat(0.001), flat(0.001), 9, values(100, 1.05, 1, ramp=2))
run("common_error_ramp", 30, 200, 50, lambda m: 0.001 + m * 0.002, lambda m: 0.001 + m * 0.002, 10)
run("infinite_ratio", 20, 60, 15, flat(0), flat(0.03), 11)
run("early_spike", 30, 60, 15, flat(0.001), lambda m: 0.2 if m < 3 else 0.001, 12)
run("late_collapse", 30, 60, 15, flat(0.001), lambda m: 0.2 if m >= 27 else 0.001, 12)
run("half_a_percent", 60, 200, 200, flat(0.01), flat(0.01005), 14)
