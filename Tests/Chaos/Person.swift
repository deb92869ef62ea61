// A person who signs in and logs out for as long as the campaign lasts, in every way there is, and
// tells the history which acknowledgement covers which token. What was not acknowledged is not
// counted; its tokens are thrown away, for nobody knows whether they are revoked. For kinds that no
// operation revokes yet the log is written by hand, where its commit is the acknowledgement.
import ChaosKit
import Glibc

/// A session with its tokens.
private struct Session {
    let id: String
    let bearer: String
    let subject: Int32
    /// The subject that covers this token alone.
    let own: Int32
    let target: Target
}

/// The ways to revoke.
private enum Way {
    case logOut
    case end
    case everywhere
    case others
    case password
    /// By hand, in the log: one token, an account's state, everything.
    case token
    case state
    case all
}

/// One person, on a thread of its own.
final class Person {
    private let number: Int
    private let world: World
    private var name: String
    private var isRegistered = false
    private var dice: Dice
    private var password: String
    private var changes = 0
    private var account: Int32
    private var sessions: [Session] = []
    /// The node that was asked last; nil where the log was written by hand.
    private var asked: UInt8?

    init(_ number: Int, _ world: World) {
        self.number = number
        self.world = world
        dice = Dice(seed: world.plan.seed &* 1000 &+ UInt64(number))
        name = "person-\(number)-\(dice.next())@example.test"
        password = "correct horse \(number) battery 0"
        account = world.history.subject()
    }

    /// Lives until the term is over.
    func live() {
        while !world.term.isOver {
            guard register(), fillSessions() else {
                usleep(20_000)
                continue
            }
            revoke(dice.choose(ways))
        }
    }

    private var ways: [(Way, weight: Int)] {
        let operations: [(Way, weight: Int)] = [
            (.logOut, weight: 50), (.end, weight: 30), (.everywhere, weight: 30),
            (.others, weight: 10), (.password, weight: 10),
        ]
        // With members, or a bound on who reads them, a commit is no acknowledgement.
        guard world.plan.topology == .pg, world.plan.mutant == nil else { return operations }
        return operations + [(.token, weight: 4), (.state, weight: 2)]
            + (number == 0 ? [(.all, weight: 3)] : [])
    }

    /// Mostly the node of one's own, so that a frozen node does not hold everybody up.
    private func port() -> Int {
        let node = world.node(near: number, &dice)
        asked = UInt8(node)
        return world.ports[node]
    }

    private func register() -> Bool {
        if isRegistered { return true }
        let reply = Web.send(
            port(),
            "POST",
            "/v1/auth/register",
            json: """
                {"email":"\(name)","password":"\(password)"}
                """
        )
        isRegistered = reply?.status == 201 || reply?.status == 409
        return isRegistered
    }

    private func fillSessions() -> Bool {
        while sessions.count < 3 {
            let all = world.all
            let reply = Web.send(
                port(),
                "POST",
                "/v1/auth/login",
                json: """
                    {"login":"\(name)","password":"\(password)"}
                    """
            )
            guard let reply, reply.status == 200, let bearer = reply.text("access_token"),
                let id = reply.text("session_id")
            else {
                // After a change of the password that was not acknowledged it may be either.
                if reply?.status == 401 || reply?.status == 429 { changeIdentity() }
                return false
            }
            // A revocation of everything that began meanwhile may cover it or not.
            if all == world.all { keep(id, bearer, all) }
        }
        return true
    }

    private func keep(_ id: String, _ bearer: String, _ all: Int32) {
        let subject = world.history.subject()
        let own = world.history.subject()
        let token = world.history.token(coveredBy: [own, subject, account, all])
        let target = Target(token: token, bearer: bearer)
        sessions.append(
            Session(id: id, bearer: bearer, subject: subject, own: own, target: target)
        )
    }

    /// Begins anew as somebody else.
    private func changeIdentity() {
        name = "person-\(dice.next())@example.test"
        account = world.history.subject()
        sessions = []
        isRegistered = false
    }

