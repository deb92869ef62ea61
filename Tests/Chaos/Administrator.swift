// An administrator who gives a permission to some people and takes it from them again, all through
// the campaign: from one of them, or from all at once by changing what a role permits, or by
// disabling the organisation that they hold it in. What was acknowledged is checked with the tokens
// that they hold already (W11), which stay good.
//
// No permission is given again once it was taken: then "never again" holds for it as for a token. A
// change whose outcome nobody knows may still come to pass, so its roles are not used any more. An
// organisation is enabled again only when its role is known to permit something else.
import ChaosKit
import Glibc

/// One administrator, on a thread of its own.
final class Administrator {
    private let number: Int
    private let world: World
    private var dice: Dice
    private var bearer: String?
    private var clerks: [Clerk]
    private var desk: Desk?
    private var desksLeft = 0
    /// The node that was asked last.
    private var asked: UInt8 = 0
    private static let clerkCount = 4
    /// Roles that were left are held still, and tokens name them.
    private static let desksOfClerk = 8

    init(_ number: Int, _ world: World) {
        self.number = number
        self.world = world
        dice = Dice(seed: world.plan.seed &* 1_000_000 &+ UInt64(number))
        clerks = []
        hireAll()
    }

    /// Works until the term is over.
    func live() {
        while !world.term.isOver {
            if desksLeft >= Self.desksOfClerk { hireAll() }
            if !work() { usleep(20_000) }
        }
    }

    /// Gives a permission to everybody, and takes it again; whether that came about.
    private func work() -> Bool {
        let all = world.all
        guard signIn(), clerks.indices.allSatisfy({ enter($0, all) }), let desk = desk ?? open()
        else { return false }
        self.desk = desk
        let permission = "chaos-\(number):p\(dice.next())"
        guard give(permission, desk) else {
            leave()
            return false
        }
        // Tokens that name the role, and such as do not, whose roles the node must resolve.
        for index in clerks.indices where Int.random(in: 0..<3, using: &dice) == 0 {
            clerks[index].bearer = ""
        }
        guard clerks.indices.allSatisfy({ enter($0, all) }) else { return false }
        usleep(UInt32(world.plan.bound ?? 0) * 1000)
        let role = world.history.subject()
        let rights = clerks.indices.compactMap { right($0, permission, role) }
        guard !rights.isEmpty else { return false }
        take(rights, role, desk)
        for right in rights { expectGood(clerks[right.clerk]) }
        return true
    }

    // MARK: - Taking

    /// Takes the permission from up to three of them, then from all who are left.
    private func take(_ rights: [Right], _ role: Int32, _ desk: Desk) {
        let targets = rights.map(\.target)
        world.aim.add(targets)
        defer { world.aim.remove(targets) }
        usleep(5000)
        var left = rights.shuffled(using: &dice)
        for _ in 0..<min(Int.random(in: 0...3, using: &dice), left.count) {
            let right = left[0]
            let account = clerks[right.clerk].account
            let path =
                desk.organisation.map { "/organisations/\($0)/members/\(account)" }
                ?? "/users/\(account)/roles/\(desk.held)"
            let reply = call("DELETE", path)
            let end = nanoseconds()
            guard reply?.status == 204 else {
                leave()
                break
            }
            clerks[right.clerk].holdsRole = false
            left.removeFirst()
            acknowledged([right.target], right.subject, end)
        }
        let (method, path, json) = end(desk)
        var reply = call(method, path, json)
        if reply == nil, method == "PATCH" {
            // Nobody knows whether that one happened; a second must take hold all the same (H19).
            leave()
            reply = call(method, path, json)
        }
        let end = nanoseconds()
        let isAcknowledged = reply.map { $0.status == 200 || $0.status == 204 } ?? false
        let isClosing = json == Self.closing
        if !isAcknowledged || json != #"{"permissions":[]}"# && !isClosing { leave() }
        if isAcknowledged, isClosing { self.desk?.isClosed = true }
        if isAcknowledged { acknowledged(left.map(\.target), role, end) }
    }

