// When a revocation may be acknowledged, as a pure state machine: never before every node sees it,
// whoever is cut off from whom. One test for each hole of revocation.md that is about it.
import Primitives
import Revocation
import Testing

@Suite struct RevokerCoreTests {
    private let history = DatabaseTimeline(timeline: "1", born: Timestamp(seconds: 1))
    private let entry = RevocationEntry(
        RevocationSubject(.session, SessionID(high: 0, low: 1)),
        version: 0,
        expiresAt: Timestamp(seconds: 1000)
    )

    private func at(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: milliseconds * 1_000_000)
    }

    private func authority(
        _ epoch: Int64,
        _ state: AuthorityState,
        members: String = ""
    ) -> Authority {
        Authority(
            epoch: epoch,
            state: state,
            members: members.map { name in
                AuthorityMember(
                    endpoint: "redis://\(name)",
                    token: MemberToken(text: String(name)),
                    identity: MemberIdentity(runID: "run", replicationID: "repl")
                )
            },
            lease: .seconds(5)
        )
    }

    private func token(_ name: String) -> MemberToken { MemberToken(text: name) }

    /// A ticket whose revocation is committed and whose row was read.
    private func publishing(_ members: String) -> RevokerCore {
        var core = RevokerCore()
        #expect(core.step(.committed(1, [entry])).texts == ["read 1"])
        let row = authority(4, .redis, members: members)
        let effects = core.step(.observed(1, row, history, at: at(0)))
        let published = members.map { "publish 1 \($0)" }
        #expect(effects.texts == published)
        return core
    }

    @Test func `With PostgreSQL as the authority the commit is enough`() {
        var core = RevokerCore()
        #expect(core.step(.committed(1, [entry])).texts == ["read 1"])
        let row = authority(1, .pg)
        #expect(core.step(.observed(1, row, history, at: at(0))).texts == ["acknowledge 1"])
        #expect(core.count == 0)
    }

    @Test func `One member of one, or two of three, must have taken it`() {
        var one = publishing("a")
        #expect(one.step(.published(1, token("a"), true)).texts == ["acknowledge 1"])
        var three = publishing("abc")
        #expect(three.step(.published(1, token("c"), true)).texts == [])
        #expect(three.step(.published(1, token("a"), false)).texts == [])
        #expect(three.step(.published(1, token("b"), true)).texts == ["acknowledge 1"])
    }

    @Test func `A revoker cut off from Redis closes the epoch and waits for the leases (H2, F2)`() {
        var core = publishing("a")
        #expect(core.step(.published(1, token("a"), false)).texts == ["close 1 4", "fence 1 a"])
        #expect(core.step(.fenced(1, token("a"), false)).texts == [])
        #expect(core.step(.closed(1)).texts == ["read 1"])
        let draining = authority(5, .draining)
        #expect(
            core.step(.observed(1, draining, history, at: at(1000))).texts == ["wake 1 1100"]
        )
        #expect(core.step(.woken(1, at: at(1100))).texts == ["read 1"])
        // The lease, a hundredth of it, and the margin, from its own observation on.
        #expect(
            core.step(.observed(1, draining, history, at: at(6099))).texts == ["wake 1 6100"]
        )
        #expect(core.step(.woken(1, at: at(6100))).texts == ["drained 5", "acknowledge 1"])
    }

    @Test func `A fence that took hold makes the waiting unnecessary`() {
        var core = publishing("a")
        _ = core.step(.published(1, token("a"), false))
        #expect(core.step(.closed(1)).texts == [])
        #expect(core.step(.fenced(1, token("a"), true)).texts == ["read 1"])
        #expect(
            core.step(.observed(1, authority(5, .draining), history, at: at(9))).texts
                == ["drained 5", "acknowledge 1"]
        )
    }

    @Test func `One fence of three is not enough, two are`() {
        var core = publishing("abc")
        _ = core.step(.published(1, token("a"), false))
        #expect(
            core.step(.published(1, token("b"), false)).texts
                == ["close 1 4", "fence 1 a", "fence 1 b", "fence 1 c"]
        )
        _ = core.step(.closed(1))
        #expect(core.step(.fenced(1, token("a"), true)).texts == [])
        #expect(core.step(.fenced(1, token("b"), false)).texts == [])
        var weak = core
        #expect(weak.step(.fenced(1, token("c"), false)).texts == ["read 1"])
        let draining = authority(5, .draining)
        #expect(weak.step(.observed(1, draining, history, at: at(0))).texts == ["wake 1 100"])
        #expect(core.step(.fenced(1, token("c"), true)).texts == ["read 1"])
        #expect(
            core.step(.observed(1, draining, history, at: at(0))).texts
                == ["drained 5", "acknowledge 1"]
        )
    }

    @Test func `A closing that is the first thing of all profits from its fences too (F4)`() {
        let adopted = authority(4, .redis, members: "a")
        for known in [history, nil] {
            var core = RevokerCore()
            _ = core.step(.distrusted(1, adopted, in: known))
            _ = core.step(.fenced(1, token("a"), true))
            #expect(core.step(.closed(1)).texts == ["read 1"])
            let seen = core.step(.observed(1, authority(5, .draining), history, at: at(0)))
            // Fences that may be of another history count for nothing.
            let isFenced = known != nil
            #expect(seen.texts == (isFenced ? ["drained 5", "acknowledge 1"] : ["wake 1 100"]))
        }
    }

    @Test func `Memory that is full is a publication that failed (H6)`() {
        var core = publishing("a")
        #expect(core.step(.published(1, token("a"), false)).texts.first == "close 1 4")
    }

    @Test func `The wait is counted from one's own observation, for every ticket anew or shared`() {
        var core = RevokerCore()
        let draining = authority(5, .draining)
        _ = core.step(.committed(1, [entry]))
        _ = core.step(.observed(1, draining, history, at: at(1000)))
        _ = core.step(.committed(2, [entry]))
        _ = core.step(.observed(2, draining, history, at: at(6090)))
        #expect(core.step(.woken(2, at: at(6100))).texts == ["drained 5", "acknowledge 2"])
        // Another epoch that drains was first seen later.
        _ = core.step(.committed(3, [entry]))
        let later = authority(7, .draining)
        #expect(core.step(.observed(3, later, history, at: at(6200))).texts == ["wake 3 6300"])
        #expect(core.step(.woken(3, at: at(6300))).texts == ["read 3"])
    }

    @Test func `Fences of another history are forgotten (F4, H34)`() {
        var core = publishing("a")
        _ = core.step(.published(1, token("a"), false))
        _ = core.step(.closed(1))
        _ = core.step(.fenced(1, token("a"), true))
        let other = DatabaseTimeline(timeline: "2", born: Timestamp(seconds: 2))
        #expect(
            core.step(.observed(1, authority(5, .draining), other, at: at(9))).texts
                == ["wake 1 109"]
        )
    }

    @Test func `An epoch that came meanwhile is published to`() {
        var core = publishing("a")
        _ = core.step(.published(1, token("a"), false))
        _ = core.step(.closed(1))
        _ = core.step(.fenced(1, token("a"), false))
        let adopted = authority(6, .redis, members: "b")
        #expect(core.step(.observed(1, adopted, history, at: at(9))).texts == ["publish 1 b"])
        // A word of the epoch before says nothing here.
        #expect(core.step(.published(1, token("a"), true)).texts == [])
        #expect(core.step(.published(1, token("b"), true)).texts == ["acknowledge 1"])
    }

    @Test func `A ticket without entries only waits until nothing drains`() {
        var core = RevokerCore()
        _ = core.step(.committed(1, []))
        let row = authority(4, .redis, members: "a")
        #expect(core.step(.observed(1, row, history, at: at(0))).texts == ["acknowledge 1"])
    }

    @Test func `Without PostgreSQL nothing is acknowledged (W10)`() {
        var core = publishing("a")
        #expect(core.step(.failed(1)).texts == ["refuse 1"])
        #expect(core.step(.published(1, token("a"), true)).texts == [])
        #expect(core.count == 0)
    }
}

extension [RevokerCore.Effect] {
    /// The effects in words.
    fileprivate var texts: [String] {
        map { effect in
            switch effect {
            case .readAuthority(let ticket): "read \(ticket)"
            case .publish(let ticket, let member, _): "publish \(ticket) \(member.token)"
            case .fence(let ticket, let member): "fence \(ticket) \(member.token)"
            case .close(let ticket, let epoch): "close \(ticket) \(epoch)"
            case .wake(let ticket, let at): "wake \(ticket) \(at.nanoseconds / 1_000_000)"
            case .markDrained(let epoch): "drained \(epoch)"
            case .acknowledge(let ticket): "acknowledge \(ticket)"
            case .refuse(let ticket): "refuse \(ticket)"
            }
        }
    }
}
