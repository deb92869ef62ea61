// Minting against revoking, each held open by hand at the worst moment: whoever comes second waits
// for the lock of the first, and no token of the old state is alive afterwards (revocation.md 1.8).
import Access
import ClusterKit
import Postgres
import Primitives
import Sessions
import Testing
import Tokens
import Web

@Suite(.serialized) struct RaceTests {
    @Test func `A refresh that waits for a logout everywhere mints nothing (W1, W2)`() async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let other = try await cluster.signIn()
            let claims = try await cluster.claims(other)
            try await holding(cluster, "SELECT FROM account_signatures FOR UPDATE") {
                try await cluster.nodes[0].web.logOut.everywhere(claims, cluster.trace())
            } then: {
                await #expect(throws: RefreshRefusal.revoked) {
                    try await cluster.refresh(pair, on: 1)
                }
            }
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
        }
    }

    @Test func `A logout everywhere that waits for a refresh covers what it minted (W1)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let claims = try await cluster.claims(try await cluster.signIn())
            // The refresh has its lock on the signature and waits for the session's row.
            let hold = "SELECT FROM sessions WHERE id = '\(pair.sessionID)' FOR UPDATE"
            let minted = Minted()
            try await holding(cluster, hold) {
                await minted.set(try await cluster.refresh(pair, on: 1))
            } then: {
                try await cluster.nodes[0].web.logOut.everywhere(claims, cluster.trace())
            }
            let child = try #require(await minted.pair)
            #expect(try await cluster.isRevokedEverywhere(child.accessToken))
            await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(child) }
        }
    }

    @Test func `A logout everywhere that waits for a sign-in covers what it opened (W1)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let claims = try await cluster.claims(try await cluster.signIn())
            let minted = Minted()
            // The sign-in has its lock on the signature and waits for the password's row.
            try await holding(cluster, "SELECT FROM account_passwords FOR UPDATE") {
                await minted.set(try await cluster.signIn(on: 1))
            } then: {
                try await cluster.nodes[0].web.logOut.everywhere(claims, cluster.trace())
            }
            let pair = try #require(await minted.pair)
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(pair) }
        }
    }

    @Test func `A sign-in that waits for a logout everywhere is of the new generation (W1, W2)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let old = try await cluster.signIn()
            let claims = try await cluster.claims(old)
            let minted = Minted()
            try await holding(cluster, "SELECT FROM account_signatures FOR UPDATE") {
                try await cluster.nodes[0].web.logOut.everywhere(claims, cluster.trace())
            } then: {
                await minted.set(try await cluster.signIn(on: 1))
            }
            #expect(try await cluster.isRevokedEverywhere(old.accessToken))
            await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(old) }
            // It came after: whoever knows the password begins anew, with nothing of the old state.
            let pair = try #require(await minted.pair)
            let generation = try await cluster.number("SELECT generation FROM account_signatures")
            #expect(generation > claims.signatureGeneration)
            #expect(try await cluster.claims(pair).signatureGeneration == generation)
            let living = "SELECT count(*) FROM sessions WHERE signature_generation = \(generation)"
            #expect(try await cluster.number(living) == 1)
        }
    }

    @Test func `A repeat in the grace window that waits for a logout everywhere is refused (W2)`()
        async throws
    {
        try await Cluster.run(2, set: ["sessions.refresh_grace": "60s"]) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let child = try await cluster.refresh(pair)
            let claims = try await cluster.claims(try await cluster.signIn())
            try await holding(cluster, "SELECT FROM account_signatures FOR UPDATE") {
                try await cluster.nodes[0].web.logOut.everywhere(claims, cluster.trace())
            } then: {
                await #expect(throws: RefreshRefusal.revoked) {
                    try await cluster.refresh(pair, on: 1)
                }
            }
            for token in [pair.accessToken, child.accessToken] {
                #expect(try await cluster.isRevokedEverywhere(token))
            }
        }
    }

    @Test func `A logout everywhere that waits for a repeat in the grace window covers it (W1)`()
        async throws
    {
        try await Cluster.run(2, set: ["sessions.refresh_grace": "60s"]) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let child = try await cluster.refresh(pair)
            let claims = try await cluster.claims(try await cluster.signIn())
            let minted = Minted()
            let session = "SELECT FROM sessions WHERE id = '\(pair.sessionID)' FOR UPDATE"
            try await holding(cluster, session) {
                await minted.set(try await cluster.refresh(pair, on: 1))
            } then: {
                try await cluster.nodes[0].web.logOut.everywhere(claims, cluster.trace())
            }
            let again = try #require(await minted.pair)
            #expect(again.refreshToken.exposed == child.refreshToken.exposed)
            for token in [pair.accessToken, child.accessToken, again.accessToken] {
                #expect(try await cluster.isRevokedEverywhere(token))
            }
            for dead in [pair, child, again] {
                await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(dead) }
            }
        }
    }

    @Test func `A sign-in that waits for a new password opens nothing (S4-T3)`() async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let own = try await cluster.signIn()
            let claims = try await cluster.claims(own)
            try await holding(cluster, "SELECT FROM account_signatures FOR UPDATE") {
                _ = try await cluster.nodes[0].web.changePassword(
                    current: goodPassword,
                    new: Secret("amber lantern cobweb 73"),
                    claims,
                    cluster.trace()
                )
            } then: {
                await #expect(throws: SignInRefusal.wrongCredentials) {
                    try await cluster.signIn(on: 1)
                }
            }
            #expect(try await cluster.number("SELECT count(*) FROM sessions") == 1)
        }
    }

    @Test func `A sign-in that waits while a role is taken does not carry it (W11)`() async throws {
        try await Cluster.run(2) { cluster in
            let account = try await cluster.signUp()
            let root = try await cluster.signUp("root")
            let clerk = RoleID(at: cluster.clock.wall.now(), entropy: .system)
            try await cluster.run(
                """
                INSERT INTO roles (id, name, description, built_in, created_at)
                VALUES ('\(clerk)', 'clerk', '', false, now());
                INSERT INTO account_roles (account_id, role_id, granted_at)
                VALUES ('\(account)', '\(clerk)', now()),
                       ('\(root)', '\(BuiltInRole.admin)', now())
                """
            )
            let by = Grantor(account: root, narrowedTo: nil, realm: .everywhere)
            let minted = Minted()
            // Whoever takes it has locked the signature and waits for the role's row; the sign-in
            // has its snapshot and waits for the signature.
            let lock = "SELECT FROM account_roles WHERE role_id = '\(clerk)' FOR UPDATE"
            try await holding(cluster, lock) {
                _ = try await cluster.nodes[0].web.administration.assignments.unassign(
                    clerk,
                    from: account,
                    in: .everywhere,
                    by: by,
                    cluster.trace()
                )
            } then: {
                await minted.set(try await cluster.signIn(on: 1))
            }
            let pair = try #require(await minted.pair)
            for index in 0..<2 {
                let claims = try await cluster.claims(pair, on: index)
                let carried = claims.roles ?? []
                #expect(!carried.contains(clerk))
                let question = RightsQuestion(account, version: claims.rightsVersion)
                let held = try await cluster.nodes[index].web.rights.rights(
                    of: question,
                    at: cluster.clock.wall.now()
                )
                #expect(!held.unscoped.contains(clerk) && held.unscoped == [BuiltInRole.member])
            }
        }
    }

    @Test func `A sign-in that waits while its account is disabled opens nothing`() async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let blocker = cluster.makePool(applicationName: "blocker")
            try await withThrowingTaskGroup { group in
                try await blocker.transaction { transaction in
                    try await transaction.script("UPDATE accounts SET state = 'disabled'")
                    group.addTask {
                        await #expect(throws: SignInRefusal.wrongCredentials) {
                            try await cluster.signIn(on: 1)
                        }
                    }
                    try await cluster.untilBlocked()
                }
                try await group.waitForAll()
            }
            await blocker.close()
            #expect(try await cluster.number("SELECT count(*) FROM sessions") == 0)
        }
    }

    @Test(arguments: ["open", "rotate", "endAll"])
    func `A backend killed in mid-statement leaves all or nothing (S0-T4, S4-T3, W3)`(
        _ action: String
    ) async throws {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let claims = try await cluster.claims(pair)
            let before = try await cluster.text(Self.state)
            let blocker = cluster.makePool(applicationName: "blocker")
            try await withThrowingTaskGroup { group in
                try await blocker.transaction { transaction in
                    // Table and row locks come first, so none has written yet when it is killed.
                    try await transaction.script(
                        action == "open"
                            ? "LOCK TABLE outbox"
                            : action == "rotate"
                                ? "SELECT FROM sessions FOR UPDATE" : "LOCK TABLE audit_events"
                    )
                    group.addTask {
                        await #expect(throws: (any Error).self) {
                            switch action {
                            case "open": _ = try await cluster.signIn()
                            case "rotate": _ = try await cluster.refresh(pair)
                            default:
                                try await cluster.nodes[0].web.logOut.everywhere(
                                    claims,
                                    cluster.trace()
                                )
                            }
                        }
                    }
                    try await cluster.untilBlocked()
                    try await cluster.run(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            + " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    )
                    try await group.waitForAll()
                }
            }
            await blocker.close()
            #expect(try await cluster.text(Self.state) == before)
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            _ = try await cluster.refresh(pair)
        }
    }

    /// Holds a lock until `first`, then also `second`, wait; lets go, and awaits both.
    private func holding(
        _ cluster: Cluster,
        _ lock: String,
        first: @escaping @Sendable () async throws -> Void,
        then second: @escaping @Sendable () async throws -> Void
    ) async throws {
        let blocker = cluster.makePool(applicationName: "blocker")
        try await withThrowingTaskGroup { group in
            try await blocker.transaction { transaction in
                try await transaction.script(lock)
                group.addTask { try await first() }
                try await cluster.untilBlocked(1)
                group.addTask { try await second() }
                try await cluster.untilBlocked(2)
            }
            try await group.waitForAll()
        }
        await blocker.close()
    }

    private static let state = """
        SELECT (SELECT string_agg(s::text, ',' ORDER BY s.id) FROM sessions s) || ' '
            || (SELECT string_agg(generation::text, ',') FROM account_signatures) || ' '
            || (SELECT count(*) FROM revocation_log) || ' '
            || (SELECT count(*) FROM audit_events WHERE action <> 'session.sign-in-failed') || ' '
            || (SELECT count(*) FROM outbox)
        """
}

/// What a refresh in another task gave.
private actor Minted {
    private(set) var pair: TokenPair?
    func set(_ pair: TokenPair) { self.pair = pair }
}
