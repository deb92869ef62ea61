"""What checks cost the stores, and how long a log-out takes, with PostgreSQL or members as the
authority of the revocation log; healthy, and with a server killed in the middle."""

import os
import statistics
import threading
import time
from http.client import HTTPConnection

from figures import Figure, ratio, rounds, spread
from harness import CORES, Database, Lab, Member, Node, Postgres, Redis, of_members, \
    processor_seconds, program, until, wrk
from verify import answers, nginx

# Of so many sessions each is ended once.
SESSIONS = 200
CLIENTS = 4
# Writes a second beside the checks.
WRITES = 500


def measure_checks(options):
    """One core for the server; the stores share the other with the load."""
    server, other = CORES[0], CORES[-1]
    with Lab() as lab:
        postgres, redis = Postgres(lab, other), Redis(lab, other)
        nodes, members = {}, {}

        def add(name, count=0, core=server, **settings):
            """A node with a database of its own, for the authority belongs to a database."""
            base = Database(postgres, f"checks{len(nodes)}")
            members[name] = [Member(lab, other) for _ in range(count)]
            if count:
                settings |= of_members(members[name])
            settings = {"http_event_loops": 1} | settings
            node = Node(lab, base, redis, core, log=f"{len(nodes)}.log", **settings)
            if count:
                node.await_members()
            nodes[name] = node, node.sign_in(node.register(1))[0]["access_token"]

        add("pg")
        add("pace 2 ms", revocation_pace="2ms")
        add("pace 5 ms", revocation_pace="5ms")
        add("one member", 1)
        add("three members", 3)
        add("one loop", core=None)
        add("two loops", core=None, http_event_loops=2)
        process, plain = nginx(lab, server)
        until("nginx answers", lambda: answers(plain))

        def leg(name, connections=64):
            if name == "nginx":
                return wrk(plain, "/verify", connections, options.seconds,
                           nodes["pg"][1], core=other)
            node, token = nodes[name]
            used = processor_seconds(node.process.pid)
            asked = sum(each.commands() for each in members[name])
            figures = wrk(node.port, "/verify", connections, options.seconds, token,
                          core=None if node.core is None else other)
            used = processor_seconds(node.process.pid) - used
            asked = sum(each.commands() for each in members[name]) - asked
            return figures | {"cpu_us": used * 1e6 / figures["count"],
                              "commands": asked / figures["count"]}

        script = noise(lab, postgres)

        def busy():
            """The same while the database commits writes, so that its snapshot never rests long."""
            writer = lab.spawn([program("pgbench"), "-n", "-c", "4", "-R", str(WRITES), "-T", "60",
                                "-h", postgres.folder, "-U", "postgres", "-f", script, "noise"],
                               other, cwd="/")
            time.sleep(0.3)
            figures = leg("pg")
            lab.stop(writer)
            return figures

        names = ["nginx", *nodes]
        for name in names:
            leg(name)
        legs = {name: lambda name=name: leg(name) for name in names}
        beside = f"pg beside {WRITES} writes a second"
        legs[beside] = busy
        results = rounds(options.rounds, legs)
        found = [shown(results, name) for name in [*list(nodes)[:5], beside]]
        found.append(ratio("checks", "two event loops / one, on both cores, c=64", results,
                           "two loops", "one loop", note="the load runs there too"))
        return found + loads(postgres, nodes, members, leg)


def noise(lab, postgres):
    """A script of small writes, and the database for it."""
    Database(postgres, "noise")
    postgres.ask("CREATE TABLE noise (n int)", "noise")
    path = lab.path("noise.sql")
    with open(path, "w") as file:
        file.write("INSERT INTO noise VALUES (1);\n")
    os.chmod(lab.folder, 0o755)
    os.chmod(path, 0o644)
    return path


def shown(results, name):
    def middle(key):
        return statistics.median(each[name][key] for each in results)

    note = f"{middle('cpu_us'):.1f} µs of processor each, p99 {middle('p99_ms'):.1f} ms"
    if middle("commands"):
        note += f"; {middle('commands'):.3f} commands of Redis each"
    return ratio("checks", f"{name} / nginx 204, one core, c=64", results, name, "nginx", note=note)


def loads(postgres, nodes, members, leg):
    """What the stores are asked a second, at rates that differ; by their own counters."""
    found = []
    for name in ("pace 5 ms", "three members"):
        for connections in (4, 64, 256):
            # A backend counts what it did when it has been idle for ten seconds.
            time.sleep(11)
            before, begun = postgres.transactions(), time.monotonic()
            asked = sum(each.commands() for each in members[name])
            figures = leg(name, connections)
            asked = sum(each.commands() for each in members[name]) - asked
            seconds = figures["count"] / figures["rate"]
            time.sleep(11)
            rest = time.monotonic() - begun - seconds
            rise = postgres.transactions() - before
            note = f"{figures['rate']:,.0f} checks/s"
            if asked:
                note += f"; {asked / seconds:,.0f} commands of Redis a second"
            found.append(Figure(
                "checks", f"transactions of PostgreSQL a second, {name}, c={connections}",
                rise / seconds, "/s",
                note=f"{note}; all nodes and {rest:.0f} s of rest are in it",
            ))
    return found


def measure_log_out(options):
    """`POST /v1/auth/logout`, whose 204 says that the session is over on every node."""
    found = []
    for name, count, kill in (
        ("pg", 0, None), ("pg, the cache's Redis killed", 0, "cache"),
        ("one member", 1, None), ("three members", 3, None),
        ("three members, one killed", 3, "member"), ("one member, killed", 1, "member"),
    ):
        results = [log_outs(count, kill) for _ in range(max(1, options.rounds // 2))]
        for key, text in (("p50", "median"), ("p99", "p99")):
            found.append(spread(
                "log-out", f"{text} of a log-out, {name}", [each[key] for each in results], "ms",
                less_is_better=True,
                note="" if key == "p50" else
                f"longest {max(each['longest'] for each in results):.0f} ms; "
                f"{results[0]['count']} log-outs, {CLIENTS} at a time",
            ))
    return found


def log_outs(count, kill):
    with Lab() as lab:
        postgres, redis = Postgres(lab), Redis(lab)
        members = [Member(lab) for _ in range(count)]
        node = Node(lab, postgres, redis, **(of_members(members) if count else {}))
        if count:
            node.await_members()
        names = node.register(20)
        tokens = [pair["access_token"] for pair in node.sign_in(names * (SESSIONS // 20))]
        victim = {"cache": redis, "member": members[0] if members else None}.get(kill)
        times, lock = [], threading.Lock()

        def work():
            connection = HTTPConnection("127.0.0.1", node.port, timeout=60)
            while True:
                with lock:
                    if not tokens:
                        return
                    token = tokens.pop()
                    if victim and len(tokens) == SESSIONS * 2 // 3:
                        victim.process.kill()
                begun = time.monotonic()
                connection.request("POST", "/v1/auth/logout",
                                   headers={"Authorization": f"Bearer {token}"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 204:
                    raise SystemExit(f"logout: {answer.status}")
                with lock:
                    times.append((time.monotonic() - begun) * 1000)

        threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if len(times) != SESSIONS:
        raise SystemExit(f"only {len(times)} log-outs were answered with 204")
    times.sort()
    return {"p50": statistics.median(times), "p99": times[int(len(times) * 0.99)],
            "longest": times[-1], "count": len(times)}
