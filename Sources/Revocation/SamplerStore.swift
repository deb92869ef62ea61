// The SQL of the sampler. One statement gives a mark (everything below its xmin is decided, and
// what of it was committed is seen by every read begun afterwards) and looks for revocations below
// earlier marks that cover tokens which were accepted. It reads the log and changes nothing.
import Postgres
import Primitives

/// A point in the database's history: every transaction below `low` had ended when it was taken.
package struct RevocationMark: Sendable {
    /// The history it belongs to.
    let timeline: DatabaseTimeline
    /// The xmin of its snapshot.
    let low: UInt64
    /// When this node held it: never before it was taken.
    let heldAt: MonotonicInstant
}

/// What the sampler asks for: revocations that were below a mark.
struct AuditRow: Sendable {
    let timeline: DatabaseTimeline
    let low: UInt64
    /// The numbers of the samples that a revocation covers, and the kind of one such.
    let violations: [(sample: Int64, kind: Int64)]
}

enum SamplerStore {
    /// A mark; and of the pairs of a sample with what covers it, those that are in the log.
    ///
    /// Not bounded by `expires_at`: an entry that was forgotten too early is a violation too.
    /// Raises an error on a standby, whose history may be behind.
    static let audit = Statement(
        "revocation.audit",
        """
        WITH s AS MATERIALIZED (
            SELECT u.sample, u.low, u.kind, u.subject, u.ver
              FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::uuid[], $5::bigint[])
                   AS u (sample, low, kind, subject, ver)
        ), found AS (
            SELECT s.sample, min(s.kind) AS kind
              FROM s
              JOIN revocation_log r
                ON r.kind = s.kind
               AND r.subject = uuid_send(s.subject)
               AND r.ver > s.ver
               AND r.xid < s.low::text::xid8
             GROUP BY s.sample
        )
        SELECT \(RevocationLog.timeline),
               pg_postmaster_start_time() AS born,
               pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS low,
               COALESCE((SELECT array_agg(f.sample ORDER BY f.sample) FROM found f), '{}'),
               COALESCE((SELECT array_agg(f.kind ORDER BY f.sample) FROM found f), '{}')
        """,
        binds: [Int64].self,
        [Int64].self,
        [Int64].self,
        [ID<Named.Entry>].self,
        [Int64].self,
        decode: { row in
            let samples = try row.get(3, as: [Int64].self)
            let kinds = try row.get(4, as: [Int64].self)
            return AuditRow(
                timeline: DatabaseTimeline(
                    timeline: try row.get(0, as: String.self),
                    born: try row.get(1, as: Timestamp.self)
                ),
                low: UInt64(try row.get(2, as: Int64.self)),
                violations: zip(samples, kinds).map { (sample: $0, kind: $1) }
            )
        }
    )
}
