// Somebody who is in the way: holds locks of the database while requests come.
import Glibc
import Primitives
import Revocation
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

extension Cluster {
    /// What `ask` is told that has to read `table` by a statement with the words `query`, and gets
    /// to it only after `events`.
    ///
    /// Asked anew where it was told 503, for it may wait longer than anybody waits for a lock.
    func holdingUp(
        _ table: String,
        by query: String,
        _ makeScene: () async throws -> (
            ask: @Sendable () async throws -> Int, events: () async throws -> Void
        )
    ) async throws -> Int {
        // Not anybody else who comes by, such as whoever notes the use of keys.
        let obstacle = Obstacle(
            lock: "LOCK TABLE \(table) IN ACCESS EXCLUSIVE MODE",
            condition: "l.relation = '\(table)'::regclass AND a.query LIKE '%\(query)%'"
        )
        return try await holdingUp(obstacle, makeScene)
    }

    /// What `ask` is told that changes a role, and gets to the lock of roles only after `events`.
    func holdingUpRoles(
        _ makeScene: () async throws -> (
            ask: @Sendable () async throws -> Int, events: () async throws -> Void
        )
    ) async throws -> Int {
        let obstacle = Obstacle(
            lock: "SELECT pg_advisory_xact_lock(hashtextextended('watchword.roles', 0))",
            condition: "l.locktype = 'advisory' AND a.query LIKE '%watchword.roles%'"
        )
        return try await holdingUp(obstacle, makeScene)
    }

    /// What is locked, and who of those that wait for a lock is the one that is waited for.
    private struct Obstacle {
        let lock: String
        let condition: String
    }

    private func holdingUp(
        _ obstacle: Obstacle,
        _ makeScene: () async throws -> (
            ask: @Sendable () async throws -> Int, events: () async throws -> Void
        )
    ) async throws -> Int {
        for _ in 0..<20 {
            let scene = try await makeScene()
            let answer = try await holdUp(obstacle, scene.ask, scene.events)
            if answer != 503 { return answer }
        }
        throw ClusterError("no answer in twenty attempts")
    }

    private func holdUp(
        _ obstacle: Obstacle,
        _ ask: @escaping @Sendable () async throws -> Int,
        _ events: () async throws -> Void
    ) async throws -> Int {
        let holder = try await LockHolder(self, obstacle.lock)
        defer { holder.letGo() }
        return try await withThrowingTaskGroup { group in
            group.addTask { try await ask() }
            try await eventually("somebody waits after \(obstacle.lock)") {
                try await sql(
                    """
                    SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                     WHERE NOT l.granted AND \(obstacle.condition)
                    """
                ) != "0"
            }
            try await events()
            holder.letGo()
            return try await group.next() ?? 0
        }
    }

    /// What an administrator's change of a role does, for whom nothing is held up.
    func change(role: String, to permissions: [String]) async throws {
        let list = permissions.map { "'\($0)'" }.joined(separator: ",")
        try await sql(
            """
            WITH r AS (
                UPDATE roles SET version = \(GrowingVersion.next("version"))
                 WHERE id = '\(role)' RETURNING id, version
            ), d AS (
                DELETE FROM role_permissions
                 WHERE role_id = '\(role)' AND permission <> ALL(ARRAY[\(list)]::text[])
            ), p AS (
                INSERT INTO role_permissions (role_id, permission)
                SELECT '\(role)', unnest(ARRAY[\(list)]::text[]) ON CONFLICT DO NOTHING
            )
            INSERT INTO revocation_log (kind, subject, ver, expires_at)
            SELECT \(RevocationKind.role.rawValue), uuid_send(id), version, revocation_expiry()
              FROM r
            """
        )
    }

    /// What giving somebody a role of `permissions` does, for whom nothing is held up.
    func raise(_ person: Person, by permissions: [String]) async throws {
        let name = "more-\(Hex.encode(Entropy.system.bytes(6)))"
        try await grant(name, permissions, to: person)
        try await sql(
            """
            WITH a AS (
                UPDATE accounts
                   SET rights_version = \(GrowingVersion.next("rights_version"))
                 WHERE id = '\(person.id)' RETURNING id, rights_version
            )
            INSERT INTO revocation_log (kind, subject, ver, expires_at)
            SELECT \(RevocationKind.rights.rawValue), uuid_send(id), rights_version,
                   revocation_expiry() FROM a
            """
        )
    }
}
