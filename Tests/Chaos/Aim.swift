// What the load aims at: the tokens whose revocation is about to be acknowledged or just was, and
// some that were revoked a while ago. Random traffic almost never meets the moment that matters
// (revocation.md 7.1, power).
import ChaosKit
import Glibc
import Synchronization

/// A token as a request.
struct Target: Sendable {
    let token: Int32
    /// Whether a permission is asked for, so that 403 says no to it.
    let asksRights: Bool
    /// The bytes of the check.
    let request: [UInt8]
    /// The same with a body, which the fast path leaves to the general one.
    let general: [UInt8]
    /// The request to a gateway that comes to the same check.
    let guarded: [UInt8]

    /// A check of a bearer token, and of a permission if one is given, in an organisation if one is
    /// named.
    init(
        token: Int32,
        bearer: String,
        permission: String? = nil,
        organisation: String? = nil
    ) {
        self.token = token
        asksRights = permission != nil
        let query = permission.map { "?permission=\($0)" } ?? ""
        let field = organisation.map { "X-Org: \($0)\r\n" } ?? ""
        let credential = "Authorization: Bearer \(bearer)\r\n\(field)"
        let head = """
            GET /verify\(query) HTTP/1.1\r
            Host: auth.example.test\r
            X-Original-Method: GET\r
            \(credential)
            """
        request = Array((head + "\r\n").utf8)
        general = Array((head + "Content-Length: 1\r\n\r\n.").utf8)
        let path = Gateways.path(of: permission)
        let ask = "GET \(path) HTTP/1.1\r\nHost: auth.example.test\r\n\(credential)\r\n"
        guarded = Array(ask.utf8)
    }
}

/// The tokens that are checked at the moment.
final class Aim: Sendable {
    /// A target and when its revocation was acknowledged.
    typealias Sight = (target: Target, acknowledged: Int64?)

    private struct State {
        var sights: [Sight] = []
        var old: [Target] = []
        var next = 0
    }
    private let state = Mutex(State())
    private let version = Atomic<Int>(0)
    /// Written to when something was acknowledged, so that the load looks at once.
    private let bell: (ear: Int32, rope: Int32)
    /// How many are remembered of those that were revoked.
    private static let memory = 256
    private static let few = 12

    /// What can be polled for the bell.
    var ear: Int32 { bell.ear }

    /// Aims at nothing yet.
    init() {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0, "no pipe")
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        bell = (ends[0], ends[1])
    }

    deinit {
        close(bell.ear)
        close(bell.rope)
    }

    /// Changes with the targets.
    var edition: Int { version.load(ordering: .acquiring) }

    /// All of them, and when their revocation was acknowledged.
    var all: [Sight] { state.withLock { $0.sights } }

    /// Tokens that were revoked a while ago, which must never be good again (W2), and the latest
    /// of them, which a node may have missed when the authority changed.
    var old: (all: [Target], latest: [Target]) {
        state.withLock { state in
            let latest = (max(0, state.next - Self.few)..<state.next).map {
                state.old[$0 % Self.memory]
            }
            return (state.old, latest)
        }
    }

    /// Aims at these too.
    func add(_ more: [Target]) {
        state.withLock { $0.sights += more.map { ($0, nil) } }
        version.wrappingAdd(1, ordering: .releasing)
    }

    /// The revocation of these was acknowledged: what comes now matters most.
    func acknowledged(_ some: [Target], at end: Int64) {
        let tokens = Set(some.map(\.token))
        state.withLock { state in
            for index in state.sights.indices
            where tokens.contains(state.sights[index].target.token) {
                state.sights[index].acknowledged = end
            }
            for target in some {
                if state.old.count < Self.memory {
                    state.old.append(target)
                } else {
                    state.old[state.next % Self.memory] = target
                }
                state.next += 1
            }
        }
        version.wrappingAdd(1, ordering: .releasing)
        // A full pipe has rung already.
        _ = write(bell.rope, [1] as [UInt8], 1)
    }

    /// Aims at these no more.
    func remove(_ gone: [Target]) {
        let tokens = Set(gone.map(\.token))
        state.withLock { $0.sights.removeAll { tokens.contains($0.target.token) } }
        version.wrappingAdd(1, ordering: .releasing)
    }
}
