"""What checks cost, in parts that can be run apart (`--only`): `rates`, with PostgreSQL or members
as the authority of the revocation log; `stores`, what these are asked a second at rates that
differ. And how long a log-out takes by authority; healthy, and with a server killed in between."""

import os
import statistics
import threading
import time
from http.client import HTTPConnection

from figures import Figure, ratio, rounds, spread
from harness import CORES, Database, Lab, Member, Node, Postgres, Redis, of_members, \
    processor_seconds, program, until, wrk
from verify import answers, nginx

PARTS = ("rates", "stores")
# Of so many sessions each is ended once.
SESSIONS = 200
CLIENTS = 4
# Writes a second beside the checks.
WRITES = 500
# A backend of PostgreSQL counts what it did when it has been idle for ten seconds.
REST = 11
CONNECTIONS = (4, 64, 256)
# With a pace, stores are asked as often whatever comes; this much more is noise.
FLAT = 1.2


class Stand:
    """Nodes of several authorities on one core; the stores share the other with the load."""

    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.server, self.other = CORES[0], CORES[-1]
        self.postgres, self.redis = Postgres(lab, self.other), Redis(lab, self.other)
        self.nodes, self.tokens, self.bases, self.members = {}, {}, {}, {}

    def add(self, name, count=0, is_pinned=True, **settings):
        """A node with a database of its own, for the authority belongs to a database."""
        base = Database(self.postgres, f"checks{len(self.nodes)}")
        members = [Member(self.lab, self.other) for _ in range(count)]
        if count:
            settings |= of_members(members)
        settings = {"http_event_loops": 1} | settings
        node = Node(self.lab, base, self.redis, self.server if is_pinned else None,
                    log=f"{len(self.nodes)}.log", **settings)
        if count:
            node.await_members()
        self.nodes[name], self.bases[name], self.members[name] = node, base, members
        self.tokens[name] = node.sign_in(node.register(1))[0]["access_token"]

    def load(self, name, connections=64, seconds=None):
        node = self.nodes[name]
        return wrk(node.port, "/verify", connections, seconds or self.options.seconds,
                   self.tokens[name], core=None if node.core is None else self.other)


def measure_checks(options):
    parts = {"rates": measure_rates, "stores": measure_stores}
    figures = []
    for name in PARTS:
        if options.only in (None, name):
            with Lab() as lab:
                figures += parts[name](Stand(lab, options))
    return figures


def measure_rates(stand):
    lab, options = stand.lab, stand.options
    stand.add("pg")
    stand.add("pace 2 ms", revocation_pace="2ms")
    stand.add("pace 5 ms", revocation_pace="5ms")
    stand.add("one member", 1)
    stand.add("three members", 3)
    stand.add("one loop", is_pinned=False)
    stand.add("two loops", is_pinned=False, http_event_loops=2)
    _, plain = nginx(lab, stand.server)
    until("nginx answers", lambda: answers(plain))

    def leg(name):
        if name == "nginx":
            return wrk(plain, "/verify", 64, options.seconds, stand.tokens["pg"], core=stand.other)
        pid, members = stand.nodes[name].process.pid, stand.members[name]
        used = processor_seconds(pid)
        asked = sum(each.commands() for each in members)
        figures = stand.load(name)
        used = processor_seconds(pid) - used
        asked = sum(each.commands() for each in members) - asked
        return figures | {"cpu_us": used * 1e6 / figures["count"],
                          "commands": asked / figures["count"]}

    script = noise(lab, stand.postgres)

    def busy():
        """The same while the database commits writes, so that its snapshot never rests long."""
        writer = lab.spawn([program("pgbench"), "-n", "-c", "4", "-R", str(WRITES), "-T", "60",
                            "-h", stand.postgres.folder, "-U", "postgres", "-f", script, "noise"],
                           stand.other, cwd="/")
        time.sleep(0.3)
        figures = leg("pg")
        lab.stop(writer)
        return figures

    names = ["nginx", *stand.nodes]
    for name in names:
        leg(name)
    legs = {name: lambda name=name: leg(name) for name in names}
    beside = f"pg beside {WRITES} writes a second"
    legs[beside] = busy
    results = rounds(options.rounds, legs)
    found = [shown(results, name) for name in [*list(stand.nodes)[:5], beside]]
    found.append(ratio("checks", "two event loops / one, on both cores, c=64", results,
                       "two loops", "one loop", note="the load runs there too"))
    return found


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


