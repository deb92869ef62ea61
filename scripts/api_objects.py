"""Real objects for `scripts/check-api`. What a path names is made through the API, by the
administrator: with made-up ids alone, nearly every answer would be 404 and no handler reached.
Each operation has objects of its own, so that none destroys what another one needs."""
import itertools
import json
import time
import urllib.error
import urllib.request

PASSWORD = "violet harbour kettle 51"
ADMINISTRATOR = "00000000-0000-7000-8000-000000000001"
# Needs two people here, which is how there are approvals. Names nothing else along with it.
APPROVED = "/v1/admin/keys/rotate"
# Tokens end after 15 minutes, and so does a sign-in as proof of who is there.
RENEWAL = 600
numbers = itertools.count(1)


class Session:
    """Somebody who calls, and signs in again in time."""

    def __init__(self, base, login, password):
        self.base, self.login, self.password = base, login, password
        self.since = None

    def sign_in(self):
        body = {"login": self.login, "password": self.password}
        return send(self.base, None, "POST", "/v1/auth/login", body)[1]

    @property
    def token(self):
        if self.since is None or time.monotonic() - self.since > RENEWAL:
            self.held, self.since = self.sign_in()["access_token"], time.monotonic()
        return self.held

    def call(self, method, path, body=None, expected=None):
        """The answer, which must be a 2xx, or of the status `expected`."""
        status, answer = send(self.base, self.token, method, path, body)[:2]
        if status != expected and (expected or status >= 300):
            raise RuntimeError(f"{method} {path} was answered {status}: {answer}")
        return answer

    def version(self, path):
        """The version of what is at `path`, for `If-Match`."""
        return send(self.base, self.token, "GET", path)[2]["ETag"]


def send(base, token, method, path, body=None):
    """Status, body and header fields of the answer."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, headers, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        text = answer.read()
        return answer.status, json.loads(text) if text else None, answer.headers


def register(base):
    """A new account, which nobody else uses."""
    email = f"own{next(numbers)}@example.org"
    send(base, None, "POST", "/v1/auth/register", {"email": email, "password": PASSWORD})
    return Session(base, email, PASSWORD)


class Objects:
    """Makes what stands at a path, parameter by parameter: `at` has a maker for each."""

    def __init__(self, administrator, own):
        self.administrator, self.own, self.made = administrator, own, {}
        users, services = "/v1/admin/users", "/v1/admin/service-accounts"
        organisations = "/v1/admin/organisations"
        self.at = {
            "/v1/me/sessions/{id}": self.own_session,
            f"{users}/{{id}}": self.user,
            f"{users}/{{id}}/sessions/{{session}}": self.session,
            f"{users}/{{id}}/roles/{{role}}": self.assignment,
            "/v1/admin/permissions/{name}": self.permission,
            "/v1/admin/roles/{id}": self.role,
            "/v1/admin/route-rules/{id}": self.rule,
            "/v1/admin/keys/{id}": self.signing_key,
            f"{organisations}/{{id}}": self.organisation,
            f"{organisations}/{{id}}/members/{{account}}": self.member,
            f"{services}/{{id}}": self.service,
            f"{services}/{{id}}/keys/{{key}}": self.api_key,
            "/v1/admin/approvals/{id}": self.approval,
        }

    def parameters(self, operation, path):
        """The parameters of something at `path` that `operation` has to itself."""
        if (operation, path) not in self.made:
            found, prefix = {}, ""
            for segment in path[1:].split("/"):
                prefix += f"/{segment}"
                if segment.startswith("{"):
                    found[segment[1:-1]] = self.at[prefix](*found.values())
            self.made[operation, path] = found
        return self.made[operation, path]

    def forget(self, operation):
        """Something is gone, or in a state from which nothing leads on: the next is a new one."""
        self.made = {key: value for key, value in self.made.items() if key[0] != operation}

    def new(self, path, body, member="id"):
        return self.administrator.call("POST", path, body)[member]

    def own_session(self):
        return self.own["sessions_end"].sign_in()["session_id"]

    def user(self, **more):
        body = {"email": f"user{next(numbers)}@example.org", "confirmed": True}
        return self.new("/v1/admin/users", body | more)

    def session(self, user):
        return self.new(f"/v1/admin/users/{user}/impersonate", None, "session_id")

    def role(self):
        return self.new("/v1/admin/roles", {"name": f"role-{next(numbers)}"})

    def assignment(self, user):
        return self.new(f"/v1/admin/users/{user}/roles", {"role": self.role()}, "role")

    def permission(self):
        body = {"name": f"made:permission{next(numbers)}", "description": "Made to be changed."}
        return self.new("/v1/admin/permissions", body, "name")

    def rule(self):
        body = {"methods": ["GET"], "path": f"/made/{next(numbers)}", "access": "public"}
        return self.new("/v1/admin/route-rules", body)

    def organisation(self):
        body = {"name": f"made-{next(numbers)}", "display_name": "Made"}
        return self.new("/v1/admin/organisations", body)

    def member(self, organisation):
        user = self.user()
        path = f"/v1/admin/organisations/{organisation}/members"
        self.administrator.call("POST", path, {"account": user})
        return user

    def service(self):
        return self.new("/v1/admin/service-accounts", {"name": f"service{next(numbers)}"})

    def api_key(self, service):
        return self.new(f"/v1/admin/service-accounts/{service}/keys", {"name": "made"})

    def signing_key(self):
        asker, approval = self.asked()
        self.administrator.call("POST", f"/v1/admin/approvals/{approval}/give")
        return asker.call("POST", APPROVED)["id"]

    def approval(self):
        return self.asked()[1]

    def asked(self):
        """Who has asked for an approval, and which. Of the same person it would be the same."""
        email = f"asker{next(numbers)}@example.org"
        asker = self.user(email=email, password=PASSWORD, must_change_password=False)
        self.new(f"/v1/admin/users/{asker}/roles", {"role": ADMINISTRATOR}, "role")
        session = Session(self.administrator.base, email, PASSWORD)
        return session, session.call("POST", APPROVED, expected=403)["approval_id"]
