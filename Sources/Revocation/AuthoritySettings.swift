// The settings of the authority. The default is PostgreSQL alone; a Redis is a member only where it
// is named here, never because it is there (revocation.md 1.9).
package import Primitives
package import Redis

/// Whether nodes adopt members by themselves.
package enum AdoptionMode: String, CaseIterable, Sendable {
    /// As soon as the members are fit.
    case automatic
    /// Only `watchword authority adopt` does.
    case manual
}

/// Which members there are, and how long things may take.
package struct AuthoritySettings: Sendable {
    /// The members: none, one or three.
    package var members: [RedisConfiguration]
    /// The lease of the next epoch.
    package var lease: Duration
    /// How long a batch waits for the members before it asks PostgreSQL.
    package var pollLimit: Duration
    /// How long a publication may take before the member counts as lost.
    package var publishLimit: Duration
    /// Who adopts.
    package var adoption: AdoptionMode
    /// How long PostgreSQL must have been the authority before members are adopted.
    package var adoptAfter: Duration

    /// Reads them.
    package init(from source: SettingsSource) {
        let urls = source.list(
            "authority.members",
            default: [],
            help: "Redis servers of their own, without persistence or replicas, that hold the"
                + " revocation log's head: none, one or three URLs without user and password."
        )
        let user = source.text(
            "authority.user",
            default: "",
            longest: 255,
            help: "The ACL user on the members; empty means Redis' default user."
        )
        let password = source.secret(
            "authority.password",
            help: "The password on the members."
        )
        lease = source.duration(
            "authority.lease",
            default: .seconds(5),
            within: .milliseconds(500) ... .minutes(1),
            help: "How long a node may ask the members without asking PostgreSQL; the longest a"
                + " revocation waits when a member is lost and cannot be fenced."
        )
        pollLimit = source.duration(
            "authority.poll_limit",
            default: .milliseconds(50),
            within: .milliseconds(1) ... .seconds(10),
            help: "How long checks wait for the members before they ask PostgreSQL."
        )
        publishLimit = source.duration(
            "authority.publish_limit",
            default: .milliseconds(250),
            within: .milliseconds(10) ... .seconds(10),
            help: "How long a member may take to accept a revocation before it counts as lost."
        )
        adoption = source.choice(
            "authority.adoption",
            AdoptionMode.self,
            default: .automatic,
            help: "Whether nodes adopt the members as soon as they are fit, or only"
                + " `watchword authority adopt` does."
        )
        adoptAfter = source.duration(
            "authority.adopt_after",
            default: .seconds(30),
            within: .milliseconds(100) ... .hours(1),
            help: "How long PostgreSQL has been the authority before members are adopted again."
        )
        members = Self.read(urls, user: user, password: password, source)
    }

    private static func read(
        _ urls: [String],
        user: String,
        password: Secret?,
        _ source: SettingsSource
    ) -> [RedisConfiguration] {
        func complain(_ text: String) {
            source.complain(SettingComplaint("authority.members", "authority.members: \(text)"))
        }
        if ![0, 1, 3].contains(urls.count) { complain("there are none, one or three members.") }
        var members: [RedisConfiguration] = []
        for url in urls {
            do throws(RedisConfiguration.Malformed) {
                var member = try RedisConfiguration(url: url)
                guard member.user == nil, member.password == nil else {
                    complain("the password belongs into authority.password.")
                    continue
                }
                member.user = user.isEmpty ? nil : user
                member.password = password
                members.append(member)
            } catch {
                complain(error.description)
            }
        }
        if Set(members.map(\.description)).count < members.count {
            complain("each member is named once.")
        }
        return members
    }
}
