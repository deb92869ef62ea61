// What can be broken, how often each comes, and which faults may come together.

/// The faults.
enum FaultKind: String, CaseIterable, Sendable {
    case freezeNode = "freeze a node"
    case killNode = "kill a node"
    case stepClock = "step a node's clock"
    case freezeBackends = "freeze backends"
    case freezeCommits = "freeze some that commit"
    case freezeHelper = "freeze a process of PostgreSQL"
    case killBackend = "kill a backend"
    case crashPrimary = "kill PostgreSQL"
    case failOver = "fail over"
    case freezeStandby = "freeze the standby"
    case partPrimaries = "two primaries"
    case longWriter = "a writer that stays open"
    case lockLog = "lock the log"
    case holdRequests = "hold requests to PostgreSQL"
    case holdReplies = "hold replies of PostgreSQL"
    case delay = "delay PostgreSQL"
    case reset = "reset connections to PostgreSQL"
    case halfClose = "half-close connections to PostgreSQL"
    case refuse = "refuse connections to PostgreSQL"
    case freezeRedis = "freeze Redis"
    case killRedis = "kill Redis"
    case freezeMembers = "freeze members"
    case killMember = "kill a member"
    case restoreMember = "kill a member and let it load an old snapshot"
    case demoteMember = "demote a member"
    case flushMembers = "flush members"
    case farAdoption = "flush members, and adopt them while a node is far from PostgreSQL"
    case fillMembers = "members out of memory"
    case moveMembers = "move members, and leave a node behind"
    case strayMembers = "lead a node to copies of members"
    case cutMembers = "cut a node from members"
    case delayMembers = "delay members"
    case spreadMembers = "members near for some nodes and far for others"
    case resetMembers = "reset connections to members"
    case lapseLease = "let a lease lapse"

    /// What a fault hits; two that hit the same never come together.
    enum Victim: Sendable {
        case node
        case database
        case link
        case cache
        case members
        case memberLink
    }

    /// What it hits.
    var victim: Victim {
        switch self {
        case .freezeNode, .killNode, .stepClock: .node
        case .freezeBackends, .freezeCommits, .freezeHelper, .killBackend, .crashPrimary,
            .failOver, .freezeStandby, .partPrimaries, .longWriter, .lockLog:
            .database
        case .holdRequests, .holdReplies, .delay, .reset, .halfClose, .refuse, .lapseLease: .link
        case .freezeRedis, .killRedis: .cache
        case .freezeMembers, .killMember, .restoreMember, .demoteMember, .flushMembers,
            .farAdoption, .fillMembers, .moveMembers, .strayMembers:
            .members
        case .cutMembers, .delayMembers, .spreadMembers, .resetMembers: .memberLink
        }
    }

    /// How often it comes, compared with the others.
    var weight: Int {
        switch self {
        case .failOver, .partPrimaries: 1
        case .crashPrimary, .killBackend: 2
        case .longWriter, .freezeStandby, .killNode, .freezeHelper, .lockLog: 2
        case .freezeRedis, .killRedis, .refuse, .halfClose, .resetMembers: 1
        case .freezeNode, .freezeBackends, .freezeCommits, .holdRequests, .holdReplies, .delay,
            .reset:
            3
        case .killMember, .restoreMember, .demoteMember, .flushMembers, .farAdoption,
            .fillMembers, .moveMembers, .strayMembers, .lapseLease:
            3
        case .freezeMembers, .cutMembers, .delayMembers, .spreadMembers, .stepClock: 5
        }
    }

    /// Whether it is a fault of members, or of their leases.
    var concernsMembers: Bool {
        victim == .members || victim == .memberLink || self == .lapseLease
    }

    /// Whether there is something it could hit.
    func isPossible(_ plan: CampaignPlan) -> Bool {
        if concernsMembers { return plan.topology != .pg }
        if self == .partPrimaries { return plan.hasTwoPrimaries }
        // Nobody waits for an asynchronous standby.
        return self != .freezeCommits || !plan.mayLose
    }
}
