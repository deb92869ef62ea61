// One keep-alive connection to a node or the gateway before it, with at most one check on it: a
// node begins the second of a connection when the first is answered, and that one would be no near
// miss any more.
import ChaosKit
import Glibc

/// A connection of the load.
final class Wire {
    enum State {
        case closed
        case connecting
        case idle
        case asking
    }
    /// How it asks.
    enum Manner {
        /// As gateways do.
        case plain
        /// So that the fast path does not answer.
        case general
        /// A gateway, which asks the node.
        case guarded
    }
    let node: Int
    let port: Int
    private let manner: Manner
    private(set) var state = State.closed
    private(set) var descriptor: Int32 = -1
    private var retryAt: Int64 = 0
    private var start: Int64 = 0
    private var token: Int32 = 0
    private var asksRights = false
    private var input = [UInt8](repeating: 0, count: 8192)
    private var filled = 0
    private static let pause: Int64 = 50_000_000

    /// A connection that is not made yet.
    init(node: Int, port: Int, _ manner: Manner) {
        self.node = node
        self.port = port
        self.manner = manner
    }

    /// Tries to connect, unless that failed a moment ago.
    func connect(_ now: Int64) {
        guard state == .closed, retryAt <= now else { return }
        retryAt = now + Self.pause
        guard let descriptor = Sockets.connect(port: port) else { return }
        self.descriptor = descriptor
        state = .connecting
    }

    /// Sends one check.
    func ask(_ target: Target) {
        token = target.token
        asksRights = target.asksRights
        start = nanoseconds()
        let bytes =
            switch manner {
            case .plain: target.request
            case .general: target.general
            case .guarded: target.guarded
            }
        state = .asking
        let count = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        if count != bytes.count { lose() }
    }

    /// Reads what there is; the answer, when all of it is there.
    func hear(_ bound: Int64?) -> CheckRecord? {
        if state == .connecting {
            var problem: Int32 = 0
            var length = socklen_t(4)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &problem, &length)
            if problem == 0 { state = .idle } else { lose() }
            return nil
        }
        let count = input.withUnsafeMutableBytes {
            recv(descriptor, $0.baseAddress.map { $0 + filled }, $0.count - filled, 0)
        }
        guard count > 0 else {
            if count == 0 || errno != EAGAIN { lose() }
            return nil
        }
        filled += count
        guard let status = wholeAnswer() else { return nil }
        let end = nanoseconds()
        filled = 0
        state = .idle
        // nginx ends the connection on which it said 500: that it could not ask, or was told 503.
        if manner == .guarded, status >= 500 { lose() }
        let answer: CheckAnswer =
            switch status {
            case 200: .accepted
            case 401: .revoked
            // The token is good, and what is asked for is not held.
            case 403 where asksRights: .revoked
            default: .unknown
            }
        return CheckRecord(
            token: token,
            node: UInt8(node),
            answer: answer,
            start: start,
            end: end,
            bound: bound,
            isThroughGateway: manner == .guarded
        )
    }

    /// Gives the connection up; what it had asked will never be known.
    func lose() {
        close(descriptor)
        descriptor = -1
        state = .closed
        filled = 0
        retryAt = nanoseconds() + Self.pause
    }

    /// The status of the answer, if all of it has arrived.
    private func wholeAnswer() -> Int? {
        input.withUnsafeBytes { bytes in
            var line = 0
            var length = 0
            var at = 0
            while at + 1 < filled {
                guard bytes[at] == 13, bytes[at + 1] == 10 else {
                    at += 1
                    continue
                }
                if at == line {
                    guard filled >= at + 2 + length else { return nil }
                    return (9..<12).reduce(0) { $0 * 10 + Int(bytes[$1]) - 48 }
                }
                if at - line > Self.lengthField.count, Self.isLength(bytes, line) {
                    length = (line + Self.lengthField.count..<at)
                        .reduce(0) { $0 * 10 + Int(bytes[$1]) - 48 }
                }
                at += 2
                line = at
            }
            return nil
        }
    }

    private static let lengthField = Array("content-length: ".utf8)

    private static func isLength(_ bytes: UnsafeRawBufferPointer, _ line: Int) -> Bool {
        for (offset, letter) in lengthField.enumerated() {
            // Lower case differs in one bit, which `-`, `:` and the space have already.
            guard bytes[line + offset] | 0x20 == letter else { return false }
        }
        return true
    }
}
