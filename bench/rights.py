"""What rights cost, in parts that can be run apart (`--only`): `roles`, a thousand of two hundred
permissions each in memory; `checks`, a permission asked at `/verify`, and decisions in batches;
`lists`, pages of a million accounts with ten roles each; `resolved`, what accounts among those
hold, where the node has to ask PostgreSQL and roles include others."""

import json
import math
import statistics
import time
from http.client import HTTPConnection

from figures import Figure, ratio, rounds, spread
from harness import CORES, SCRIPTS, Lab, Node, Postgres, Redis, wrk
from million import memory

ROLES, EACH, HELD = 1000, 200, 10
PAGES = 200
PARTS = ("roles", "checks", "lists", "resolved")
# Of each kind so many of the million sign in.
PEOPLE_SIGNED_IN = 250
# More than the 32 roles that a token carries.
MANY = 40
# The role that all inclusions end in, and the one that reaches furthest: 251 roles, of 256 at most.
BASE, ROOT = 1, 2
PROJECT = "resource=project:7"
# Checks about others in a request, and how many such requests are on their way: 64 large ones are
# 6,400 accounts to read, and on a busy machine some were answered 503, which would end the bench.
OTHERS_ASKED = {1: 64, 100: 16}

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
# What only a role says that others include, and what only a role says that is held on a resource.
INCLUDED, ON_PROJECT = "there:stand", "there:act"
INCLUSIONS = f"""
INSERT INTO permissions (name, description, created_at)
VALUES ('{INCLUDED}', 'd', now()), ('{ON_PROJECT}', 'd', now());
INSERT INTO roles (id, name, description, created_at)
VALUES (gen_random_uuid(), 'on-project', 'd', now());
INSERT INTO role_permissions (role_id, permission)
SELECT id, CASE name WHEN 'on-project' THEN '{ON_PROJECT}' ELSE '{INCLUDED}' END
  FROM roles WHERE name IN ('on-project', 'role-{BASE}');
INSERT INTO role_includes (role_id, included_id)
SELECT u.id, l.id
  FROM (VALUES PAIRS) p (upper, lower)
  JOIN roles u ON u.name = 'role-' || p.upper
  JOIN roles l ON l.name = 'role-' || p.lower;
"""
# They know the first person's password.
PASSWORDS = """
INSERT INTO account_passwords (account_id, phc, changed_at)
SELECT p.id, w.phc, now()
  FROM accounts p, account_passwords w JOIN accounts a ON a.id = w.account_id
 WHERE a.email = 'FIRST' AND p.email = ANY('{EMAILS}');
"""
HELD_ON_PROJECT = """
INSERT INTO account_roles (account_id, role_id, scope, granted_at)
SELECT a.id, r.id, 'project:7', now() FROM accounts a, roles r
 WHERE a.email = ANY('{EMAILS}') AND r.name = 'on-project';
"""
# Roles that include nothing, beside the ten.
HELD_MANY = f"""
INSERT INTO account_roles (account_id, role_id, granted_at)
SELECT a.id, r.id, now() FROM accounts a, roles r
 WHERE a.email = ANY('{{EMAILS}}')
   AND r.name IN (SELECT 'role-' || n FROM generate_series({ROLES - MANY + 1}, {ROLES}) n)
    ON CONFLICT DO NOTHING;
"""
# Asks about others of the million, in an order that does not follow the pages of the tables. Its
# argument: how many checks a request has, how many accounts there are, and where to go on.
OTHERS = """
dofile("SCRIPTS/report.lua")
local each, accounts, at

function init(args)
    each, accounts, at = args[1]:match("(%d+) (%d+) (%d+)")
    each, accounts, at = tonumber(each), tonumber(accounts), tonumber(at)
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
end

function request()
    local checks = {}
    for check = 0, each - 1 do
        local number = 1 + at * 611953 % accounts
        local time, app = 1700000000000 + number, check % 100
        checks[#checks + 1] = string.format(
            '{"permission":"app%d:p%d","subject":"%08x-%04x-7000-8000-%012x"}',
            app, app * 100, math.floor(time / 65536), time % 65536, number
        )
        at = at + 1
    end
    return wrk.format(nil, nil, nil, '{"checks":[' .. table.concat(checks, ",") .. "]}")
end
"""
# Asks one path with one token after another, round and round; the file of tokens is its argument.
ROTATION = """
dofile("SCRIPTS/report.lua")
local requests, at = {}, 0

function init(args)
    for line in io.lines(args[1]) do
        requests[#requests + 1] = wrk.format(nil, nil, { Authorization = "Bearer " .. line })
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end
"""


