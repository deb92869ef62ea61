"""What one refresh costs the database, and how close the node comes to that cost: the statement of
`RefreshStore.rotate`, by itself from pgbench and through a node."""

import os
import random
import re
import time

from figures import ratio, rounds, spread
from harness import Lab, Node, Postgres, Redis, processor_seconds, program, run, wrk

CLIENTS = 64
SESSIONS = 200
PARTITIONS = "relname ~ '^sessions'"
# Each client of pgbench has a session of its own and knows its generation from the last RETURNING.
SCRIPT = """\\if :started
\\else
\\set place :client_id * 25
SELECT id AS session, refresh_generation AS refresh_generation, encode(nonce_digest, 'hex') AS nonce
  FROM sessions ORDER BY id DESC OFFSET :place LIMIT 1 \\gset
\\set started 1
\\endif
{statement} \\gset
"""
CASTS = [
    "(:session)::uuid", "(:refresh_generation)::bigint", "decode(:nonce, 'hex')", "now()",
    "'127.0.0.1'::text", "1209600::float8", "900::int",
]


def rotation_script():
    """The node's own statement with pgbench's variables in it."""
    sql = run([program("Bench"), "rotation-sql"]).strip()
    for number, value in enumerate(CASTS, start=1):
        sql = re.sub(rf"\${number}(?!\d)", value, sql)
    return SCRIPT.format(statement=sql)


class Scene:
    """A node whose hashes are cheap, because sessions are only a means here."""

    def __init__(self, lab):
        self.lab = lab
        self.postgres, redis = Postgres(lab), Redis(lab)
        self.node = Node(
            lab, self.postgres, redis, passwords_memory="8388608", passwords_passes=1
        )
        self.names = self.node.register(SESSIONS)
        self.script = lab.path("rotation.sql")
        with open(self.script, "w") as file:
            file.write(rotation_script())
        os.chmod(self.script, 0o644)

    def tokens(self, count):
        """A file of fresh refresh tokens, of one account each."""
        path = self.lab.path("tokens")
        pairs = self.node.sign_in(self.names[:count])
        # Neighbours on a page are not refreshed in the same instant in life either.
        random.shuffle(pairs)
        with open(path, "w") as file:
            for pair in pairs:
                file.write(pair["refresh_token"] + "\n")
        return path

    def over_http(self, seconds):
        # More sessions than connections: wrk takes a few tokens that it does not use.
        return self.refreshes(seconds, self.tokens(CLIENTS + 16))

    def refreshes(self, seconds, file, connections=CLIENTS):
        used = processor_seconds(self.node.process.pid)
        figures = wrk(
            self.node.port, "/v1/auth/refresh", connections, seconds,
            script="refresh.lua", argument=file,
        )
        used = processor_seconds(self.node.process.pid) - used
        figures["cpu_us"] = used * 1e6 / figures["count"]
        return figures

    def by_pgbench(self, seconds):
        return self.postgres.pgbench(self.script, seconds, variables=("started=0",))

    def state(self):
        row = self.postgres.query(
            "SELECT sum(n_tup_upd), sum(n_tup_hot_upd) FROM pg_stat_user_tables WHERE "
            + PARTITIONS
        )
        return [int(text) for text in row.split("|")]

    def wal(self, work):
        """What `work` wrote to the log, and its updates by kind."""
        self.settle()
        lsn = self.postgres.query("SELECT pg_current_wal_lsn()")
        images = int(self.postgres.query("SELECT wal_fpi FROM pg_stat_wal"))
        before = self.state()
        count = work()["count"]
        written = int(
            self.postgres.query(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{lsn}')")
        )
        self.settle(before[0] + count)
        after = self.state()
        images = int(self.postgres.query("SELECT wal_fpi FROM pg_stat_wal")) - images
        updates, hot = (b - a for a, b in zip(before, after))
        return {
            "bytes": written / count, "images": images / count,
            "hot": 100 * hot / updates, "count": count, "cold": updates - hot,
        }

    def settle(self, updates=0):
        """Waits until the backends have told their statistics, `updates` or more in all.

        A backend tells at most once a second, and up to ten seconds late once it is idle."""
        end = time.monotonic() + 15
        last = None
        while time.monotonic() < end:
            now = self.state()
            if now == last and now[0] >= updates:
                return
            last = now
            time.sleep(1.5)


def measure_cost(options):
    """Bytes of WAL and heap-only updates of one rotation."""
    with Lab() as lab:
        scene = Scene(lab)
        figures = []
        for name, prepare, work in (
            (
                "through the node",
                # Chains end with their run, so each has sessions of its own, made before it.
                lambda: scene.tokens(SESSIONS),
                lambda file: scene.refreshes(options.seconds, file, connections=8),
            ),
            (
                "the statement alone",
                lambda: scene.tokens(SESSIONS),
                lambda _: scene.by_pgbench(options.seconds),
            ),
        ):
            runs = []
            for number in range(options.rounds + 1):
                prepared = prepare()
                if number == 0:
                    # The first change of a page after a checkpoint logs the whole page.
                    scene.postgres.query("CHECKPOINT")
                runs.append(scene.wal(lambda: work(prepared)))
            figures += cost(name, runs[0], runs[1:])
    return figures


def cost(name, cold, warm):
    images = max(each["images"] for each in warm)
    others, count = (sum(each[key] for each in warm) for key in ("cold", "count"))
    return [
        spread(
            "rotation", f"WAL, {name}", [each["bytes"] for each in warm], "bytes",
            note=f"{images:.4f} full pages each; from a checkpoint on {cold['bytes']:.0f} bytes",
        ),
        spread(
            "rotation", f"heap-only updates, {name}", [each["hot"] for each in warm], "%",
            floor=99.0, goal=100.0,
            note=f"{others:,} of {count:,} rotations found their page full",
        ),
    ]


def measure_rate(options):
    """Refreshes a second over HTTP against the bare statement from pgbench."""
    with Lab() as lab:
        scene = Scene(lab)
        scene.over_http(1)

        def pgbench():
            # Sessions that no late request of the run before can touch, on a page for each client.
            scene.tokens(SESSIONS)
            return scene.by_pgbench(options.seconds)

        results = rounds(options.rounds, {
            "http": lambda: scene.over_http(options.seconds),
            "pgbench": pgbench,
        })
    processor = sorted(each["http"]["cpu_us"] for each in results)[len(results) // 2]
    p99 = sorted(each["http"]["p99_ms"] for each in results)[len(results) // 2]
    return [
        ratio("refresh", "refreshes over HTTP, c=64 / pgbench -c 8 of its statement", results,
              "http", "pgbench", floor=0.45, goal=0.65,
              note=f"node {processor:.0f} µs of processor each, p99 {p99:.1f} ms"),
    ]
