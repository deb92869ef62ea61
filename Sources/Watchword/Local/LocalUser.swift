// Whom the database servers run as. PostgreSQL refuses to run as root, rightly; then both servers
// step down to `postgres` or, where there is none, `nobody`.
import Glibc

/// A user of the machine.
struct LocalUser: Sendable, Equatable {
    /// The name, for messages.
    let name: String
    /// The user's number.
    let user: UInt32
    /// The number of its main group.
    let group: UInt32

    /// Whom servers are to step down to; nil where we are not root and stay who we are.
    static func forServers() throws -> LocalUser? {
        guard geteuid() == 0 else { return nil }
        for name in ["postgres", "nobody"] {
            if let found = find(name) { return found }
        }
        throw LocalServerError(
            "PostgreSQL refuses to run as root and there is no user \"postgres\" or \"nobody\" "
                + "to step down to: run watchword as an ordinary user."
        )
    }

    /// The user called `name`; nil where there is none.
    static func find(_ name: String) -> LocalUser? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else {
            return nil
        }
        return LocalUser(name: name, user: entry.pw_uid, group: entry.pw_gid)
    }

    /// Whether this user may pass through every folder on the way to `path` and enter it.
    ///
    /// Folders that do not exist yet do not count. Judged by mode bits: access lists are not read,
    /// and with one the answer may be a needless no.
    func canReach(_ path: String) -> Bool {
        var folder = ""
        for part in ["."] + path.split(separator: "/").map(String.init) {
            folder += folder.isEmpty ? "/" : (folder.hasSuffix("/") ? part : "/" + part)
            var status = stat()
            guard stat(folder, &status) == 0 else { return true }
            let needed: mode_t =
                status.st_uid == user
                ? S_IXUSR : status.st_gid == group ? S_IXGRP : S_IXOTH
            guard status.st_mode & needed != 0 else { return false }
        }
        return true
    }
}
