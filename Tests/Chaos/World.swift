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
        database = rig.database
        root = rig.root
        self.history = history
        self.aim = aim
        self.term = term
        everything = Mutex(history.subject())
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
