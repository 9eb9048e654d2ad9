#!/usr/bin/env python3
"""What it costs to ask N HTTP targets once a second each, and how regularly it is done: davy beside
a kubelet mimic, blackbox_exporter and HAProxy. Prints Markdown.

The probers take turns (A B C D A B C D ...), so that a noisy machine is noisy for all of them; a
row is the median over the rounds. CPU is what the kernel counted for the prober's threads, divided
by the probes that arrived. Only compare within one run.

Run by `./dev bench probes [OPTIONS]`; --help says which.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from processes import Process, Target, fetch, free_port, wait_for_port


def address(i):
    return f"127.0.{i // 250}.{1 + i % 250}"  # as in kubelet_mimic.go


# Each prober starts what it needs and returns the process that counts, and how late runs start if
# it tells.


def davy(program):
    def start(stack, args, port, directory):
        api, health = free_port(), free_port()
        checks = "".join(
            f"  - {{ name: c{i}, http: {{ url: 'http://{address(i)}:{port}/' }}, period: 1s, timeout: 900ms,"
            f" jitter: 99% }}\n"
            for i in range(args.targets)
        )
        config = Path(directory, "davy.yaml")
        config.write_text(
            f"service: bench\nlisten: {{ health: '127.0.0.1:{health}', api: '127.0.0.1:{api}' }}\n"
            f"drain_delay: 0s\nchecks:\n{checks}"
        )
        process = stack.enter_context(Process(program, "agent", "--config", config, log=Path(directory, "davy.log")))
        wait_for_port(api)
        return process, lambda: start_delays(fetch(f"http://127.0.0.1:{api}/metrics"))

    return start


def start_delays(metrics):
    """{upper bound in seconds: runs that began within it}"""
    found = re.findall(r'davy_check_start_delay_seconds_bucket{le="([^"]+)"} (\S+)', metrics)
    return {float(le): float(count) for le, count in found}


def kubelet_mimic(stack, args, port, directory):
    return stack.enter_context(Process(args.mimic, f"http://%s:{port}/", str(args.targets))), None


def blackbox_exporter(stack, args, port, directory):
    config = Path(directory, "blackbox.yml")
    config.write_text("modules: { get: { prober: http, timeout: 1s, http: { preferred_ip_protocol: ip4 } } }\n")
    own = free_port()
    process = stack.enter_context(
        Process(
            "prometheus-blackbox-exporter",
            f"--config.file={config}",
            f"--web.listen-address=127.0.0.1:{own}",
        )
    )
    wait_for_port(own)
    url = f"http://127.0.0.1:{own}/probe?module=get&target=%s:{port}"
    stack.enter_context(Process(args.mimic, "-keep-alive", url, str(args.targets)))
    return process, None


def haproxy(stack, args, port, directory):
    servers = "".join(f"  server s{i} {address(i)}:{port} check inter 1000\n" for i in range(args.targets))
    config = Path(directory, "haproxy.cfg")
    config.write_text(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n  timeout check 900ms\n"
        f"frontend unused\n  bind 127.0.0.1:{free_port()}\nbackend probed\n  option httpchk GET /\n{servers}"
    )
    return stack.enter_context(Process("haproxy", "-db", "-f", config)), None


def quantile(before, after, q):
    """The upper bound of the bucket that the quantile lies in, in ms."""
    counts = {le: after[le] - before.get(le, 0) for le in after}
    total = max(counts.values())
    return min(le for le, count in counts.items() if count >= q * total) * 1e3


def measure(start, args, target, seconds):
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        process, delays = start(stack, args, target.port, directory)
        time.sleep(args.warm_up)
        process.insist_alive()
        delays_before = delays() if delays else None
        time.sleep(0.5)
        target.say("begin")
        cpu, began = process.cpu_ns(), time.monotonic()
        time.sleep(seconds)
        cpu, took = process.cpu_ns() - cpu, time.monotonic() - began
        row = target.end()
        process.insist_alive()
        if row["targets"] != args.targets:
            raise RuntimeError(f"{row['targets']} targets were probed, not {args.targets}")
        row["us"] = cpu / 1e3 / row["probes"]
        row["cpu"] = 100 * cpu / 1e9 / took
        row["rss"] = process.status("VmRSS") / 1024
        row["threads"] = process.status("Threads")
        row["drift"] = (row["mean_ms"] / 1e3 - 1) * 1e6
        if delays:
            delays_after = delays()
            row["lag50"] = quantile(delays_before, delays_after, 0.5)
            row["lag99"] = quantile(delays_before, delays_after, 0.99)
        return row


def table(rounds):
    """rounds: {prober: [row, ...]}"""
    print(
        "| prober | CPU us/probe (least-most) | x davy | CPU % of a core | mean interval ms | drift ppm |"
        " p1-p99 interval ms | start lag p50 / p99 ms | RSS MB | threads |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    davys = statistics.median(row["us"] for row in rounds["davy"]) if "davy" in rounds else None
    for name, rows in rounds.items():
        m = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        each = [row["us"] for row in rows]
        bounds = [statistics.median_high(row[key] for row in rows) for key in ("lag50", "lag99") if key in rows[0]]
        lag = " / ".join(f"<= {bound:g}" for bound in bounds) or "-"
        ratio = f"{m['us'] / davys:.2f}" if davys else "-"
        print(
            f"| {name} | {m['us']:.0f} ({min(each):.0f}-{max(each):.0f}) | {ratio} | {m['cpu']:.1f} | {m['mean_ms']:.3f}"
            f" | {m['drift']:+.1f} | {m['p1_ms']:.1f}-{m['p99_ms']:.1f} | {lag} | {m['rss']:.0f} | {m['threads']:.0f} |"
        )


def version(command, pattern):
    try:
        out = subprocess.run(command, capture_output=True, text=True)
        return re.search(pattern, out.stdout + out.stderr).group(1)
    except (OSError, AttributeError):
        return "?"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="each prober is measured, per round")
    parser.add_argument("--warm-up", type=float, default=6, help="seconds before that")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--drift", type=float, metavar="SECONDS", help="davy alone, once, for so long")
    parser.add_argument("--only", nargs="+", metavar="PROBER", help="of davy, kubelet-mimic, blackbox_exporter, HAProxy")
    parser.add_argument("--beside", metavar="DAVY", help="another build of davy, measured in turn with the others")
    parser.add_argument("--build", default="build/bench", type=Path, help="where the programs are")
    args = parser.parse_args()
    args.mimic = args.build / "bench/kubelet_mimic"

    probers = {
        "davy": davy(args.build / "davy"),
        "kubelet-mimic": kubelet_mimic,
        "blackbox_exporter": blackbox_exporter,
        "HAProxy": haproxy,
    }
    if args.only:
        probers = {name: probers[name] for name in args.only}
    if args.beside:
        probers["davy (other)"] = davy(args.beside)
    seconds, rounds = args.seconds, args.rounds
    if args.drift:
        probers, seconds, rounds = {"davy": probers["davy"]}, args.drift, 1

    target = Target(args.build / "bench/probe_target")
    rows = {name: [] for name in probers}
    for i in range(rounds):
        for name, start in probers.items():
            row = measure(start, args, target, seconds)
            rows[name].append(row)
            print(f"round {i + 1} of {rounds}: {name}: {json.dumps(row)}", file=sys.stderr)
    target.close()
    print(f"{args.targets} HTTP targets, each asked once a second on a new connection; {rounds} x {seconds:g} s each.")
    print(
        f"Go {version(['go', 'version'], r'go([0-9.]+)')},"
        f" blackbox_exporter {version(['prometheus-blackbox-exporter', '--version'], r'version ([0-9.]+)')},"
        f" HAProxy {version(['haproxy', '-v'], r'version ([0-9.]+)')}.\n"
    )
    table(rows)


if __name__ == "__main__":
    main()
