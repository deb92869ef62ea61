"""The check of a token that may be revoked: ours in memory, a peer's in its database."""

import sys

from figures import ratio, rounds
from glewlwyd import Glewlwyd, is_installed
from harness import CORES, Lab, Node, Postgres, Redis, processor_seconds, wrk


def measure(options):
    """Each server on one core, its PostgreSQL and the load on the other."""
    if not is_installed():
        print("left out: the peer is missing (apt-get install glewlwyd)", file=sys.stderr)
        return []
    server, other = CORES[0], CORES[-1]
    with Lab() as lab:
        postgres = Postgres(lab, other)
        node = Node(lab, postgres, Redis(lab, other), server, http_event_loops=1)
        token = node.sign_in(node.register(1))[0]["access_token"]
        peer = Glewlwyd(lab, postgres, server)
        if not peer.introspect(peer.token)["active"]:
            raise SystemExit("the peer does not know its own token")
        with open(lab.path("introspection"), "w") as file:
            file.write(f"{peer.authorization}\n{peer.token}\n")

        def leg(process, port, path, **request):
            used = processor_seconds(process.pid)
            figures = wrk(port, path, 64, options.seconds, core=other, **request)
            used = processor_seconds(process.pid) - used
            return figures | {"cpu_us": used * 1e6 / max(1, figures["count"])}

        results = rounds(options.rounds, {
            "ours": lambda: leg(node.process, node.port, "/verify", token=token),
            "peer": lambda: leg(
                peer.process, peer.port, "/api/oidc/introspect",
                script="introspect.lua", argument=lab.path("introspection"),
            ),
        })
    middle = len(results) // 2
    ours, theirs = (
        sorted(each[leg]["cpu_us"] for each in results)[middle] for leg in ("ours", "peer")
    )
    waits = sorted(each["peer"]["p99_ms"] for each in results)[middle]
    return [
        ratio(
            "peer", "/verify / introspection by Glewlwyd on PostgreSQL, c=64", results,
            "ours", "peer",
            note=f"{ours:.0f} µs of processor each, {theirs:.0f} µs there, its database not "
                 f"counted; its p99 {waits:.0f} ms",
        ),
    ]
