"""A node with a million live revocations, in parts that can be run apart (`--only`): `start`, its
start and memory; `burst`, its latency in just the time in which a hundred thousand more are
applied; `half-minute`, its latency over a longer time with one such burst in it."""

import math
import statistics
import threading
import time

from figures import Figure, rounds, spread
from harness import Lab, Node, Postgres, Redis, driver, until
from start_up import PAUSE, is_ready

PARTS = ("start", "burst", "half-minute")
LIVE = 1_000_000
BURST = 100_000
# Checks a second, sent whatever the node does.
RATE = 1000
# A window has a thousand checks at least, or its p99 would be the slowest but a few.
SHORTEST = 1.0
# How often a node is asked how many it holds.
LOOK = 0.05
COMMITS = 1000
# Less than 1 ms, in the microseconds that the driver counts.
GOAL = 0.999


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
    parts = {
        "start": measure_start, "burst": measure_bursts, "half-minute": measure_half_minute,
    }
    figures = []
    for name in PARTS:
        if options.only in (None, name):
            figures += parts[name](options)
    return figures


def measure_start(options):
    with Lab() as lab:
        postgres, redis = Postgres(lab), Redis(lab)
        node = Node(lab, postgres, redis)
        count = max(3, options.rounds)
        empty = starts(lab, node, count)
        grown = as_they_come(postgres, node)
        full = starts(lab, node, count)
        if held(node) < LIVE:
            raise SystemExit(f"the node holds {held(node):.0f} revocations")
        return at_rest(empty, full) + grown


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


class Beside(threading.Thread):
    """Work beside the measuring."""

    def __init__(self, work):
        super().__init__()
        self.work, self.answer, self.failure = work, None, None
        self.start()

    def run(self):
        try:
            self.answer = self.work()
        except SystemExit as failure:
            self.failure = failure

    def end(self):
        """Its answer; a thread alone would keep a failure to itself."""
        self.join()
        if self.failure:
            raise self.failure
        return self.answer


def prepared(postgres, table):
    # What is measured as applied is written before, and only committed while checks run.
    return Prepared(postgres, table, BURST).commit


def written(postgres, table):
    return lambda: revoke(postgres, table, BURST)


