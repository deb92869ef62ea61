// Where the connections of one event loop bring what they want checked. What waits is confirmed as
// one batch: it is closed before its read of the revocation log begins, so every answer is newer
// than its question (W1). All state belongs to the loop; there is no lock and no task per request.
internal import Access
internal import NIOCore
internal import Primitives
internal import Revocation
internal import Sessions
internal import Tokens

/// The fast path on one event loop.
final class VerifyDesk: @unchecked Sendable {
    // Sendable: everything but the constants is touched on `loop` only. `run` prefers the loop's
    // executor and checks that it is there; the fronts are handlers of the loop's channels.

    /// What became of a request.
    enum Start {
        /// It waits; the front will be told.
        case waiting
        /// `answer` may be called at once.
        case ready
        case refused(any Error)
        /// The general path answers.
        case general
    }

    let loop: any EventLoop
    let services: WebServices
    // Of the services, for reading without copying all of them.
    let verifier: Verifier
    let roleKeeper: RoleKeeper
    private let source: OriginalRequestSource
    private let readsRequirements: Bool
    private let believesEveryPeer: Bool
    /// The route rules; nil where they are off.
    let routes: RouteKeeper?
    private let mode: VerifyMode
    let counter: Counter
    private let batches: Histogram
    private var tokens: ByteCache<CheckedToken>
    private var queries = ByteCache<Requirements>(limit: 512, hashedBytes: .max)
    private var hosts = ByteCache<String>(limit: 512, hashedBytes: .max)
    /// The answer for whoever passes as nobody.
    var publicAnswer: PassTemplate?
    var waiting: [VerifyFront] = []
    private var sleepers: [CheckedContinuation<Void, Never>] = []
    private var draw: SampleDraw
    private var isEnding = false
    private var isRunning = false
    /// One has been woken and has not looked yet.
    private var isWaking = false
    /// Whether the desk will look again when `patience` is over.
    private var isPatient = false
    /// How many requests wait for a reading that has been begun, and when the last was begun.
    private var flying = 0
    private var flownAt = MonotonicInstant.now
    var scratch = ByteBuffer()
    var second: Int64 = .min
    var date: [UInt8] = []
    var millisecond: Int64 = .min
    var ageText: [UInt8] = []
    var ids: RequestIDs

    /// The most that wait at one loop; more are turned away (W8).
    static let waitingLimit = 10_000
    /// As many as the read-index has on the wire.
    private static let batchLimit = 2
    /// How long a second batch that is smaller than the first waits for more.
    private static let patience: Duration = .milliseconds(1)

    init(_ services: WebServices, loop: any EventLoop, cacheLimit: Int, entropy: Entropy) {
        self.services = services
        verifier = services.verifier
        roleKeeper = services.roles
        source = services.verify.source
        readsRequirements = services.verify.readsRequirements
        believesEveryPeer = services.verify.believesEveryPeer
        routes = services.verify.judgesRoutes ? services.routes : nil
        mode = services.verify.mode
        counter = services.verifyCounters.fast
        batches = services.verifyCounters.batches
        draw = services.verifier.makeDraw()
        self.loop = loop
        ids = RequestIDs(entropy)
        // The signature: 64 bytes are 86 characters. Two tokens that differ elsewhere are told
        // apart when they are compared.
        tokens = ByteCache(limit: cacheLimit, hashedBytes: 86)
    }

    /// Whether anybody confirms what is brought here.
    var isOpen: Bool { isRunning && !isEnding }

    // MARK: The task

    /// Confirms batches until cancelled, two at a time: while one waits for its reading the next
    /// is taken, read and answered.
    func run() async {
        loop.preconditionInEventLoop()
        isRunning = true
        await withTaskGroup { group in
            for _ in 0..<Self.batchLimit { group.addTask { await self.confirmBatches() } }
            await group.waitForAll()
        }
        loop.preconditionInEventLoop()
        for front in waiting where front.question != nil { front.refuse(CancellationError()) }
        waiting = []
        isRunning = false
    }

