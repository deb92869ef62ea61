// Somebody who is in the way: holds locks of the database while requests come.
import Glibc
import Primitives
import TestKit

/// A psql whose transaction holds locks until it is let go or the test ends.
final class LockHolder: Sendable {
    private let process: ChildProcess

    /// Returns when `sql` has got its locks.
    init(_ cluster: Cluster, _ sql: String) async throws {
        let name = "holder-\(Hex.encode(Entropy.system.bytes(6)))"
        let words = [
            "psql", "-h", cluster.postgres.folder, "-U", "postgres", "-d", "postgres", "-XAtq",
            // So that the server notices at once that psql is gone.
            "-c", "SET client_connection_check_interval = 100",
            "-c", "SET application_name = '\(name)'", "-c", "BEGIN", "-c", sql,
            "-c", "SELECT pg_sleep(600)",
        ]
        process = try await Blocking.run { try ChildProcess.launch(words, log: "/dev/null") }
        try await eventually("the lock is held") {
            try await cluster.sql(
                """
                SELECT count(*) FROM pg_stat_activity
                 WHERE application_name = '\(name)' AND wait_event = 'PgSleep'
                """
            ) == "1"
        }
    }

    deinit { letGo() }

    /// Lets the locks go.
    func letGo() { process.signal(SIGKILL) }
}
