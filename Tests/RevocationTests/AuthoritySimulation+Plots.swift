// What some schedules of the simulated cluster have in mind: a few moves in an order that seldom
// comes about by chance, such as a move to other machines behind the back of a node with a lease.
// A plot only says what begins and when; the messages go their ways as ever, other things begin in
// between, and a plot whose moment never comes is left where it is.
import Primitives
import Revocation

/// What a plot lets happen next.
enum PlotMove {
    case arrive(Int)
    case revoke(Int)
    case suspect(Int)
    /// A node adopts the first machines, or the others.
    case adopt(Int, others: Bool)
    /// A node loses the first machines but for so many of them.
    case cut(Int, sparing: Int)
    /// Each of the first machines gets a copy, and to it the writer of a node is led, or who asks.
    case leadWriter(Int)
    case leadAsker(Int)
    /// From here on messages of a kind take much longer than others.
    case slow(SimulatedJob.Kind)
    /// Nothing until members are in force.
    case adopted
    /// Nothing until PostgreSQL is the authority.
    case drained
    /// Nothing until a member has answered a node that does not know it yet.
    case answered(Int)
    /// Nothing until so many revocations are acknowledged.
    case acknowledged(Int)
    /// The first node's clock stands still from here, where clocks can.
    case freeze
    /// A member loses its last entry, where members forget.
    case forget
}

/// The plots there are, for nodes 0, who checks, and 1, who revokes.
enum Plot: CaseIterable {
    /// The members are moved to other machines, and those of before could not be fenced.
    case movesAway
    /// Some members can be fenced, too few to do without waiting.
    case fencesFew
    /// The same machines serve the next epoch at once.
    case startsAnew
    /// Members are lost, and somebody has to wait until the leases are over.
    case waits
    /// What was told is gone, and something else is told.
    case forgets
    /// Who revokes is led to copies of the members, which others ask as they are.
    case publishesAstray
    /// Who closes an epoch is, and the next revocation needs no members.
    case fencesAstray
    /// Who asks is.
    case asksAstray

    var moves: [PlotMove] {
        switch self {
        case .movesAway:
            [
                .cut(1, sparing: 0), .revoke(1), .adopt(1, others: true), .acknowledged(1),
                .arrive(0), .arrive(0),
            ]
        case .fencesFew:
            [.cut(1, sparing: 1), .revoke(1), .acknowledged(1), .arrive(0), .arrive(0), .arrive(0)]
        case .startsAnew:
            [
                .slow(.answer), .revoke(1), .acknowledged(1), .arrive(0), .answered(0),
                .suspect(1), .adopt(1, others: false), .adopted, .revoke(1), .revoke(0), .revoke(1),
            ]
        case .waits:
            [.freeze, .cut(1, sparing: 0), .revoke(1), .acknowledged(1), .arrive(0), .arrive(0)]
        case .publishesAstray:
            [.leadWriter(1), .revoke(1), .acknowledged(1), .arrive(0), .arrive(0)]
        case .fencesAstray:
            [
                .leadWriter(1), .suspect(1), .drained, .revoke(1), .acknowledged(1), .arrive(0),
                .arrive(0),
            ]
        case .asksAstray:
            [.leadAsker(0), .revoke(1), .acknowledged(1), .arrive(0), .arrive(0)]
        case .forgets:
            [
                .revoke(1), .acknowledged(1), .forget, .arrive(0), .revoke(1), .acknowledged(2),
                .arrive(0), .arrive(0),
            ]
        }
    }
}

extension AuthoritySimulation {
    /// Makes the next move of the plot; false where there is none, or not now.
    mutating func follow() -> Bool {
        guard let move = plot.first else { return false }
        switch move {
        case .arrive(let node): arrive(node)
        case .revoke(let node): revoke(node)
        case .suspect(let node): suspect(node)
        case .adopt(let node, let others):
            guard mayAdopt else { return false }
            beginAdoption(node, from: others ? size : 0)
        case .cut(let node, let spared):
            for place in 0..<size { nodes[node].reaches[place] = place < spared }
        case .leadWriter(let node), .leadAsker(let node):
            for place in 0..<size {
                copy(place)
                nodes[node].isLedAway[place] = true
                if case .leadWriter = move {
                    connectWriter(node, place)
                } else {
                    reconnect(node, place)
                }
            }
        case .slow(let kind): slow = kind
        case .drained: guard primary.authority.state == .pg else { return false }
        case .adopted: guard primary.authority.state == .redis else { return false }
        case .answered(let node):
            let isAnswered = jobs.contains { $0.node == node && $0.job.kind == .answer }
            guard isAnswered else { return false }
        case .acknowledged(let count): guard acknowledgements >= count else { return false }
        case .freeze where fault == .frozenClock: nodes[0].frozenAt = nodes[0].frozenAt ?? now
        case .forget where fault == .forgetfulMember:
            for place in 0..<size { members[place].forgetSome() }
        case .freeze, .forget: break
        }
        plot.removeFirst()
        return true
    }
}