    private func revoke(_ way: Way) {
        let mine = sessions[0]
        let victim = sessions[1]
        let covered: [Session]
        let subject: Int32
        switch way {
        case .logOut: (covered, subject) = ([mine], mine.subject)
        case .end: (covered, subject) = ([victim], victim.subject)
        case .token: (covered, subject) = ([victim], victim.own)
        case .everywhere, .others, .password, .state:
            (covered, subject) = (sessions, account)
        case .all: (covered, subject) = (sessions, world.takeAll())
        }
        let targets = covered.map(\.target)
        let all = world.all
        world.aim.add(targets)
        defer { world.aim.remove(targets) }
        usleep(5000)
        var reply = send(way, mine, victim)
        var end = nanoseconds()
        if reply == nil, way == .logOut {
            // Nobody knows whether that one happened; a second must take hold all the same (H19).
            reply = send(way, mine, victim)
            end = nanoseconds()
        }
        let isAcknowledged = reply.map { $0.status == 200 || $0.status == 204 } ?? false
        if isAcknowledged {
            world.aim.acknowledged(targets, at: end)
            world.history.acknowledged(subject, end: end, by: asked)
            usleep(UInt32(50 + (world.plan.bound ?? 0)) * 1000)
        }
        forget(covered)
        switch way {
        case .logOut, .end, .token: return
        // The generations that were left behind by hand are the account's still.
        case .state: return changeIdentity()
        case .all:
            // What was issued while it was on its way may be covered or not: neither is wrong.
            _ = world.takeAll()
            return
        case .everywhere, .others, .password: break
        }
        account = world.history.subject()
        if isAcknowledged, let reply, let bearer = reply.text("access_token"), all == world.all {
            keep(reply.text("session_id") ?? mine.id, bearer, all)
        }
    }

    private func send(_ way: Way, _ mine: Session, _ victim: Session) -> Reply? {
        switch way {
        case .logOut: return Web.send(port(), "POST", "/v1/auth/logout", bearer: mine.bearer)
        case .end:
            let path = "/v1/me/sessions/\(victim.id)"
            return Web.send(port(), "DELETE", path, bearer: mine.bearer)
        case .everywhere:
            return Web.send(port(), "POST", "/v1/auth/logout-all", bearer: mine.bearer)
        case .others: return Web.send(port(), "DELETE", "/v1/me/sessions", bearer: mine.bearer)
        case .password: return changePassword(mine)
        case .token: return append(1, Bearer.claim("jti", of: victim.bearer), "0")
        case .state:
            // Greater than any generation, which are microseconds.
            return append(4, Bearer.claim("sub", of: mine.bearer), "9000000000000000000")
        case .all:
            let now = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint + 1"
            return append(9, "00000000-0000-0000-0000-000000000000", now)
        }
    }

    private func changePassword(_ mine: Session) -> Reply? {
        changes += 1
        let stem = password.split(separator: " ").dropLast().joined(separator: " ")
        let new = "\(stem) \(changes)"
        let reply = Web.send(
            port(),
            "POST",
            "/v1/me/password",
            bearer: mine.bearer,
            json: """
                {"current_password":"\(password)","new_password":"\(new)"}
                """
        )
        if reply?.status == 200 { password = new }
        return reply
    }

    /// Writes into the log by hand; the commit is the acknowledgement.
    private func append(_ kind: Int, _ subject: String, _ version: String) -> Reply? {
        asked = nil
        do {
            try world.database.sql(
                """
                INSERT INTO revocation_log (kind, subject, ver, expires_at)
                VALUES (\(kind), uuid_send('\(subject)'), \(version), revocation_expiry())
                """
            )
            return Reply(status: 204, body: "")
        } catch {
            // Committed or not, it was not acknowledged.
            return nil
        }
    }

    private func forget(_ gone: [Session]) {
        let subjects = Set(gone.map(\.subject))
        sessions.removeAll { subjects.contains($0.subject) }
    }
}
