// What `watchword authority` asks for: the row, a look at each named member, and the two changes
// an operator may want. They go through the same revoker and keeper as a node's own.
import Logging
import NIOPosix
import Postgres
import Primitives
import Revocation

/// A Redis named in the settings, as it looks now.
struct ListedMember: Sendable, Equatable {
    /// Its URL, without user and password.
    let endpoint: String
    /// Whether it is a member of this epoch and holds its token.
    let holdsToken: Bool
    /// Why it may not be a member; nil where it may.
    let complaint: String?
}

/// The authority, for `watchword authority show`.
struct AuthorityReport: Sendable, Equatable {
    /// The epoch.
    let epoch: Int64
    /// `pg`, `redis` or `draining`.
    let state: String
    /// How long nodes may ask the members without asking PostgreSQL.
    let lease: Duration
    /// The members named in the settings.
    let members: [ListedMember]
}

extension Services {
    /// The authority as it is.
    static func showAuthority(_ settings: Settings) async throws -> AuthorityReport {
        try await withAuthority(settings) { try await report($0) }
    }

    /// Makes PostgreSQL the authority; returns when no node asks the members any more.
    static func closeAuthority(_ settings: Settings) async throws -> AuthorityReport {
        try await withAuthority(settings) { parts in
            let authority = try await parts.revoker.authority().authority
            if authority.state == .redis {
                try await parts.revoker.close(authority, because: "the operator closes it")
            } else {
                try await parts.revoker.settle()
            }
            return try await report(parts)
        }
    }

    /// Makes the members named in the settings the authority.
    static func adoptAuthority(_ settings: Settings) async throws -> AuthorityReport {
        try await withAuthority(settings) { parts in
            do {
                _ = try await parts.keeper.adopt()
            } catch let refusal as AdoptionRefusal {
                throw CommandFailure(.failure, "Nothing was adopted: \(refusal).")
            }
            return try await report(parts)
        }
    }

    /// The connections to the members for one command.
    static func authorityMembers(
        _ settings: Settings,
        _ group: MultiThreadedEventLoopGroup
    ) throws -> AuthorityMembers {
        try AuthorityMembers(
            settings.authority,
            group: group,
            logger: quiet("watchword.authority"),
            metrics: MetricsRegistry()
        )
    }

    /// The revoker of one command.
    static func revoker(_ pool: PostgresPool, _ members: AuthorityMembers) -> Revoker {
        Revoker(
            database: pool,
            members: members,
            logger: quiet("watchword.authority"),
            metrics: MetricsRegistry()
        )
    }

    private struct Parts: Sendable {
        let members: AuthorityMembers
        let revoker: Revoker
        let keeper: AuthorityKeeper
    }

    private static func report(_ parts: Parts) async throws -> AuthorityReport {
        let authority = try await parts.revoker.authority().authority
        var listed: [ListedMember] = []
        for endpoint in parts.members.endpoints {
            let look = await parts.members.look(at: endpoint)
            let member = authority.members.first { $0.endpoint == endpoint }
            let complaint: String? =
                switch look?.finding {
                case .fit: nil
                case .unfit(let flaw): "\(flaw)"
                case nil: "it does not answer"
                }
            listed.append(
                ListedMember(
                    endpoint: endpoint,
                    holdsToken: member != nil && look?.head == member?.token,
                    complaint: complaint
                )
            )
        }
        return AuthorityReport(
            epoch: authority.epoch,
            state: authority.state.rawValue,
            lease: authority.lease,
            members: listed
        )
    }

    private static func withAuthority<R: Sendable>(
        _ settings: Settings,
        _ body: (Parts) async throws -> R
    ) async throws -> R {
        try await withStores(settings.server.postgres) { pool, group in
            let members = try authorityMembers(settings, group)
            let revoker = revoker(pool, members)
            let readIndex = ReadIndex(
                database: pool,
                members: members,
                revoker: revoker,
                readLimit: .seconds(10),
                clock: .system,
                entropy: .system,
                logger: quiet("watchword.revocation"),
                metrics: MetricsRegistry()
            )
            await members.start()
            let result: Result<R, any Error>
            do {
                result = .success(
                    try await body(
                        Parts(
                            members: members,
                            revoker: revoker,
                            keeper: AuthorityKeeper(
                                settings: settings.authority,
                                database: pool,
                                members: members,
                                revoker: revoker,
                                readIndex: readIndex,
                                entropy: .system,
                                logger: quiet("watchword.authority")
                            )
                        )
                    )
                )
            } catch {
                result = .failure(error)
            }
            await members.close()
            return try result.get()
        }
    }
}
