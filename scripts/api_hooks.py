"""What schemathesis is told about Watchword by `scripts/check-api`: whose token each call has."""
import json
import os

import schemathesis

TOKENS = json.loads(os.environ["WATCHWORD_TOKENS"])


@schemathesis.auth(refresh_interval=None)
class Sessions:
    """The administrator's token, or that of an account which one operation has to itself."""

    def get(self, case, context):
        return TOKENS

    def set(self, case, data, context):
        name = context.operation.definition.raw["operationId"]
        case.headers["Authorization"] = f"Bearer {data.get(name, data[''])}"


@schemathesis.hook
def map_headers(context, headers):
    """A body that was asked to be left out is no body of the documented type."""
    if headers:
        for name in list(headers):
            if name.lower() == "prefer":
                del headers[name]
    return headers
