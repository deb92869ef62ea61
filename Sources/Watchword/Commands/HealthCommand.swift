// `watchword health`: asks a running node whether requests may be sent to it, for supervisors that
// run a command rather than a request (a container's HEALTHCHECK). Opens no store and changes
// nothing.
import ArgumentParser

/// `watchword health`.
struct HealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health",
        abstract: "Ask a running node whether it is ready.",
        discussion: """
            Asks /readyz of the management listener (management.host, management.port) and shows \
            the answer; the exit code is 0 where it is 200, else 1.
            """
    )

    /// The readiness check reads PostgreSQL; supervisors usually give up after a few seconds more.
    private static let patience: Duration = .seconds(5)

    @Option(help: "The listener to ask instead, as http://HOST:PORT.")
    var url: String?

    @OptionGroup var configuration: ConfigurationOptions

    func run() async throws {
        let (host, port) = try target()
        let answer = await OwnThread.run("health") {
            LocalSocket.exchange(
                "GET /readyz HTTP/1.1\r\nHost: \(host):\(port)\r\nConnection: close\r\n\r\n",
                with: .host(host, port),
                patience: Self.patience,
                untilClosed: true
            )
        }
        guard let answer else {
            throw CommandFailure(.failure, "Nobody answers on \(host), port \(port).")
        }
        let words = answer.split(separator: " ", maxSplits: 2)
        let isReady = words.count == 3 && words[0].hasPrefix("HTTP/1.") && words[1] == "200"
        let body = Self.body(of: answer)
        guard isReady else { throw CommandFailure(.failure, "The node is not ready: \(body)") }
        Output.line(body)
    }

    /// What follows the head, or all of it where there is no head.
    private static func body(of answer: String) -> String {
        // In Swift a line's \r\n is one character, so the empty line is two of them.
        let head = answer.firstRange(of: "\r\n\r\n")
        var body = head.map { answer[$0.upperBound...] } ?? Substring(answer)
        while let last = body.last, last.isNewline { body.removeLast() }
        return String(body)
    }

    private func target() throws -> (host: String, port: Int) {
        guard let url else {
            let server = try configuration.load().settings.server
            // A node that listens on every address is asked by the shortest way.
            let isEverywhere = ["0.0.0.0", "::"].contains(server.managementHost)
            return (isEverywhere ? "127.0.0.1" : server.managementHost, server.managementPort)
        }
        let rest = url.hasPrefix("http://") ? url.dropFirst("http://".count) : ""
        guard let colon = rest.lastIndex(of: ":"), colon != rest.startIndex,
            let port = Int(rest[rest.index(after: colon)...]), (1...65_535).contains(port)
        else { throw ValidationError("--url must be http://HOST:PORT.") }
        return (String(rest[..<colon]), port)
    }
}
