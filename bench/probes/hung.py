#!/usr/bin/env python3
"""How fast davy answers while everything that it asks hangs. Prints Markdown.

20 checks, each once a second: servers that accept and say nothing, a stopped redis-server, a
stopped PostgreSQL (where they are installed and may be started) and a command that sleeps. Meanwhile
/readyz and /livez are asked 100 times a second each, on new connections, at a rate that does not
wait for the answers (open_loop.cpp).

Run by `./dev bench hung [OPTIONS]`; --help says which.
"""

import argparse
import asyncio
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from processes import Process, free_port, wait_for_port


class Mute:
    """Accepts, reads, says nothing."""

    def __init__(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = listener.getsockname()[1]
        threading.Thread(target=lambda: asyncio.run(self.serve(listener)), daemon=True).start()

    async def serve(self, listener):
        async def swallow(reader, writer):
            try:
                while await reader.read(4096):
                    pass
            except ConnectionError:
                pass
            writer.close()

        server = await asyncio.start_server(swallow, sock=listener)
        await server.serve_forever()


def stopped_redis(stack, directory):
    if not shutil.which("redis-server"):
        return None
    port = free_port()
    server = Process("redis-server", "--port", str(port), "--save", "", "--dir", directory)
    stack.enter_context(server)
    wait_for_port(port)
    server.process.send_signal(signal.SIGSTOP)
    return port


def stopped_postgres(stack, directory):
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not programs or os.geteuid() != 0:
        return None
    data, port = Path(directory, "pg"), free_port()
    data.mkdir()
    shutil.chown(data, "postgres", "postgres")
    as_postgres = {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": data}
    subprocess.run([f"{programs[-1]}/initdb", "-D", data, "-A", "trust"], check=True, stdout=subprocess.DEVNULL, **as_postgres)
    server = Process(f"{programs[-1]}/postgres", "-D", data, "-p", str(port), "-k", "", **as_postgres)
    stack.enter_context(server)
    wait_for_port(port)
    server.process.send_signal(signal.SIGSTOP)
    return port


def probes(stack, directory):
    """20 probes that will not be answered, and what hangs beside the mute servers."""
    mute = Mute().port
    redis, postgres = stopped_redis(stack, directory), stopped_postgres(stack, directory)
    all_of_them = 6 * [f"http: {{ url: 'http://127.0.0.1:{mute}/up' }}"]
    all_of_them += 3 * [f"tcp: {{ address: '127.0.0.1:{mute}', expect: hello }}"]
    all_of_them += [f"grpc: {{ address: '127.0.0.1:{mute}' }}", f"tls_certificate: {{ address: '127.0.0.1:{mute}' }}"]
    all_of_them += ["exec: { command: [/bin/sleep, '1000'] }"]
    all_of_them += 2 * [f"redis: {{ url: 'redis://127.0.0.1:{mute}' }}"]
    all_of_them += 2 * [f"redis: {{ url: 'redis://127.0.0.1:{redis or mute}' }}"]
    all_of_them += 2 * [f"postgres: {{ dsn: 'postgresql://davy@127.0.0.1:{mute}/davy' }}"]
    all_of_them += 2 * [f"postgres: {{ dsn: 'postgresql://davy@127.0.0.1:{postgres or mute}/davy' }}"]
    stopped = [name for name, port in (("redis-server", redis), ("PostgreSQL", postgres)) if port]
    return all_of_them, stopped


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=100, help="questions a second, per path")
    parser.add_argument("--warm-up", type=float, default=5, help="seconds before that")
    parser.add_argument("--build", default="build/bench", type=Path, help="where the programs are")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        os.chmod(directory, 0o755)
        hanging, stopped = probes(stack, directory)
        health = free_port()
        checks = "".join(
            f"  - {{ name: c{i}, {probe}, period: 1s, timeout: 900ms }}\n" for i, probe in enumerate(hanging)
        )
        config = Path(directory, "davy.yaml")
        config.write_text(
            f"service: bench\nlisten: {{ health: '127.0.0.1:{health}', api: '127.0.0.1:0' }}\n"
            f"drain_delay: 0s\nchecks:\n{checks}"
        )
        davy = Process(args.build / "davy", "agent", "--config", config, log=Path(directory, "davy.log"))
        stack.enter_context(davy)
        wait_for_port(health)
        time.sleep(args.warm_up)
        out = subprocess.run(
            [args.build / "bench/open_loop", str(health), str(args.rate), str(args.seconds), "/readyz", "/livez"],
            capture_output=True, text=True, check=True,
        )
        davy.insist_alive()

    beside = " and ".join(stopped)
    print(
        f"{len(hanging)} checks of mute servers{f' and of a stopped {beside}' if beside else ''};"
        f" {args.rate:g} questions/s per path for {args.seconds:g} s.\n"
    )
    print("| path | asked | answers | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|---|")
    for line in out.stdout.splitlines():
        row = json.loads(line)
        answers = ", ".join(f"{n} x {status}" for status, n in row["statuses"].items())
        print(f"| `{row['path']}` | {row['asked']} | {answers} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {row['max_ms']:.2f} |")


if __name__ == "__main__":
    main()
