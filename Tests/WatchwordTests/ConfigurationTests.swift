// The configuration: precedence, all complaints at once, suggestions, secrets.
import Primitives
import Testing

@testable import Watchword

private struct Sample {
    let idleLimit: Duration
    let pageBytes: Int
    let isOpen: Bool
    let pepper: Secret?
    let mode: OperatingMode
    let networks: [String]
    let mirror: String

    init(from source: SettingsSource) {
        idleLimit = source.duration(
            "sessions.idle_limit",
            default: .days(14),
            within: .minutes(1) ... .days(90),
            help: "How long."
        )
        pageBytes = source.bytes(
            "web.page_bytes",
            default: 1 << 16,
            within: 1...1 << 20,
            help: "How large."
        )
        isOpen = source.boolean("web.open", default: false, help: "Whether.")
        pepper = source.secret("passwords.pepper", help: "Spice.")
        mode = source.choice("mode", OperatingMode.self, default: .production, help: "Which.")
        networks = source.list("web.networks", default: [], help: "Whose.")
        mirror = source.url("web.mirror", help: "Where.")
    }
}

@Suite struct ConfigurationTests {
    private func load(
        _ environment: [String: String] = [:],
        file: String? = nil,
        set: [String] = []
    ) throws -> Configured<Sample> {
        try ConfigurationInput(environment: environment, file: file, overrides: set)
            .load { Sample(from: $0) }
    }

