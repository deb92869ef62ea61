// The settings in k8s/ and docker-compose.yml are settings of this version, and the sample secret
// starts nothing. That the manifests are well formed is scripts/check-manifests' business.
import FoundationEssentials
import Primitives
import Testing

@testable import Watchword

@Suite struct ManifestTests {
    private static func file(_ path: String) throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return try #require(FileIO.text("/\(root)/\(path)"), "\(path) cannot be read")
    }

    /// The lines that give a setting, in `NAME=value` or `NAME: value` form.
    private static func settings(_ text: String) -> [String: String] {
        var found: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let words = line.trimmingPrefix { $0 == " " }
            guard words.hasPrefix("WATCHWORD_"),
                let mark = words.firstIndex(where: { $0 == "=" || $0 == ":" })
            else { continue }
            let value = words[words.index(after: mark)...].trimmingPrefix { $0 == " " }
            found[String(words[..<mark])] = String(value.filter { $0 != "\"" })
        }
        return found
    }

    @Test func `the ConfigMap's settings exist and are in order`() async throws {
        let settings = Self.settings(try Self.file("k8s/watchword.env"))
        #expect(settings.count > 4)
        let (status, text) = try await BuiltBinary.run(["describe", "config"], settings)
        #expect(status == .code(0), "\(text)")
    }

    @Test func `the compose file's settings exist and are in order`() async throws {
        var settings = Self.settings(try Self.file("docker-compose.yml"))
        #expect(settings.count > 4)
        for (name, value) in settings {
            // Files of the container; and ${NAME:-default}, of which the default counts.
            if name.hasSuffix("_FILE") { settings[name] = nil }
            guard value.hasPrefix("${"), let dash = value.firstRange(of: ":-") else { continue }
            settings[name] = String(value[dash.upperBound...].filter { $0 != "}" })
        }
        let (status, text) = try await BuiltBinary.run(["describe", "config"], settings)
        #expect(status == .code(0), "\(text)")
    }

    @Test func `the sample secret starts nothing (row 283)`() async throws {
        let line = try #require(
            try Self.file("k8s/secret.sample.yaml").split(separator: "\n")
                .first { $0.contains("master-key: ") }
        )
        let key = String(line.split(separator: " ").last ?? "")
        let (status, text) = try await BuiltBinary.run(["serve"], ["WATCHWORD_KEYS_MASTER": key])
        #expect(status == .code(78))
        #expect(text.contains("keys.master") && !text.contains(key))
    }
}
