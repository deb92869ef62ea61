// Runs installed programs: psql, pg_dump, redis-cli, openssl, curl.
import Glibc
import TestKit

/// Programs that end by themselves.
enum Shell {
    /// Runs a program and returns what it wrote, on both streams.
    ///
    /// - Throws: what it wrote, when it ended with another status than 0.
    @discardableResult static func run(_ words: [String]) async throws -> String {
        let folder = try PrivateFolder.make("ww-shell")
        let janitor = try PrivateFolder.removeAtExit(folder)
        defer { PrivateFolder.release(janitor) }
        let output = "\(folder)/output"
        let status = try await Blocking.run {
            try ChildProcess.launch(words, log: output).wait()
        }
        let text = PrivateFolder.read(output)
        guard status == 0 else { throw ClusterError("\(words[0]) ended with \(status): \(text)") }
        return text
    }
}

/// Waits until `condition` holds.
///
/// - Throws: `what` where it does not within `patience`.
func eventually(
    _ what: String,
    patience: Duration = .seconds(60),
    _ condition: () async throws -> Bool
) async throws {
    let start = ContinuousClock.now
    while try await !condition() {
        guard ContinuousClock.now - start < patience else { throw ClusterError("never: \(what)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}