    private func complaints(
        _ environment: [String: String] = [:],
        file: String? = nil,
        set: [String] = []
    ) throws -> [String] {
        let error = try #require(throws: ConfigurationError.self) {
            try load(environment, file: file, set: set)
        }
        return error.complaints.map(\.description)
    }

    @Test func `defaults yield to the file, the file to variables, variables to flags`() throws {
        let folder = try ScratchFolder()
        let file = try folder.write(
            #"{"sessions": {"idle_limit": 120}, "web": {"page_bytes": "2KiB", "open": true}}"#,
            to: "c.json"
        )
        #expect(try load().settings.idleLimit == .days(14))
        #expect(try load(file: file).settings.idleLimit == .minutes(2))
        #expect(try load(file: file).settings.isOpen)
        let environment = [
            "WATCHWORD_CONFIG": file, "WATCHWORD_SESSIONS_IDLE_LIMIT": "3m",
            "WATCHWORD_WEB_PAGE_BYTES": "3KiB",
        ]
        let loaded = try load(environment, set: ["sessions.idle_limit=4m"])
        #expect(loaded.settings.idleLimit == .minutes(4))
        #expect(loaded.settings.pageBytes == 3072)
        let origins = Dictionary(
            uniqueKeysWithValues: loaded.declarations.map { ($0.name, $0.origin) }
        )
        #expect(origins["sessions.idle_limit"] == .flag)
        #expect(origins["web.page_bytes"] == .environment)
        #expect(origins["web.open"] == .file)
        #expect(origins["mode"] == .default)
    }

    @Test func `every complaint comes at once`() throws {
        let found = try complaints(
            [
                "WATCHWORD_SESSIONS_IDLE_LIMIT": "15 minutes", "WATCHWORD_WEB_PAGE_BYTES": "2MiB",
                "WATCHWORD_WEB_OPEN": "yes", "WATCHWORD_MODE": "debug",
                "WATCHWORD_WEB_MIRROR": "ftp://x", "WATCHWORD_WEB_NETWORKS": "a,,b",
            ],
            set: ["nonsense"]
        )
        #expect(found.count == 7)
        for name in [
            "sessions.idle_limit", "web.page_bytes", "web.open", "mode", "web.mirror",
            "web.networks", "--set",
        ] {
            let isNamed = found.contains { $0.hasPrefix(name) }
            #expect(isNamed, "\(name) in \(found)")
        }
    }

    @Test func `an unknown name is refused with the name that was probably meant`() throws {
        let folder = try ScratchFolder()
        let file = try folder.write(#"{"sessions": {"idle_limt": "1m"}}"#, to: "c.json")
        let found = try complaints(
            ["WATCHWORD_SESSION_IDLE_LIMIT": "1m"],
            file: file,
            set: ["web.opne=true"]
        )
        for meant in ["WATCHWORD_SESSIONS_IDLE_LIMIT", "sessions.idle_limit", "web.open"] {
            let isAsked = found.contains { $0.contains("did you mean \(meant)?") }
            #expect(isAsked, "\(meant) in \(found)")
        }
        #expect(found.count == 3)
    }

    @Test func `variables of other programs and of Kubernetes are nobody's mistake`() throws {
        _ = try load([
            "PATH": "/bin", "WATCHWORD_PORT": "tcp://10.0.0.1:80",
            "WATCHWORD_SERVICE_HOST": "10.0.0.1", "WATCHWORD_PORT_80_TCP_ADDR": "10.0.0.1",
            "WATCHWORD_SERVICE_PORT_HTTP": "80",
        ])
        #expect(try complaints(["WATCHWORD_PORT": "80"]).count == 1)
    }

    @Test func `a secret comes from a variable or a file and is never shown`() throws {
        let folder = try ScratchFolder()
        let path = try folder.write("cinnamon\n", to: "pepper")
        for environment in [
            ["WATCHWORD_PASSWORDS_PEPPER": "cinnamon"],
            ["WATCHWORD_PASSWORDS_PEPPER_FILE": path],
        ] {
            let loaded = try load(environment)
            #expect(loaded.settings.pepper?.exposed == Array("cinnamon".utf8))
            let shown =
                ConfigurationManual.text(loaded.declarations)
                + ConfigurationManual.json(loaded.declarations)
                + ConfigurationManual.markdown(loaded.declarations)
            #expect(!shown.contains("cinnamon"))
            #expect(shown.contains("••••"))
        }
    }

    @Test func `a secret in a flag is refused without repeating it`() throws {
        let found = try complaints(set: [
            "passwords.pepper=cinnamon", "web.mirror=https://me:cinnamon@example.com",
        ])
        #expect(found.count == 2)
        #expect(!found.joined().contains("cinnamon"))
    }

    @Test func `the password of a URL is never shown`() throws {
        let loaded = try load([
            "WATCHWORD_WEB_MIRROR": "https://me:cinnamon@example.com/x?password=clove"
        ])
        let shown = ConfigurationManual.text(loaded.declarations)
        #expect(loaded.settings.mirror.contains("cinnamon"))
        #expect(shown.contains("https://me:••••@example.com/x?password=••••"))
    }

    @Test func `a secret's file that cannot be read or competes is a complaint`() throws {
        #expect(try complaints(["WATCHWORD_PASSWORDS_PEPPER_FILE": "/nowhere/pepper"]).count == 1)
        let both = [
            "WATCHWORD_PASSWORDS_PEPPER_FILE": "/dev/null", "WATCHWORD_PASSWORDS_PEPPER": "x",
        ]
        #expect(try complaints(both).count == 1)
    }

    @Test(arguments: ["{", "[1]", #"{"web": {"open": null}}"#, #"{"web": {"networks": [[1]]}}"#])
    func `a file that is not what it should be is a complaint`(text: String) throws {
        let file = try ScratchFolder().write(text, to: "c.json")
        #expect(try complaints(file: file).count == 1)
    }

    @Test func `a list may be an array in the file`() throws {
        let folder = try ScratchFolder()
        let file = try folder.write(#"{"web": {"networks": ["a", "b"]}}"#, to: "c.json")
        #expect(try load(file: file).settings.networks == ["a", "b"])
        #expect(try load(["WATCHWORD_WEB_NETWORKS": "a, b"]).settings.networks == ["a", "b"])
    }

    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("10s", .seconds(10)), ("15m", .minutes(15)),
        ("12h", .hours(12)), ("14d", .days(14)), ("90", .seconds(90)), ("0", .zero),
    ])
    func `durations are read as they are written`(text: String, duration: Duration) {
        #expect(SettingText.duration(text) == duration)
        #expect(SettingText.duration(SettingText.text(of: duration)) == duration)
    }

    @Test(arguments: ["", "m", "-1s", "+1s", "1.5h", "1 m", "1M", "1w", "99999999999999d", "١s"])
    func `what only resembles a duration is refused`(text: String) {
        #expect(SettingText.duration(text) == nil)
    }

    @Test func `sizes are read as they are written`() {
        #expect(SettingText.bytes("64KiB") == 65_536)
        #expect(SettingText.bytes("10MiB") == 10 << 20)
        #expect(SettingText.bytes("7") == 7)
        #expect(SettingText.text(ofBytes: 65_536) == "64KiB")
        for text in ["64KB", "64k", "-1B", "1.5MiB", "9999999999GiB", ""] {
            #expect(SettingText.bytes(text) == nil)
        }
    }

    @Test func `the manual names every setting with variable, default and limits`() {
        let source = SettingsSource.recording()
        _ = Sample(from: source)
        let manual = ConfigurationManual.markdown(source.declarations)
        #expect(
            manual.contains(
                "| `sessions.idle_limit` | `WATCHWORD_SESSIONS_IDLE_LIMIT` | duration | `14d` "
                    + "| 1m to 90d | How long. |"
            )
        )
        #expect(source.declarations.count == 7)
    }
}

@Suite struct ProductionChecksTests {
    private static let goodKey = Base64URL.encode(Entropy.system.bytes(32))

