"""Private servers and pinned processes for the benchmarks: nothing is shared with what else runs
on the machine, everything lives in one temporary folder that is removed in the end."""

import base64
import contextlib
import glob
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, ".build", "release")
SCRIPTS = os.path.join(ROOT, "bench")
CORES = sorted(os.sched_getaffinity(0))
PASSWORD = "an ordinary pass phrase of seven words"
# A share of the machine before other sessions' work; refused without the right, which is no harm.
PREFER = "{ echo -15 >/proc/self/autogroup; } 2>/dev/null; "


def program(name):
    """The path of an installed or built program."""
    built = os.path.join(BUILD, name)
    if os.path.exists(built):
        return built
    found = shutil.which(name)
    if found:
        return found
    versions = glob.glob("/usr/lib/postgresql/*/bin/" + name)
    if not versions:
        raise SystemExit(f"{name} is not installed")
    return max(versions, key=lambda path: int(path.split("/")[4]))


def free_ports(count):
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def prefixed(command, core=None):
    """`command` in a scheduling group of its own, on one core if one is named."""
    pin = ["taskset", "-c", str(core)] if core is not None else []
    return ["sh", "-c", PREFER + 'exec "$@"', "sh", *pin, *command]


def run(command, core=None, **options):
    """Runs a measuring program and gives what it says."""
    done = subprocess.run(
        prefixed(command, core),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed: {done.stderr[-2000:]}{done.stdout[-500:]}")
    return done.stdout


def driver(command, core=None, **options):
    """Runs a command of the Bench executable and gives its answer."""
    words = [f"{name}={value}" for name, value in options.items()]
    return json.loads(run([program("Bench"), command, *words], core))


def processor_seconds(pid):
    """What a process and all its threads have used of the processors."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path) as file:
            total += int(file.read().split()[0])
    return total / 1e9


def until(what, condition, patience=60.0, pause=0.02):
    """Waits for a condition."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {patience:.0f} s")
        time.sleep(pause)


class Lab:
    """A folder, the servers in it, and the end of both."""

    def __init__(self):
        # Short, because a Unix socket's path is at most 107 bytes long.
        self.folder = tempfile.mkdtemp(prefix="ww-bench-")
        os.chmod(self.folder, 0o711)
        self.children = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            self.stop(child)
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def spawn(self, command, core=None, log="log", user=None, end=signal.SIGTERM, **options):
        with open(self.path(log), "ab") as file:
            child = subprocess.Popen(
                prefixed(user + command if user else command, core),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                **options,
            )
        child.end = end
        self.children.append(child)
        return child

    def stop(self, child):
        if child.poll() is None:
            child.send_signal(child.end)
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if child in self.children:
            self.children.remove(child)

    def said(self, log):
        with open(self.path(log), errors="replace") as file:
            return file.read()[-2000:]


