"""Sign-ins over HTTP against the hash alone: how much of the machine's hashing a node sells on."""

import json
import os

from figures import ratio, rounds
from harness import CORES, PASSWORD, Lab, Node, Postgres, Redis, driver, processor_seconds, wrk

ACCOUNTS = 64
CLIENTS = 16


def bodies(lab, names):
    """A file of request bodies, one a line."""
    path = lab.path("bodies")
    with open(path, "w") as file:
        for name in names:
            file.write(json.dumps({"login": name, "password": PASSWORD}) + "\n")
    return path


def measure(options):
    """With the default, which leaves a core to the rest, and with a thread for each core."""
    default = max(1, len(CORES) - 1)
    figures = one(options, default, floor=0.85, goal=0.93)
    if default < len(CORES):
        figures += one(options, len(CORES))
    return figures


def one(options, threads, **limits):
    with Lab() as lab:
        node = Node(lab, Postgres(lab), Redis(lab), passwords_threads=threads)
        file = bodies(lab, node.register(ACCOUNTS))
        seconds = max(4, options.seconds)

        def over_http():
            used = processor_seconds(node.process.pid)
            figures = wrk(
                node.port, "/v1/auth/login", CLIENTS, seconds,
                script="sign_in.lua", argument=file,
            )
            used = processor_seconds(node.process.pid) - used
            return figures | {"cpu_ms": used * 1000 / figures["count"]}

        over_http()
        results = rounds(options.rounds, {
            "http": over_http,
            "hash": lambda: driver("hash", threads=threads, milliseconds=seconds * 1000),
            "arena": lambda: driver(
                "hash", threads=threads, arena=1, milliseconds=seconds * 1000,
            ),
        })
    middle = len(results) // 2
    inside = sorted(each["http"]["cpu_ms"] for each in results)[middle]

    def against(name, leg, **limits):
        outside = sorted(each[leg]["cpu_us"] for each in results)[middle] / 1000
        return ratio(
            "sign-in", f"sign-ins over HTTP / {name}, {threads} thread(s)", results,
            "http", leg, **limits,
            note=f"{inside:.1f} ms of processor each, a bare hash {outside:.1f} ms",
        )

    return [
        against("hashes of libsodium", "hash", **limits),
        against("the same in reused memory", "arena"),
    ]
