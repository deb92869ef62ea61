// The files of this repository, for tests that read them as text. It is found from the place of
// this very file, so that the tests work in any clone.
import Glibc

/// The repository.
package enum Repository {
    /// Its folder.
    package static let root: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast(3).joined(separator: "/")
    }()

    /// Folders that are not part of it, wherever they are.
    private static let foreign: Set<String> = [
        ".git", ".swiftpm", ".venv", ".watchword", "__pycache__",
    ]

    /// The text of a file, by its path from the root; empty where there is none.
    package static func text(_ path: String) -> String { readFile(root + "/" + path) }

    /// Whether a file is there.
    package static func has(_ path: String) -> Bool { access(root + "/" + path, F_OK) == 0 }

    /// The paths of all files under `folder` that end in one of `endings`, sorted.
    package static func files(_ folder: String = "", endings: [String] = [""]) -> [String] {
        var found: [String] = []
        collect(folder, &found)
        return found.filter { path in endings.contains { path.hasSuffix($0) } }.sorted()
    }

    /// Writes a file, by its path from the root.
    package static func write(_ text: String, to path: String) throws {
        let descriptor = open(root + "/" + path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw TestServerError("\(path) cannot be written") }
            rest = rest.dropFirst(count)
        }
    }

    private static func collect(_ folder: String, _ found: inout [String]) {
        guard let entries = opendir(folder.isEmpty ? root : root + "/" + folder) else { return }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let path = folder.isEmpty ? name : folder + "/" + name
            if name == "." || name == ".." || foreign.contains(name) { continue }
            if folder.isEmpty, name.hasPrefix(".build") { continue }
            if Int32(entry.pointee.d_type) == Int32(DT_DIR) {
                collect(path, &found)
            } else {
                found.append(path)
            }
        }
    }
}

/// Runs a program to its end, for tests that need what it prints.
package enum Program {
    /// What a program printed on both streams, and its exit status.
    package struct Outcome: Sendable {
        /// What it printed.
        package let text: String
        /// 0 where all went well.
        package let status: Int32
    }

    /// Runs `script` under `sh` in the root of the repository, on a thread of its own.
    package static func shell(_ script: String) async throws -> Outcome {
        try await Blocking.run {
            let folder = Repository.root.split(separator: "'", omittingEmptySubsequences: false)
            let command = "cd '\(folder.joined(separator: "'\\''"))' && { \(script)\n} 2>&1"
            guard let pipe = popen(command, "re") else {
                throw TestServerError("no shell can be started")
            }
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while case let count = fread(&buffer, 1, buffer.count, pipe), count > 0 {
                bytes += buffer[..<count]
            }
            let status = pclose(pipe)
            return Outcome(text: String(decoding: bytes, as: UTF8.self), status: status)
        }
    }
}
