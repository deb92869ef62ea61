// A person who signs in and logs out for as long as the campaign lasts, in every way there is, and
// tells the history which acknowledgement covers which token. What was not acknowledged is not
// counted; its tokens are thrown away, for nobody knows whether they are revoked.
import ChaosKit
import Glibc

/// A session with its tokens.
private struct Session {
    let id: String
    let bearer: String
    let subject: Int32
    let target: Target
}

/// The ways to revoke.
private enum Way: CaseIterable {
    case logOut
    case end
    case everywhere
    case others
    case password
}

/// One person, on a thread of its own.
final class Person {
    private let number: Int
    private let ports: [Int]
    private let history: History
    private let aim: Aim
    private var name: String
    private var isRegistered = false
    private var dice: Dice
    private var password: String
    private var changes = 0
    private var account: Int32
    private var sessions: [Session] = []

    init(_ number: Int, ports: [Int], history: History, aim: Aim, seed: UInt64) {
        self.number = number
        self.ports = ports
        self.history = history
        self.aim = aim
        dice = Dice(seed: seed &* 1000 &+ UInt64(number))
        name = "person-\(number)-\(dice.next())@example.test"
        password = "correct horse \(number) battery 0"
        account = history.subject()
    }

    /// Lives until `deadline`, in nanoseconds.
    func live(until deadline: Int64) {
        while nanoseconds() < deadline {
            guard register(), fillSessions() else {
                usleep(20_000)
                continue
            }
            revoke(
                dice.choose([
                    (Way.logOut, weight: 5), (.end, weight: 3), (.everywhere, weight: 3),
                    (.others, weight: 1), (.password, weight: 1),
                ])
            )
        }
    }

    /// Mostly the node of one's own, so that a frozen node does not hold everybody up.
    private func port() -> Int {
        let isFaithful = Int.random(in: 0..<10, using: &dice) < 9
        return ports[
            isFaithful ? number % ports.count : Int.random(in: 0..<ports.count, using: &dice)
        ]
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
            keep(id, bearer)
        }
        return true
    }

    private func keep(_ id: String, _ bearer: String) {
        let subject = history.subject()
        let token = history.token(coveredBy: [subject, account])
        let target = Target(token: token, bearer: bearer)
        sessions.append(Session(id: id, bearer: bearer, subject: subject, target: target))
    }

    /// Begins anew as somebody else.
    private func changeIdentity() {
        name = "person-\(dice.next())@example.test"
        account = history.subject()
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
        case .everywhere, .others, .password: (covered, subject) = (sessions, account)
        }
        let targets = covered.map(\.target)
        aim.add(targets)
        defer { aim.remove(targets) }
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
            aim.acknowledged(targets, at: end)
            history.acknowledged(subject, end: end)
            usleep(50_000)
        }
        forget(covered)
        guard subject == account else { return }
        account = history.subject()
        sessions = []
        if isAcknowledged, let reply, let bearer = reply.text("access_token") {
            keep(reply.text("session_id") ?? mine.id, bearer)
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

    private func forget(_ gone: [Session]) {
        let subjects = Set(gone.map(\.subject))
        sessions.removeAll { subjects.contains($0.subject) }
    }
}
