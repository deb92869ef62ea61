// What `watchword serve` refuses before it opens a port (checklist rows 283, 291). Pure functions
// over the settings; every complaint comes at once.
import Accounts
import Primitives
import Redis
import Revocation
import Tokens

/// Finds settings that are unsafe for real people.
enum ProductionChecks {
    /// Everything that is wrong with `settings` for `watchword serve`.
    static func complaints(_ all: Settings) -> [SettingComplaint] {
        let settings = all.server
        var found: [SettingComplaint] = []
        if all.accounts.requiresConfirmation {
            found.append(
                SettingComplaint(
                    "accounts.confirmation",
                    "accounts.confirmation is required, but this version cannot send mail yet: "
                        + "set it to off explicitly (WATCHWORD_ACCOUNTS_CONFIRMATION=off)."
                )
            )
        }
        if settings.databaseURL.isEmpty {
            found.append(missing("database.url", "the PostgreSQL that holds the truth"))
        }
        if settings.redisURL.isEmpty {
            found.append(missing("redis.url", "the Redis that all nodes share"))
        }
        if settings.port == settings.managementPort && settings.host == settings.managementHost {
            found.append(
                SettingComplaint(
                    "management.port",
                    "http.port and management.port are the same: health and metrics need a "
                        + "listener of their own."
                )
            )
        }
        // `try?`: what is no URL is complained about where it is read.
        if let shared = try? RedisConfiguration(url: settings.redisURL),
            all.authority.members.contains(where: { $0.address == shared.address })
        {
            found.append(
                SettingComplaint(
                    "authority.members",
                    "authority.members names redis.url: a member is a Redis of its own, without "
                        + "persistence or eviction."
                )
            )
        }
        found += masterKey(settings.masterKey)
        switch settings.mode {
        case .production: found += publicURL(settings.publicURL)
        case .development:
            for (name, host) in [
                ("http.host", settings.host), ("management.host", settings.managementHost),
            ] where !isLoopback(host) {
                found.append(
                    SettingComplaint(
                        name,
                        "mode is development, so \(name) must be a loopback address, not "
                            + "\"\(host)\"."
                    )
                )
            }
        }
        return found
    }

    /// What is wrong with the master key.
    ///
    /// It is never repeated in the answer.
    static func masterKey(_ key: Secret?) -> [SettingComplaint] {
        let name = "keys.master"
        guard let key, !key.exposed.isEmpty else {
            return [
                SettingComplaint(
                    name,
                    "keys.master is not set: put the output of `watchword keys generate` into a "
                        + "file that only the service can read, and name it with "
                        + "WATCHWORD_KEYS_MASTER_FILE."
                )
            ]
        }
        do {
            _ = try MasterKey(key)
            return []
        } catch {
            return [SettingComplaint(name, "keys.master: \(error).")]
        }
    }

    /// What is wrong with the public URL for real people.
    static func publicURL(_ url: String) -> [SettingComplaint] {
        guard !url.isEmpty else {
            return [missing("public.url", "the URL that people and applications use")]
        }
        let scheme = SettingText.url(url)?.scheme
        let rest = url.drop { $0 != "/" }.dropFirst(2)
        let authority = String(rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" })
        var found: [SettingComplaint] = []
        if scheme != "https" && !isLoopback(host(of: authority)) {
            found.append(
                SettingComplaint(
                    "public.url",
                    "public.url must begin with https://, since tokens and cookies travel to it; "
                        + "http:// is allowed for loopback addresses only."
                )
            )
        }
        if authority.contains("@") || !["", "/"].contains(rest.dropFirst(authority.count)) {
            found.append(
                SettingComplaint(
                    "public.url",
                    "public.url must be a scheme, a host and perhaps a port, and nothing else."
                )
            )
        }
        return found
    }

    private static func missing(_ name: String, _ what: String) -> SettingComplaint {
        SettingComplaint(
            name,
            "\(name) is not set: it names \(what) (\(SettingDeclaration.variable(of: name)))."
        )
    }

    private static func host(of authority: String) -> String {
        if authority.hasPrefix("[") {
            return String(authority.dropFirst().prefix { $0 != "]" })
        }
        return String(authority.prefix { $0 != ":" })
    }

    private static func isLoopback(_ host: String) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        let isFour = parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
        return host == "localhost" || host == "::1" || isFour && parts[0] == "127"
    }
}
