// The settings of the process itself: where it listens, which stores it uses, how it logs. Those of
// a domain stand in that domain.
import Logging
import Primitives

/// How strict the process is with its own settings.
enum OperatingMode: String, CaseIterable, Sendable {
    /// For real people: unsafe settings stop the start.
    case production
    /// For trying out, on this machine only: what `watchword dev` starts its nodes with.
    case development
}

/// Where the process listens and which stores it uses.
struct ServerSettings: Sendable {
    /// How strict we are.
    let mode: OperatingMode
    /// The URL that people and applications use, without a path or a slash at its end.
    let publicURL: String
    /// The address that the public listener binds.
    let host: String
    /// The port of the public listener.
    let port: Int
    /// The address that health and metrics bind.
    let managementHost: String
    /// The port of health and metrics.
    let managementPort: Int
    /// The database, as libpq takes it.
    let databaseURL: String
    /// How long the database may let us wait.
    let databaseLimits: DatabaseLimits
    /// Redis.
    let redisURL: String
    /// How long Redis may take to answer a command.
    let redisLimit: Duration
    /// The key that all stored keys are wrapped with; nil where none is set.
    let masterKey: Secret?

    /// Reads them.
    init(from source: SettingsSource) {
        mode = source.choice(
            "mode",
            OperatingMode.self,
            default: .production,
            help: "Development drops checks that protect real people; loopback only."
        )
        let url = source.url(
            "public.url",
            help: "The URL that browsers and applications reach the cluster by."
        )
        publicURL = url.hasSuffix("/") ? String(url.dropLast()) : url
        host = source.text(
            "http.host",
            default: "127.0.0.1",
            longest: 255,
            help: "The address of the public listener."
        )
        port = source.integer(
            "http.port",
            default: 8080,
            within: 1...65_535,
            help: "The port of the public listener."
        )
        managementHost = source.text(
            "management.host",
            default: "127.0.0.1",
            longest: 255,
            help: "The address of the listener for health and metrics."
        )
        managementPort = source.integer(
            "management.port",
            default: 9080,
            within: 1...65_535,
            help: "The port of the listener for health and metrics."
        )
        databaseURL = source.url(
            "database.url",
            schemes: ["postgresql", "postgres"],
            help: "PostgreSQL, as libpq takes it; several hosts are allowed."
        )
        databaseLimits = DatabaseLimits(from: source)
        redisURL = source.url(
            "redis.url",
            schemes: ["redis", "rediss", "unix"],
            help: "Redis."
        )
        redisLimit = source.duration(
            "redis.command_limit",
            default: .milliseconds(250),
            within: .milliseconds(10) ... .seconds(30),
            help: "How long a command may take before the node goes on without Redis."
        )
        masterKey = source.secret(
            "keys.master",
            help: "What `watchword keys generate` prints: VERSION:KEY, where KEY is 32 random bytes"
                + " as base64url; of several versions the highest seals. Wraps every key that is"
                + " stored."
        )
    }
}

/// How long PostgreSQL may let a request wait before it is answered 503.
struct DatabaseLimits: Sendable {
    /// Before a statement is sent.
    let wait: Duration
    /// From its sending to its answer.
    let statement: Duration
    /// Within it, for a lock.
    let lock: Duration

    /// Reads them.
    init(from source: SettingsSource) {
        let range: ClosedRange<Duration> = .milliseconds(100) ... .minutes(1)
        wait = source.duration(
            "database.wait_limit",
            default: .seconds(2),
            within: range,
            help: "How long a statement may wait for a connection before its request is 503."
        )
        statement = source.duration(
            "database.statement_limit",
            default: .seconds(5),
            within: range,
            help: "How long a statement may take before its request is 503."
        )
        lock = source.duration(
            "database.lock_limit",
            default: .seconds(3),
            within: range,
            help: "How long a statement may wait for a lock (lock_timeout)."
        )
        if lock >= statement {
            source.complain(
                SettingComplaint(
                    "database.lock_limit",
                    "database.lock_limit must be less than database.statement_limit, or nobody"
                        + " knows what became of a statement that waited for a lock."
                )
            )
        }
    }
}

/// How a log line is written.
enum LogFormat: String, CaseIterable, Sendable {
    /// One JSON object a line.
    case json
    /// For people.
    case text
}

/// What is logged and how.
struct LogSettings: Sendable {
    /// The least level that is written.
    let level: Logger.Level
    /// How a line is written.
    let format: LogFormat

    /// Reads them.
    init(from source: SettingsSource) {
        level = source.choice(
            "log.level",
            Logger.Level.self,
            default: .info,
            help: "The least severe messages that are written."
        )
        format = source.choice(
            "log.format",
            LogFormat.self,
            default: .json,
            help: "One JSON object a line, or text for people (what `watchword dev` shows)."
        )
    }
}
