"""What schemathesis is told about Watchword by `scripts/check-api`: whose token each call has, and
the real objects that most calls are about. In the end it writes down what was answered."""
import atexit
import collections
import json
import os

import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

from api_objects import Objects, Session, register

PLAN = json.loads(os.environ["WATCHWORD_PLAN"])
ADMINISTRATOR = Session(PLAN["base"], PLAN["login"], PLAN["password"])
SELF = ADMINISTRATOR.call("GET", "/v1/me")["id"]
OWN = {name: register(PLAN["base"]) for name in PLAN["own"]}
OBJECTS = Objects(ADMINISTRATOR, OWN)
# Of so many calls with documented parameters, one keeps those that were made up.
MADE_UP = 4
# Members of bodies and queries that must name something real as well, or nothing is found.
REFERENCES = {
    "account": "/v1/admin/users/{id}",
    "organisation": "/v1/admin/organisations/{id}",
    "permission": "/v1/admin/permissions/{name}",
    "role": "/v1/admin/roles/{id}",
}
turns = collections.Counter()
answers = collections.defaultdict(collections.Counter)


def name_of(operation):
    return operation.definition.raw["operationId"]


def is_as_documented(case, location):
    part = case.meta and case.meta.components.get(location)
    return part is None or part.mode == GenerationMode.POSITIVE


# The session itself knows when to sign in again; this is how often it is asked.
@schemathesis.auth(refresh_interval=60)
class Sessions:
    """The administrator's token, or that of an account which one operation has to itself."""

    def get(self, case, context):
        return {name: session.token for name, session in OWN.items()} | {"": ADMINISTRATOR.token}

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data.get(name_of(context.operation), data[''])}"


@schemathesis.hook
def map_headers(context, headers):
    """A body that was asked to be left out is no body of the documented type."""
    if headers:
        for name in list(headers):
            if name.lower() == "prefer":
                del headers[name]
    return headers


def required(operation):
    """The members that its query must have."""
    parameters = operation.definition.raw["parameters"]
    return {part["name"] for part in parameters if part["in"] == "query" and part["required"]}


def references(name, members):
    return {
        member: next(iter(OBJECTS.parameters(name, path).values()))
        for member, path in REFERENCES.items() if member in members
    }


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts real objects where made-up ones of the right form stand."""
    name, path = name_of(case.operation), case.operation.path
    if not case.path_parameters or not is_as_documented(case, ParameterLocation.PATH):
        return
    turns[name] += 1
    # What it makes up is at times an id that an answer had. It may not be that of who goes on.
    if turns[name] % MADE_UP == 0 and SELF not in case.path_parameters.values():
        return
    real = OBJECTS.parameters(name, path)
    case.path_parameters = dict(real)
    if "If-Match" in case.headers and is_as_documented(case, ParameterLocation.HEADER):
        case.headers["If-Match"] = ADMINISTRATOR.version(path.format(**real))
    if isinstance(case.body, dict) and is_as_documented(case, ParameterLocation.BODY):
        case.body = case.body | references(name, case.body)
    if case.query and is_as_documented(case, ParameterLocation.QUERY):
        # What is there is seldom there in a made-up place: every other call asks for no more than
        # it must.
        asked = required(case.operation) & case.query.keys() if turns[name] % 2 else case.query
        case.query = {member: case.query[member] for member in asked}
        case.query |= references(name, case.query)


@schemathesis.hook
def after_call(context, case, response):
    name, status = name_of(case.operation), response.status_code
    answers[name][status] += 1
    is_real = case.path_parameters == OBJECTS.made.get((name, case.operation.path))
    if is_real and (status in (404, 409) or case.method == "DELETE" and status < 300):
        OBJECTS.forget(name)


@atexit.register
def write_down():
    with open(PLAN["answers"], "w", encoding="utf-8") as file:
        json.dump(answers, file)
