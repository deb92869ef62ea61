// Ending sessions, on three nodes that share one database: what was acknowledged on one node holds
// on all, from the next check on.
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import Testing
import Web

@Suite(.serialized) struct RevokingTests {
    @Test func `Ten generations of logging out everywhere leave nothing alive (S4-T1, W1, W2)`()
        async throws
    {
        try await Cluster.run(3) { cluster in
            _ = try await cluster.signUp()
            var dead: [TokenPair] = []
            for generation in 0..<10 {
                let pair = try await cluster.signIn(on: generation % 3)
                #expect(try await cluster.isGoodEverywhere(pair.accessToken))
                try await cluster.logOutEverywhere(pair, on: (generation + 1) % 3)
                dead.append(pair)
                for old in dead {
                    #expect(try await cluster.isRevokedEverywhere(old.accessToken))
                }
            }
            for old in dead {
                await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(old) }
            }
        }
    }

    @Test func `Logging out one session stops its access token, no other (W1, S0-7, S4-T6)`()
        async throws
    {
        try await Cluster.run(3) { cluster in
            _ = try await cluster.signUp()
            let one = try await cluster.signIn(on: 0)
            let other = try await cluster.signIn(on: 1)
            let claims = try await cluster.claims(one)
            try await cluster.logOut(one, on: 2)
            #expect(try await cluster.isRevokedEverywhere(one.accessToken))
            #expect(try await cluster.isGoodEverywhere(other.accessToken))
            let log = "SELECT count(*) FROM revocation_log"
            #expect(try await cluster.number(log) == 1)
            // The second caller must not be told so before the first revocation is out (H19).
            try await cluster.nodes[1].web.logOut.thisSession(claims, cluster.trace())
            #expect(try await cluster.number(log) == 2)
            #expect(
                try await cluster.number(
                    "SELECT count(*) FROM audit_events WHERE action = 'session.ended'"
                ) == 2
            )
        }
    }

    @Test func `Nobody ends a session of somebody else (S0-8)`() async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp("ada")
            _ = try await cluster.signUp("bob")
            let ada = try await cluster.signIn("ada")
            let bob = try await cluster.claims(try await cluster.signIn("bob"))
            await #expect(throws: LogOutRefusal.noSuchSession) {
                try await cluster.nodes[1].web.logOut.session(
                    ada.sessionID,
                    bob,
                    cluster.trace()
                )
            }
            #expect(try await cluster.isGoodEverywhere(ada.accessToken))
            #expect(try await cluster.number("SELECT count(*) FROM revocation_log") == 0)
        }
    }

    @Test func `An outdated token cannot log out everywhere again (S4-T2)`() async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let old = try await cluster.signIn()
            let claims = try await cluster.claims(old)
            try await cluster.logOutEverywhere(old)
            let fresh = try await cluster.signIn()
            let before = try await cluster.text(Self.state)
            await #expect(throws: LogOutRefusal.outdated) {
                try await cluster.nodes[1].web.logOut.everywhere(claims, cluster.trace())
            }
            await #expect(throws: LogOutRefusal.outdated) {
                try await cluster.nodes[1].web.logOut.others(claims, cluster.trace())
            }
            #expect(try await cluster.text(Self.state) == before)
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
        }
    }

    @Test func `Ending all others keeps one's own session, with new tokens (W4)`() async throws {
        try await Cluster.run(3) { cluster in
            _ = try await cluster.signUp()
            let own = try await cluster.signIn(on: 0)
            let other = try await cluster.signIn(on: 1)
            let fresh = try await cluster.nodes[2].web.logOut.others(
                try await cluster.claims(own),
                cluster.trace()
            )
            #expect(fresh.sessionID == own.sessionID)
            #expect(try await cluster.isRevokedEverywhere(own.accessToken))
            #expect(try await cluster.isRevokedEverywhere(other.accessToken))
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
            await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(other) }
            // Dead, but no reuse: its nonce is not the session's any more.
            await #expect(throws: RefreshRefusal.invalid) { try await cluster.refresh(own) }
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
            _ = try await cluster.refresh(fresh, on: 1)
        }
    }

    @Test func `A changed password ends the others and gives a fresh pair (S4-T10)`() async throws {
        try await Cluster.run(3) { cluster in
            _ = try await cluster.signUp()
            let own = try await cluster.signIn(on: 0)
            let other = try await cluster.signIn(on: 1)
            let next = Secret("amber lantern cobweb 73")
            let fresh = try await cluster.nodes[2].web.changePassword(
                current: goodPassword,
                new: next,
                try await cluster.claims(own),
                cluster.trace()
            )
            #expect(try await cluster.isRevokedEverywhere(own.accessToken))
            #expect(try await cluster.isRevokedEverywhere(other.accessToken))
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
            await #expect(throws: RefreshRefusal.invalid) { try await cluster.refresh(own) }
            await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(other) }
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
            await #expect(throws: SignInRefusal.wrongCredentials) {
                try await cluster.signIn(password: goodPassword)
            }
            _ = try await cluster.signIn(password: next)
            #expect(
                try await cluster.number(
                    "SELECT count(*) FROM audit_events WHERE action = 'password.changed'"
                ) == 1
            )
        }
    }

    private static let state = """
        SELECT (SELECT count(*) FROM revocation_log) || ' '
            || (SELECT string_agg(generation::text, ',') FROM account_signatures) || ' '
            || (SELECT count(*) FROM sessions WHERE revoked_at IS NOT NULL)
        """
}
