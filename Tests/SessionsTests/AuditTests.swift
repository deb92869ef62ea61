// What the audit log says of a session's life: who, what and from where, in the transaction that
// did it.
import ClusterKit
import Postgres
import Primitives
import Sessions
import Testing
import Web

@Suite(.serialized) struct AuditTests {
    /// The entries of an action, as lines of text.
    private func entries(_ cluster: Cluster, _ action: String) async throws -> [String] {
        try await cluster.lines(
            """
            SELECT concat_ws(' ', e.account_id, e.session_id, e.ip_address, e.detail::text)
              FROM audit_events e
             WHERE e.action = '\(action)'
               AND e.actor_id = e.account_id
               AND e.request_id IS NOT NULL
               AND abs(extract(epoch FROM e.at - now())) < 600
             ORDER BY e.id
            """
        )
    }

    @Test func `A hit within the grace window is recorded with both addresses (W9, W4)`()
        async throws
    {
        try await Cluster.run(set: ["sessions.refresh_grace": "60s"]) { cluster in
            let account = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let refresh = cluster.nodes[0].web.refresh
            _ = try await refresh(pair.refreshToken, cluster.trace(from: "192.0.2.1"))
            #expect(try await entries(cluster, "session.refreshed-in-grace").isEmpty)
            _ = try await refresh(pair.refreshToken, cluster.trace(from: "198.51.100.2"))
            let detail =
                #"{"first_ip_address": "192.0.2.1", "second_ip_address": "198.51.100.2"}"#
            #expect(
                try await entries(cluster, "session.refreshed-in-grace")
                    == ["\(account) \(pair.sessionID) 198.51.100.2 \(detail)"]
            )
        }
    }

    @Test func `Reuse is recorded once, with the generation that was shown (W9, W4)`() async throws
    {
        try await Cluster.run(set: ["sessions.refresh_grace": "0s"]) { cluster in
            let account = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let refresh = cluster.nodes[0].web.refresh
            _ = try await refresh(pair.refreshToken, cluster.trace())
            for expected in [RefreshRefusal.reused, .revoked] {
                await #expect(throws: expected) {
                    try await refresh(pair.refreshToken, cluster.trace(from: "198.51.100.2"))
                }
            }
            #expect(
                try await entries(cluster, "session.refresh-reused") == [
                    "\(account) \(pair.sessionID) 198.51.100.2 {\"presented_generation\": 1}"
                ]
            )
            #expect(try await entries(cluster, "session.refreshed-in-grace").isEmpty)
        }
    }

    @Test func `Each scope of logging out is recorded, and only what took hold (W9)`() async throws
    {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp()
            let logOut = cluster.nodes[0].web.logOut
            let first = try await cluster.signIn()
            let stale = try await cluster.claims(first)
            let kept = try await logOut.others(stale, cluster.trace(from: "198.51.100.3"))
            #expect(
                try await entries(cluster, "session.others-ended")
                    == ["\(account) \(first.sessionID) 198.51.100.3 {}"]
            )
            await #expect(throws: LogOutRefusal.outdated) {
                try await logOut.others(stale, cluster.trace())
            }
            await #expect(throws: LogOutRefusal.outdated) {
                try await logOut.everywhere(stale, cluster.trace())
            }
            let caller = try await cluster.claims(kept)
            let other = try await cluster.signIn()
            try await logOut.session(other.sessionID, caller, cluster.trace())
            try await logOut.everywhere(caller, cluster.trace(from: "198.51.100.4"))
            let address = cluster.trace().address
            #expect(
                try await entries(cluster, "session.ended") == [
                    "\(account) \(other.sessionID) \(address) {\"reason\": \"ended-by-owner\"}"
                ]
            )
            #expect(try await entries(cluster, "session.others-ended").count == 1)
            #expect(
                try await entries(cluster, "session.logged-out-everywhere")
                    == ["\(account) 198.51.100.4 {}"]
            )
        }
    }
}
