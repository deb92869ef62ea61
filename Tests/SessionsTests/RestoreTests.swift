// The last resort of docs/operations/failures.md, as it is printed there: after a restore that lost
// revocations, everybody is out and can sign in again.
import ClusterKit
import Primitives
import Sessions
import TestKit
import Testing
import Web

@Suite(.serialized) struct RestoreTests {
    @Test func `the SQL of the manual ends every session and every token (H7, W1)`() async throws {
        let page = Repository.text("docs/operations/failures.md")
        let begin = try #require(page.firstRange(of: "```sql\nBEGIN;\n"))
        let rest = page[begin.upperBound...]
        let end = try #require(rest.firstRange(of: "COMMIT;\n```"))
        let sql = "BEGIN;\n" + rest[..<end.lowerBound] + "COMMIT;"
        try await Cluster.run(2) { cluster in
            _ = try await cluster.signUp("ada")
            _ = try await cluster.signUp("bob")
            let pairs = [
                try await cluster.signIn("ada"), try await cluster.signIn("ada", on: 1),
                try await cluster.signIn("bob"),
            ]
            try await cluster.run(sql)
            for pair in pairs {
                #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
                await #expect(throws: RefreshRefusal.revoked) { try await cluster.refresh(pair) }
            }
            let fresh = try await cluster.signIn("ada", on: 1)
            #expect(try await cluster.isGoodEverywhere(fresh.accessToken))
            _ = try await cluster.refresh(fresh)
        }
    }
}
