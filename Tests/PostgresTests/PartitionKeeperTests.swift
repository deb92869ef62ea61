// Partitions are made ahead, dropped when spent, by several nodes at once without harm.
import Logging
import Postgres
import Primitives
import Synchronization
import TestKit
import Testing

@Suite struct PartitionKeeperTests {
    private static let schema = """
        CREATE TABLE things (
            id uuid NOT NULL PRIMARY KEY, expires_at timestamptz NOT NULL
        ) PARTITION BY RANGE (id);
        COMMENT ON TABLE things IS 'fillfactor = 80';
        """
    /// An hour into a piece, so that the piece before is still kept.
    private static let start = Timestamp(seconds: 2976 * 604_800 + 3600)
    private static let table = PartitionedTable(
        "things",
        key: .uuid,
        width: .days(7),
        ahead: 2,
        keep: .days(1),
        spentWhen: "expires_at < $now"
    )
    private static let insert = Statement(
        "things.insert",
        "INSERT INTO things (id, expires_at) VALUES ($1, $2)",
        kind: .write,
        binds: ID<Named.Entry>.self,
        Timestamp.self
    )
    private static let pieces = Statement(
        "things.pieces",
        """
        SELECT c.relname::text, COALESCE(array_to_string(c.reloptions, ','), '')
          FROM pg_inherits i
          JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'things'::regclass
         ORDER BY c.relname
        """,
        decode: { (try $0.get(0, as: String.self), try $0.get(1, as: String.self)) }
    )

    /// Tends where the server says that it is `now`; the node's clock may say something else.
    private func tend(
        _ pool: PostgresPool,
        at now: Timestamp,
        clock: Timestamp? = nil,
        drops: Bool = true
    ) async throws {
        let keeper = PartitionKeeper(
            pool: pool,
            tables: [Self.table],
            clock: WallClock { clock ?? now },
            logger: Logger(label: "test")
        )
        let time = Statement(
            "things.time.\(now.seconds)",
            "SELECT timestamptz '\(now)'",
            decode: { try $0.get(0, as: Timestamp.self) }
        )
        if drops { try await keeper.tend(by: time) } else { try await keeper.provide(by: time) }
    }

    private func insert(_ pool: PostgresPool, at time: Timestamp, until end: Timestamp) async throws
    {
        try await pool.execute(Self.insert(ID(at: time, entropy: .system), end))
    }

    @Test func `a row finds its partition before, now and ahead, with room for heap-only updates`()
        async throws
    {
        try await withPool(Self.schema) { pool, _, _ in
            try await tend(pool, at: Self.start)
            for days in [-7, 0, 7, 14] as [Int64] {
                let time = Self.start + .days(days)
                try await insert(pool, at: time, until: time + .days(30))
            }
            await #expect(throws: PostgresError.self) {
                try await insert(pool, at: Self.start + .days(40), until: Self.start + .days(50))
            }
            let pieces = try await pool.rows(Self.pieces())
            let options = pieces.map(\.1)
            #expect(options == Array(repeating: "fillfactor=80", count: 4))
        }
    }

    @Test func `a partition goes when its rows are spent and not a moment before`() async throws {
        try await withPool(Self.schema) { pool, _, _ in
            try await tend(pool, at: Self.start)
            try await insert(pool, at: Self.start, until: Self.start + .days(30))
            try await tend(pool, at: Self.start + .days(29))
            let kept = try await pool.rows(Self.pieces()).map(\.0)
            #expect(kept.contains("things_p\(2976 * 604_800)"))
            try await tend(pool, at: Self.start + .days(31))
            let left = try await pool.rows(Self.pieces()).map(\.0)
            #expect(!left.contains("things_p\(2976 * 604_800)"))
        }
    }

    @Test func `a command, whose settings may be others, makes partitions and drops none`()
        async throws
    {
        try await withPool(Self.schema) { pool, _, _ in
            try await tend(pool, at: Self.start)
            let before = try await pool.rows(Self.pieces()).map(\.0)
            let later = Self.start + .days(70)
            try await tend(pool, at: later, drops: false)
            let after = try await pool.rows(Self.pieces()).map(\.0)
            #expect(Set(after).isSuperset(of: before))
            try await insert(pool, at: later, until: later + .days(30))
            try await tend(pool, at: later)
            let kept = try await pool.rows(Self.pieces()).map(\.0)
            #expect(Set(kept).isDisjoint(with: before))
        }
    }

    @Test func `a node whose clock is ahead drops nothing that lives, and can write (H13)`()
        async throws
    {
        try await withPool(Self.schema) { pool, _, _ in
            try await tend(pool, at: Self.start)
            try await insert(pool, at: Self.start, until: Self.start + .days(30))
            let ahead = Self.start + .days(70)
            try await tend(pool, at: Self.start, clock: ahead)
            let kept = try await pool.rows(Self.pieces()).map(\.0)
            #expect(kept.contains("things_p\(2976 * 604_800)"))
            try await insert(pool, at: ahead, until: ahead + .days(30))
            try await insert(pool, at: Self.start, until: Self.start + .days(30))
        }
    }

    @Test func `nodes that tend at once do not stand in each other's way`() async throws {
        try await withPool(Self.schema) { pool, _, _ in
            for days in [0, 56, 112] as [Int64] {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<6 {
                        group.addTask {
                            try await tend(pool, at: Self.start + .days(days))
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await pool.rows(Self.pieces()).count == 4)
            }
        }
    }
}
