// What a connection knows about its prepared statements, and how parameters are laid out for libpq.
// Prepared statements belong to the connection; their number is limited, so that a statement made
// anew for each call, which is a mistake, cannot fill the server's memory.
import CPostgres

/// The names of the statements prepared on one connection.
struct PreparedStatements {
    /// More statements than the program has.
    static let limit = 1024

    private var names: [ObjectIdentifier: (info: StatementInfo, name: String)] = [:]
    private var made = 0

    /// The name under which a statement is prepared, or being prepared.
    func name(of info: StatementInfo) -> String? { names[ObjectIdentifier(info)]?.name }

    /// A new name for a statement that is about to be prepared; nil when there are too many.
    mutating func add(_ info: StatementInfo) -> String? {
        guard names.count < Self.limit else { return nil }
        made += 1
        // The number tells apart statements whose names agree in the server's first 63 bytes.
        let name = "\(made) \(info.name.prefix(48))"
        names[ObjectIdentifier(info)] = (info, name)
        return name
    }

    /// Forgets a statement that the server does not have.
    mutating func remove(_ info: StatementInfo) { names[ObjectIdentifier(info)] = nil }
}

/// Reusable room for the parallel arrays that libpq takes.
@safe struct ParameterFrame: ~Copyable {
    private var values: UnsafeMutablePointer<UnsafePointer<CChar>?>
    private var lengths: UnsafeMutablePointer<Int32>
    private var formats: UnsafeMutablePointer<Int32>
    private var capacity = 16

    init() {
        unsafe values = .allocate(capacity: capacity)
        unsafe lengths = .allocate(capacity: capacity)
        unsafe formats = .allocate(capacity: capacity)
        unsafe formats.initialize(repeating: 1, count: capacity)
    }

    deinit {
        unsafe values.deallocate()
        unsafe lengths.deallocate()
        unsafe formats.deallocate()
    }

    /// Lends pointers into `parameters`, a run of values each behind its length.
    mutating func with(
        _ parameters: [UInt8],
        count: Int,
        _ body: (
            UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<Int32>, UnsafePointer<Int32>
        ) -> Int32
    ) -> Int32 {
        if count > capacity { grow(to: count) }
        return unsafe parameters.withUnsafeBytes { bytes in
            var at = 0
            for index in 0..<count {
                let length = unsafe Int32(
                    bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: Int32.self)
                )
                at += 4
                unsafe values[index] = nil
                unsafe lengths[index] = max(0, length)
                guard length >= 0 else { continue }
                // An empty value must still have an address, or libpq takes it for NULL.
                unsafe values[index] = bytes.baseAddress.map {
                    unsafe ($0 + at).assumingMemoryBound(to: CChar.self)
                }
                at += Int(length)
            }
            precondition(at == bytes.count, "parameters do not match their count")
            return unsafe body(values, lengths, formats)
        }
    }

    private mutating func grow(to count: Int) {
        unsafe values.deallocate()
        unsafe lengths.deallocate()
        unsafe formats.deallocate()
        capacity = count
        unsafe values = .allocate(capacity: capacity)
        unsafe lengths = .allocate(capacity: capacity)
        unsafe formats = .allocate(capacity: capacity)
        unsafe formats.initialize(repeating: 1, count: capacity)
    }
}

extension StatementInfo {
    /// Lends the parameter types as libpq takes them.
    func withTypes(_ body: (UnsafePointer<Oid>?) -> Int32) -> Int32 {
        let types = bindTypes.map(\.oid)
        return unsafe types.withUnsafeBufferPointer { unsafe body($0.baseAddress) }
    }
}

extension PostgresError {
    /// The error a result carries.
    ///
    /// The server's primary text only: its detail quotes rows. The
    /// texts of class 22, data exceptions, quote the value itself, and are left out.
    init(result: OpaquePointer) {
        func field(_ code: Int32) -> String? {
            guard let text = unsafe PQresultErrorField(result, code) else { return nil }
            return unsafe String(cString: text)
        }
        guard let state = field(Int32(UInt8(ascii: "C"))) else {
            // Made by libpq, not by the server: the connection broke in the middle of an answer.
            self.init(.connection, "the connection was lost", sqlState: "08006")
            return
        }
        let text = field(Int32(UInt8(ascii: "M"))) ?? "no message"
        self.init(
            state.hasPrefix("57P") || state.hasPrefix("08") ? .connection : .server,
            state.hasPrefix("22") ? "data exception" : text,
            sqlState: state,
            constraint: field(Int32(UInt8(ascii: "n")))
        )
    }

    /// Whether a notice is a warning, by its SQLSTATE or by its severity: a commit that a shutdown
    /// cut off from its standbys warns with a code of another class.
    static func isWarning(_ result: OpaquePointer) -> Bool {
        let state = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "C")))
        let severity = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "V")))
        if let state = unsafe state, unsafe String(cString: state).hasPrefix("01") { return true }
        guard let severity = unsafe severity else { return false }
        return unsafe String(cString: severity) == "WARNING"
    }
}
