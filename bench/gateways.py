"""Real gateways in front of a node: what share of their checks takes the fast path."""

import http.client
import os
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from figures import spread
from harness import ROOT, Lab, Node, Postgres, Redis, free_ports, until

REQUESTS = 300
SAMPLES = os.path.join(ROOT, "docs", "gateways")
# Gateway: its program, the family of headers it sends, and the command that runs it.
GATEWAYS = {
    "nginx": ("x-original", ["nginx.conf"],
              lambda folder: ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf",
                              "-e", f"{folder}/nginx.log", "-g", "daemon off;"]),
    "haproxy": ("x-original", ["haproxy.cfg", "verify.lua"],
                lambda folder: ["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"]),
    "caddy": ("x-forwarded", ["Caddyfile"],
              lambda folder: ["caddy", "run", "--config", f"{folder}/Caddyfile",
                              "--adapter", "caddyfile"]),
    "traefik": ("x-forwarded", ["traefik.yml", "routes.yml"],
                lambda folder: ["traefik", f"--configFile={folder}/traefik.yml"]),
    "envoy": ("request-line", ["envoy.yaml"],
              lambda folder: ["envoy", "-c", f"{folder}/envoy.yaml", "--concurrency", "1",
                              "--disable-hot-restart"]),
}


class Application(BaseHTTPRequestHandler):
    """Says whom it was told of."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # Every name that CGI would read as X-Auth-User.
        text = ",".join(
            value for name, value in self.headers.items()
            if re.sub("[^a-z0-9]", "-", name.lower()) == "x-auth-user"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def start(lab, name, files, command, node, application):
    """Runs a gateway with the sample that is shipped; gives its port."""
    folder = lab.path(name)
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    port, other = free_ports(2)
    for file in files:
        sample = "cluster.conf" if name == "nginx" else file
        with open(os.path.join(SAMPLES, name, sample)) as source:
            text = source.read()
        for old, new in (
            ("@FOLDER@", folder), ("@NODE@", f"127.0.0.1:{node.port}"),
            ("@APPLICATION@", application), ("http://127.0.0.1:8001", f"http://{application}"),
            ("127.0.0.1:8000", f"127.0.0.1:{port}"), ("127.0.0.1:8001", f"127.0.0.1:{other}"),
            ("port_value: 8000", f"port_value: {port}"),
            ("port_value: 8001", f"port_value: {application.split(':')[1]}"),
            ("port_value: 8080", f"port_value: {node.port}"),
            ("127.0.0.1:8080", f"127.0.0.1:{node.port}"), ("server 127.0.0.1:8081;", ""),
            ("server 127.0.0.1:8082;", ""),
        ):
            text = text.replace(old, new)
        with open(os.path.join(folder, file), "w") as target:
            target.write(text)
    environment = os.environ | {"HOME": folder, "XDG_DATA_HOME": folder,
                                "XDG_CONFIG_HOME": folder}
    lab.spawn(command(folder), log=f"{name}.log", env=environment)

    def listens():
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/app/")
            return connection.getresponse().status == 401
        except OSError:
            return False

    until(f"{name} refuses strangers", listens)
    return port


def share(node, port, token, account):
    """Of so many requests, half with bodies, how many in a hundred took the fast path."""
    before = node.metrics()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for number in range(REQUESTS):
        method, body = ("POST", b"{}") if number % 2 else ("GET", None)
        connection.request(method, f"/app/{number}?q={number}", body,
                           {"Authorization": f"Bearer {token}", "X-Auth-User": "forged",
                            "X_Auth_User": "forged"})
        answer = connection.getresponse()
        said = answer.read().decode()
        if answer.status != 200 or said != account:
            raise SystemExit(f"port {port}: {answer.status} {said!r}")
    after = node.metrics()
    fast, general = (
        after[f"watchword_verify_{way}_total"] - before[f"watchword_verify_{way}_total"]
        for way in ("fast", "general")
    )
    return 100 * fast / (fast + general), f"{fast:.0f} fast, {general:.0f} in general"


def measure(options):
    found = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    application = f"127.0.0.1:{server.server_address[1]}"
    with Lab() as lab:
        postgres, redis = Postgres(lab), Redis(lab)
        for name, (source, files, command) in GATEWAYS.items():
            if not shutil.which(name):
                continue
            node = Node(lab, postgres, redis, log=f"{name}-node.log",
                        verify_original_request=source, http_trusted_proxies="127.0.0.1")
            token = node.sign_in(node.register(1))[0]["access_token"]
            connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
            connection.request("GET", "/v1/me", headers={"Authorization": f"Bearer {token}"})
            account = connection.getresponse().read().decode().split('"id":"')[1].split('"')[0]
            port = start(lab, name, files, command, node, application)
            value, note = share(node, port, token, account)
            found.append(spread("gateways", f"checks of {name} on the fast path", [value], "%",
                                goal=99.0, note=note))
            node.stop()
    server.shutdown()
    return found
