// What a batch reads, as a pure state machine: when the members are asked, whose answer counts, and
// when PostgreSQL is asked instead. One test for each hole of revocation.md that is about it.
import Primitives
import Revocation
import Testing

@Suite struct AuthorityCoreTests {
    private let history = DatabaseTimeline(timeline: "1", born: Timestamp(seconds: 1))
    private let other = DatabaseTimeline(timeline: "2", born: Timestamp(seconds: 2))

    private func at(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: milliseconds * 1_000_000)
    }

    /// A node that holds a lease until 5 s and has applied everything up to 10 of each member.
    private func leased(_ count: Int) -> AuthorityCore {
        var core = AuthorityCore()
        _ = core.step(.asking(0))
        _ = core.step(.learned(0, World.authority(count), history, begun: at(0)))
        let effects = core.step(.closed(1, at: at(1)))
        let asked = World.names(count).map { "\($0)>?" }.joined()
        #expect(effects.texts == ["poll 1 " + asked])
        for token in World.tokens(count) {
            _ = core.step(.replied(1, token, World.reply(1, token, position: 10, checked: true)))
        }
        _ = core.step(.asking(1))
        _ = core.step(.learned(1, World.authority(count), history, begun: at(0)))
        return core
    }

    @Test func `Without a lease PostgreSQL is asked`() {
        var core = AuthorityCore()
        #expect(core.step(.closed(0, at: at(0))).texts == ["ask 0"])
    }

    @Test func `Positions come first, then PostgreSQL, and only then members are enough (H15)`() {
        var core = AuthorityCore()
        _ = core.step(.learned(0, World.authority(1), history, begun: at(0)))
        #expect(core.step(.closed(1, at: at(1))).texts == ["poll 1 a>?"])
        let first = World.reply(1, World.a, position: 10, checked: true)
        // Ten entries are in the member's log that this node may never have seen.
        #expect(core.step(.replied(1, World.a, first)).texts == ["ask 1"])
        // A statement that was sent before the position was read vouches for nothing.
        _ = core.step(.learned(0, World.authority(1), history, begun: at(2)))
        #expect(core.step(.closed(2, at: at(3))).texts == ["poll 2 a>?"])
        _ = core.step(.silent(2, World.a))
        _ = core.step(.asking(1))
        _ = core.step(.learned(1, World.authority(1), history, begun: at(2)))
        #expect(core.step(.closed(3, at: at(4))).texts == ["poll 3 a>10"])
        #expect(
            core.step(.replied(3, World.a, World.reply(3, World.a, position: 10))).texts
                == ["confirmed 3"]
        )
    }

    @Test func `The lease is tested once, when the batch is closed (H11)`() {
        var core = leased(1)
        #expect(core.step(.closed(2, at: at(4999))).texts == ["poll 2 a>10"])
        #expect(core.step(.closed(3, at: at(5000))).texts == ["ask 3"])
        // The answer comes after the lease is over, and counts: it was valid after the arrivals.
        #expect(
            core.step(.replied(2, World.a, World.reply(2, World.a, position: 10))).texts
                == ["confirmed 2"]
        )
    }

    @Test func `A member that came back empty does not count (H3)`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let empty = AuthorityCore.Reply(connection: 1, echo: 2, token: nil)
        #expect(core.step(.replied(2, World.a, empty)).texts == ["ask 2"])
    }

    @Test func `A member with another token does not count (H20, H31)`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let reply = World.reply(2, World.b, position: 10)
        #expect(core.step(.replied(2, World.a, reply)).texts == ["ask 2"])
    }

    @Test func `Two of three are enough, one is not (H30)`() {
        var core = leased(3)
        _ = core.step(.closed(2, at: at(2)))
        #expect(core.step(.silent(2, World.a)).texts == [])
        #expect(
            core.step(.replied(2, World.b, World.reply(2, World.b, position: 10))).texts == []
        )
        #expect(
            core.step(.replied(2, World.c, World.reply(2, World.c, position: 10))).texts
                == ["confirmed 2"]
        )
        _ = core.step(.closed(3, at: at(3)))
        #expect(core.step(.silent(3, World.a)).texts == [])
        #expect(core.step(.silent(3, World.b)).texts == ["ask 3"])
        #expect(
            core.step(.replied(3, World.c, World.reply(3, World.c, position: 10))).texts == []
        )
    }

    @Test func `What an answer brings is applied before the batch is confirmed`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let reply = World.reply(2, World.a, position: 12, entries: [11, 12])
        #expect(core.step(.replied(2, World.a, reply)).texts == ["apply 2", "confirmed 2"])
        #expect(core.step(.closed(3, at: at(3))).texts == ["poll 3 a>12"])
    }

    @Test func `An answer in pieces counts when its head is reached`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let piece = World.reply(2, World.a, position: 13, entries: [11, 12], isCut: true)
        #expect(core.step(.replied(2, World.a, piece)).texts == ["apply 2", "poll 2 a>12"])
        let rest = World.reply(2, World.a, position: 14, entries: [13, 14])
        #expect(core.step(.replied(2, World.a, rest)).texts == ["apply 2", "confirmed 2"])
    }

    @Test func `A log that was trimmed past this node is noticed (H21)`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let reply = World.reply(2, World.a, position: 15, entries: [14, 15])
        #expect(core.step(.replied(2, World.a, reply)).texts == ["ask 2"])
        _ = core.step(.asking(2))
        _ = core.step(.learned(2, World.authority(1), history, begun: at(3)))
        #expect(core.step(.closed(3, at: at(4))).texts == ["poll 3 a>15"])
    }

    @Test func `What a member tells and this node cannot read is asked of PostgreSQL (W10)`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let reply = AuthorityCore.Reply(
            connection: 1,
            echo: 2,
            token: World.a,
            position: 11,
            entries: [(position: 11, entry: nil)]
        )
        #expect(core.step(.replied(2, World.a, reply)).texts == ["ask 2"])
        // PostgreSQL has told what it was, and the members answer again behind it.
        _ = core.step(.asking(2))
        _ = core.step(.learned(2, World.authority(1), history, begun: at(3)))
        #expect(core.step(.closed(3, at: at(4))).texts == ["poll 3 a>11"])
    }

    @Test func `A head that goes back closes the epoch and trusts it no more (H4, H5, A4)`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let reply = World.reply(2, World.a, position: 9)
        #expect(
            core.step(.replied(2, World.a, reply)).texts == ["reload", "close 7", "ask 2"]
        )
        _ = core.step(.learned(2, World.authority(1), history, begun: at(3)))
        #expect(core.step(.closed(3, at: at(4))).texts == ["ask 3"])
        #expect(core.distrusted == 7)
    }

    @Test func `An answer to another batch drops the connection (H16)`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let late = World.reply(1, World.a, position: 10)
        #expect(core.step(.replied(2, World.a, late)).texts == ["drop a 1", "ask 2"])
    }

    @Test func `On a new connection the member is looked at first`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let unchecked = World.reply(2, World.a, position: 10, connection: 99)
        #expect(core.step(.replied(2, World.a, unchecked)).texts == ["ask 2"])
        _ = core.step(.closed(3, at: at(3)))
        let checked = World.reply(3, World.a, position: 10, connection: 99, checked: true)
        #expect(core.step(.replied(3, World.a, checked)).texts == ["confirmed 3"])
    }

    @Test func `Another process with the old token closes the epoch (A4)`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let impostor = World.reply(2, World.a, position: 10, connection: 9, checked: true, run: "x")
        #expect(
            core.step(.replied(2, World.a, impostor)).texts == ["reload", "close 7", "ask 2"]
        )
    }

    /// It may have copied a shorter log meanwhile, and nothing else tells.
    @Test func `A process that was a replica meanwhile closes the epoch (H4, H5)`() {
        var core = leased(1)
        _ = core.step(.closed(2, at: at(2)))
        let back = World.reply(2, World.a, position: 10, connection: 9, checked: true, repl: "x")
        #expect(core.step(.replied(2, World.a, back)).texts == ["reload", "close 7", "ask 2"])
        #expect(core.distrusted == 7)
        var other = leased(1)
        let changed = MemberIdentity(runID: "run", replicationID: "x")
        let look = AuthorityCore.Event.inspected(World.a, .fit(changed), head: World.a, at: at(3))
        #expect(other.step(look).texts == ["reload", "close 7"])
        // The opposite: who is still the same is no reason to close anything.
        var third = leased(1)
        let same = MemberIdentity(runID: "run", replicationID: "repl")
        let good = AuthorityCore.Event.inspected(World.a, .fit(same), head: World.a, at: at(3))
        #expect(third.step(good).texts == [])
    }

    @Test func `A member that was demoted closes the epoch at the next look (H4, H5)`() {
        var core = leased(3)
        let look = AuthorityCore.Event.inspected(
            World.b,
            .unfit(.isReplica),
            head: World.b,
            at: at(3)
        )
        #expect(core.step(look).texts == ["reload", "close 7"])
    }

    @Test func `A member without its token is lost, and the epoch goes on`() {
        var core = leased(3)
        let look = AuthorityCore.Event.inspected(World.b, .unfit(.isLoading), head: nil, at: at(3))
        #expect(core.step(look).texts == [])
        #expect(core.step(.closed(4, at: at(4))).texts == ["poll 4 a>10b>10c>10"])
    }

    @Test func `Another history ends lease and positions (F4, H7, H34)`() {
        var core = leased(1)
        _ = core.step(.historyChanged)
        #expect(core.step(.closed(2, at: at(2))).texts == ["ask 2"])
        _ = core.step(.learned(2, World.authority(1, epoch: 3), other, begun: at(3)))
        #expect(core.step(.closed(3, at: at(4))).texts == ["poll 3 a>?"])
    }

    @Test func `An older snapshot that answers late gives no lease back`() {
        var core = leased(1)
        let closed = Authority(epoch: 8, state: .draining, lease: .seconds(5))
        _ = core.step(.learned(2, closed, history, begun: at(10)))
        _ = core.step(.learned(1, World.authority(1), history, begun: at(9)))
        #expect(core.step(.closed(3, at: at(11))).texts == ["ask 3"])
    }

    @Test func `A renewal lengthens the lease and never shortens it`() {
        var core = leased(1)
        _ = core.step(.learned(5, World.authority(1), history, begun: at(3000)))
        _ = core.step(.learned(4, World.authority(1), history, begun: at(2000)))
        #expect(core.step(.closed(6, at: at(7999))).texts == ["poll 6 a>10"])
        #expect(core.step(.closed(7, at: at(8000))).texts == ["ask 7"])
    }
}