def inclusions():
    """Who includes whom, by number: a tree and ten chains, all of them upon `BASE`.

    No role includes more than 100 others; the other half of them include nothing."""
    branches, leaves = range(3, 13), range(13, 252)
    pairs = [(ROOT, branch) for branch in branches]
    pairs += [(branches[leaf % len(branches)], leaf) for leaf in leaves]
    pairs += [(leaf, BASE) for leaf in leaves]
    for first in range(252, 502, 25):
        chain = [*range(first, first + 25), BASE]
        pairs += zip(chain, chain[1:])
    return pairs


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
        self.assignments = None
        self.restart()
        give(self.postgres, names[0], "admin")
        for number in range(1, HELD + 1):
            give(self.postgres, names[1], f"role-{number}")
        self.token, self.clerk = (pair["access_token"] for pair in self.node.sign_in(names))
        roles = self.call("GET", "/v1/admin/roles?limit=50")
        self.role = next(
            one["id"] for one in roles["items"] if one["name"].startswith("role-")
        )

    def restart(self):
        """A node that remembers nothing."""
        self.node.stop()
        self.node.start()
        while not self.is_ready():
            time.sleep(0.05)
        self.connect()

    def populate(self):
        """The million and what they hold, once; gives the number of assignments."""
        if self.assignments is None:
            self.postgres.query(PEOPLE.replace("ACCOUNTS", str(self.options.accounts)))
            self.postgres.query(ASSIGNMENTS)
            self.postgres.query("ANALYZE accounts; ANALYZE account_roles")
            self.assignments = self.postgres.query("SELECT count(*) FROM account_roles")
            # That took minutes: the connection has ended meanwhile, and the token may have.
            self.connect()
            self.renew()
        return self.assignments

    def renew(self):
        self.token = self.node.sign_in(self.names[:1])[0]["access_token"]

    def script(self, name, text):
        """A script for wrk, beside the data that it needs."""
        path = self.lab.path(name)
        with open(path, "w") as file:
            file.write(text.replace("SCRIPTS", SCRIPTS))
        return path

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
    figures.append(spread(
        "rights", "reading one changed role, before the batch is answered",
        readings(scene, scene.role), "ms", less_is_better=True,
    ))
    return figures


def readings(scene, role):
    """Milliseconds in which the node reads a role that has changed, again and again."""
    times = []
    for number in range(20):
        scene.call("PATCH", f"/v1/admin/roles/{role}", {"description": f"d{number}"})
        scene.call("GET", "/verify")
        times.append(scene.node.metrics()["watchword_roles_read_seconds_sum"])
    return [(b - a) * 1000 for a, b in zip(times, times[1:])]


def questions(scene, count):
    """A file that asks about the caller."""
    path = scene.lab.path(f"checks-{count}")
    checks = [{"permission": f"app{n % 100}:p{n % 100 * 100}"} for n in range(count)]
    with open(path, "w") as file:
        json.dump({"checks": checks}, file)
    return path


