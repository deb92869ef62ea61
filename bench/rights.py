"""What rights cost, in parts that can be run apart (`--only`): `roles`, a thousand of two hundred
permissions each in memory; `checks`, a permission asked at `/verify`, and decisions in batches;
`lists`, pages of a million accounts with ten roles each."""

import json
import statistics
import time
from http.client import HTTPConnection

from figures import Figure, ratio, rounds, spread
from harness import CORES, Lab, Node, Postgres, Redis, wrk
from million import memory

ROLES, EACH, HELD = 1000, 200, 10
PAGES = 200
PARTS = ("roles", "checks", "lists")

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
PEOPLE = """
INSERT INTO accounts (id, email, email_canonical, created_at, updated_at, confirmed_at)
SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
       'p' || n || '@example.org', 'p' || n || '@example.org', now(), now(), now()
  FROM generate_series(1, ACCOUNTS) n;
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


def pages(connection, token, path):
    """Milliseconds of page after page of a list."""
    cursor, times = None, []
    for _ in range(PAGES):
        more = f"&cursor={cursor}" if cursor else ""
        joint = "&" if "?" in path else "?"
        answer, took = call(connection, "GET", f"{path}{joint}limit=50{more}", token)
        times.append(took)
        cursor = answer["next_cursor"]
        if not cursor:
            break
    return times


class Scene:
    """A node with the roles, an administrator and a clerk who holds ten of them."""

    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.other = CORES[-1]
        self.postgres = Postgres(lab, self.other)
        redis = Redis(lab, self.other)
        self.node = Node(lab, self.postgres, redis, CORES[0], http_event_loops=1)
        self.names = names = self.node.register(2)
        self.before = memory(self.node.process.pid)[0]
        self.postgres.query(SEED)
        self.node.stop()
        self.node.start()
        while not self.is_ready():
            time.sleep(0.05)
        self.connect()
        give(self.postgres, names[0], "admin")
        for number in range(1, HELD + 1):
            give(self.postgres, names[1], f"role-{number}")
        self.token, self.clerk = (pair["access_token"] for pair in self.node.sign_in(names))
        roles = self.call("GET", "/v1/admin/roles?limit=50")
        self.role = next(
            one["id"] for one in roles["items"] if one["name"].startswith("role-")
        )

    def connect(self):
        self.connection = HTTPConnection("127.0.0.1", self.node.port, timeout=60)

    def is_ready(self):
        try:
            return self.node.is_ready()
        except OSError:
            return False

    def call(self, method, path, body=None):
        return call(self.connection, method, path, self.token, body)[0]


def measure_roles(scene):
    seen = scene.node.metrics()
    figures = [Figure(
        "rights", f"memory for {ROLES:,} roles of {EACH} permissions",
        memory(scene.node.process.pid)[0] - scene.before, "MB", less_is_better=True,
        note=f"read at the start in {seen['watchword_roles_read_seconds_sum'] * 1000:.0f} ms",
    )]
    times = []
    for number in range(20):
        scene.call("PATCH", f"/v1/admin/roles/{scene.role}", {"description": f"d{number}"})
        scene.call("GET", "/verify")
        times.append(scene.node.metrics()["watchword_roles_read_seconds_sum"])
    reads = [b - a for a, b in zip(times, times[1:])]
    figures.append(spread(
        "rights", "reading one changed role, before the batch is answered",
        [each * 1000 for each in reads], "ms", less_is_better=True,
    ))
    return figures


def measure_checks(scene):
    options, node, clerk, other = scene.options, scene.node, scene.clerk, scene.other
    # By the last of his roles, so that all of them are looked into.
    held = scene.postgres.query(
        "SELECT p.permission FROM role_permissions p JOIN roles r ON r.id = p.role_id "
        f"WHERE r.name = 'role-{HELD}' ORDER BY p.permission LIMIT 1"
    )

    def body(count):
        path = scene.lab.path(f"checks-{count}")
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
    figures = [ratio(
        "rights", "/verify with a permission / without", results, "permission", "verify"
    )]
    for count in (1, 10, 100):
        rates = [each[f"authorize {count}"]["rate"] for each in results]
        figures.append(spread(
            "rights", f"/v1/authorize, {count} checks a request", rates, "requests/s",
            note=f"{statistics.median(rates) * count:,.0f} checks/s",
        ))
    return figures


def measure_lists(scene):
    accounts = scene.options.accounts
    scene.postgres.query(PEOPLE.replace("ACCOUNTS", str(accounts)))
    scene.postgres.query(ASSIGNMENTS)
    scene.postgres.query("ANALYZE accounts; ANALYZE account_roles")
    rows = scene.postgres.query("SELECT count(*) FROM account_roles")
    # That took minutes: the connection has ended meanwhile, and the token may have.
    scene.connect()
    scene.token = scene.node.sign_in(scene.names[:1])[0]["access_token"]
    users = "/v1/admin/users"
    lists = [
        ("users, all", users),
        ("users, active", f"{users}?state=active"),
        ("users, by role", f"{users}?role={scene.role}"),
        ("users, by address", f"{users}?email_prefix=p77"),
        ("users, disabled, of whom there are none", f"{users}?state=disabled"),
        ("holders of a role", f"/v1/admin/roles/{scene.role}/holders"),
        ("roles", "/v1/admin/roles"),
    ]
    figures = []
    for about, path in lists:
        took = pages(scene.connection, scene.token, path)
        figures.append(Figure(
            "rights", f"a page at {accounts:,} users, {about}: p99", percentile(took, 0.99),
            "ms", less_is_better=True,
            note=f"p50 {percentile(took, 0.5):.1f} ms, {len(took)} pages; assignments: {rows}",
        ))
    figures.append(Figure(
        "rights", "memory of the node after that", memory(scene.node.process.pid)[0], "MB",
        less_is_better=True,
    ))
    return figures


def measure(options):
    parts = {"roles": measure_roles, "checks": measure_checks, "lists": measure_lists}
    figures = []
    with Lab() as lab:
        scene = Scene(lab, options)
        for name in PARTS:
            if options.only in (None, name):
                figures += parts[name](scene)
    return figures
