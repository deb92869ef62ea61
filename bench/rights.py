"""What rights cost: a permission asked at `/verify`, decisions in batches, a thousand roles of two
hundred permissions each in memory, and lists of a million accounts."""

import json
import statistics
import time
from http.client import HTTPConnection

from figures import Figure, ratio, rounds, spread
from harness import CORES, Lab, Node, Postgres, Redis, wrk
from million import memory

ROLES, EACH, ACCOUNTS, HELD = 1000, 200, 1_000_000, 10
PAGES = 200

SEED = f"""
INSERT INTO permissions (name, description, created_at)
SELECT 'app' || n / 100 || ':p' || n, 'd', now() FROM generate_series(0, {ROLES * 10 - 1}) n;
INSERT INTO roles (id, name, description, created_at)
SELECT gen_random_uuid(), 'role-' || n, 'd', now() FROM generate_series(1, {ROLES}) n;
INSERT INTO role_permissions (role_id, permission)
SELECT r.id, 'app' || p / 100 || ':p' || p
  FROM (SELECT id, row_number() OVER () AS n FROM roles WHERE NOT built_in) r
 CROSS JOIN LATERAL (
       SELECT (r.n * 7919 + i * 47) % {ROLES * 10} AS p FROM generate_series(1, {EACH}) i) w
    ON CONFLICT DO NOTHING;
"""
PEOPLE = f"""
INSERT INTO accounts (id, email, email_canonical, created_at, updated_at, confirmed_at)
SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
       'p' || n || '@example.org', 'p' || n || '@example.org', now(), now(), now()
  FROM generate_series(1, {ACCOUNTS}) n;
INSERT INTO account_signatures (account_id, generation, rotated_at)
SELECT id, 1, now() FROM accounts WHERE email LIKE 'p%@example.org';
"""
ASSIGNMENTS = f"""
INSERT INTO account_roles (account_id, role_id, granted_at)
SELECT a.id, r.ids[1 + (a.n * 31 + i * 97) % {ROLES}], now()
  FROM (SELECT id, row_number() OVER () AS n FROM accounts WHERE email LIKE 'p%@example.org') a
 CROSS JOIN generate_series(1, {HELD}) i
 CROSS JOIN (SELECT array_agg(id) AS ids FROM roles WHERE name LIKE 'role-%') r
    ON CONFLICT DO NOTHING;
"""


def give(postgres, email, role):
    postgres.query(
        "INSERT INTO account_roles (account_id, role_id, granted_at) "
        f"SELECT a.id, r.id, now() FROM accounts a, roles r "
        f"WHERE a.email LIKE '{email}%' AND r.name = '{role}' ON CONFLICT DO NOTHING"
    )