def measure_stores(stand):
    """What the stores are asked a second, at rates that differ; by their own counters."""
    stand.add("pace 5 ms", revocation_pace="5ms")
    stand.add("one member, pace 5 ms", 1, revocation_pace="5ms")
    stand.add("three members, pace 5 ms", 3, revocation_pace="5ms")
    # Beside the others, to show that it is the pace that bounds them.
    stand.add("three members", 3)
    for name in stand.nodes:
        stand.load(name)
    time.sleep(REST)
    runs = {
        (name, connections): asked(stand, name, connections)
        for connections in CONNECTIONS for name in stand.nodes
    }
    return [
        line for name in stand.nodes
        for line in shown_stores(name, [runs[name, connections] for connections in CONNECTIONS])
    ]


def asked(stand, name, connections):
    """How often a second the stores of one node were asked while checks came as fast as so many
    connections can send them. PostgreSQL counts for the node's own database alone."""
    node, base, members = stand.nodes[name], stand.bases[name], stand.members[name]
    seconds = max(5, stand.options.seconds)
    if members:
        # An epoch may have ended; then PostgreSQL would be measured instead.
        node.await_members()

    def counters():
        own = node.metrics()
        return {
            "polls": own.get("watchword_revocation_polls_total", 0),
            "fallbacks": own.get("watchword_revocation_fallbacks_total", 0),
            "reads": own["watchword_revocation_reads_total"],
        }, [each.commands() for each in (stand.redis, *members)]

    transactions = stand.postgres.transactions(base.name)
    before, commands = counters()
    figures = stand.load(name, connections, seconds)
    after, commands_after = counters()
    time.sleep(REST)
    transactions = stand.postgres.transactions(base.name) - transactions
    seconds = figures["count"] / figures["rate"]
    rise = {key: (after[key] - before[key]) / seconds for key in after}
    # To ask a Redis how many it has run is a command too.
    cache, *each = [(b - a - 1) / seconds for a, b in zip(commands, commands_after)]
    return rise | {"checks": figures["rate"], "cache": cache, "members": each,
                   "commands": statistics.mean(each) if each else 0,
                   "transactions": transactions / seconds}


def shown_stores(name, runs):
    """The lines of one node; `runs` in the order of `CONNECTIONS`."""
    found = []
    for connections, run in zip(CONNECTIONS, runs):
        checks = f"{run['checks']:,.0f} checks/s"
        if run["members"]:
            questions = run["polls"] / len(run["members"])
            found.append(spread(
                "checks", f"commands of a member a second, {name}, c={connections}",
                run["members"], "/s", less_is_better=True,
                note=f"{checks}; each member asked {questions:,.0f} times a second, PostgreSQL "
                     f"instead of them {run['fallbacks']:.1f} times; the cache's Redis ran "
                     f"{run['cache']:.1f} commands a second",
            ))
        found.append(Figure(
            "checks", f"transactions of PostgreSQL a second, {name}, c={connections}",
            run["transactions"], "/s", less_is_better=True,
            note=f"{checks}; {run['reads']:,.1f} reads of the log a second by the node's count; "
                 f"{REST} s of rest are in it",
        ))
    return found + [flatness(name, runs)]


def flatness(name, runs):
    """How much more a store is asked when many more checks come; it is the authority that checks
    ask. Without a pace there is no goal: batches are as many as fit, and larger under load."""
    store, key = ("PostgreSQL", "transactions")
    if runs[0]["members"]:
        store, key = ("a member", "commands")
    least, most = CONNECTIONS[0], CONNECTIONS[-1]
    if not runs[0][key]:
        raise SystemExit(f"{name}: {store} was not asked at all")
    asked_more = runs[-1][key] / runs[0][key]
    growth = runs[-1]["checks"] / runs[0]["checks"]
    is_paced = "pace" in name
    expected = "flat, so 1, is expected of a pace" if is_paced else "without a pace"
    return Figure(
        "checks", f"{key} of {store}, c={most} / c={least}, {name}", asked_more,
        less_is_better=True, goal=FLAT if is_paced else None,
        note=f"while checks/s grow {growth:.1f}-fold; {expected}",
    )


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
