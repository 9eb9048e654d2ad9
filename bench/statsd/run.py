#!/usr/bin/env python3
"""What it costs davy to take StatsD, beside a program that only receives the packets. Prints Markdown.

drain      the server is stopped, packets are queued in its socket (enlarged from outside, which needs
           root), and it goes on: CPU of all its threads until the queue is empty. No wake-ups, no waiting.
paced      50,000 packets a second with 1 metric, or 10,000 with 30: CPU, in percent of one core.
maximum    as fast as one sender can, for some seconds: what was lost.
loss-free  the highest rate, in steps of 50,000 packets a second, at which nothing is lost for a second (davy only).

davy is the real agent with the source statsd; the sums of its counters are compared with what was
sent, each time. The two take turns, so that a noisy machine is noisy for both; a row is the median
over the rounds. Only compare within one run.

Run by `./dev bench statsd [OPTIONS]`; --help says which.
"""

import argparse
import ctypes
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "probes"))
from processes import Process, fetch, free_port, wait_for_port  # noqa: E402

SERIES = 1000  # as in blast.cpp
DIFFERENT = 4096
SO_RCVBUFFORCE = 33
PIDFD_GETFD = 438  # the number of the system call
TESTS = ["drain", "paced", "maximum", "loss-free"]


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def udp_socket(port):
    """(inode, bytes waiting) of the socket bound to the port."""
    with open("/proc/net/udp") as f:
        for line in f.readlines()[1:]:
            fields = line.split()
            if int(fields[1].split(":")[1], 16) == port:
                return int(fields[9]), int(fields[4].split(":")[1], 16)
    return None, 0


def wait_until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.002)


class Server:
    """Just receives."""

    def __init__(self, process, port):
        self.process, self.port = process, port
        wait_until(lambda: udp_socket(port)[0])

    def signal(self, number):
        self.process.process.send_signal(number)

    def enlarge(self):
        """A queue for everything that is sent while the server is stopped."""
        pid = self.process.process.pid
        wanted = f"socket:[{udp_socket(self.port)[0]}]"
        fds = os.listdir(f"/proc/{pid}/fd")
        fd = next(int(fd) for fd in fds if os.readlink(f"/proc/{pid}/fd/{fd}") == wanted)
        pidfd = os.pidfd_open(pid)
        ours = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, fd, 0)
        if ours < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd (are you root?)")
        with socket.socket(fileno=ours) as s:
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 30)
        os.close(pidfd)

    def is_empty(self):
        return udp_socket(self.port)[1] == 0

    def finish(self, sent):
        return {}


class Davy(Server):
    def __init__(self, process, port, api):
        super().__init__(process, port)
        self.api = api

    def finish(self, sent):
        """What the rounds have brought, when all that was sent and not lost is in it."""
        wait_until(lambda: self.all_lines(sent) >= sent["lines"])
        wait_until(lambda: self.lost > 0 or sum(self.requests().values()) >= sent["baseline"] + sent["canary"])
        requests = self.requests()
        return {
            "lost": self.lost,
            "exact": all(requests[side] == sent[side] for side in ("baseline", "canary")),
            "rss": self.process.status("VmRSS") / 1024,
        }

    def all_lines(self, sent):
        found = re.findall(r'davy_source_events_total\{[^}]*event="(\w+)"\} (\S+)', fetch(f"{self.api}/metrics"))
        events = {event: float(value) for event, value in found}
        self.lost = events.get("lost_packets", 0)
        return events.get("lines", 0) + self.lost * sent["lines"] / sent["packets"]

    def requests(self):
        return json.loads(fetch(f"{self.api}/v1/deployments/bench/verdict"))["requests"]


def settings(dialect):
    """`requests` of the deployment, and what the source needs besides."""
    more = "errors: requests.failed, unit: milliseconds"
    if dialect == "dogstatsd":
        return f"{{ counter: requests.count, histogram: requests.duration, {more} }}", ""
    names = [f"{'v2' if i % 8 == 0 else 'v1'}.m{i:05}." for i in range(SERIES)]
    counters = ", ".join(name + "requests.count" for name in names)
    histograms = ", ".join(name + "requests.duration" for name in names)
    when = """, baseline_when: '__name__=~"v1[.].*"', canary_when: '__name__=~"v2[.].*"'"""
    return f"{{ counter: [{counters}], histogram: [{histograms}], {more} }}", when


