// Many revocations at once: what is too much for one answer, or one row, or one section of the
// lock, is read and taken in by pieces, and nothing of it is missing when a check is answered.
import ClusterKit
import Logging
import Postgres
import Primitives
import Revocation
import TestKit
import Testing

@Suite(.serialized) struct MillionTests {
    private func subject(_ number: Int, _ kind: RevocationKind = .session) -> RevocationSubject {
        RevocationSubject(kind, SessionID(high: 7, low: UInt64(number)))
    }

    /// One transaction that revokes the subjects of `numbers`.
    private func insertion(_ numbers: ClosedRange<Int>, kind: Int = 2, version: Int = 0) -> String {
        """
        INSERT INTO revocation_log (kind, subject, ver, expires_at)
        SELECT \(kind), decode('0000000000000007', 'hex') || int8send(n), \(version),
               clock_timestamp() + interval '1 hour'
          FROM generate_series(\(numbers.lowerBound), \(numbers.upperBound)) AS n
        """
    }

    private func index(_ cluster: Cluster, readLimit: Duration = .seconds(60)) -> ReadIndex {
        ReadIndex(
            database: cluster.nodes[0].pool,
            members: cluster.nodes[0].members,
            revoker: cluster.nodes[0].revoker,
            readLimit: readLimit,
            clock: .system,
            entropy: .system,
            logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() },
            metrics: MetricsRegistry()
        )
    }

    /// The first of `numbers` that are not in the set.
    private func missing(_ numbers: ClosedRange<Int>, from index: ReadIndex) -> [Int] {
        index.look { set in Array(numbers.filter { !set.contains(subject($0)) }.prefix(5)) }
    }

    @Test func `A start reads every page, also where the last is full (W1)`() async throws {
        try await Cluster.run { cluster in
            for last in [1999, 4000, 4501] {
                try await cluster.run("TRUNCATE revocation_log")
                try await cluster.run(insertion(1...last))
                let fresh = index(cluster)
                try await fresh.load()
                #expect(fresh.count == last)
                #expect(missing(1...last, from: fresh) == [])
            }
        }
    }

    @Test func `A start reads versions and leaves out what no token outlives`() async throws {
        try await Cluster.run { cluster in
            try await cluster.run(insertion(1...1500, kind: 3, version: 9))
            try await cluster.run(insertion(1...1500, kind: 3, version: 4))
            try await cluster.run(
                insertion(2000...2010) + ";UPDATE revocation_log SET expires_at ="
                    + " clock_timestamp() - interval '3 minutes' WHERE kind = 2"
            )
            let fresh = index(cluster)
            try await fresh.load()
            #expect(fresh.count == 1500)
            let lowest = fresh.look { set in
                (1...1500).map { set.lowestVersion(of: subject($0, .signature)) }
            }
            #expect(lowest == Array(repeating: 9, count: 1500))
        }
    }

    @Test func `A batch of 30,000 is whole when the check that waited for it is answered (W1)`()
        async throws
    {
        try await Cluster.run { cluster in
            let fresh = index(cluster)
            try await fresh.load()
            try await cluster.run(insertion(1...30_000))
            try await fresh.confirm()
            #expect(missing(1...30_000, from: fresh) == [])
            // And those that come after it are not taken for part of it.
            try await cluster.run(insertion(30_001...30_001))
            try await fresh.confirm()
            #expect(fresh.count == 30_001)
        }
    }

    @Test func `What is too much for one answer is read page by page (W1, W8)`() async throws {
        try await Cluster.run { cluster in
            let fresh = index(cluster)
            try await fresh.load()
            try await cluster.run(insertion(1...RevocationLog.answerLimit))
            try await cluster.run(insertion(300_001...300_700))
            try await fresh.confirm()
            #expect(fresh.count == RevocationLog.answerLimit + 700)
            #expect(missing(300_001...300_700, from: fresh) == [])
            #expect(missing(1...RevocationLog.answerLimit, from: fresh) == [])
        }
    }

    @Test func `All pages are of the snapshot that the cursor is taken from (S1, F1)`()
        async throws
    {
        try await Cluster.run { cluster in
            try await cluster.run(insertion(1...20_000))
            let writer = cluster.makePool(applicationName: "writer")
            let fresh = index(cluster)
            // Commits come all the time, before, between and after the pages.
            try await withThrowingTaskGroup { group in
                group.addTask {
                    for round in 0..<40 {
                        let first = 100_001 + round * 10
                        try await writer.script(insertion(first...first + 9))
                    }
                }
                try await fresh.load()
                try await group.waitForAll()
            }
            await writer.close()
            try await fresh.confirm()
            #expect(fresh.count == 20_400)
            #expect(missing(100_001...100_400, from: fresh) == [])
        }
    }

    @Test func `Whoever looks into the set does not wait until a batch is in it (W8)`()
        async throws
    {
        try await Cluster.run { cluster in
            let fresh = index(cluster)
            try await fresh.load()
            let batch = 50_000
            var isSeenInPieces = false
            for round in 0..<20 where !isSeenInPieces {
                let before = round * batch
                try await cluster.run(insertion(before + 1...before + batch))
                isSeenInPieces = try await withThrowingTaskGroup { group in
                    group.addTask { try await fresh.confirm() }
                    let isSeen = try await Blocking.run {
                        let end = Deadline.after(.seconds(60))
                        var (isSeen, count) = (false, before)
                        while count < before + batch, !end.hasPassed {
                            isSeen = isSeen || count > before
                            count = fresh.count
                        }
                        return isSeen
                    }
                    try await group.waitForAll()
                    return isSeen
                }
                #expect(fresh.count == before + batch)
            }
            #expect(isSeenInPieces)
        }
    }

    @Test func `A transaction that is still revoking many costs the reads beside it nothing`()
        async throws
    {
        let info = try #require(
            RevocationLog.statements.first { $0.name == "revocation.read_since" }
        )
        try await Cluster.run { cluster in
            let low = try await cluster.text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
            let writer = cluster.makePool(applicationName: "writer")
            try await writer.transaction { transaction in
                try await transaction.script(insertion(1...50_000))
                // Another one has begun later and has committed, so the first is within the range.
                try await cluster.run(insertion(60_001...60_001))
                try await explain(info, "'\(low)'", "(ANALYZE, BUFFERS)", cluster)
            }
            await writer.close()
            let plan = try await cluster.lines("SELECT line FROM plan")
            // The first line with pages is the sum of all but the planning.
            let pages = plan.compactMap { line -> Int? in
                guard let hit = line.firstRange(of: "shared hit=") else { return nil }
                return Int(line[hit.upperBound...].prefix { $0.isNumber })
            }
            // The rows of the other alone fill more than five hundred.
            let sum = try #require(pages.first, "\(plan)")
            #expect(sum < 200, "\(plan)")
        }
    }

    @Test(arguments: [
        ("revocation.audit", "_subject_idx"), ("revocation.read_since", "_xid_idx"),
    ])
    func `A question that is asked all the time reads a long log by an index`(
        _ name: String,
        _ wanted: String
    ) async throws {
        let info = try #require(RevocationLog.statements.first { $0.name == name })
        try await Cluster.run { cluster in
            try await cluster.run(insertion(1...20_000))
            try await cluster.run("ANALYZE revocation_log")
            let nothing = info.bindTypes.map { _ in "NULL" }.joined(separator: ", ")
            try await explain(info, nothing, "", cluster)
            let plan = try await cluster.lines("SELECT line FROM plan")
            let used = plan.filter { $0.contains(wanted) }
            #expect(!used.isEmpty, "\(plan)")
        }
    }

    /// Puts the plan for any value, which is what a node's connections come to use, into a table.
    private func explain(
        _ info: StatementInfo,
        _ values: String,
        _ options: String,
        _ cluster: Cluster
    ) async throws {
        let oids = info.bindTypes.map { "\($0.oid)::regtype" }.joined(separator: ", ")
        let types = try await cluster.text("concat_ws(', ', \(oids))")
        try await cluster.run(
            """
            CREATE TABLE plan (line text);
            PREPARE probe(\(types)) AS \(info.sql);
            SET plan_cache_mode = force_generic_plan;
            DO $do$ DECLARE r text; BEGIN
                FOR r IN EXECUTE $e$EXPLAIN \(options) EXECUTE probe(\(values))$e$ LOOP
                    INSERT INTO plan VALUES (r);
                END LOOP;
            END $do$;
            """
        )
    }
}
