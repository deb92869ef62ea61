// The tour of the README, executed as a reader would paste it, against a `watchword dev` of its
// own; only the port is another one.
import Glibc
import Primitives
import TestKit
import Testing

@Suite struct TourTests {
    @Test func `the tour of the README works as pasted, and ends on a denied token (W1)`()
        async throws
    {
        let tour = try #require(Self.tour(Repository.text("README.md")))
        #expect(tour.contains("http://127.0.0.1:8080"))
        let ports = try FreePorts.take(2)
        let folder = try PrivateFolder.make("watchword-tour")
        let janitor = try PrivateFolder.removeAtExit(folder)
        defer { PrivateFolder.release(janitor) }
        let log = folder + "/log"
        let dev = try ChildProcess.launch(
            [
                try Self.binary(), "dev", "--ephemeral", "--port", "\(ports[0])",
                "--management-port", "\(ports[1])",
            ],
            log: log
        )
        let patience = Deadline.after(.seconds(180))
        while !PrivateFolder.read(log).contains("Watchword is ready") {
            try #require(dev.isRunning && !patience.hasPassed, "\(PrivateFolder.read(log))")
            try await Task.sleep(for: .milliseconds(50))
        }
        let outcome = try await Program.shell(
            "set -e\n" + tour.replacing("127.0.0.1:8080", with: "127.0.0.1:\(ports[0])")
        )
        dev.signal(SIGINT)
        let ended = try await Blocking.run { dev.wait() }
        #expect(ended == 0, "\(PrivateFolder.read(log))")
        #expect(outcome.status == 0, "\(outcome.text)")
        let marks = [
            "\"account\"", "HTTP/1.1 200", "X-Auth-User: ", "HTTP/1.1 204", "HTTP/1.1 401",
            "token-revoked",
        ]
        var rest = outcome.text[...]
        for mark in marks {
            let found = try #require(
                rest.firstRange(of: mark),
                "\(mark) is missing at its place:\n\(outcome.text)"
            )
            rest = rest[found.upperBound...]
        }
    }

    /// The block of the README that follows the mark.
    private static func tour(_ readme: String) -> String? {
        guard let mark = readme.firstRange(of: "<!-- tour -->\n```sh\n") else { return nil }
        let rest = readme[mark.upperBound...]
        return rest.firstRange(of: "\n```").map { String(rest[..<$0.lowerBound]) }
    }

    /// The built executable, beside the bundle of tests.
    private static func binary() throws -> String {
        let real = try #require(realpath("/proc/self/exe", nil))
        defer { free(real) }
        for candidate in [String(cString: real)] + CommandLine.arguments {
            let path =
                candidate.split(separator: "/", omittingEmptySubsequences: false)
                .dropLast().joined(separator: "/") + "/watchword"
            if access(path, X_OK) == 0 { return path }
        }
        return Repository.root + "/.build/debug/watchword"
    }
}
