"""`GET /verify`: against nginx saying 204, and its latency while passwords are being hashed."""

import statistics
import threading
from http.client import HTTPConnection

from figures import ratio, rounds, spread
from harness import (
    CORES, Lab, Node, Postgres, Redis, driver, free_ports, processor_seconds, until, wrk,
)
from sign_in import ACCOUNTS, CLIENTS, bodies

NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 204; }}
    }}
}}
"""


def nginx(lab, core):
    """An nginx that does nothing but answer; gives its process and port."""
    port = free_ports(1)[0]
    path = lab.path("nginx.conf")
    with open(path, "w") as file:
        file.write(NGINX.format(folder=lab.folder, port=port))
    process = lab.spawn(["nginx", "-p", lab.folder, "-c", path, "-e", lab.path("nginx.log")], core)
    return process, port


def answers(port):
    try:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        return connection.getresponse().status == 204
    except OSError:
        return False


def strangers(lab, node, count):
    """A file of good tokens, more than the node remembers, so that none is known when it comes."""
    pair = node.sign_in(node.register(1))[0]
    path = lab.path("tokens")
    with open(path, "w") as file:
        for _ in range(count):
            pair = node.post("/v1/auth/refresh", {"refresh_token": pair["refresh_token"]})[1]
            file.write(pair["access_token"] + "\n")
    return path


def measure_rate(options):
    """One core for the server, another for everything else."""
    server, other = CORES[0], CORES[-1]
    with Lab() as lab:
        postgres, redis = Postgres(lab, other), Redis(lab, other)
        quiet = Node(lab, postgres, redis, server, http_event_loops=1)
        # Tokens are good where their issuer is.
        shared = {"http_event_loops": 1, "public_url": f"http://127.0.0.1:{quiet.port}"}
        nodes = {
            "verify": quiet,
            "general": Node(lab, postgres, redis, server, verify_fast_path="false", **shared),
            "logging": Node(lab, postgres, redis, server, "requests.log", log_level="info",
                            **shared),
            "bounded": Node(lab, postgres, redis, server, verify_mode="bounded", **shared),
            "strangers": Node(lab, postgres, redis, server, tokens_cache_limit=100, **shared),
        }
        _, plain = nginx(lab, server)
        until("nginx answers", lambda: answers(plain))
        token = quiet.sign_in(quiet.register(1))[0]["access_token"]
        file = strangers(lab, quiet, 400)

        def leg(name, connections):
            node = nodes.get(name)
            script = {"script": "tokens.lua", "argument": file} if name == "strangers" else {}
            before = node and (processor_seconds(node.process.pid), node.metrics())
            figures = wrk(node.port if node else plain, "/verify", connections,
                          options.seconds, token, core=other, **script)
            if node:
                used, seen = processor_seconds(node.process.pid), node.metrics()

                def rise(metric):
                    return (seen[metric] - before[1][metric]) / figures["count"]

                figures["cpu_us"] = (used - before[0]) * 1e6 / figures["count"]
                figures["reads"] = rise("watchword_revocation_reads_total")
                figures["fast"] = rise("watchword_verify_fast_total")
            return figures

        legs = {}
        for count in (64, 256):
            for name in ("nginx", "verify"):
                legs[f"{name} {count}"] = lambda name=name, count=count: leg(name, count)
        for name in ("general", "logging", "bounded", "strangers"):
            legs[f"{name} 64"] = lambda name=name: leg(name, 64)
        for node in nodes.values():
            wrk(node.port, "/verify", 64, 1, token, core=other)
        results = rounds(options.rounds, legs)

    def median(leg, key):
        return statistics.median(each[leg][key] for each in results)

    def cost(leg):
        return f"{median(leg, 'cpu_us'):.1f} µs of processor each"

    figures = []
    for count, floor, goal in ((64, 0.65, 0.8), (256, 0.6, 0.75)):
        leg = f"verify {count}"
        figures.append(ratio(
            "verify", f"/verify / nginx 204, one core, c={count}", results,
            leg, f"nginx {count}", floor=floor, goal=goal,
            note=f"{cost(leg)}; {median(leg, 'reads'):.4f} reads of the log each; "
                 f"{median(leg, 'fast') * 100:.1f} % on the fast path",
        ))
        figures.append(ratio(
            "verify", f"p99 of /verify / p99 of nginx, c={count}", results,
            leg, f"nginx {count}", key="p99_ms", less_is_better=True, goal=3.0,
        ))
        figures[-1].note = f"{median(leg, 'p99_ms'):.1f} ms against " \
            f"{median(f'nginx {count}', 'p99_ms'):.1f} ms"
    for name, about in (
        ("general", "without the fast path"), ("logging", "with log lines at level info"),
        ("bounded", "in bounded mode"), ("strangers", "tokens the node has not seen"),
    ):
        figures.append(ratio(
            "verify", f"{about}, c=64", results, f"{name} 64", "nginx 64",
            note=cost(f"{name} 64"), goal=0.85 if name == "bounded" else None,
        ))
    return figures


def measure_latency(options):
    """A constant 1,000 requests a second, with and without sign-ins on every hashing thread."""
    default = max(1, len(CORES) - 1)
    figures = latency(options, default, goal=10.0)
    if default < len(CORES):
        figures += latency(options, len(CORES))[1:]
    return figures


def latency(options, threads, **limits):
    with Lab() as lab:
        node = Node(lab, Postgres(lab), Redis(lab), passwords_threads=threads)
        names = node.register(ACCOUNTS)
        file = bodies(lab, names)
        token = node.sign_in(names[:1])[0]["access_token"]

        def paced():
            figures = driver(
                "paced", port=node.port, path="/verify", token=token, rate=1000,
                connections=64, milliseconds=options.seconds * 2000,
            )
            if figures["failures"]:
                raise SystemExit(f"/verify failed: {figures}")
            return figures

        def busy():
            load = {}
            thread = threading.Thread(target=lambda: load.update(wrk(
                node.port, "/v1/auth/login", CLIENTS, options.seconds * 2 + 2,
                script="sign_in.lua", argument=file,
            )))
            thread.start()
            hashes = node.metrics()["watchword_password_hashes_total"]
            until("passwords are hashed", lambda: (
                node.metrics()["watchword_password_hashes_total"] > hashes + threads
            ))
            figures = paced()
            thread.join()
            return figures | {"sign_ins": load["rate"]}

        paced()
        results = rounds(options.rounds, {"idle": paced, "busy": busy})

    def line(leg, name, **limits):
        middle = {
            key: statistics.median(each[leg][key] for each in results)
            for key in results[0][leg]
        }
        note = f"p50 {middle['p50_ms']:.2f} ms, p99.9 {middle['p999_ms']:.1f} ms"
        if "sign_ins" in middle:
            note += f"; {middle['sign_ins']:.0f} sign-ins/s beside it"
        values = [each[leg]["p99_ms"] for each in results]
        return spread("latency", name, values, "ms", less_is_better=True, note=note, **limits)

    return [
        line("idle", "p99 of /verify at 1,000/s"),
        line("busy", "p99 of /verify at 1,000/s while sign-ins fill "
                     f"{threads} hashing thread(s)", **limits),
    ]
