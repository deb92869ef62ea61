"""The clients of PostgreSQL and Redis against the tools that come with those servers."""

import os

from figures import ratio, rounds
from harness import Lab, Postgres, Redis, driver, run

ROWS = 100_000
SCHEMA = f"""
CREATE TABLE bench_rows (
    id bigint PRIMARY KEY, owner bigint NOT NULL, family bigint NOT NULL,
    generation bigint NOT NULL, expires_at timestamptz NOT NULL
);
INSERT INTO bench_rows
SELECT n, n % 1000, n, 1, now() + interval '30 days' FROM generate_series(1, {ROWS}) n;
CREATE TABLE bench_inserts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner bigint NOT NULL,
    digest bytea NOT NULL, expires_at timestamptz NOT NULL
);
"""
SELECT = f"""\\set id random(1, {ROWS})
SELECT owner, family, generation, expires_at FROM bench_rows WHERE id = :id;
"""
INSERT = """\\set owner random(1, 100000)
INSERT INTO bench_inserts (owner, digest, expires_at)
VALUES (:owner, sha256(int8send(:owner)), now() + interval '30 days');
"""


def measure(options):
    with Lab() as lab:
        postgres, redis = Postgres(lab), Redis(lab)
        postgres.query(SCHEMA)
        postgres.query("VACUUM ANALYZE bench_rows")
        scripts = {}
        for name, text in (("select", SELECT), ("insert", INSERT)):
            scripts[name] = lab.path(name + ".sql")
            with open(scripts[name], "w") as file:
                file.write(text)
            os.chmod(scripts[name], 0o644)
        time = {"milliseconds": options.seconds * 1000}
        get = ["redis-benchmark", "-s", redis.socket, "-q", "-c", "50", "-P", "1",
               "-n", str(60_000 * options.seconds), "GET", "bench"]
        run(["redis-cli", "-s", redis.socket, "SET", "bench", "12345678"])

        def redis_benchmark():
            line = run(get).replace("\r", "\n")
            rates = [text for text in line.splitlines() if "requests per second" in text]
            return {"rate": float(rates[-1].split("requests per second")[0].split()[-1])}

        results = rounds(options.rounds, {
            "select": lambda: driver("select", database=postgres.url, rows=ROWS, **time),
            "pgbench select": lambda: postgres.pgbench(scripts["select"], options.seconds),
            "insert": lambda: driver("insert", database=postgres.url, **time),
            "pgbench insert": lambda: postgres.pgbench(scripts["insert"], options.seconds),
            "get": lambda: driver("redis", url=redis.url, key="bench", **time),
            "redis-benchmark": redis_benchmark,
        })
    return [
        ratio("data layer", "SELECT by key, 64 tasks on 4 connections / pgbench -c 8", results,
              "select", "pgbench select", floor=1.0, goal=1.5),
        ratio("data layer", "INSERT, commits shared / pgbench -c 8", results,
              "insert", "pgbench insert", floor=1.0, goal=1.5),
        ratio("data layer", "GET, 64 tasks on 1 connection / redis-benchmark -c 50", results,
              "get", "redis-benchmark", floor=1.0, goal=2.0),
    ]