    private func confirmBatches() async {
        loop.preconditionInEventLoop()
        while await isWanted() {
            loop.preconditionInEventLoop()
            let batch = waiting
            waiting = []
            guard !batch.isEmpty else { continue }
            batches.record(size: batch.count)
            flying += batch.count
            flownAt = .now
            do {
                if let routes {
                    try await verifier.confirm(routes)
                } else {
                    try await verifier.confirm()
                }
                loop.preconditionInEventLoop()
                flying -= batch.count
                let open = pass(batch)
                if !open.isEmpty {
                    // Those who came meanwhile do not wait for that.
                    wake()
                    await settle(open)
                }
            } catch {
                loop.preconditionInEventLoop()
                flying -= batch.count
                for front in batch where front.question != nil { front.refuse(error) }
                counter.increment(by: batch.count)
            }
        }
    }

    /// Answers those of whom only PostgreSQL can tell, with one question of each kind.
    private func settle(_ first: [(front: VerifyFront, need: Need)]) async {
        var open = first
        var fault: any Error = ReadIndexFault.unconfirmed
        var settled = Settled()
        // An answer may lead to a question of another kind, and the log may tell of more.
        for _ in 0..<Verifier.turns {
            var isLearned = true
            do {
                try await settled.learn(open.map(\.need), services)
            } catch {
                fault = error
                isLearned = false
            }
            loop.preconditionInEventLoop()
            open = pass(open.map(\.front), settled)
            if open.isEmpty { return }
            // Who asks again would hold up all who come behind.
            if !isLearned { break }
        }
        for (front, _) in open where front.question != nil { front.refuse(fault) }
        counter.increment(by: open.count)
    }

    /// Whether a batch is to begin.
    ///
    /// The second on the wire must be worth its reading: under load two that are equal cost half of
    /// what many small ones do, and where little is to do one is as good as two.
    private var isDue: Bool {
        guard !waiting.isEmpty else { return false }
        return waiting.count >= flying || flownAt + Self.patience <= .now
    }