class Postgres:
    """A private PostgreSQL with the durability of production: fsync and synchronous commits."""

    SETTINGS = {
        "listen_addresses": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "jit": "off",
        "shared_buffers": "512MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "30min",
        "max_connections": "100",
        "log_min_messages": "warning",
    }

    def __init__(self, lab, core=None):
        # PostgreSQL refuses to run as root.
        self.user = []
        if os.geteuid() == 0:
            self.user = [
                "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
            ]
        self.folder = lab.path("pg")
        os.mkdir(self.folder, 0o700)
        if self.user:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        data = os.path.join(self.folder, "data")
        quiet = {"stdout": subprocess.DEVNULL, "check": True, "cwd": "/"}
        subprocess.run(
            [*self.user, program("initdb"), "-D", data, "-U", "postgres", "-A", "trust",
             "-E", "UTF8", "--locale=C", "--no-sync"],
            **quiet,
        )
        options = [word for item in self.SETTINGS.items() for word in ("-c", "%s=%s" % item)]
        self.process = lab.spawn(
            [program("postgres"), "-D", data, "-k", self.folder, *options],
            core, log="postgres.log", user=self.user, cwd="/",
            # SIGTERM would wait for clients.
            end=signal.SIGINT,
        )
        until("PostgreSQL answers", lambda: self.ask("SELECT 1", check=False) == "1")
        self.ask("CREATE DATABASE watchword")

    @property
    def url(self):
        return f"postgresql://postgres@/watchword?host={self.folder}"

    def ask(self, sql, database="postgres", check=True):
        done = subprocess.run(
            [program("psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1",
             "-h", self.folder, "-U", "postgres", "-d", database, "-c", sql],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
        )
        if check and done.returncode != 0:
            raise SystemExit(f"psql: {done.stderr}")
        return done.stdout.strip()

    def query(self, sql):
        return self.ask(sql, "watchword")

    def session(self):
        """A psql that takes statements for as long as its input is open."""
        return subprocess.Popen(
            [program("psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1",
             "-h", self.folder, "-U", "postgres", "-d", "watchword"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
        )

    def transactions(self, database):
        """How many transactions a database has committed so far, as far as it has counted."""
        return int(self.query(
            f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{database}'"
        ))

    def pgbench(self, script, seconds, clients=8, threads=2, variables=()):
        """Runs a script for a while; gives transactions a second."""
        words = [word for name in variables for word in ("-D", name)]
        out = run(
            [program("pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", str(threads),
             "-T", str(seconds), "-h", self.folder, "-U", "postgres", *words,
             "-f", script, "watchword"],
            cwd="/",
        )
        figures = {}
        for line in out.splitlines():
            if line.startswith("tps = "):
                figures["rate"] = float(line.split()[2])
            if line.startswith("number of transactions actually processed"):
                figures["count"] = int(line.split(":")[1].split("/")[0])
            if line.startswith("number of failed transactions"):
                figures["failures"] = int(line.split(":")[1].split("(")[0])
        if figures.get("failures"):
            raise SystemExit(f"pgbench: {out}")
        return figures


class Database:
    """One more database of a server."""

    def __init__(self, postgres, name):
        postgres.ask(f"CREATE DATABASE {name}")
        self.name = name
        self.url = f"postgresql://postgres@/{name}?host={postgres.folder}"


class Redis:
    """A private Redis without persistence."""

    def __init__(self, lab, core=None):
        self.socket = lab.path("redis.sock")
        self.process = lab.spawn(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "",
             "--appendonly", "no", "--dir", lab.folder],
            core, log="redis.log",
        )
        until("Redis answers", lambda: os.path.exists(self.socket))

    @property
    def url(self):
        return f"unix://{self.socket}"


    def commands(self):
        """How many commands it has run so far."""
        done = subprocess.run(
            ["redis-cli", "-s", self.socket, "INFO", "stats"], stdout=subprocess.PIPE, text=True,
        )
        lines = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
        return int(lines["total_commands_processed"])


class Member(Redis):
    """A Redis that is fit to be a member of the revocation log's authority."""

    def __init__(self, lab, core=None):
        self.port = free_ports(1)[0]
        self.socket = lab.path(f"member{self.port}.sock")
        self.process = lab.spawn(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
             "--unixsocket", self.socket, "--save", "", "--appendonly", "no",
             "--maxmemory", "256mb", "--maxmemory-policy", "noeviction",
             "--stream-node-max-entries", "16", "--dir", lab.folder],
            core, log="members.log",
        )
        until("the member answers", lambda: os.path.exists(self.socket))

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"


def of_members(members):
    """The settings of a node whose authority are these members, adopted soon."""
    return {
        "authority_members": ",".join(each.url for each in members),
        "authority_adopt_after": "100ms",
    }


class Node:
    """A node under test."""

    def __init__(self, lab, postgres, redis, core=None, log="node.log", **settings):
        self.port, self.management = free_ports(2)
        key = lab.path("master.key")
        if not os.path.exists(key):
            with open(key, "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
                file.write(base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=") + "\n")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WATCHWORD_")}
        environment.update({
            "WATCHWORD_MODE": "development",
            "WATCHWORD_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "WATCHWORD_HTTP_PORT": str(self.port),
            "WATCHWORD_MANAGEMENT_PORT": str(self.management),
            "WATCHWORD_DATABASE_URL": postgres.url,
            "WATCHWORD_REDIS_URL": redis.url,
            "WATCHWORD_KEYS_MASTER_FILE": key,
            "WATCHWORD_LOG_LEVEL": "warning",
            "WATCHWORD_THROTTLE_REGISTRATIONS_PER_ADDRESS": "1000000",
            "WATCHWORD_THROTTLE_SIGN_IN_PER_ADDRESS": "1000000",
            "WATCHWORD_THROTTLE_SIGN_IN_PER_ACCOUNT": "100",
        })
        for name, value in settings.items():
            environment["WATCHWORD_" + name.upper()] = str(value)
        self.environment = environment
        done = subprocess.run(
            [program("watchword"), "migrate"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        if done.returncode != 0:
            raise SystemExit(f"watchword migrate: {done.stdout}")
        self.lab, self.core, self.log = lab, core, log
        self.start()
        until("the node is ready", self.is_ready)

    def start(self):
        self.process = self.lab.spawn(
            [program("watchword"), "serve"], self.core, self.log, env=self.environment
        )

    def stop(self):
        self.lab.stop(self.process)

    def is_ready(self):
        if self.process.poll() is not None:
            raise SystemExit(f"the node ended: {self.lab.said(self.log)}")
        try:
            return self.get("/readyz", self.management)[0] == 200
        except OSError:
            return False

    def get(self, path, port=None):
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def await_members(self):
        """Returns when the members are the authority."""
        state = 'watchword_authority_state{state="redis"}'
        until("the members are adopted", lambda: self.metrics()[state] == 1)

    def metrics(self):
        figures = {}
        for line in self.get("/metrics", self.management)[1].decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                figures[name] = float(value)
        return figures

    def post(self, path, body, connection=None):
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        own.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = own.getresponse()
        text = answer.read()
        if connection is None:
            own.close()
        return answer.status, (json.loads(text) if text else {})

    def register(self, count):
        """Makes accounts and gives their names; those that exist already are good as well."""
        names = [f"person{number}@example.com" for number in range(count)]

        def one(name, connection):
            status, body = self.post(
                "/v1/auth/register", {"email": name, "password": PASSWORD}, connection
            )
            if status not in (200, 201, 409):
                raise SystemExit(f"register: {status} {body}")

        self.each(names, one)
        return names

    def sign_in(self, names):
        """Opens a session for every name; gives the pairs of tokens."""
        def one(name, connection):
            status, body = self.post(
                "/v1/auth/login", {"login": name, "password": PASSWORD}, connection
            )
            if status != 200:
                raise SystemExit(f"login: {status} {body}")
            return body

        return self.each(names, one)

    def each(self, items, body, width=8):
        results = [None] * len(items)
        failures = []

        def work(start):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                for index in range(start, len(items), width):
                    results[index] = body(items[index], connection)
            except (SystemExit, OSError, http.client.HTTPException) as error:
                failures.append(error)
            connection.close()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(width)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise SystemExit(str(failures[0]))
        return results


def wrk(port, path, connections, seconds, token=None, script=None, argument=None, core=None):
    """A closed loop of requests; the figures as `report.lua` gives them."""
    script = os.path.join(SCRIPTS, script or "report.lua")
    header = ["-H", f"Authorization: Bearer {token}"] if token else []
    out = run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", script,
         *header, f"http://127.0.0.1:{port}{path}", *(["--", argument] if argument else [])],
        core,
    )
    figures = json.loads(out[out.index("{\"count\""):])
    if figures["failures"]:
        raise SystemExit(f"wrk: {figures}")
    return figures
