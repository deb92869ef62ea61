// `watchword dev`: a whole cluster on this machine, for trying out and for developing against.
import ArgumentParser

/// `watchword dev`.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Run a whole cluster on this machine; nothing else needs to be running.",
        discussion: """
            Starts a private PostgreSQL and Redis (the installed programs, on Unix sockets), \
            makes keys and a first administrator, starts the nodes, and prints how to sign in. \
            Ctrl-C ends all of it; the data stays in the data folder.
            """
    )

    @Option(help: "The first node's port; further nodes use the next ones.")
    var port = 8080

    @Option(help: "The first node's port for health and metrics.")
    var managementPort = 9080

    @Option(help: "How many nodes to run.")
    var nodes = 1

    @Option(
        help: ArgumentHelp("Where databases, keys and the first login are kept.", valueName: "path")
    )
    var dataDir = ".watchword"

    @Flag(help: "Keep nothing: use a temporary folder that is removed in the end.")
    var ephemeral = false

    @Flag(help: ArgumentHelp("Start PostgreSQL and Redis only.", visibility: .hidden))
    var serversOnly = false

    @OptionGroup var configuration: ConfigurationOptions

    /// The settings that the cluster itself decides.
    static let ownSettings = [
        "mode", "public.url", "http.host", "http.port", "management.host", "management.port",
        "database.url", "redis.url", "keys.master",
    ]

    func run() async throws {
        var plan = DevPlan()
        plan.port = port
        plan.managementPort = managementPort
        plan.nodes = serversOnly ? 0 : nodes
        plan.dataDirectory = ephemeral ? nil : dataDir
        plan.environment = ProcessEnvironment.variables
        plan.nodeArguments = ["serve"] + configuration.overrides.flatMap { ["--set", $0] }
        if let file = configuration.file { plan.nodeArguments += ["--config", file] }
        guard serversOnly || nodes > 0 else {
            throw ValidationError("--nodes must be within 1 and \(DevPlan.mostNodes).")
        }
        if let complaint = plan.usageComplaint { throw ValidationError(complaint) }
        let settings = try checkConfiguration(plan)
        let isServersOnly = serversOnly
        let seams = DevSeams(
            migrate: { url in
                if !isServersOnly { _ = try await Services.migrate(databaseURL: url, apply: true) }
            },
            createFirstAdministrator: { url, login, password in
                if isServersOnly { return nil }
                return try await Services.createFirstAdministrator(
                    settings,
                    databaseURL: url,
                    login: login,
                    password: password
                )
            }
        )
        let cluster = DevCluster(plan, seams: seams)
        try await untilSignalled { try await cluster.run() }
    }

    /// The nodes would refuse a wrong configuration one by one; better once, and before anything
    /// is started.
    private func checkConfiguration(_ plan: DevPlan) throws -> Settings {
        for text in configuration.overrides {
            let name = String(text.prefix { $0 != "=" })
            guard !Self.ownSettings.contains(name) else {
                throw ValidationError("\(name) is decided by `watchword dev` itself.")
            }
        }
        var variables = plan.environment(
            ofNode: 1,
            databaseURL: "postgresql:///watchword",
            redisURL: "unix:///redis",
            masterKeyFile: ""
        )
        variables["WATCHWORD_KEYS_MASTER_FILE"] = nil
        return try configuration.load(variables).settings
    }
}
