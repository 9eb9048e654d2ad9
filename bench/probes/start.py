#!/usr/bin/env python3
"""What a davy with little to do costs: its memory, and the time from its start to its first healthy
answer, beside the smallest server that answers at all. Prints Markdown.

davy has one check, of a disk, whose first run starts a helper process. The other is target.cpp: one
thread, epoll, C++ like davy. They take turns (A B A B ...), so that a noisy machine is noisy for
both; a row is the median over the runs. The time begins before fork and exec and ends when the
first 200 has come. Memory is the kernel's own count (smaps_rollup) once the process has settled;
what it shares with other processes is in RSS too.

Run by `./dev bench start [OPTIONS]`; --help says which.
"""

import argparse
import json
import re
import socket
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from processes import Process, Target, free_port


def is_well(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as s:
            s.sendall(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return s.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def memory(pid):
    """Of one process, in MB."""
    rollup = dict(re.findall(r"(\w+): +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text()))
    return {name: int(rollup[key]) / 1024 for name, key in (("rss", "Rss"), ("pss", "Pss"), ("anonymous", "Anonymous"))}


def count_libraries(pid):
    return len(set(re.findall(r"\S+\.so\S*", Path(f"/proc/{pid}/maps").read_text())))


def helper_of(pid):
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return children[0] if children else None


# Each starts a program and returns its process and its port.


def davy(program):
    def start(stack, directory):
        health = free_port()
        config = Path(directory, "davy.yaml")
        config.write_text(
            f"service: bench\nlisten: {{ health: '127.0.0.1:{health}', api: '127.0.0.1:0' }}\n"
            "drain_delay: 0s\nchecks:\n  - { name: root, disk: { path: / } }\n"
        )
        began = time.monotonic()
        return stack.enter_context(Process(program, "agent", "--config", config)).process, health, began

    return start


def least_server(program):
    def start(stack, _):
        began = time.monotonic()
        target = stack.enter_context(closing(Target(program)))
        return target.process, target.port, began

    return start


def measure(start, settle):
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        process, port, began = start(stack, directory)
        while not is_well(port):
            if process.poll() is not None or time.monotonic() > began + 30:
                raise RuntimeError(f"{process.args[0]} has not become healthy")
            time.sleep(0.0002)
        row = {"ms": (time.monotonic() - began) * 1e3}
        time.sleep(settle)
        row |= memory(process.pid)
        row["threads"] = len(list(Path(f"/proc/{process.pid}/task").iterdir()))
        row["libraries"] = count_libraries(process.pid)
        helper = helper_of(process.pid)
        row["helper_pss"] = memory(helper)["pss"] if helper else 0
        return row


def table(runs):
    """runs: {program: [row, ...]}"""
    print(
        "| program | start to first 200, ms (least-most) | RSS MB | of it anonymous | PSS MB | PSS of its helper | threads"
        " | libraries |\n|---|---|---|---|---|---|---|---|"
    )
    for name, rows in runs.items():
        m = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        each = [row["ms"] for row in rows]
        helper = f"{m['helper_pss']:.1f}" if m["helper_pss"] else "-"
        print(
            f"| {name} | {m['ms']:.1f} ({min(each):.1f}-{max(each):.1f}) | {m['rss']:.1f} | {m['anonymous']:.1f}"
            f" | {m['pss']:.1f} | {helper} | {m['threads']:.0f} | {m['libraries']:.0f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, help="of each program")
    parser.add_argument("--settle", type=float, default=1, help="seconds before memory is counted")
    parser.add_argument("--beside", metavar="DAVY", help="another build of davy, measured in turn with the others")
    parser.add_argument("--build", default="build/bench", type=Path, help="where the programs are")
    args = parser.parse_args()

    programs = {"davy": davy(args.build / "davy"), "least server": least_server(args.build / "bench/probe_target")}
    if args.beside:
        programs["davy (other)"] = davy(args.beside)
    for start in programs.values():
        measure(start, 0)  # the first brings the program and its libraries into memory
    runs = {name: [] for name in programs}
    for i in range(args.runs):
        for name, start in programs.items():
            row = measure(start, args.settle)
            runs[name].append(row)
            print(f"run {i + 1} of {args.runs}: {name}: {json.dumps(row)}", file=sys.stderr)
    print(f"One check of a disk; {args.runs} runs each.\n")
    table(runs)


if __name__ == "__main__":
    main()