    private static let closing = #"{"state":"disabled"}"#

    /// How the permission is taken from everybody.
    private func end(_ desk: Desk) -> (method: String, path: String, json: String?) {
        if let organisation = desk.organisation, Bool.random(using: &dice) {
            return ("PATCH", "/organisations/\(organisation)", Self.closing)
        }
        let isIncluded = desk.held != desk.source
        return switch Int.random(in: 0..<6, using: &dice) {
        case 0: ("DELETE", "/roles/\(desk.source)", nil)
        case 1 where isIncluded: ("PATCH", "/roles/\(desk.held)", #"{"includes":[]}"#)
        default: ("PATCH", "/roles/\(desk.source)", #"{"permissions":[]}"#)
        }
    }

    private func acknowledged(_ targets: [Target], _ subject: Int32, _ end: Int64) {
        world.aim.acknowledged(targets, at: end)
        world.history.acknowledged(subject, end: end, by: asked, ofRights: true)
        usleep(UInt32(50 + (world.plan.bound ?? 0)) * 1000)
    }

    /// Who lost a right has lost nothing else.
    private func expectGood(_ clerk: Clerk) {
        let reply = Web.send(port(), "GET", "/verify", bearer: clerk.bearer)
        guard let reply, reply.body.contains("token-revoked"), clerk.all == world.all else {
            return
        }
        world.history.wrong("a token ended with a right: \(clerk.login)")
    }

    // MARK: - Giving

    /// Opens a desk: a role that may hold a permission, or one that includes such a role.
    private func open() -> Desk? {
        for index in clerks.indices { clerks[index].holdsRole = false }
        let mark = dice.next()
        var organisation: String?
        if Bool.random(using: &dice) {
            let json = #"{"name":"org-\#(mark)","display_name":"of the campaign"}"#
            guard let reply = call("POST", "/organisations", json), reply.status == 201,
                let id = reply.text("id")
            else { return nil }
            organisation = id
        }
        guard let source = role(#"{"name":"clerk-\#(mark)","permissions":[]}"#) else { return nil }
        if Bool.random(using: &dice) {
            return Desk(held: source, source: source, organisation: organisation)
        }
        return role(#"{"name":"chief-\#(mark)","permissions":[],"includes":["\#(source)"]}"#)
            .map { Desk(held: $0, source: source, organisation: organisation) }
    }

    /// Leaves the desk and its roles for good.
    private func leave() {
        desksLeft += desk == nil ? 0 : 1
        desk = nil
    }

    private func role(_ json: String) -> String? {
        let reply = call("POST", "/roles", json)
        return reply?.status == 201 ? reply?.text("id") : nil
    }

    /// Declares a permission, puts it into the role, enables the organisation, if one is disabled,
    /// and gives the role to whoever lacks it.
    private func give(_ permission: String, _ desk: Desk) -> Bool {
        let declared = #"{"name":"\#(permission)","description":"of the campaign"}"#
        let held = #"{"permissions":["\#(permission)"]}"#
        guard call("POST", "/permissions", declared)?.status == 201,
            call("PATCH", "/roles/\(desk.source)", held)?.status == 200
        else { return false }
        if desk.isClosed, let organisation = desk.organisation {
            let path = "/organisations/\(organisation)"
            guard call("PATCH", path, #"{"state":"active"}"#)?.status == 200 else { return false }
            self.desk?.isClosed = false
        }
        for index in clerks.indices where !clerks[index].holdsRole {
            let account = clerks[index].account
            if let organisation = desk.organisation {
                let path = "/organisations/\(organisation)/members"
                let reply = call("POST", path, #"{"account":"\#(account)"}"#)
                guard reply?.status == 200 || reply?.status == 201 else { return false }
            }
            let json = #"{"role":"\#(desk.held)"\#(desk.place)}"#
            let reply = call("POST", "/users/\(account)/roles", json)
            guard reply?.status == 200 || reply?.status == 201 else { return false }
            clerks[index].holdsRole = true
        }
        return true
    }

    /// What a clerk holds now, if any node says so: what was given is in force everywhere (W11).
    private func right(_ index: Int, _ permission: String, _ role: Int32) -> Right? {
        let clerk = clerks[index]
        let organisation = desk?.organisation
        let isGuarded = world.isGuarded(&dice)
        let direct = port()
        let reply = Web.send(
            isGuarded ? world.gateways[Int(asked)] : direct,
            "GET",
            isGuarded ? Gateways.path(of: permission) : "/verify?permission=\(permission)",
            bearer: clerk.bearer,
            organisation: organisation
        )
        if reply?.status == 403, clerk.all == world.all {
            let way = "\(isGuarded ? "the gateway" : "node") \(asked)"
            // The same once more: whether it lasts tells a late look from a wrong memory.
            let again = Web.send(
                isGuarded ? world.gateways[Int(asked)] : direct,
                "GET",
                isGuarded ? Gateways.path(of: permission) : "/verify?permission=\(permission)",
                bearer: clerk.bearer,
                organisation: organisation
            )
            let facts = Refused(clerk, permission, desk, world).facts
            world.history.wrong(
                "given and refused by \(way): \(permission) to \(clerk.login); then"
                    + " \(again?.status ?? 0); \(reply?.body ?? ""); \(facts)"
            )
        }
        guard reply?.status == 200 else { return nil }
        let subject = world.history.subject()
        let covering = [subject, role, clerk.all]
        let token = world.history.token(coveredBy: covering, asksRights: true)
        let target = Target(
            token: token,
            bearer: clerk.bearer,
            permission: permission,
            organisation: organisation
        )
        return Right(clerk: index, subject: subject, target: target)
    }

    // MARK: - Signing in

    private func hireAll() {
        clerks = (0..<Self.clerkCount).map { _ in hire() }
        desk = nil
        desksLeft = 0
    }

    private func hire() -> Clerk {
        let mark = dice.next()
        return Clerk(login: "clerk-\(mark)@example.test", password: "right horse \(mark) battery")
    }

    private func signIn() -> Bool {
        if bearer != nil { return true }
        bearer = logIn(world.root)?.text("access_token")
        return bearer != nil
    }

    /// Signs a clerk in, unless there is a token that nothing covers yet.
    private func enter(_ index: Int, _ all: Int32) -> Bool {
        var clerk = clerks[index]
        if !clerk.bearer.isEmpty, clerk.all == all { return true }
        let credentials = Credentials(login: clerk.login, password: clerk.password)
        if !clerk.isRegistered {
            let json = #"{"email":"\#(clerk.login)","password":"\#(clerk.password)"}"#
            let status = Web.send(port(), "POST", "/v1/auth/register", json: json)?.status
            clerk.isRegistered = status == 201 || status == 409
        }
        let reply = clerk.isRegistered ? logIn(credentials) : nil
        clerks[index] = reply?.status == 429 ? hire() : clerk
        // A revocation of everything that began meanwhile may cover it or not.
        guard let bearer = reply?.text("access_token"), all == world.all else { return false }
        clerk.bearer = bearer
        clerk.account = Bearer.claim("sub", of: bearer)
        clerk.all = all
        clerks[index] = clerk
        return true
    }

    private func logIn(_ who: Credentials) -> Reply? {
        let json = #"{"login":"\#(who.login)","password":"\#(who.password)"}"#
        return Web.send(port(), "POST", "/v1/auth/login", json: json)
    }

    private func call(_ method: String, _ path: String, _ json: String? = nil) -> Reply? {
        let reply = Web.send(port(), method, "/v1/admin\(path)", bearer: bearer, json: json)
        // Everything was revoked, by hand.
        if reply?.status == 401 { bearer = nil }
        return reply
    }

    private func port() -> Int {
        let node = world.node(near: number, &dice)
        asked = UInt8(node)
        return world.ports[node]
    }
}
