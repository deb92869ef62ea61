// A folder of its own for a test, removed with the last reference to it.
import Glibc
import Testing

@testable import Watchword

/// A temporary folder.
final class ScratchFolder: Sendable {
    /// Its path, which the servers' user can pass through.
    let path: String

    init() throws {
        var template = Array("/tmp/wwtest-XXXXXX".utf8CString)
        let made = mkdtemp(&template)
        try #require(made != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, 0o755)
    }

    deinit { FileIO.removeTree(path) }

    /// Writes a file and returns its path.
    func write(_ text: String, to name: String) throws -> String {
        try FileIO.writePrivate(Array(text.utf8), to: "\(path)/\(name)")
        return "\(path)/\(name)"
    }
}