    /// Waits until a batch is due; false at the end.
    private func isWanted() async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if isEnding || isDue {
                    continuation.resume()
                } else {
                    sleepers.append(continuation)
                }
            }
        } onCancel: {
            loop.execute {
                self.isEnding = true
                for sleeper in self.sleepers { sleeper.resume() }
                self.sleepers = []
            }
        }
        isWaking = false
        return !isEnding
    }

    // MARK: Requests

    /// Takes a request whose head lies at the start of `bytes`.
    func take(
        _ head: VerifyHead,
        _ bytes: UnsafeRawBufferPointer,
        from front: VerifyFront
    ) -> Start {
        guard isOpen, head.isPlain(source) else { return .general }
        var requirements: Requirements?
        if readsRequirements, let query = head.query, !query.isEmpty {
            guard let found = find(UnsafeRawBufferPointer(rebasing: bytes[query])) else {
                return .general
            }
            requirements = found.isEmpty ? nil : found
        }
        var organisation: OrganisationID?
        if head.organisations > 0 {
            guard let named = self.organisation(head, bytes, requirements) else { return .general }
            organisation = named
        }
        var route: RouteQuestion?
        var credential = VerifyFront.Question.Credential.unread
        if routes != nil {
            guard believesEveryPeer || front.isPeerTrusted,
                let asked = RouteQuestion(head, bytes, source, &hosts)
            else {
                return .general
            }
            route = asked
        }
        if needsCredential(route, requirements) {
            guard let place = head.token else { return .general }
            let recognised = recognise(UnsafeRawBufferPointer(rebasing: bytes[place])) {
                payer(UnsafeRawBufferPointer(rebasing: bytes[..<head.length]), front)
            }
            switch recognised {
            case .success(let found):
                if let own = found.claims.organisationID {
                    guard stays(in: own, named: organisation, requirements) else { return .general }
                    organisation = own
                }
                credential = verifier.isOver(found.claims) ? .flawed(.expired) : .token(found)
            case .failure(.flaw(let flaw)): credential = .flawed(flaw)
            case .failure(.unknown): return .general
            }
        }
        // Rules come first, and only after the wait.
        if route == nil, case .flawed(let flaw) = credential {
            return refuse(flaw.gatewayRefusal)
        }
        let staleness = mode.staleness(requirements?.maximumAge)
        let isDrawn = if case .token = credential { draw.next() } else { false }
        front.question = VerifyFront.Question(
            credential: credential,
            requirements: requirements,
            route: route,
            organisation: organisation,
            sample: isDrawn ? verifier.beginSample(staleness: staleness) : nil
        )
        if isFresh(within: staleness) { return .ready }
        guard waiting.count < Self.waitingLimit else { return refuse(ReadIndexFault.overloaded) }
        enqueue(front)
        return .waiting
    }

    /// Whether an answer needs a credential, by the rules as they are before the wait.
    private func needsCredential(
        _ route: RouteQuestion?,
        _ requirements: Requirements?
    ) -> Bool {
        guard let routes, let route, !(requirements?.needsCredential ?? false) else { return true }
        return routes.table.match(route)?.rule.definition.access == .authenticated
    }

    private func isFresh(within limit: Duration?) -> Bool {
        if let routes {
            verifier.isFresh(within: limit, routes)
        } else {
            verifier.isFresh(within: limit)
        }
    }

    func enqueue(_ front: VerifyFront) {
        waiting.append(front)
        wake()
    }

    /// Wakes one for all that wait, now or when it is due; nobody may come who does it otherwise.
    private func wake() {
        guard !isWaking, !waiting.isEmpty, !sleepers.isEmpty else { return }
        if isDue {
            isWaking = true
            sleepers.removeLast().resume()
        } else if !isPatient {
            isPatient = true
            let pause = TimeAmount.microseconds(Self.patience.wholeMicroseconds)
            loop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: pause) {
                self.isPatient = false
                self.wake()
            }
        }
    }

    private func refuse(_ error: any Error) -> Start {
        counter.increment()
        return .refused(error)
    }

    /// What a query asks for; nil where the general path has to say why not.
    private func find(_ query: UnsafeRawBufferPointer) -> Requirements? {
        if let known = queries.find(query) { return known }
        let text = String(decoding: query, as: UTF8.self)
        // `try?`: the general path reads it again, and refuses.
        guard let read = try? Requirements(path: "/verify", query: text, isRead: true) else {
            return nil
        }
        queries.insert(read, for: Array(query))
        return read
    }

    private enum Stranger: Error {
        case flaw(CredentialFlaw)
        /// A key that this node has not met: finding out takes a wait.
        case unknown
    }

    /// Whose budget a failed check is taken from, as the general path has it; nobody asks about a
    /// token that is remembered.
    private func payer(_ head: UnsafeRawBufferPointer, _ front: VerifyFront) -> [UInt8]? {
        let dispatcher = front.dispatcher
        let client =
            front.isPeerTrusted
            ? dispatcher.client(of: VerifyHead.request(Array(head)), peer: front.peer) : front.peer
        return services.verify.payer(
            client,
            isTrusted: dispatcher.isTrusted(client),
            peer: front.peer
        )
    }

    private func recognise(
        _ bytes: UnsafeRawBufferPointer,
        _ payer: () -> [UInt8]?
    ) -> Result<CheckedToken, Stranger> {
        if let known = tokens.find(bytes), !known.isSpentKey(verifier) { return .success(known) }
        let text = Array(bytes)
        switch verifier.recogniseHere(text, from: payer) {
        case .flawed(let flaw): return .failure(.flaw(flaw))
        case .unknownKey: return .failure(.unknown)
        case .genuine(let claims):
            let token = CheckedToken(claims, key: claims.isKey ? text : nil)
            tokens.insert(token, for: text)
            return .success(token)
        }
    }

    /// Has the general path write the answer, once for what a token's account holds and the roles
    /// as they are.
    func render(
        _ token: CheckedToken,
        _ roles: RoleSnapshot,
        _ generation: Int,
        _ dispatcher: Dispatcher
    ) {
        let holding = Holding(
            roles: token.held,
            snapshot: roles,
            narrowedTo: token.claims.narrowedTo
        )
        let names = holding.names
        var reply = services.passReply(token.claims, holding, nil, ageInMilliseconds: 0)
        dispatcher.finish(&reply, id: RequestID(high: 0, low: 0), now: Timestamp(seconds: 0))
        let isDoubtful = roles.doubts(token.held)
        token.take(names, isDoubtful: isDoubtful, generation: generation, PassTemplate(reply))
    }
}
