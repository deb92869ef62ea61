// How a pool reaches PostgreSQL and how much it may hold and wait. Every queue, wait and number of
// connections has its limit here; the composition root fills it from the settings.
package import Primitives

/// The settings of a `PostgresPool`.
package struct PostgresConfiguration: Sendable {
    /// A libpq connection string: a URL or `key=value` words.
    ///
    /// Several hosts and TLS as libpq has them. `target_session_attrs=read-write` is added unless
    /// given (revocation.md H10). Holds a
    /// password at times: never log it.
    package var connection: Secret
    /// Shown by the server in `pg_stat_activity`.
    package var applicationName = "watchword"
    /// Shared connections for reads, per event loop.
    package var readConnections = 1
    /// Shared connections for urgent reads, per event loop.
    package var urgentConnections = 1
    /// Shared connections for reads that may take long, per event loop.
    package var listConnections = 1
    /// Shared connections for single-statement writes, per event loop.
    package var writeConnections = 1
    /// Connections for transactions, per event loop, made on demand.
    package var transactionConnections = 4
    /// Statements and transactions that may wait, per event loop and kind of connection.
    package var queueLimit = 1024
    /// How long one may wait before anything is sent.
    package var waitLimit: Duration = .seconds(2)
    /// Statements in flight on one shared connection.
    package var pipelineDepth = 256
    /// The deadline of a call that names none.
    package var statementDeadline: Duration = .seconds(5)
    /// How long a late answer may stay out before the connection is given up.
    package var tombstoneLimit: Duration = .seconds(2)
    /// The limit for making one connection, for each host; whole seconds, at least 2.
    package var connectTimeout: Duration = .seconds(5)
    /// The longest a statement waits for a lock (`lock_timeout`).
    package var lockTimeout: Duration = .seconds(3)
    /// The first pause between attempts to connect; doubled up to `maximumBackOff`, with jitter.
    package var minimumBackOff: Duration = .milliseconds(50)
    /// The longest pause between attempts to connect.
    package var maximumBackOff: Duration = .seconds(5)
    /// How long `close` lets work in flight finish.
    package var drainLimit: Duration = .seconds(5)
    /// Whether sockets are watched by the kernel's AIO poll; otherwise by a thread with epoll,
    /// which is also the fallback where the kernel refuses.
    package var usesKernelPolling = true

    /// Settings for the database that `connection` names.
    package init(connection: Secret) { self.connection = connection }

    /// Settings for the database that `connection` names.
    package init(_ connection: String) { self.init(connection: Secret(connection)) }
}
