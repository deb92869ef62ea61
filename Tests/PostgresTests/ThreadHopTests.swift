// The thread hop is the cost (spike B0): a task that prefers a loop of the pool must stay on it.
// Counted in voluntary context switches, which the kernel keeps for every thread.
import Glibc
import NIOCore
import NIOPosix
import Postgres
import Primitives
import TestKit
import Testing

@Suite(.serialized) struct ThreadHopTests {
    @Test func `two thousand queries from the loop wake no other thread`() async throws {
        try await withPool { pool, _, group in
            let executor = EventLoopTaskExecutor(group.next())
            let thread = try await executor.eventLoop.submit { Self.ownThread() }.get()
            let loop = try #require(thread)
            // Only the thread of this loop is looked at, which no other test gives anything to do.
            // It sleeps once for each answer; to be woken by a task on another thread is a second
            // time. A machine that is busy elsewhere lets it sleep less often, never more.
            let stays = try await withEventLoopPreference(executor) {
                try await Self.sleeps(of: loop, pool)
            }
            #expect(stays < Self.queries + 200, "the loop slept \(stays) times")
            // The same count sees the hops of a task that does not prefer the loop, measured beside
            // each other: both are fewer while the machine is busy elsewhere.
            var areNoticed = false
            for _ in 0..<30 where !areNoticed {
                let few = try await withEventLoopPreference(executor) {
                    try await Self.sleeps(of: loop, pool)
                }
                areNoticed = try await Self.sleeps(of: loop, pool) > few + Self.queries / 10
            }
            #expect(areNoticed, "hops go unnoticed")
        }
    }

    private static let queries = 2000

    /// How often a thread went to sleep while the task ran two thousand queries.
    private static func sleeps(of thread: Int32, _ pool: PostgresPool) async throws -> Int {
        let before = switches(of: thread)
        for number in 0..<queries {
            let answer = try await pool.first(SQL.echo(number))
            #expect(answer == number)
        }
        return switches(of: thread) - before
    }

    @Test func `a transaction from the loop stays on it`() async throws {
        try await withPool(SQL.itemsTable) { pool, _, group in
            let executor = EventLoopTaskExecutor(group.next())
            try await withEventLoopPreference(executor) {
                for number in 0..<50 {
                    try await pool.transaction { transaction in
                        #expect(executor.eventLoop.inEventLoop)
                        _ = try await transaction.execute(SQL.insert(number))
                        #expect(executor.eventLoop.inEventLoop)
                    }
                    #expect(executor.eventLoop.inEventLoop)
                }
            }
        }
    }

    /// Voluntary context switches of a thread of this process.
    private static func switches(of thread: Int32) -> Int {
        for line in readFile("/proc/self/task/\(thread)/status").split(separator: "\n")
        where line.hasPrefix("voluntary_ctxt_switches:") {
            return Int(line.split(separator: "\t").last ?? "") ?? 0
        }
        return 0
    }

    private static func ownThread() -> Int32? {
        var path = [CChar](repeating: 0, count: 256)
        let length = readlink("/proc/thread-self", &path, path.count)
        let text = String(decoding: path.prefix(max(0, length)).map(UInt8.init), as: UTF8.self)
        return text.split(separator: "/").last.flatMap { Int32($0) }
    }
}
