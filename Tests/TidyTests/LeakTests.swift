// What must not be in a repository that others read: paths of one machine, secrets, the addresses
// of anybody's package registry, and what somebody downloaded.
import Glibc
import TestKit
import Testing

@Suite struct LeakTests {
    private static let largest = 1_000_000
    private static let ignored = ["Package.resolved"]
    /// Cut in two, so that this file does not find itself.
    private static let phrases = [
        ("/wo" + "rk/", "a path from the root of the repository"),
        ("/ro" + "ot/", "a path from the root of the repository"),
        ("/ho" + "me/", "a path from the root of the repository"),
        ("PRIVATE KEY" + "-----", "a key that the test makes"),
        ("AKI" + "A", "nothing: that is somebody's key"),
        ("gh" + "p_", "nothing: that is somebody's key"),
        ("xo" + "xb-", "nothing: that is somebody's key"),
        ("pypi" + ".org", "the machine's own configuration"),
        ("npmjs" + ".org", "the machine's own configuration"),
        ("artif" + "actory", "the machine's own configuration"),
        ("index" + "-url", "the machine's own configuration"),
        ("proxy.gol" + "ang.org", "the machine's own configuration"),
    ]

    @Test func `no file holds a path of one machine, a secret or a registry`() {
        var findings: [String] = []
        let paths = Repository.files()
        #expect(paths.count > 200)
        for path in paths where !Self.ignored.contains(path) && !path.hasSuffix(".log") {
            let file = SourceFile(path)
            for (phrase, instead) in Self.phrases where Self.holds(file.text, phrase) {
                for (index, line) in file.lines.enumerated() where line.contains(phrase) {
                    findings.append("\(path):\(index + 1): \(phrase) → \(instead)")
                }
            }
        }
        expectNone(findings)
    }

    @Test func `no file is as large as a download`() {
        var findings: [String] = []
        for path in Repository.files() where !path.hasSuffix(".log") {
            let bytes = Repository.text(path).utf8.count
            guard bytes > Self.largest else { continue }
            findings.append("\(path): \(bytes) bytes; what others make is installed, not kept")
        }
        expectNone(findings)
    }

    /// Looks at bytes: characters, file after file, are minutes of a processor.
    private static func holds(_ text: String, _ phrase: String) -> Bool {
        text.withCString { strstr($0, phrase) != nil }
    }
}
