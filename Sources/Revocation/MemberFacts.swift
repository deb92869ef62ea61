// What a Redis must be to be a member, read from its own INFO and CONFIG. A member process that
// still has its token must still have every entry published under it (A4): so no persistence, no
// replication, no eviction, no cluster. What cannot be read counts as wrong (revocation.md 1.9).

/// Why a Redis may not be a member.
package enum MemberFlaw: Hashable, Sendable, CustomStringConvertible {
    /// It follows another.
    case isReplica
    /// Others follow it.
    case hasReplicas
    /// It is part of a cluster.
    case isClustered
    /// It drops keys when memory is short.
    case evicts(policy: String)
    /// It writes snapshots, and would come back from one under the same token.
    case savesSnapshots(rule: String)
    /// It writes an append-only file, and would come back from it under the same token.
    case appendsToFile
    /// It is still reading its data.
    case isLoading
    /// Something could not be read.
    case unreadable(String)

    /// A sentence for people, with the line of redis.conf that mends it.
    package var description: String {
        switch self {
        case .isReplica: "it is a replica; a member is a master (no replicaof)"
        case .hasReplicas: "it has replicas; a member has none"
        case .isClustered: "it is part of a cluster (cluster-enabled no)"
        case .evicts(let policy):
            "its maxmemory-policy is \(policy) (maxmemory-policy noeviction)"
        case .savesSnapshots(let rule): "it saves snapshots: \(rule) (save \"\")"
        case .appendsToFile: "it has an append-only file (appendonly no)"
        case .isLoading: "it is still loading its data"
        case .unreadable(let what): "\(what) cannot be read; the node's user needs it"
        }
    }
}

/// What looking at a Redis brought.
package enum MemberFinding: Hashable, Sendable {
    /// It may be a member, and this is who it is.
    case fit(MemberIdentity)
    /// It may not.
    case unfit(MemberFlaw)

    /// Who it is; nil where it is not fit.
    var identity: MemberIdentity? {
        if case .fit(let identity) = self { identity } else { nil }
    }
}

/// The answers to `INFO`, `CONFIG GET save`, `CONFIG GET appendonly` and
/// `CONFIG GET maxmemory-policy`.
package struct MemberFacts: Sendable {
    private let fields: [Substring: Substring]
    private let save: String?
    private let appendOnly: String?
    private let policy: String?

    /// Facts from the text of INFO and the values of CONFIG GET; nil for what was refused.
    package init(info: String?, save: String?, appendOnly: String?, policy: String?) {
        var fields: [Substring: Substring] = [:]
        for line in (info ?? "").split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        self.fields = fields
        self.save = save
        self.appendOnly = appendOnly
        self.policy = policy
    }

    /// What follows from them; the first flaw found.
    package var finding: MemberFinding {
        do throws(MemberFlaw) {
            try checkReplication()
            try checkPersistence()
            return .fit(
                MemberIdentity(
                    runID: try field("run_id"),
                    replicationID: try field("master_replid")
                )
            )
        } catch {
            return .unfit(error)
        }
    }

    private func checkReplication() throws(MemberFlaw) {
        guard try field("loading") == "0" else { throw .isLoading }
        guard try field("role") == "master" else { throw .isReplica }
        guard try field("connected_slaves") == "0" else { throw .hasReplicas }
        guard try field("cluster_enabled") == "0" else { throw .isClustered }
    }

    private func checkPersistence() throws(MemberFlaw) {
        guard let save else { throw .unreadable("CONFIG GET save") }
        guard save.isEmpty else { throw .savesSnapshots(rule: save) }
        guard let appendOnly else { throw .unreadable("CONFIG GET appendonly") }
        guard appendOnly == "no", try field("aof_enabled") == "0" else { throw .appendsToFile }
        guard let policy else { throw .unreadable("CONFIG GET maxmemory-policy") }
        guard policy == "noeviction" else { throw .evicts(policy: policy) }
    }

    private func field(_ name: Substring) throws(MemberFlaw) -> String {
        guard let value = fields[name], !value.isEmpty else {
            throw .unreadable("\(name) of INFO")
        }
        return String(value)
    }
}

extension MemberFlaw: Error {}
