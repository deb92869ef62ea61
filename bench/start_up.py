"""How fast a node is there, what it holds when nothing happens, and how large it is."""

import os
import shutil
import socket
import subprocess
import time

from figures import Figure, spread
from harness import Lab, Node, Postgres, Redis, program

PAUSE = 0.005


def is_ready(port):
    """Asks once; 200 is ready."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def resident(pid):
    """Resident memory in MB: all, and what is the process's own."""
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    return [int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")]


def measure(options):
    times, memory = [], []
    with Lab() as lab:
        postgres, redis = Postgres(lab), Redis(lab)
        # Migrates, and makes partitions and keys.
        node = Node(lab, postgres, redis, log_level="info")
        for number in range(max(5, options.rounds)):
            node.stop()
            begun = time.monotonic()
            node.start()
            while not is_ready(node.management):
                time.sleep(PAUSE)
                if node.process.poll() is not None or time.monotonic() - begun > 30:
                    raise SystemExit(f"no start: {lab.said(node.log)}")
            times.append((time.monotonic() - begun) * 1000)
            if number < 2:
                time.sleep(10)
                memory.append(resident(node.process.pid))
        stripped = lab.path("stripped")
        shutil.copy(program("watchword"), stripped)
        subprocess.run(["strip", stripped], check=True)
        sizes = [os.path.getsize(path) / 1e6 for path in (program("watchword"), stripped)]
    own = max(each[1] for each in memory)
    return [
        spread("start-up", "from exec to ready", times, "ms", goal=300.0, less_is_better=True),
        spread("start-up", "resident after 10 s of rest", [each[0] for each in memory], "MB",
               floor=80.0, goal=50.0, less_is_better=True,
               note=f"{own:.1f} MB of it private; the rest are pages of files"),
        Figure("start-up", "executable, stripped", sizes[1], "MB",
               note=f"{sizes[0]:.0f} MB with symbols"),
    ]
