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
            // Other tests run in this process and wake threads of their own, so one quiet round is
            // proof enough: queries that hopped would wake others 2,000 times in every round.
            var least = Int.max
            for _ in 0..<30 where least >= 1000 {
                least = min(least, try await Self.round(pool, executor))
            }
            #expect(least < 1000, "other threads woke \(least) times")
            // The same count sees the hops of a task that does not prefer the loop.
            let before = Self.switches()
            for number in 0..<200 { _ = try await pool.first(SQL.echo(number)) }
            #expect(Self.wakes(since: before, nil) >= 200)
        }
    }

    /// How often other threads woke while one task ran two thousand queries on its loop.
    private static func round(
        _ pool: PostgresPool,
        _ executor: EventLoopTaskExecutor
    ) async throws -> Int {
        try await withEventLoopPreference(executor) {
            #expect(executor.eventLoop.inEventLoop)
            let own = ownThread()
            let before = switches()
            for number in 0..<2000 {
                let answer = try await pool.first(SQL.echo(number))
                #expect(answer == number)
            }
            #expect(executor.eventLoop.inEventLoop)
            return wakes(since: before, own)
        }
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

    /// Voluntary context switches of each thread of the default pool and of all event loops.
    private static func switches() -> [Int32: Int] {
        var out: [Int32: Int] = [:]
        guard let folder = opendir("/proc/self/task") else { return out }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let thread = Int32(name) else { continue }
            for line in readFile("/proc/self/task/\(thread)/status").split(separator: "\n")
            where line.hasPrefix("voluntary_ctxt_switches:") {
                out[thread] = Int(line.split(separator: "\t").last ?? "") ?? 0
            }
        }
        return out
    }

    private static func ownThread() -> Int32? {
        var path = [CChar](repeating: 0, count: 256)
        let length = readlink("/proc/thread-self", &path, path.count)
        let text = String(decoding: path.prefix(max(0, length)).map(UInt8.init), as: UTF8.self)
        return text.split(separator: "/").last.flatMap { Int32($0) }
    }

    private static func wakes(since before: [Int32: Int], _ own: Int32?) -> Int {
        let after = switches()
        var others = 0
        for (thread, count) in after where thread != own {
            others += count - (before[thread] ?? count)
        }
        return others
    }
}
