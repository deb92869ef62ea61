"""Glewlwyd (Debian package) on PostgreSQL, as a peer that answers each check from its database."""

import base64
import gzip
import http.cookiejar
import json
import os
import subprocess
import urllib.parse
import urllib.request

from harness import free_ports, until

CONFIGURATION = """
port={port}
bind_address="127.0.0.1"
external_url="http://127.0.0.1:{port}"
login_url="login.html"
api_prefix="api"
static_files_path="/usr/share/glewlwyd/webapp/"
log_mode="console"
log_level="ERROR"
cookie_domain="127.0.0.1"
cookie_secure=0
session_expiration=2419200
session_key="GLEWLWYD2_SESSION_ID"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
login_api_enabled=true
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
user_middleware_module_path="/usr/lib/glewlwyd/user_middleware"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database={{ type="postgre"; conninfo="host={socket} dbname=glewlwyd user=postgres"; }}
"""
# The issuer's plugin: the least that issues and introspects access tokens.
PLUGIN = {
    "jwt-type": "ecdsa", "jwt-key-size": "256",
    "access-token-duration": 86400, "refresh-token-duration": 1209600, "code-duration": 600,
    "refresh-token-rolling": False, "allow-non-oidc": True,
    "auth-type-token-enabled": False, "auth-type-id-token-enabled": False,
    "auth-type-none-enabled": False, "auth-type-password-enabled": False,
    "auth-type-client-enabled": True, "auth-type-code-enabled": False,
    "auth-type-refresh-enabled": False, "auth-type-device-enabled": False,
    "introspection-revocation-allowed": True,
    "introspection-revocation-allow-target-client": True,
    "introspection-revocation-auth-scope": [], "secret-type": "pairwise",
    "scope": [], "additional-parameters": [], "claims": [],
    "subject-type": "public", "pkce-allowed": False,
}
SCRIPTS = "/usr/share/doc/glewlwyd/database/init.postgre.sql.gz"


def is_installed():
    return os.path.exists("/usr/bin/glewlwyd") and os.path.exists(SCRIPTS)


class Glewlwyd:
    """One server, one client, one access token."""

    def __init__(self, lab, postgres, core=None):
        self.lab = lab
        (self.port,) = free_ports(1)
        self.base = f"http://127.0.0.1:{self.port}/api"
        postgres.ask("CREATE DATABASE glewlwyd")
        postgres.ask("CREATE EXTENSION pgcrypto", "glewlwyd")
        with gzip.open(SCRIPTS, "rt") as file:
            postgres.ask(file.read(), "glewlwyd")
        with open(lab.path("glewlwyd.conf"), "w") as file:
            file.write(CONFIGURATION.format(port=self.port, socket=postgres.folder))
        self.process = lab.spawn(
            ["/usr/bin/glewlwyd", "-c", lab.path("glewlwyd.conf")], core, log="glewlwyd.log",
        )
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(jar)
        until("Glewlwyd answers", self.is_signed_in)
        self.configure()

    def is_signed_in(self):
        try:
            self.post("/auth/", {"username": "admin", "password": "password"})
            return True
        except OSError:
            return False

    def post(self, path, value):
        request = urllib.request.Request(
            self.base + path, json.dumps(value).encode(), {"Content-Type": "application/json"},
        )
        with self.opener.open(request) as answer:
            return answer.read()

    def configure(self):
        key = subprocess.run(
            ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ).stdout
        public = subprocess.run(
            ["openssl", "ec", "-pubout"], input=key, check=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        ).stdout
        self.post("/mod/plugin", {
            "module": "oidc", "name": "oidc", "display_name": "bench",
            "parameters": PLUGIN | {
                "iss": self.base, "key": key, "cert": public,
            },
        })
        self.post("/client/", {
            "client_id": "bench", "name": "bench", "confidential": True, "enabled": True,
            "password": "a-secret-of-the-bench", "client_secret": "a-secret-of-the-bench",
            "authorization_type": ["client_credentials"], "redirect_uri": [],
            "scope": ["g_profile"], "token_endpoint_auth_method": ["client_secret_basic"],
        })
        words = base64.b64encode(b"bench:a-secret-of-the-bench").decode()
        self.authorization = f"Basic {words}"
        request = urllib.request.Request(
            self.base + "/oidc/token",
            urllib.parse.urlencode(
                {"grant_type": "client_credentials", "scope": "g_profile"}
            ).encode(),
            {"Authorization": self.authorization},
        )
        with urllib.request.urlopen(request) as answer:
            self.token = json.load(answer)["access_token"]

    def introspect(self, token):
        request = urllib.request.Request(
            self.base + "/oidc/introspect",
            urllib.parse.urlencode({"token": token}).encode(),
            {"Authorization": self.authorization},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
