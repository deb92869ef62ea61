// Small, whole-file input and output with POSIX calls: folders, private files, lines of a pipe.
// Blocking, so for start-up and for threads of our own only.
import Glibc

/// Reads and writes files and descriptors.
enum FileIO {
    /// Why a call failed, in the system's words.
    static var reason: String { String(cString: strerror(errno)) }

    /// Whether something exists at `path`.
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// The bytes of a file; nil where it cannot be read (`errno` says why).
    static func read(_ path: String, atMost limit: Int = 1 << 20) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < limit {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    /// The text of a file; nil where it cannot be read.
    static func text(_ path: String) -> String? {
        read(path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Writes a file that only its owner may read, whole or not at all.
    ///
    /// - Throws: `LocalServerError` with the reason.
    static func writePrivate(_ bytes: [UInt8], to path: String) throws {
        let draft = path + ".new"
        unlink(draft)
        let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw LocalServerError("\(path) cannot be written: \(reason).") }
        let written = writeAll(bytes, to: file) && fsync(file) == 0
        close(file)
        guard written, rename(draft, path) == 0 else {
            throw LocalServerError("\(path) cannot be written: \(reason).")
        }
    }

    /// Writes all of `bytes`; false where the other side is gone or the disk is full.
    @discardableResult
    static func writeAll(_ bytes: [UInt8], to file: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Hands each line that arrives to `body` until the other side closes; a line longer than
    /// `longest` bytes is cut into several.
    static func readLines(from file: Int32, longest: Int, _ body: (String) -> Void) {
        var chunk = [UInt8](repeating: 0, count: 16_384)
        var line: [UInt8] = []
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            for byte in chunk[..<count] {
                if byte != UInt8(ascii: "\n") { line.append(byte) }
                guard byte == UInt8(ascii: "\n") || line.count >= longest else { continue }
                body(String(decoding: line, as: UTF8.self))
                line.removeAll(keepingCapacity: true)
            }
        }
        if !line.isEmpty { body(String(decoding: line, as: UTF8.self)) }
    }

    /// The names in a folder, without `.` and `..`; none where it cannot be read.
    static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a folder and all in it, without following links.
    static func removeTree(_ path: String) {
        for name in names(in: path) {
            let child = "\(path)/\(name)"
            var status = stat()
            if lstat(child, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR {
                removeTree(child)
            } else {
                unlink(child)
            }
        }
        rmdir(path)
    }

    /// The absolute form of `path`, without asking whether it exists.
    static func absolute(_ path: String) -> String {
        var trimmed = path
        while trimmed.count > 1 && trimmed.hasSuffix("/") { trimmed.removeLast() }
        guard !trimmed.hasPrefix("/"), let here = getcwd(nil, 0) else { return trimmed }
        defer { free(here) }
        let folder = String(cString: here)
        return folder == "/" ? "/" + trimmed : "\(folder)/\(trimmed)"
    }
}
