// Making a connection: the blocking part of libpq, run on a thread pool and never on an event loop
// or a cooperative thread. What comes back is connected, non-blocking and in pipeline mode.
import CPostgres
import Primitives

/// A connected `PGconn` that nobody owns yet.
@safe struct ServerConnection: @unchecked Sendable {
    // Sendable: made on a thread of the pool and handed to one event loop, which alone uses it.
    let handle: OpaquePointer

    /// Connects; blocks up to the connect timeout for each host.
    ///
    /// - Throws: `PostgresError` of kind `.connection`.
    static func open(_ configuration: PostgresConfiguration) throws -> Self {
        let words = try parameters(configuration)
        let handle = unsafe withStrings(words.map(\.0)) { keys in
            unsafe withStrings(words.map(\.1)) { values in
                unsafe PQconnectdbParams(keys, values, 1)
            }
        }
        guard let handle = unsafe handle else {
            throw PostgresError(.connection, "out of memory while connecting")
        }
        guard unsafe PQstatus(handle) == CONNECTION_OK, unsafe PQsetnonblocking(handle, 1) == 0,
            unsafe PQenterPipelineMode(handle) == 1
        else {
            // The text names hosts, users and databases, never a password.
            let text = unsafe String(cString: PQerrorMessage(handle))
            unsafe PQfinish(handle)
            throw PostgresError(.connection, "cannot connect: \(oneLine(text))")
        }
        return unsafe Self(handle: handle)
    }

    /// The words for libpq: the given string first, so that what follows it can complete it.
    private static func parameters(
        _ configuration: PostgresConfiguration
    ) throws -> [(String, String)] {
        // The password in the string goes to libpq and nowhere else.
        let text = String(decoding: configuration.connection.exposed, as: UTF8.self)
        let given = try words(of: text)
        var out = [
            ("dbname", text), ("application_name", configuration.applicationName),
            ("client_encoding", "UTF8"),
        ]
        if given["target_session_attrs"] == nil {
            out.append(("target_session_attrs", "read-write"))
        }
        if given["connect_timeout"] == nil {
            let seconds = max(2, configuration.connectTimeout.wholeSeconds)
            out.append(("connect_timeout", "\(seconds)"))
        }
        if given["tcp_user_timeout"] == nil { out.append(("tcp_user_timeout", "10000")) }
        let milliseconds = configuration.lockTimeout.wholeMicroseconds / 1000
        // The last makes the server notice within a second that a connection was closed in the
        // middle of a statement, which would keep its locks otherwise. No statement_timeout: one
        // that strikes during a commit leaves it unconfirmed (revocation.md H8). Whatever the
        // database's default is, statements sent behind each other must not share a snapshot: a
        // read-index would answer from before its question (S1). No compilation of plans: it takes
        // tens of milliseconds, each time, where an estimate is off. What is acknowledged is on the
        // disk, and with the synchronous standby if there is one, whatever the default is (A1). Of
        // two options of one name the server takes the last.
        let options = [
            given["options"] ?? "", "-c lock_timeout=\(milliseconds)",
            "-c idle_in_transaction_session_timeout=60000",
            "-c client_connection_check_interval=1000", "-c jit=off",
            "-c default_transaction_isolation=read\\ committed", "-c synchronous_commit=on",
        ]
        out.append(("options", options.joined(separator: " ")))
        return out
    }

    /// What a connection string says, as libpq reads it.
    private static func words(of text: String) throws -> [String: String] {
        guard let list = unsafe PQconninfoParse(text, nil) else {
            throw PostgresError(.connection, "the connection string cannot be read")
        }
        defer { unsafe PQconninfoFree(list) }
        var out: [String: String] = [:]
        var at = unsafe list
        while let keyword = unsafe at.pointee.keyword {
            if let value = unsafe at.pointee.val {
                unsafe out[String(cString: keyword)] = String(cString: value)
            }
            unsafe at += 1
        }
        return out
    }

    private static func oneLine(_ text: String) -> String {
        text.split(separator: "\n").joined(separator: "; ")
    }
}

/// Lends an array of C strings that ends in NULL.
private func withStrings<Value>(
    _ strings: [String],
    _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Value
) -> Value {
    let bytes = strings.map { Array($0.utf8CString) }
    let flat = bytes.flatMap { $0 }
    return unsafe flat.withUnsafeBufferPointer { all in
        var pointers: [UnsafePointer<CChar>?] = unsafe []
        var offset = 0
        for string in bytes {
            unsafe pointers.append(all.baseAddress.map { unsafe $0 + offset })
            offset += string.count
        }
        unsafe pointers.append(nil)
        return unsafe pointers.withUnsafeBufferPointer { list in
            guard let base = list.baseAddress else { preconditionFailure("a list is never empty") }
            return unsafe body(base)
        }
    }
}