@contextmanager
def davy(args, dialect):
    with tempfile.TemporaryDirectory() as directory:
        api, health, port = free_port(), free_port(), free_udp_port()
        requests, when = settings(dialect)
        config = Path(directory, "davy.yaml")
        config.write_text(
            f"service: bench\nlisten: {{ health: '127.0.0.1:{health}', api: '127.0.0.1:{api}' }}\n"
            f"drain_delay: 0s\ndeployments:\n  - name: bench\n"
            f"    source: {{ statsd: {{ listen: '127.0.0.1:{port}', every: 1s{when} }} }}\n"
            f"    requests: {requests}\n"
        )
        log = Path(directory, "davy.log")
        with Process(args.build / "davy", "agent", "--config", config, log=log) as process:
            wait_for_port(api)
            yield Davy(process, port, f"http://127.0.0.1:{api}")


@contextmanager
def receive(args, dialect):
    port = free_udp_port()
    with Process(args.build / "bench/receive", str(port)) as process:
        yield Server(process, port)


SERVERS = {"davy": davy, "receive only": receive}


def blast(args, server, dialect, lines, packets, rate):
    out = subprocess.run(
        [args.build / "bench/blast", str(server.port), dialect, str(lines), str(packets), str(rate)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(out.stdout)


def measure(args, make, test, dialect, lines, packets, rate):
    with make(args, dialect) as server:
        known = blast(args, server, dialect, lines, DIFFERENT, 20000)
        wait_until(server.is_empty)
        time.sleep(0.05)
        if test == "drain":
            server.signal(signal.SIGSTOP)
            server.enlarge()
            sent = blast(args, server, dialect, lines, packets, rate)
        cpu, began = server.process.cpu_ns(), time.monotonic()
        if test == "drain":
            server.signal(signal.SIGCONT)
        else:
            sent = blast(args, server, dialect, lines, packets, rate)
        wait_until(server.is_empty)
        time.sleep(0.005)
        cpu, took = server.process.cpu_ns() - cpu, time.monotonic() - began
        server.process.insist_alive()
        row = {
            "ns": cpu / sent["lines"],
            "ns_packet": cpu / sent["packets"],
            "cpu": 100 * cpu / 1e9 / took,
            "kpps": sent["packets"] / sent["seconds"] / 1e3,
            "bytes": sent["bytes"] / sent["lines"],
        }
        row.update(server.finish({key: known[key] + sent[key] for key in sent}))
        return row


def highest_without_loss(args, dialect, lines):
    for rate in range(800_000, 0, -50_000):
        row = measure(args, davy, "paced", dialect, lines, rate, rate)
        if row["lost"] == 0:
            return row
    raise RuntimeError("packets are lost at any rate")


def table(results):
    print(
        "| test | traffic | server | CPU ns/metric (least-most) | CPU ns/packet | CPU % of a core |"
        " packets lost | sums exact | RSS MB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for (test, dialect, lines), servers in results.items():
        for server, rows in servers.items():
            m = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
            each = [row["ns"] for row in rows]
            rate, cpu = ("", "-") if test == "drain" else (f", {m['kpps']:.0f} kpps", f"{m['cpu']:.1f}")
            lost = exact = rss = "-"
            if "lost" in m:
                lost = f"{sum(row['lost'] for row in rows):.0f}"
                exact = "yes" if all(row["exact"] for row in rows) else "no"
                rss = f"{m['rss']:.0f}"
            print(
                f"| {test} | {dialect}, {lines}/packet, {m['bytes']:.0f} B each{rate} | {server} | {m['ns']:.0f}"
                f" ({min(each):.0f}-{max(each):.0f}) | {m['ns_packet']:.0f} | {cpu} | {lost} | {exact} | {rss} |"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=TESTS, default=TESTS)
    parser.add_argument("--seconds", type=float, default=3, help="of the tests paced and maximum")
    parser.add_argument("--build", default="build/bench", type=Path, help="where the programs are")
    args = parser.parse_args()

    tests = []  # test, dialect, lines, packets, rate
    for test in args.only:
        for dialect in ("statsd", "dogstatsd"):
            for lines, queued, rate, most in ((1, 200_000, 50_000, 350_000), (30, 40_000, 10_000, 300_000)):
                packets = {"drain": queued, "paced": rate * args.seconds, "maximum": most * args.seconds}.get(test, 0)
                tests.append((test, dialect, lines, int(packets), rate if test == "paced" else 0))
    results = {}
    for i in range(args.rounds):
        for test, dialect, lines, packets, rate in tests:
            for name, make in SERVERS.items():
                if test != "loss-free":
                    row = measure(args, make, test, dialect, lines, packets, rate)
                elif name == "davy":
                    row = highest_without_loss(args, dialect, lines)
                else:
                    continue
                results.setdefault((test, dialect, lines), {}).setdefault(name, []).append(row)
                print(
                    f"round {i + 1} of {args.rounds}: {test} {dialect} {lines}: {name}: {json.dumps(row)}",
                    file=sys.stderr,
                )
    print(f"{SERIES} series in random order; medians of {args.rounds} rounds.\n")
    table(results)


if __name__ == "__main__":
    main()