/// Members and their answers.
private enum World {
    static let a = MemberToken(text: "a")
    static let b = MemberToken(text: "b")
    static let c = MemberToken(text: "c")

    static func tokens(_ count: Int) -> [MemberToken] { Array([a, b, c].prefix(count)) }
    static func names(_ count: Int) -> [String] { tokens(count).map(\.text) }

    static func authority(_ count: Int, epoch: Int64 = 7) -> Authority {
        Authority(
            epoch: epoch,
            state: .redis,
            members: tokens(count).map {
                AuthorityMember(
                    endpoint: "redis://\($0)",
                    token: $0,
                    identity: MemberIdentity(runID: "run", replicationID: "repl")
                )
            },
            lease: .seconds(5)
        )
    }

    static func reply(
        _ echo: AuthorityCore.Batch,
        _ token: MemberToken,
        position: UInt64,
        entries: [UInt64] = [],
        isCut: Bool = false,
        connection: AuthorityCore.Connection = 1,
        checked: Bool = false,
        run: String = "run",
        repl: String = "repl"
    ) -> AuthorityCore.Reply {
        AuthorityCore.Reply(
            connection: connection,
            echo: echo,
            finding: checked
                ? .fit(MemberIdentity(runID: run, replicationID: repl)) : nil,
            token: token,
            position: position,
            entries: entries.map { position in
                (
                    position,
                    RevocationEntry(
                        RevocationSubject(.session, SessionID(high: 0, low: position)),
                        version: 0,
                        expiresAt: Timestamp(seconds: 1000)
                    )
                )
            },
            isCut: isCut
        )
    }
}

extension [AuthorityCore.Effect] {
    /// The effects in words.
    fileprivate var texts: [String] {
        map { effect in
            switch effect {
            case .poll(let batch, let orders):
                "poll \(batch) "
                    + orders.map { "\($0.member.token)>\($0.after.map(String.init) ?? "?")" }
                    .joined()
            case .apply(let entries): "apply \(entries.count)"
            case .confirmed(let batch): "confirmed \(batch)"
            case .ask(let batch): "ask \(batch)"
            case .drop(let token, let connection): "drop \(token) \(connection)"
            case .reload: "reload"
            case .close(let authority, _): "close \(authority.epoch)"
            }
        }
    }
}
