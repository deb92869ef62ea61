// The load: keep-alive connections to every node on one thread. A few probe all the time; the
// others lie in wait and fire bursts of checks in the milliseconds after an acknowledgement, times
// taken around the write and after the read. It must be cheap, because it shares the machine with
// all that it tests.
import ChaosKit
import Glibc
import Synchronization

/// One connection to a node.
private final class Wire {
    let node: Int
    var descriptor: Int32 = -1
    var isConnected = false
    var retryAt: Int64 = 0
    var start: Int64 = 0
    var asked: [Int32] = []
    var answered = 0
    var input = [UInt8](repeating: 0, count: 32_768)
    var filled = 0

    init(node: Int) { self.node = node }
}

/// Sends checks of what `aim` names until it is stopped.
final class Load: Sendable {
    private let aim: Aim
    private let history: History
    private let ports: [Int]
    private let connections: Int
    private let burst: Int
    private let isStopped = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)

    /// A load on nodes at `ports`, each by so many connections, so many checks in a burst.
    init(_ aim: Aim, _ history: History, ports: [Int], connections: Int, burst: Int) {
        self.aim = aim
        self.history = history
        self.ports = ports
        self.connections = connections
        self.burst = burst
    }

    /// Runs on the calling thread.
    func run() {
        LoadLoop(
            aim: aim,
            history: history,
            ports: ports,
            wires: ports.indices.flatMap { node in
                (0..<connections).map { _ in Wire(node: node) }
            },
            burst: burst
        ).run { isStopped.load(ordering: .relaxed) }
        hasEnded.store(true, ordering: .releasing)
    }

    /// Ends it and waits until it has.
    func stop() {
        isStopped.store(true, ordering: .relaxed)
        while !hasEnded.load(ordering: .acquiring) { usleep(1000) }
    }
}

private final class LoadLoop {
    let aim: Aim
    let history: History
    let ports: [Int]
    let wires: [Wire]
    let burst: Int
    var targets: [(target: Target, acknowledged: Int64?)] = []
    var edition = -1
    var next = 0
    var records: [CheckRecord] = []

    init(aim: Aim, history: History, ports: [Int], wires: [Wire], burst: Int) {
        self.aim = aim
        self.history = history
        self.ports = ports
        self.wires = wires
        self.burst = burst
    }

    func run(until isStopped: () -> Bool) {
        while !isStopped() {
            if aim.edition != edition {
                edition = aim.edition
                targets = aim.all
            }
            let now = nanoseconds()
            let fresh = targets.filter { now - ($0.acknowledged ?? 0) < 5_000_000 }
            for (index, wire) in wires.enumerated() {
                if wire.descriptor < 0 {
                    if wire.retryAt <= now { connect(wire, now) }
                } else if wire.isConnected, wire.asked.isEmpty {
                    if !fresh.isEmpty {
                        ask(wire, fresh.map(\.target), burst)
                    } else if index.isMultiple(of: 4), !targets.isEmpty {
                        ask(wire, targets.map(\.target), 2)
                    }
                }
            }
            var list = wires.map { wire in
                pollfd(
                    fd: wire.descriptor,
                    events: Int16(wire.isConnected ? POLLIN : POLLOUT),
                    revents: 0
                )
            }
            poll(&list, nfds_t(list.count), 1)
            for (wire, entry) in zip(wires, list) where entry.revents != 0 { handle(wire) }
            if !records.isEmpty {
                history.checked(records)
                records.removeAll(keepingCapacity: true)
            }
        }
        for wire in wires where wire.descriptor >= 0 { close(wire.descriptor) }
    }

    private func connect(_ wire: Wire, _ now: Int64) {
        wire.retryAt = now + 50_000_000
        guard let descriptor = Sockets.connect(port: ports[wire.node]) else { return }
        wire.descriptor = descriptor
        wire.isConnected = false
    }

    private func handle(_ wire: Wire) {
        guard wire.descriptor >= 0 else { return }
        if !wire.isConnected {
            var problem: Int32 = 0
            var length = socklen_t(4)
            getsockopt(wire.descriptor, SOL_SOCKET, SO_ERROR, &problem, &length)
            guard problem == 0 else { return lose(wire) }
            wire.isConnected = true
            return
        }
        let count = wire.input.withUnsafeMutableBytes {
            recv(
                wire.descriptor,
                $0.baseAddress.map { $0 + wire.filled },
                $0.count - wire.filled,
                0
            )
        }
        guard count > 0 else {
            if count < 0, errno == EAGAIN { return }
            return lose(wire)
        }
        wire.filled += count
        parse(wire)
    }

    private func ask(_ wire: Wire, _ targets: [Target], _ count: Int) {
        var bytes: [UInt8] = []
        for _ in 0..<count {
            next = (next + 1) % targets.count
            wire.asked.append(targets[next].token)
            bytes += targets[next].request
        }
        wire.answered = 0
        wire.start = nanoseconds()
        let count = send(wire.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        if count != bytes.count { lose(wire) }
    }

    /// Takes whole answers off the front of what has arrived.
    private func parse(_ wire: Wire) {
        let end = nanoseconds()
        var used = 0
        while wire.answered < wire.asked.count,
            let (status, length) = Self.answer(wire.input, used, wire.filled)
        {
            used += length
            let answer: CheckAnswer =
                switch status {
                case 200: .accepted
                case 401: .revoked
                default: .unknown
                }
            records.append(
                CheckRecord(
                    token: wire.asked[wire.answered],
                    node: UInt8(wire.node),
                    answer: answer,
                    start: wire.start,
                    end: end
                )
            )
            wire.answered += 1
        }
        if wire.answered == wire.asked.count { wire.asked.removeAll(keepingCapacity: true) }
        let rest = wire.filled - used
        if used > 0, rest > 0 {
            wire.input.withUnsafeMutableBytes { raw in
                guard let base = raw.baseAddress else { return }
                memmove(base, base + used, rest)
            }
        }
        wire.filled = rest
    }

    /// The status and the length of the answer that begins at `from`, if all of it has arrived.
    private static func answer(_ input: [UInt8], _ from: Int, _ filled: Int) -> (Int, Int)? {
        var line = from
        var length = 0
        var at = from
        while at + 1 < filled {
            guard input[at] == 13, input[at + 1] == 10 else {
                at += 1
                continue
            }
            if at == line {
                let whole = at + 2 - from + length
                guard filled - from >= whole else { return nil }
                let digits = input[(from + 9)..<(from + 12)].map { Int($0) - 48 }
                return (digits[0] * 100 + digits[1] * 10 + digits[2], whole)
            }
            if at - line > 16, isLength(input, line) {
                length = 0
                for digit in input[(line + 16)..<at] { length = length * 10 + Int(digit) - 48 }
            }
            at += 2
            line = at
        }
        return nil
    }

    private static let lengthField = Array("content-length: ".utf8)

    private static func isLength(_ input: [UInt8], _ line: Int) -> Bool {
        for (offset, letter) in lengthField.enumerated() {
            let found = input[line + offset]
            // Lower case differs in one bit, which `-`, `:` and the space have already.
            guard found | 0x20 == letter else { return false }
        }
        return true
    }

    /// Gives the connection up; what it had asked will never be known.
    private func lose(_ wire: Wire) {
        close(wire.descriptor)
        wire.descriptor = -1
        wire.isConnected = false
        wire.filled = 0
        wire.asked.removeAll(keepingCapacity: true)
        wire.retryAt = nanoseconds() + 50_000_000
    }
}
