// What all people of a campaign share: where the nodes are, when it is over, and the one subject
// that covers every token.
import ChaosKit
import Glibc
import Synchronization

/// How long a campaign lasts.
final class Term: Sendable {
    private let deadline: Int64
    private let isEnded = Atomic<Bool>(false)

    /// A term of so many seconds from now.
    init(seconds: Double) { deadline = nanoseconds() + Int64(seconds * 1e9) }

    /// Whether it is over.
    var isOver: Bool { isEnded.load(ordering: .acquiring) || nanoseconds() >= deadline }

    /// Ends it before its time.
    func end() { isEnded.store(true, ordering: .releasing) }
}

/// What people share.
final class World: Sendable {
    let plan: CampaignPlan
    let ports: [Int]
    /// The gateways before the nodes, if there are any.
    let gateways: [Int]
    let database: Database
    /// How the administrator signs in.
    let root: Credentials
    let history: History
    let aim: Aim
    let term: Term
    private let everything: Mutex<Int32>

    /// A world of these.
    init(_ plan: CampaignPlan, _ rig: Rig, _ history: History, _ aim: Aim, _ term: Term) {
        self.plan = plan
        ports = rig.nodes.map(\.port)
        gateways = rig.gateways?.ports ?? []
        database = rig.database
        root = rig.root
        self.history = history
        self.aim = aim
        self.term = term
        everything = Mutex(history.subject())
    }

    /// The node that somebody asks: mostly the one of his own, so that a frozen node does not hold
    /// everybody up.
    func node(near number: Int, _ dice: inout Dice) -> Int {
        let isFaithful = Int.random(in: 0..<10, using: &dice) < 9
        return isFaithful
            ? number % ports.count : Int.random(in: 0..<ports.count, using: &dice)
    }

    /// Whether a single check goes through a gateway.
    func isGuarded(_ dice: inout Dice) -> Bool {
        Int.random(in: 0..<3, using: &dice) < plan.through.share(of: 3)
    }

    /// What a revocation of all tokens that are there would cover.
    var all: Int32 { everything.withLock { $0 } }

    /// Begins such a revocation: what is issued from now on is not covered by it.
    ///
    /// - Returns: the subject of what was issued before.
    func takeAll() -> Int32 {
        everything.withLock { all in
            defer { all = history.subject() }
            return all
        }
    }
}
