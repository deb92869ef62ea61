// The key ring over several nodes: published before it is used, retired for all, sealed for good.
import ClusterKit
import Logging
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing
import Tokens
import Web

@Suite(.serialized) struct KeyTests {
    @Test func `A strange JOSE library verifies our tokens by our JWKS (row 140)`() async throws {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let jwks = cluster.nodes[0].keys.ring.jwks
            for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                #expect(!jwks.contains("\"\(member)\":"), "the JWKS has a private member")
            }
            let folder = try PrivateFolder.make("ww-jwks")
            let janitor = try PrivateFolder.removeAtExit(folder)
            try PrivateFolder.write(jwks, to: "\(folder)/jwks")
            try PrivateFolder.write(
                String(decoding: pair.accessToken.exposed, as: UTF8.self),
                to: "\(folder)/token"
            )
            let script = """
                import json, sys
                from joserfc import jwt
                from joserfc.jwk import KeySet
                keys = KeySet.import_key_set(json.load(open(sys.argv[1] + "/jwks")))
                token = jwt.decode(open(sys.argv[1] + "/token").read(), keys, algorithms=["ES256"])
                assert token.claims["client_id"] == "watchword", token.claims
                assert token.header["typ"] == "at+jwt", token.header
                """
            let status = try await Blocking.run {
                try ChildProcess.launch(
                    ["python3", "-c", script, folder],
                    log: "\(folder)/log"
                ).wait()
            }
            #expect(status == 0, "\(PrivateFolder.read("\(folder)/log"))")
            PrivateFolder.release(janitor)
        }
    }

    @Test func `A key that a node has not met is fetched when its first token comes`() async throws
    {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let old = try await cluster.signIn()
            let before = cluster.nodes[0].keys.ring.jwks
            // Announced, not used: the JWKS has it, no token does.
            let keys = cluster.nodes[0].keys
            let announced = try await keys.makeSigningKey(
                atOnce: false,
                by: nil,
                cluster.trace()
            ).id
            #expect(cluster.nodes[0].keys.ring.jwks.contains("\(announced)"))
            #expect(!before.contains("\(announced)"))
            let still = try await cluster.signIn()
            #expect(try await cluster.claims(still).keyID != announced)
            let now = try await keys.makeSigningKey(atOnce: true, by: nil, cluster.trace()).id
            let fresh = try await cluster.signIn()
            #expect(try await cluster.claims(fresh).keyID == now)
            #expect(!cluster.nodes[1].keys.ring.jwks.contains("\(now)"))
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
            #expect(try await cluster.isGoodEverywhere(old.accessToken))
        }
    }

    @Test func `At the terminal a key is recorded as by nobody, and the limit holds (W9)`()
        async throws
    {
        try await Cluster.run { cluster in
            let made = try await cluster.rotateAtTerminal()
            #expect(made.state == .next)
            let recorded = try await cluster.lines(
                """
                SELECT (detail ->> 'key_id') || ' ' || (actor_id IS NULL) || ' ' || ip_address
                  FROM audit_events
                 WHERE action = 'signing-key.made'
                """
            )
            #expect(recorded == ["\(made.id) true terminal"])
            let live = """
                SELECT count(*) FROM keys WHERE use = 'access-token' AND retired_at IS NULL
                """
            while try await cluster.number(live) < 16 {
                _ = try await cluster.nodes[0].keys.makeSigningKey(
                    atOnce: false,
                    by: nil,
                    cluster.trace()
                )
            }
            await #expect(throws: KeyRefusal.tooMany) { try await cluster.rotateAtTerminal() }
            #expect(try await cluster.number(live) == 16)
        }
    }

    @Test func `Tokens of a retired key are refused everywhere (W1, W3)`() async throws {
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let key = try await cluster.claims(pair).keyID
            _ = try await cluster.nodes[0].revoker.first(KeyStore.retire(key, cluster.trace().now))
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
        }
    }

    @Test func `A dump of the keys opens with no other master key, nor when swapped (row 271, W7)`()
        async throws
    {
        let master = MasterKey.generate(entropy: .system)
        try await Cluster.run(set: ["keys.master": master]) { cluster in
            let rows = try await cluster.sql.rows(KeyStore.list())
            let other = try MasterKey(Secret(MasterKey.generate(entropy: .system)))
            for row in rows {
                #expect(throws: MasterKeyError.cannotOpen) {
                    try other.open(
                        row.sealed,
                        version: 1,
                        context: "key/\(row.use)/\(row.id)"
                    )
                }
            }
            try await cluster.run(
                """
                UPDATE keys k SET sealed = o.sealed FROM keys o
                 WHERE (k.use, o.use) IN (('csrf', 'refresh-token'), ('refresh-token', 'csrf'))
                """
            )
            await #expect(throws: MasterKeyError.cannotOpen) {
                try await keeper(cluster, master).start()
            }
        }
    }

    @Test func `A master key is changed by giving both and sealing anew`() throws {
        let first = MasterKey.generate(version: 1, entropy: .system)
        let second = MasterKey.generate(version: 2, entropy: .system)
        let both = try MasterKey(Secret("\(first),\(second)"))
        let sealed = try MasterKey(Secret(first)).seal([1, 2, 3], context: "here")
        #expect(both.currentVersion == 2)
        let opened = try both.open(sealed, version: 1, context: "here")
        let anew = try both.seal(opened, context: "here")
        #expect(try MasterKey(Secret(second)).open(anew, version: 2, context: "here") == [1, 2, 3])
        #expect(throws: MasterKeyError.cannotOpen) {
            try both.open(anew, version: 2, context: "there")
        }
    }

    @Test func `Every stored key is sealed anew, once, and the old master key is done (row 271)`()
        async throws
    {
        let first = MasterKey.generate(version: 1, entropy: .system)
        let second = MasterKey.generate(version: 2, entropy: .system)
        try await Cluster.run(set: ["keys.master": first]) { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let keys = cluster.nodes[0].keys
            let retired = try await keys.makeSigningKey(atOnce: true, by: nil, cluster.trace()).id
            _ = try await cluster.nodes[0].revoker.first(
                KeyStore.retire(retired, cluster.trace().now)
            )
            try await cluster.nodes[0].keys.reload()
            let count = Int(try await cluster.number("SELECT count(*) FROM keys"))
            #expect(count == KeyUse.allCases.count + 1)
            let both = try keeper(cluster, "\(first),\(second)")
            // Two at once do no work twice, and none of it wrong.
            async let one = both.rewrap()
            async let other = keeper(cluster, "\(first),\(second)").rewrap()
            let sealed = try await one + other
            #expect(sealed == count)
            #expect(try await both.rewrap() == 0)
            let versions = try await cluster.lines(
                "SELECT DISTINCT master_key_version::text FROM keys"
            )
            #expect(versions == ["2"])
            let after = try keeper(cluster, second)
            try await after.reload()
            #expect(after.ring.jwks == cluster.nodes[0].keys.ring.jwks)
            let before = try keeper(cluster, first)
            try await before.reload()
            #expect(before.ring.keys.isEmpty)
            await #expect(throws: MasterKeyError.unknownVersion(2)) { try await before.start() }
            await #expect(throws: KeyFault.closed) {
                try await before.makeSigningKey(atOnce: true, by: nil, cluster.trace())
            }
            #expect(Int(try await cluster.number("SELECT count(*) FROM keys")) == count)
            await #expect(throws: MasterKeyError.self) { try await before.rewrap() }
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
        }
    }

    private func keeper(_ cluster: Cluster, _ master: String) throws -> KeyKeeper {
        KeyKeeper(
            database: cluster.sql,
            revoker: cluster.nodes[0].revoker,
            masterKey: try MasterKey(Secret(master)),
            settings: KeySettings(
                publishAhead: .hours(1),
                rotateAfter: .days(30),
                keepReplaced: [:]
            ),
            clock: .system,
            entropy: .system,
            logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() },
            metrics: MetricsRegistry()
        )
    }

    @Test func `A revocation outlives every token, also after the lifetime fell`() async throws {
        try await Cluster.run(2, only: [1: ["sessions.access_lifetime": "10h"]]) { cluster in
            _ = try await cluster.signUp()
            let long = try await cluster.claims(try await cluster.signIn(on: 1), on: 1)
            let margin = """
                SELECT extract(epoch FROM revocation_expiry() - clock_timestamp())
                """
            #expect(try await cluster.number(margin) >= 36_000 + 119)
            // The long-lived node falls silent; its last token may still be out there.
            for hours in [1, 9] {
                try await cluster.run(
                    "UPDATE token_lifetimes SET asserted_at = now() - interval '\(hours) hours'"
                        + " WHERE lifetime_s = 36000"
                )
                #expect(try await cluster.number(margin) >= 36_000 + 119)
            }
            try await cluster.run(
                "UPDATE token_lifetimes SET asserted_at = now() - interval '10 hours 11 minutes'"
                    + " WHERE lifetime_s = 36000"
            )
            #expect(try await cluster.number(margin) < 900 + 121)
            #expect(long.expiresAt - long.issuedAt <= .hours(10))
        }
    }

    @Test func `A node whose assertion is stale mints nothing until it asserts again`() async throws
    {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            try await cluster.run(
                "UPDATE token_lifetimes SET asserted_at = now() - interval '11 minutes'"
            )
            await #expect(throws: (any Error).self) { try await cluster.signIn() }
            _ = try await cluster.signIn()
        }
    }
}
