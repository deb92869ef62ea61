// What the load aims at: the tokens whose revocation is about to be acknowledged or just was.
// Random traffic almost never meets the moment that matters (revocation.md 7.1, power).
import Synchronization

/// A token as a request.
struct Target: Sendable {
    let token: Int32
    /// The bytes of the check.
    let request: [UInt8]

    /// A check of a bearer token.
    init(token: Int32, bearer: String) {
        self.token = token
        request = Array(
            """
            GET /verify HTTP/1.1\r
            Host: auth.example.test\r
            X-Original-Method: GET\r
            Authorization: Bearer \(bearer)\r
            \r

            """.utf8
        )
    }
}

/// The tokens that are checked at the moment.
final class Aim: Sendable {
    private let targets = Mutex<[(target: Target, acknowledged: Int64?)]>([])
    private let version = Atomic<Int>(0)

    /// Changes with the targets.
    var edition: Int { version.load(ordering: .acquiring) }

    /// All of them, and when their revocation was acknowledged.
    var all: [(target: Target, acknowledged: Int64?)] { targets.withLock { $0 } }

    /// Aims at these too.
    func add(_ more: [Target]) {
        targets.withLock { $0 += more.map { ($0, nil) } }
        version.wrappingAdd(1, ordering: .releasing)
    }

    /// The revocation of these was acknowledged: what comes now matters most.
    func acknowledged(_ some: [Target], at end: Int64) {
        let tokens = Set(some.map(\.token))
        targets.withLock { targets in
            for index in targets.indices where tokens.contains(targets[index].target.token) {
                targets[index].acknowledged = end
            }
        }
        version.wrappingAdd(1, ordering: .releasing)
    }

    /// Aims at these no more.
    func remove(_ gone: [Target]) {
        let tokens = Set(gone.map(\.token))
        targets.withLock { $0.removeAll { tokens.contains($0.target.token) } }
        version.wrappingAdd(1, ordering: .releasing)
    }
}