def in_commits(postgres, table):
    """A hundred to a commit: a hundred thousand commits would measure the disk."""
    statement = rows(table, BURST // COMMITS)
    return lambda: postgres.query(
        f"DO $$ BEGIN FOR n IN 1..{COMMITS} LOOP {statement}; COMMIT; END LOOP; END $$"
    )


# How they come: always rows of their own, and never one row that stands for many.
WAYS = {
    "at once, written before": prepared,
    "at once, with the writing": written,
    f"in {COMMITS:,} commits": in_commits,
}
LOG, TWIN = "revocation_log", "twin"


class Bursts:
    """A node that holds a million, alone on its database, for another would apply them too."""

    def __init__(self, lab, mode, way):
        self.postgres, self.way = Postgres(lab), WAYS[way]
        self.node = Node(lab, self.postgres, Redis(lab), verify_mode=mode)
        self.names = self.node.register(1)
        for _ in range(LIVE // BURST):
            revoke(self.postgres, LOG, BURST)
        # The same work for the database, in a table that nobody reads.
        self.postgres.query(f"CREATE TABLE {TWIN} (LIKE {LOG} INCLUDING ALL)")
        self.node.stop()
        self.node.start()
        self.await_held(LIVE)

    def await_held(self, count):
        # To be asked whether it is ready makes a node read.
        until("the node has read them", lambda: (
            is_ready(self.node.management) and held(self.node) >= count
        ))

    def prepare(self, table):
        """Gives what is to be done when checks run, in a node and a database that have come to
        rest: what is left of the last burst, and a vacuum because of it, would be measured too."""
        self.postgres.query(f"VACUUM ANALYZE {LOG}")
        self.postgres.query(f"VACUUM ANALYZE {TWIN}")
        burst = self.way(self.postgres, table)
        self.token = self.node.sign_in(self.names)[0]["access_token"]
        self.await_held(LIVE)
        time.sleep(1)
        return burst

    def pair(self, table, seconds):
        """A window without a burst, and right after it one of the same length with it."""
        burst = self.prepare(table)
        return {"before": self.window(seconds), "during": self.window(seconds, burst, table)}

    def window(self, seconds, burst=None, table=None):
        """The times of the checks that were due in these seconds. They begin some hundredths of a
        second before the burst."""
        wanted, checks = held(self.node) + BURST, self.checks()
        load = Beside(lambda: driver(
            "paced", port=self.node.port, path="/verify", token=self.token, rate=RATE,
            connections=64, milliseconds=round(seconds * 1000),
        ))
        until("checks are answered", lambda: self.checks() > checks or not load.is_alive())
        begun, took = time.monotonic(), None
        writer = Beside(burst or (lambda: None))
        # On both sides, because that costs the node something too.
        while load.is_alive():
            if held(self.node) >= wanted and took is None:
                took = time.monotonic() - begun
            time.sleep(LOOK)
        figures, is_late = load.end(), table == LOG and took is None
        writer.end()
        if is_late:
            self.await_held(wanted)
            took = time.monotonic() - begun
        return figures | {"took": took, "is_late": is_late}

    def checks(self):
        return self.node.metrics()["watchword_verify_fast_total"]

    def fitting(self):
        """The length of a window that a burst fits in, as of a rehearsal."""
        took = self.pair(LOG, SHORTEST)["during"]["took"]
        return max(SHORTEST, math.ceil(took * 15) / 10)


def measure_bursts(options):
    """p99 of /verify in the time of a burst, against as long a time right before it."""
    figures = []
    for mode, way in [*(("linear", way) for way in WAYS), ("bounded", "at once, written before")]:
        with Lab() as lab:
            bursts = Bursts(lab, mode, way)
            seconds = bursts.fitting()
            results = rounds(max(5, options.rounds), {
                table: lambda table=table: bursts.pair(table, seconds) for table in (LOG, TWIN)
            })
        # With the writing in it, it is not the applying alone.
        limits = {} if WAYS[way] is written else {"goal": GOAL}
        about = f"while {BURST:,} come {way}, {mode}"
        figures += risen(about, [each[LOG] for each in results], seconds, **limits)
        figures += risen(f"{about}, to a table nobody reads", [each[TWIN] for each in results],
                         seconds)[:1]
    return figures


def risen(about, pairs, seconds, **limits):
    def rise(key):
        return [each["during"][key] - each["before"][key] for each in pairs]

    def middle(side, key):
        return statistics.median(each[side][key] for each in pairs)

    def times(side):
        return (f"p50 {middle(side, 'p50_ms'):.2f}, p99 {middle(side, 'p99_ms'):.2f}, "
                f"longest {middle(side, 'max_ms'):.1f} ms")

    during = [each["during"] for each in pairs]
    note = (f"{times('during')}; right before {times('before')}; {len(pairs)} windows of "
            f"{seconds:.1f} s with {middle('during', 'count'):,.0f} checks on each side; "
            f"{sum(each['failures'] for each in during)} refused")
    took = [each["took"] for each in during if each["took"] is not None]
    if took:
        note += (f"; applied {statistics.median(took):.2f} s after it began "
                 f"({min(took):.2f}–{max(took):.2f})")
    if late := sum(each["is_late"] for each in during):
        note += f"; {late} not within the window"
    return [
        spread("million", f"rise of p99 of /verify {about}", rise("p99_ms"), "ms",
               less_is_better=True, note=note, **limits),
        spread("million", f"rise of the longest {about}", rise("max_ms"), "ms",
               less_is_better=True),
    ]


def measure_half_minute(options):
    """p99 of a time so long that one short wait hardly shows in it."""
    seconds = max(30, options.seconds * 5)
    with Lab() as lab:
        bursts = Bursts(lab, "linear", "at once, written before")

        def leg(table):
            return bursts.window(seconds, bursts.prepare(table), table)

        results = rounds(min(3, options.rounds), {
            table: lambda table=table: leg(table) for table in (TWIN, LOG)
        })
    return shown_half_minute(results, seconds)


def shown_half_minute(results, seconds):
    def middle(leg, key):
        return statistics.median(each[leg][key] for each in results)

    def times(leg):
        return (f"p50 {middle(leg, 'p50_ms'):.2f}, p99 {middle(leg, 'p99_ms'):.2f}, "
                f"p99.9 {middle(leg, 'p999_ms'):.1f}, longest {middle(leg, 'max_ms'):.1f} ms, "
                f"{middle(leg, 'failures'):.0f} refused")

    rises = [each[LOG]["p99_ms"] - each[TWIN]["p99_ms"] for each in results]
    return [
        spread("million", f"{BURST:,} committed at once move p99 of {seconds} s of /verify by, "
               "linear", rises, "ms", less_is_better=True,
               note=f"at {RATE:,}/s; {times(LOG)}"),
        Figure("million", f"p99 of {seconds} s while as many rows of another table are committed, "
               "linear", middle(TWIN, "p99_ms"), "ms", note=times(TWIN)),
    ]