def call(connection, method, path, token, body=None):
    """One request on a connection that stays; gives status, answer and milliseconds."""
    begun = time.monotonic()
    connection.request(
        method, path, body and json.dumps(body),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    answer = connection.getresponse()
    text = answer.read()
    took = (time.monotonic() - begun) * 1000
    if answer.status >= 400:
        raise SystemExit(f"{method} {path}: {answer.status} {text[:300]}")
    return json.loads(text) if text else {}, took


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def pages(connection, token, query):
    """Milliseconds of page after page."""
    cursor, times = None, []
    for _ in range(PAGES):
        more = f"&cursor={cursor}" if cursor else ""
        answer, took = call(connection, "GET", f"/v1/admin/users?limit=50{query}{more}", token)
        times.append(took)
        cursor = answer["next_cursor"]
        if not cursor:
            break
    return times


def measure(options):
    server, other = CORES[0], CORES[-1]
    figures = []
    with Lab() as lab:
        postgres, redis = Postgres(lab, other), Redis(lab, other)
        node = Node(lab, postgres, redis, server, http_event_loops=1)
        names = node.register(2)
        before = memory(node.process.pid)[0]
        postgres.query(SEED)
        node.stop()
        node.start()
        connection = HTTPConnection("127.0.0.1", node.port, timeout=60)
        while True:
            try:
                if node.is_ready():
                    break
            except OSError:
                pass
            time.sleep(0.05)
        give(postgres, names[0], "admin")
        for number in range(1, HELD + 1):
            give(postgres, names[1], f"role-{number}")
        # By the last of his roles, so that all of them are looked into.
        held = postgres.query(
            "SELECT p.permission FROM role_permissions p JOIN roles r ON r.id = p.role_id "
            f"WHERE r.name = 'role-{HELD}' ORDER BY p.permission LIMIT 1"
        )
        token, clerk = (pair["access_token"] for pair in node.sign_in(names))
        seen = node.metrics()
        figures.append(Figure(
            "rights", f"memory for {ROLES:,} roles of {EACH} permissions",
            memory(node.process.pid)[0] - before, "MB", less_is_better=True,
            note=f"read at the start in {seen['watchword_roles_read_seconds_sum'] * 1000:.0f} ms",
        ))
        roles, _ = call(connection, "GET", "/v1/admin/roles?limit=50", token)
        role = next(one["id"] for one in roles["items"] if one["name"].startswith("role-"))
        times = []
        for number in range(20):
            call(connection, "PATCH", f"/v1/admin/roles/{role}", token,
                 {"description": f"d{number}"})
            call(connection, "GET", "/verify", token)
            times.append(node.metrics()["watchword_roles_read_seconds_sum"])
        reads = [b - a for a, b in zip(times, times[1:])]
        figures.append(spread(
            "rights", "reading one changed role, before the batch is answered",
            [each * 1000 for each in reads], "ms", less_is_better=True,
        ))

        def body(count):
            path = lab.path(f"checks-{count}")
            checks = [{"permission": f"app{n % 100}:p{n % 100 * 100}"} for n in range(count)]
            with open(path, "w") as file:
                json.dump({"checks": checks}, file)
            return path

        legs = {
            "verify": lambda: wrk(node.port, "/verify", 64, options.seconds, clerk, core=other),
            "permission": lambda: wrk(
                node.port, f"/verify?permission={held}", 64, options.seconds, clerk, core=other
            ),
        }
        for count in (1, 10, 100):
            legs[f"authorize {count}"] = lambda path=body(count): wrk(
                node.port, "/v1/authorize", 64, options.seconds, clerk, "body.lua", path, other
            )
        for leg in legs.values():
            leg()
        results = rounds(options.rounds, legs)
        figures.append(ratio(
            "rights", "/verify with a permission / without", results, "permission", "verify"
        ))
        for count in (1, 10, 100):
            rates = [each[f"authorize {count}"]["rate"] for each in results]
            figures.append(spread(
                "rights", f"/v1/authorize, {count} checks a request", rates, "requests/s",
                note=f"{statistics.median(rates) * count:,.0f} checks/s",
            ))
        postgres.query(PEOPLE)
        postgres.query(ASSIGNMENTS)
        postgres.query("ANALYZE accounts; ANALYZE account_roles")
        rows = postgres.query("SELECT count(*) FROM account_roles")
        # That took minutes: the connection has ended meanwhile, and the token may have.
        connection = HTTPConnection("127.0.0.1", node.port, timeout=60)
        token = node.sign_in(names[:1])[0]["access_token"]
        for about, query in (
            ("all", ""), ("active", "&state=active"), ("by role", f"&role={role}"),
            ("by address", "&email_prefix=p77"), ("disabled, of whom there are none",
                                                  "&state=disabled"),
        ):
            took = pages(connection, token, query)
            figures.append(Figure(
                "rights", f"a page of {ACCOUNTS:,} users, {about}: p99", percentile(took, 0.99),
                "ms", less_is_better=True,
                note=f"p50 {percentile(took, 0.5):.1f} ms, {len(took)} pages; assignments: {rows}",
            ))
        figures.append(Figure(
            "rights", "memory of the node after that", memory(node.process.pid)[0], "MB",
            less_is_better=True,
        ))
    return figures
