// The folder that private servers live in, locked for one owner at a time. Sockets and, where the
// servers' user cannot reach the folder, data go to a private folder elsewhere, and `notes` says
// so. A lock that outlives its holder is impossible: the kernel drops it with the process.
import Crypto
import Glibc

/// Where local servers keep data and sockets.
final class LocalFolder: Sendable {
    /// The folder itself: the administrator's login, the master key, the lock.
    let path: String
    /// Where the servers' data folders are; usually `path`.
    let dataPath: String
    /// Where the sockets are.
    let runPath: String
    /// Sentences about anything that is not where one would look.
    let notes: [String]
    /// Whom the servers run as; nil for the user we are.
    let serverUser: LocalUser?

    /// What the kernel takes as the path of a socket, without its closing zero.
    private static let longestSocketPath = 107
    private static let longestSocketName = "/.s.PGSQL.5432.lock"
    private let lock: Int32
    private let isEphemeral: Bool
    private let scratch: [String]

    /// Takes the folder `path`, which is made where it is missing.
    ///
    /// - Throws: `LocalServerError` where another process has it or it cannot be written.
    convenience init(keeping path: String, serverUser: LocalUser?) throws {
        try self.init(FileIO.absolute(path), isEphemeral: false, serverUser)
    }

    /// Makes a temporary folder that `remove()` takes away.
    convenience init(ephemeralFor serverUser: LocalUser?) throws {
        Self.sweep()
        var template = Array("/tmp/watchword-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw LocalServerError("A temporary folder cannot be made in /tmp: \(FileIO.reason).")
        }
        let bytes = template.dropLast().map { UInt8(bitPattern: $0) }
        let path = String(decoding: bytes, as: UTF8.self)
        // The servers' user passes through; what is secret in here has its own mode.
        chmod(path, 0o711)
        try self.init(path, isEphemeral: true, serverUser)
    }

    private init(_ path: String, isEphemeral: Bool, _ user: LocalUser?) throws {
        self.path = path
        self.isEphemeral = isEphemeral
        serverUser = user
        try Self.makeFolder(path)
        lock = try Self.takeLock(path)
        var notes: [String] = []
        var scratch: [String] = []
        do {
            var data = path
            if let user, !user.canReach(path) {
                data = try Self.privateFolder(for: path)
                notes.append(
                    "The user \"\(user.name)\", which the servers run as, cannot reach \(path); "
                        + "their data is in \(data)."
                )
            }
            var run = data + "/run"
            if run.utf8.count + Self.longestSocketName.utf8.count > Self.longestSocketPath {
                let short = try Self.privateFolder(for: path)
                run = short + "/run"
                scratch.append(short)
                notes.append(
                    "The path \(path) is too long for sockets; they are in \(run)."
                )
            }
            dataPath = data
            runPath = run
            self.notes = notes
            self.scratch = scratch
            try Self.makeFolder(run, mode: 0o700, owner: user)
        } catch {
            close(lock)
            throw error
        }
    }

    deinit { close(lock) }

    /// Removes what should not stay: the sockets, or everything where the folder is ephemeral.
    func remove() {
        FileIO.removeTree(runPath)
        for folder in scratch { rmdir(folder) }
        if isEphemeral {
            if dataPath != path { FileIO.removeTree(dataPath) }
            FileIO.removeTree(path)
        }
    }

    /// Makes a folder with all its parents; `mode` and `owner` are those of the last one.
    static func makeFolder(_ path: String, mode: mode_t = 0o755, owner: LocalUser? = nil) throws {
        var folder = ""
        for part in path.split(separator: "/") {
            folder += "/" + part
            let isLast = folder.utf8.count >= path.utf8.count
            if mkdir(folder, isLast ? mode : 0o755) != 0 && errno != EEXIST && errno != EISDIR {
                throw LocalServerError(
                    "The folder \(path) cannot be made: \(FileIO.reason). "
                        + "Name another one with --data-dir."
                )
            }
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw LocalServerError(
                "\(path) is not a folder. Name another one with --data-dir."
            )
        }
        if let owner {
            guard chown(path, owner.user, owner.group) == 0, chmod(path, mode) == 0 else {
                throw LocalServerError(
                    "The folder \(path) cannot be given to the user \(owner.name): "
                        + "\(FileIO.reason)."
                )
            }
        }
    }

    /// Removes temporary folders of ours whose owner was killed: those with a lock nobody holds.
    private static func sweep() {
        for name in FileIO.names(in: "/tmp") where name.hasPrefix("watchword-") {
            let path = "/tmp/" + name
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
                status.st_uid == geteuid()
            else { continue }
            let file = open(path + "/lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW)
            guard file >= 0 else { continue }
            defer { close(file) }
            // An empty lock is one that its owner is just about to take.
            guard flock(file, LOCK_EX | LOCK_NB) == 0, lseek(file, 0, SEEK_END) > 0 else {
                continue
            }
            FileIO.removeTree(path)
        }
    }

    private static func takeLock(_ path: String) throws -> Int32 {
        let file = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw LocalServerError(
                "The folder \(path) cannot be written: \(FileIO.reason). "
                    + "Name another one with --data-dir."
            )
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let holder = FileIO.text(path + "/lock") ?? ""
            close(file)
            let who = holder.isEmpty ? "" : " (process \(holder))"
            throw LocalServerError(
                "The folder \(path) is in use by another watchword\(who): stop that one, or name "
                    + "another folder with --data-dir."
            )
        }
        ftruncate(file, 0)
        FileIO.writeAll(Array("\(getpid())".utf8), to: file)
        return file
    }

    /// A folder in /var/tmp that belongs to us alone and is the same at every run for `path`.
    private static func privateFolder(for path: String) throws -> String {
        let digest = SHA256.hash(data: Array(path.utf8)).prefix(6)
        let name = digest.map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
        let folder = "/var/tmp/watchword-\(geteuid())-\(name)"
        mkdir(folder, 0o711)
        var status = stat()
        // The name can be foreseen, so somebody else may have put a folder or a link there first.
        guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
            status.st_uid == geteuid(), status.st_mode & (S_IWGRP | S_IWOTH) == 0
        else {
            throw LocalServerError(
                "\(folder) is not a folder of ours: remove it, or use another --data-dir."
            )
        }
        return folder
    }
}
