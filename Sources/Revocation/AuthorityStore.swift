// The SQL of the row that names the authority (revocation.md 1.2, 1.5). Each change carries the
// epoch and the state it expects in its WHERE, so that of two who try the same, one does it.
import FoundationEssentials
package import Postgres
import Primitives

/// Statements on `revocation_authority`.
package enum AuthorityStore {
    /// The columns of an authority, over `a`.
    static let columns = "a.epoch, a.state, a.members::text, a.lease_ms"

    /// The row as it is now on the primary; a standby raises an error (H10).
    package static let get = Statement(
        "authority.get",
        """
        SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
               pg_postmaster_start_time(),
               \(columns)
          FROM revocation_authority a
        """,
        kind: .urgent,
        decode: { row in
            ObservedAuthority(
                authority: try authority(row, from: 2),
                history: DatabaseTimeline(
                    timeline: try row.get(0, as: String.self),
                    born: try row.get(1, as: Timestamp.self)
                )
            )
        }
    )

    /// Closes epoch `$1`; harmless if it was wrong to.
    package static let close = Statement(
        "authority.close",
        """
        UPDATE revocation_authority
           SET epoch = epoch + 1, state = 'draining', members = '[]'
         WHERE epoch = $1
           AND state = 'redis'
        """,
        kind: .solo,
        binds: Int64.self
    )

    /// No lease of an epoch before `$1` is left.
    static let markDrained = Statement(
        "authority.mark_drained",
        """
        UPDATE revocation_authority
           SET state = 'pg'
         WHERE epoch = $1
           AND state = 'draining'
        """,
        kind: .solo,
        binds: Int64.self
    )

    /// Of several that want to adopt, the one that is to try.
    ///
    /// Only saves trouble: what keeps two adoptions apart is the random token and the WHERE of
    /// `adopt` (H20).
    static let lock = Statement(
        "authority.lock",
        "SELECT pg_try_advisory_xact_lock(hashtext('watchword.authority'))",
        kind: .solo,
        decode: { try $0.get(0, as: Bool.self) }
    )

    /// Makes the members `$2`, which carry their tokens already, the authority.
    static let adopt = Statement(
        "authority.adopt",
        """
        UPDATE revocation_authority
           SET epoch = epoch + 1, state = 'redis', members = $2::text::jsonb, lease_ms = $3
         WHERE epoch = $1
           AND state \(drained)
        """,
        kind: .solo,
        binds: Int64.self,
        String.self,
        Int32.self
    )

    /// No lease of an epoch before is left (F2).
    private static var drained: String {
        #if DEBUG
        if Mutant.active == .adoptDraining { return "<> 'redis'" }
        #endif
        return "= 'pg'"
    }

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [get.info, close.info, markDrained.info, lock.info, adopt.info]
    }

    /// Reads an authority from the four columns that begin at `first`.
    static func authority(_ row: PostgresRow, from first: Int) throws -> Authority {
        guard let state = AuthorityState(rawValue: try row.get(first + 1, as: String.self)) else {
            throw ReadIndexFault.unconfirmed
        }
        let members: [WireMember] =
            state == .redis
            ? try JSONDecoder().decode(
                [WireMember].self,
                from: Data(try row.get(first + 2, as: String.self).utf8)
            ) : []
        return Authority(
            epoch: try row.get(first, as: Int64.self),
            state: state,
            members: members.map(\.member),
            lease: .milliseconds(Int64(try row.get(first + 3, as: Int32.self)))
        )
    }

    /// Members as the column `members` keeps them.
    static func text(of members: [AuthorityMember]) throws -> String {
        String(decoding: try JSONEncoder().encode(members.map(WireMember.init)), as: UTF8.self)
    }

    private struct WireMember: Codable {
        let ep: String
        let tok: String
        let run: String?
        let repl: String?

        init(_ member: AuthorityMember) {
            ep = member.endpoint
            tok = member.token.text
            run = member.identity?.runID
            repl = member.identity?.replicationID
        }

        var member: AuthorityMember {
            var identity: MemberIdentity?
            if let run, let repl { identity = MemberIdentity(runID: run, replicationID: repl) }
            return AuthorityMember(
                endpoint: ep,
                token: MemberToken(text: tok),
                identity: identity
            )
        }
    }
}

/// The authority, and in which history of the database it was seen.
package struct ObservedAuthority: Sendable {
    /// The authority.
    package let authority: Authority
    /// The history.
    package let history: DatabaseTimeline
}