def measure_checks(scene):
    options, node, clerk, other = scene.options, scene.node, scene.clerk, scene.other
    # By the last of his roles, so that all of them are looked into.
    held = scene.postgres.query(
        "SELECT p.permission FROM role_permissions p JOIN roles r ON r.id = p.role_id "
        f"WHERE r.name = 'role-{HELD}' ORDER BY p.permission LIMIT 1"
    )

    legs = {
        "verify": lambda: wrk(node.port, "/verify", 64, options.seconds, clerk, core=other),
        "permission": lambda: wrk(
            node.port, f"/verify?permission={held}", 64, options.seconds, clerk, core=other
        ),
    }
    for count in (1, 10, 100):
        legs[f"authorize {count}"] = lambda path=questions(scene, count): wrk(
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
    rows = scene.populate()
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


def measure_resolved(scene):
    scene.populate()
    figures = measure_inclusions(scene)
    # First whoever shows a token: of those who are asked about many the node remembers some.
    figures += measure_holders(scene)
    figures += measure_others(scene)
    now, highest = memory(scene.node.process.pid)
    resolved = scene.node.metrics()["watchword_rights_resolved_total"]
    figures.append(Figure(
        "rights", "memory of the node after what was resolved", now, "MB", less_is_better=True,
        note=f"{highest:.1f} MB at its highest; {resolved:,.0f} readings of an account, of which "
             "it remembers 40,000 at most",
    ))
    return figures


def measure_inclusions(scene):
    """Makes roles include others; what that costs a node that starts, and one that runs."""
    def started():
        scene.restart()
        # What the start has used and gives back is not the roles'.
        time.sleep(2)
        read = scene.node.metrics()["watchword_roles_read_seconds_sum"] * 1000
        return read, memory(scene.node.process.pid)[0]

    plain, plain_memory = started()
    pairs = inclusions()
    scene.postgres.query(INCLUSIONS.replace("PAIRS", ", ".join(map(str, pairs))))
    read, its_memory = started()
    scene.renew()
    figures = [Figure(
        "rights", f"reading {ROLES:,} roles with {len(pairs)} inclusions, at the start", read, "ms",
        less_is_better=True,
        note=f"{plain:.0f} ms without; the node {its_memory:.1f} MB, {plain_memory:.1f} without",
    )]
    for about, number in (
        ("a changed role that 500 include, near or far", BASE),
        ("a changed role that stands for 251", ROOT),
    ):
        role = scene.postgres.query(f"SELECT id FROM roles WHERE name = 'role-{number}'")
        figures.append(spread(
            "rights", f"reading {about}", readings(scene, role), "ms", less_is_better=True,
        ))
    return figures


def sign_in_some(scene):
    """Two files' worth of tokens: of accounts that hold a role on a resource besides their ten,
    and of accounts that hold more than a token carries."""
    # The roles of an account follow from its number: a gap that shares a factor with their number
    # would give all of them the same.
    gap = max(1, scene.options.accounts // (2 * PEOPLE_SIGNED_IN))
    while math.gcd(gap, ROLES) > 1:
        gap -= 1
    names = [f"p{1 + gap * n}@example.org" for n in range(2 * PEOPLE_SIGNED_IN)]
    scoped, many = names[::2], names[1::2]
    for sql, holders in ((PASSWORDS, names), (HELD_ON_PROJECT, scoped), (HELD_MANY, many)):
        sql = sql.replace("FIRST", scene.names[0])
        scene.postgres.query(sql.replace("EMAILS", ",".join(holders)))
    return [
        [pair["access_token"] for pair in scene.node.sign_in(group)] for group in (scoped, many)
    ]


def measure_holders(scene):
    """`/verify` where the token does not say all that counts."""
    scoped, many = sign_in_some(scene)
    # The statement is prepared by whoever comes first.
    check_others(scene)
    on_project = f"/verify?{PROJECT}&permission={ON_PROJECT}"

    def pass_of(tokens, path):
        return [call(scene.connection, "GET", path, token)[1] for token in tokens]

    carried = pass_of(scoped, "/verify")
    figures = []
    for about, tokens, path, before in (
        ("a role held on a resource, the token known", scoped, on_project, None),
        (f"{HELD} roles and {MANY} more, the token never seen", many, "/verify", carried),
    ):
        first, again = pass_of(tokens, path), pass_of(tokens, path)
        note = f"p99 {percentile(first, 0.99):.2f} ms; the second p50 " \
            f"{percentile(again, 0.5):.2f}, p99 {percentile(again, 0.99):.2f} ms"
        if before:
            note += "; where the token carries all, the first p50 " \
                f"{percentile(before, 0.5):.2f}, p99 {percentile(before, 0.99):.2f} ms"
        figures.append(Figure(
            "rights", f"first answer of /verify, {about}: p50", percentile(first, 0.5), "ms",
            less_is_better=True, note=f"{note}; {len(first)} accounts, one after the other",
        ))
    return figures + measure_rotation(scene, scoped, many, on_project)


def measure_rotation(scene, scoped, many, on_project):
    """The same once the node knows all of them, at full rate."""
    script = scene.script("rotation.lua", ROTATION)
    files = {}
    for name, tokens in (("scoped", scoped), ("many", many)):
        files[name] = scene.lab.path(name)
        with open(files[name], "w") as file:
            file.writelines(token + "\n" for token in tokens)

    def leg(name, path):
        return lambda: wrk(
            scene.node.port, path, 64, scene.options.seconds, None, script, files[name], scene.other
        )

    legs = {
        "carried": leg("scoped", "/verify"),
        "resource": leg("scoped", on_project),
        "many": leg("many", "/verify"),
    }
    for each in legs.values():
        each()
    results = rounds(scene.options.rounds, legs)
    about = f"{PEOPLE_SIGNED_IN} tokens in turn"
    return [
        ratio("rights", "/verify with a resource / without, rights remembered", results,
              "resource", "carried", note=about),
        ratio("rights", f"/verify, {HELD} roles and {MANY} more / {HELD} in the token", results,
              "many", "carried", note=about),
    ]


def check_others(scene):
    """Ends it where the answers about others are not those of the roles that they hold."""
    account = scene.postgres.query(
        "SELECT a.account_id FROM account_roles a JOIN roles r ON r.id = a.role_id "
        "WHERE r.name = 'role-13' AND NOT EXISTS (SELECT FROM account_roles o "
        f"JOIN roles b ON b.id = o.role_id WHERE b.name = 'role-{BASE}' "
        "AND o.account_id = a.account_id) LIMIT 1"
    )
    checks = [{"permission": each, "subject": account} for each in (INCLUDED, ON_PROJECT)]
    answer = scene.call("POST", "/v1/authorize", {"checks": checks})
    found = [each["allowed"] for each in answer["results"]]
    if found != [True, False]:
        raise SystemExit(f"/v1/authorize about another account: {found}")


def measure_others(scene):
    """`/v1/authorize` about accounts that the node has not been asked about lately."""
    options, node = scene.options, scene.node
    script, own = scene.script("others.lua", OTHERS), questions(scene, 100)
    # Each goes on where the last one has stopped, so that nobody is met again soon.
    asked = 0

    def ask(count, with_script, argument):
        return wrk(node.port, "/v1/authorize", OTHERS_ASKED[count], options.seconds, scene.token,
                   with_script, argument, scene.other)

    def others(count):
        nonlocal asked
        before = node.metrics()["watchword_rights_resolved_total"]
        figures = ask(count, script, f"{count} {options.accounts} {asked}")
        # Those on their way at the end are not counted.
        sent = (figures["count"] + OTHERS_ASKED[count]) * count
        asked += sent
        read = node.metrics()["watchword_rights_resolved_total"] - before
        return figures | {"read": min(1, read / sent)}

    legs = {
        "own 100": lambda: ask(100, "body.lua", own),
        "others 1": lambda: others(1),
        "others 100": lambda: others(100),
    }
    for leg in legs.values():
        leg()
    results = rounds(options.rounds, legs)
    figures = []
    for count in (1, 100):
        def middle(key):
            return statistics.median(each[f"others {count}"][key] for each in results)

        figures.append(spread(
            "rights",
            f"/v1/authorize, {count} checks about as many others, c={OTHERS_ASKED[count]}",
            [each[f"others {count}"]["rate"] for each in results], "requests/s",
            note=f"{middle('rate') * count:,.0f} checks/s; p50 {middle('p50_ms'):.1f}, "
                 f"p99 {middle('p99_ms'):.1f} ms; {middle('read'):.0%} of the accounts read from "
                 f"PostgreSQL; assignments: {scene.assignments}",
        ))
    figures.append(ratio(
        "rights", f"/v1/authorize, 100 checks about 100 others / about the caller, "
        f"c={OTHERS_ASKED[100]}", results,
        "others 100", "own 100",
    ))
    return figures


def measure(options):
    parts = {
        "roles": measure_roles, "checks": measure_checks, "lists": measure_lists,
        "resolved": measure_resolved,
    }
    figures = []
    with Lab() as lab:
        scene = Scene(lab, options)
        for name in PARTS:
            if options.only in (None, name):
                figures += parts[name](scene)
    return figures