    private func complaints(_ changes: [String: String]) throws -> [String] {
        var variables = [
            "WATCHWORD_PUBLIC_URL": "https://login.example.com",
            "WATCHWORD_DATABASE_URL": "postgresql://db/watchword",
            "WATCHWORD_REDIS_URL": "redis://cache", "WATCHWORD_KEYS_MASTER": Self.goodKey,
            "WATCHWORD_ACCOUNTS_CONFIRMATION": "off",
        ]
        variables.merge(changes) { _, new in new }
        let settings = try ConfigurationInput(environment: variables.filter { $0.value != "-" })
            .load { Settings(from: $0) }.settings
        return ProductionChecks.complaints(settings).map(\.name)
    }

    @Test func `safe settings are accepted`() throws {
        #expect(try complaints([:]) == [])
        #expect(try complaints(["WATCHWORD_PUBLIC_URL": "http://127.0.0.1:8080"]) == [])
        #expect(try complaints(["WATCHWORD_PUBLIC_URL": "http://[::1]:8080/"]) == [])
    }

    @Test func `production starts only with confirmation switched off explicitly`() throws {
        let names = ["accounts.confirmation"]
        #expect(try complaints(["WATCHWORD_ACCOUNTS_CONFIRMATION": "-"]) == names)
        #expect(try complaints(["WATCHWORD_ACCOUNTS_CONFIRMATION": "required"]) == names)
    }

    @Test(arguments: [
        "-", "", "changeme", "secret", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "AQIDBAUGBwgJCgsMDQ4PEA",
    ])
    func `a missing, short or sample master key is refused (row 283)`(key: String) throws {
        #expect(try complaints(["WATCHWORD_KEYS_MASTER": key]) == ["keys.master"])
    }

    @Test(arguments: [
        "http://login.example.com", "http://127.0.0.1.example.com", "http://127.0.0.1@example.com",
        "https://login.example.com/path", "https://me@login.example.com",
        "http://localhost.example.com",
    ])
    func `a public URL that is not https, or more than a host, is refused`(url: String) throws {
        let found = try complaints(["WATCHWORD_PUBLIC_URL": url])
        #expect(Set(found) == ["public.url"])
    }

    @Test func `development on a public address is refused`() throws {
        let mode = ["WATCHWORD_MODE": "development", "WATCHWORD_PUBLIC_URL": "-"]
        #expect(try complaints(mode) == [])
        let open = mode.merging(["WATCHWORD_HTTP_HOST": "0.0.0.0"]) { _, new in new }
        #expect(try complaints(open) == ["http.host"])
    }

    @Test func `the Redis of all is no member of the authority (revocation.md 1.9)`() throws {
        let redis = "WATCHWORD_REDIS_URL"
        let members = "WATCHWORD_AUTHORITY_MEMBERS"
        let own = [redis: "redis://127.0.0.1:6379/1", members: "redis://127.0.0.1:6380"]
        #expect(try complaints(own) == [])
        let shared = own.merging([members: "redis://127.0.0.1:6379/2"]) { $1 }
        #expect(try complaints(shared) == ["authority.members"])
    }

    @Test func `who waits for a lock is told before the statement is given up`() throws {
        let lock = "WATCHWORD_DATABASE_LOCK_LIMIT"
        #expect(try complaints([lock: "4s"]) == [])
        #expect(throws: ConfigurationError.self) { try complaints([lock: "5s"]) }
        #expect(try complaints([lock: "5s", "WATCHWORD_DATABASE_STATEMENT_LIMIT": "6s"]) == [])
    }

    @Test func `everything that is missing is named at once`() throws {
        let none = Dictionary(
            uniqueKeysWithValues: ["PUBLIC_URL", "DATABASE_URL", "REDIS_URL", "KEYS_MASTER"]
                .map { ("WATCHWORD_" + $0, "-") }
        )
        #expect(
            try complaints(none) == ["database.url", "redis.url", "keys.master", "public.url"]
        )
    }

    @Test(arguments: ["auto", "x-forwarded", "x-original", "request-line"])
    func `route rules need one source of the original request, so auto is refused (row 236)`(
        _ original: String
    ) {
        func complaints(_ rules: String) -> [String] {
            let values = [
                "verify.route_rules": rules, "verify.original_request": original,
            ]
            let source = SettingsSource { name in
                values[name].map { RawSetting($0, from: .environment) }
            }
            let settings = WebSettings(from: source)
            #expect(settings.judgesRoutes == (rules == "on"))
            return source.complaints.map(\.description)
        }
        #expect(complaints("off").isEmpty)
        #expect(complaints("on").count == (original == "auto" ? 1 : 0))
    }
}
