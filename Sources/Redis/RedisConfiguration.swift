// Where Redis is, how to sign in there, and the bounds of the connection. The password is a
// `Secret`: no description of a configuration and no complaint about a URL contains it.
package import Primitives

/// How to reach one Redis.
package struct RedisConfiguration: Sendable, CustomStringConvertible {
    /// An address to connect to.
    package enum Address: Sendable, Equatable {
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    /// TLS: always with full verification of the chain and the host's name.
    package struct TLS: Sendable, Equatable {
        /// A PEM file of authorities to trust instead of the system's.
        package var authorityFile: String?

        /// TLS that trusts the authorities of `authorityFile`, or the system's if nil.
        package init(authorityFile: String? = nil) { self.authorityFile = authorityFile }
    }

    /// A complaint about a URL; never contains the URL.
    package struct Malformed: Error, Equatable, CustomStringConvertible {
        /// What is wrong, as a sentence.
        package let description: String
    }

    /// The label of this Redis in metrics and logs.
    package var name = "cache"
    package var address: Address
    package var tls: TLS?
    /// The ACL user; nil means Redis' default user.
    package var user: String?
    package var password: Secret?
    /// The number of the database.
    package var database = 0
    /// For connecting, TLS and signing in together.
    package var connectTimeout: Duration = .seconds(2)
    /// The longest any command waits for its reply, whatever deadline the caller has.
    package var commandDeadline: Duration = .milliseconds(250)
    /// Commands sent and not answered, for each connection.
    package var inFlightLimit = 4096
    /// Commands not yet sent because `inFlightLimit` is reached, for each connection.
    package var waitingLimit = 4096
    /// How long a reply may be overdue after its deadline before the connection is remade.
    package var tombstoneLimit: Duration = .seconds(1)
    /// The most connections; no more than one for each event loop are made.
    package var connectionLimit = Int.max
    /// The first pause before connecting again.
    package var reconnectMinimum: Duration = .milliseconds(50)
    /// The longest pause before connecting again.
    package var reconnectMaximum: Duration = .seconds(5)

    /// A Redis at `address`, everything else at its default.
    package init(address: Address) { self.address = address }

    /// Where it is, without user or password.
    package var description: String {
        switch address {
        case .tcp(let host, let port):
            "\(tls == nil ? "redis" : "rediss")://\(host):\(port)/\(database)"
        case .unix(let path): "unix://\(path)?db=\(database)"
        }
    }
}
