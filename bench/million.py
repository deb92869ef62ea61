"""A node with a million live revocations: its start, its memory, and its latency while a hundred
thousand more are committed at once."""

import statistics
import threading
import time

from figures import Figure, rounds, spread
from harness import Lab, Node, Postgres, Redis, driver, until
from start_up import PAUSE, is_ready

LIVE = 1_000_000
BURST = 100_000
# Checks a second, sent whatever the node does.
RATE = 1000


def rows(table, count):
    """Revocations of sessions that nobody has."""
    return (
        f"INSERT INTO {table} (kind, subject, expires_at) "
        "SELECT 2, uuid_send(gen_random_uuid()), clock_timestamp() + interval '6 hours' "
        f"FROM generate_series(1, {count})"
    )


def revoke(postgres, table, count):
    """Commits so many in one transaction."""
    postgres.query(rows(table, count))


class Prepared:
    """So many that are written and not yet committed."""

    def __init__(self, postgres, table, count):
        self.session = postgres.session()
        self.say(f"BEGIN; {rows(table, count)};")

    def say(self, sql):
        self.session.stdin.write(f"{sql} SELECT 'done';\n")
        self.session.stdin.flush()
        if self.session.stdout.readline().strip() != "done":
            raise SystemExit("psql has ended")

    def commit(self):
        self.say("COMMIT;")
        self.session.stdin.close()
        self.session.wait()


def memory(pid):
    """Resident memory in MB: now, and at its highest."""
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    return [int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")]


def held(node):
    return node.metrics()["watchword_revocation_set_size"]


def starts(lab, node, count):
    """Starts it so many times: milliseconds until it is ready, and its memory two seconds later."""
    times, memories = [], []
    for _ in range(count):
        node.stop()
        begun = time.monotonic()
        node.start()
        while not is_ready(node.management):
            time.sleep(PAUSE)
            if node.process.poll() is not None or time.monotonic() - begun > 120:
                raise SystemExit(f"no start: {lab.said(node.log)}")
        times.append((time.monotonic() - begun) * 1000)
        time.sleep(2)
        memories.append(memory(node.process.pid))
    return times, memories


def measure(options):
    with Lab() as lab:
        postgres, redis = Postgres(lab), Redis(lab)
        node = Node(lab, postgres, redis)
        count = max(3, options.rounds)
        empty = starts(lab, node, count)
        grown = as_they_come(postgres, node)
        full = starts(lab, node, count)
        if held(node) < LIVE:
            raise SystemExit(f"the node holds {held(node):.0f} revocations")
        return at_rest(empty, full) + grown + bursts(lab, postgres, redis, node, options)


def at_rest(empty, full):
    middle = [statistics.median(each[index] for each in empty[1]) for index in (0, 1)]
    more = [[each[index] - middle[index] for each in full[1]] for index in (0, 1)]
    return [
        spread("million", "from exec to ready, 1,000,000 live", full[0], "ms", goal=3000.0,
               less_is_better=True,
               note=f"{statistics.median(empty[0]):.0f} ms with an empty log"),
        spread("million", "resident memory for them", more[0], "MB", goal=64.0,
               less_is_better=True, note=f"beside {middle[0]:.1f} MB with an empty log"),
        spread("million", "resident memory for them, at its highest", more[1], "MB", goal=64.0,
               less_is_better=True, note=f"beside {middle[1]:.1f} MB with an empty log"),
    ]


def as_they_come(postgres, node):
    """The node was there before them, and gets them a hundred thousand at a time."""
    before = memory(node.process.pid)
    for number in range(1, LIVE // BURST + 1):
        revoke(postgres, "revocation_log", BURST)
        until("the node has read them", lambda: (
            is_ready(node.management) and held(node) >= number * BURST
        ))
    time.sleep(2)
    after = memory(node.process.pid)
    return [
        Figure("million", "resident memory for as many that came while it ran",
               after[0] - before[0], "MB", goal=64.0, less_is_better=True,
               note=f"{after[1] - before[0]:.1f} MB at its highest"),
    ]


def bursts(lab, postgres, redis, node, options):
    """p99 of /verify with a burst in the middle, against the same work in a table nobody reads."""
    postgres.query("CREATE TABLE twin (LIKE revocation_log INCLUDING ALL)")
    bounded = Node(lab, postgres, redis, log="bounded.log", verify_mode="bounded",
                   public_url=f"http://127.0.0.1:{node.port}")
    token = node.sign_in(node.register(1))[0]["access_token"]
    nodes = {"linear": node, "bounded": bounded}
    seconds = max(30, options.seconds * 5)

    def leg(name, table, is_written):
        # What is measured as applied is written before, and only committed while checks run.
        burst = None if is_written else Prepared(postgres, table, BURST)
        figures = {}

        def load():
            try:
                figures.update(driver(
                    "paced", port=nodes[name].port, path="/verify", token=token, rate=RATE,
                    connections=64, milliseconds=seconds * 1000,
                ))
            except SystemExit as end:
                figures["failures"] = str(end)

        thread = threading.Thread(target=load)
        thread.start()
        time.sleep(seconds / 3)
        if burst:
            burst.commit()
        else:
            revoke(postgres, table, BURST)
        thread.join()
        if not isinstance(figures.get("failures"), int):
            raise SystemExit(f"/verify failed: {figures}")
        return figures

    kinds = {"linear": ("applied", "written"), "bounded": ("applied",)}
    legs = {
        f"{name} {kind} {table}": lambda name=name, kind=kind, table=table: leg(
            name, table, kind == "written"
        )
        for name in nodes for kind in kinds[name] for table in ("twin", "revocation_log")
    }
    results = rounds(options.rounds, legs)
    return [
        line for name in nodes for kind in kinds[name]
        for line in shown_bursts(name, kind, results, seconds)
    ]


def shown_bursts(name, kind, results, seconds):
    def middle(leg, key):
        return statistics.median(each[f"{name} {kind} {leg}"][key] for each in results)

    def times(leg):
        return (f"p50 {middle(leg, 'p50_ms'):.2f}, p99 {middle(leg, 'p99_ms'):.2f}, "
                f"p99.9 {middle(leg, 'p999_ms'):.1f}, longest {middle(leg, 'max_ms'):.1f} ms, "
                f"{middle(leg, 'failures'):.0f} refused")

    moved = [
        each[f"{name} {kind} revocation_log"]["p99_ms"] - each[f"{name} {kind} twin"]["p99_ms"]
        for each in results
    ]
    goal = {"goal": 1.0} if kind == "applied" else {}
    what = {"applied": "committed", "written": "written and committed"}[kind]
    return [
        spread("million", f"100,000 {what} at once move p99 of /verify by, {name}", moved, "ms",
               less_is_better=True, note=f"of {seconds} s at {RATE:,}/s; {times('revocation_log')}",
               **goal),
        Figure("million", f"p99 while as many rows of another table are {what}, {name}",
               middle("twin", "p99_ms"), "ms", note=times("twin")),
    ]
