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
    private let services: WebServices
    // Of the services, for reading without copying all of them.
    private let verifier: Verifier
    private let roleKeeper: RoleKeeper
    private let source: OriginalRequestSource
    private let readsRequirements: Bool
    private let mode: VerifyMode
    private let counter: Counter
    private let batches: Histogram
    private let entropy: Entropy
    private var tokens: ByteCache<CheckedToken>
    private var queries = ByteCache<Requirements>(limit: 512, hashedBytes: .max)
    private var waiting: [VerifyFront] = []
    private var sleepers: [CheckedContinuation<Void, Never>] = []
    private var draw: SampleDraw
    private var isEnding = false
    private var isRunning = false
    /// One has been woken and has not looked yet.
    private var isWaking = false
    /// How many requests wait for a reading that has been begun, and when the last was begun.
    private var flying = 0
    private var flownAt = MonotonicInstant.now
    private var scratch = ByteBuffer()
    private var second: Int64 = .min
    private var date: [UInt8] = []
    private var idLow: UInt64 = 0
    private var idCount: UInt64 = 0

    /// The most that wait at one loop; more are turned away (W8).
    private static let waitingLimit = 10_000
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
        mode = services.verify.mode
        counter = services.verifyCounters.fast
        batches = services.verifyCounters.batches
        draw = services.verifier.makeDraw()
        self.loop = loop
        self.entropy = entropy
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
                try await verifier.confirm()
                loop.preconditionInEventLoop()
                flying -= batch.count
                let open = pass(batch)
                if !open.isEmpty { await settle(open) }
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
        // An answer may lead to a question of another kind: three kinds, three rounds.
        for _ in 0..<3 {
            do {
                try await settled.learn(open.map(\.need), services)
            } catch {
                fault = error
            }
            loop.preconditionInEventLoop()
            open = pass(open.map(\.front), settled)
            if open.isEmpty { return }
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
        // What is held in an organisation, or on a resource, is the general path's to resolve.
        guard isOpen, !services.verify.judgesRoutes, head.isPlain(source), !head.hasOrganisation,
            let place = head.token
        else {
            return .general
        }
        var requirements: Requirements?
        if readsRequirements, let query = head.query, !query.isEmpty {
            guard let found = find(UnsafeRawBufferPointer(rebasing: bytes[query])) else {
                return .general
            }
            guard found.resource == nil else { return .general }
            requirements = found.isEmpty ? nil : found
        }
        let token: CheckedToken
        switch recognise(UnsafeRawBufferPointer(rebasing: bytes[place])) {
        case .success(let found): token = found
        case .failure(.flaw(let flaw)): return refuse(flaw)
        case .failure(.unknown): return .general
        }
        if verifier.isOver(token.claims) { return refuse(CredentialFlaw.expired) }
        let staleness = mode.staleness(requirements?.maximumAge)
        front.question = VerifyFront.Question(
            token: token,
            requirements: requirements,
            sample: draw.next() ? verifier.beginSample(staleness: staleness) : nil
        )
        if verifier.isFresh(within: staleness) { return .ready }
        guard waiting.count < Self.waitingLimit else { return refuse(ReadIndexFault.overloaded) }
        enqueue(front)
        return .waiting
    }

    private func enqueue(_ front: VerifyFront) {
        waiting.append(front)
        // One is woken for all that come before it runs.
        if !isWaking, isDue, let sleeper = sleepers.popLast() {
            isWaking = true
            sleeper.resume()
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
        /// A key that this node has not met, or an organisation: finding out takes a wait.
        case unknown
    }

    private func recognise(_ bytes: UnsafeRawBufferPointer) -> Result<CheckedToken, Stranger> {
        if let known = tokens.find(bytes) { return .success(known) }
        let text = Array(bytes)
        switch verifier.recogniseHere(text) {
        case .flawed(let flaw): return .failure(.flaw(flaw))
        case .unknownKey: return .failure(.unknown)
        case .genuine(let claims):
            guard claims.organisationID == nil else { return .failure(.unknown) }
            let token = CheckedToken(claims)
            tokens.insert(token, for: text)
            return .success(token)
        }
    }

    /// Has the general path write the answer, once for what a token's account holds and the roles
    /// as they are.
    private func render(
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
        var reply = services.passReply(token.claims, names, nil, ageInMilliseconds: 0)
        dispatcher.finish(&reply, id: RequestID(high: 0, low: 0), now: Timestamp(seconds: 0))
        let isDoubtful = roles.doubts(token.held)
        token.take(names, isDoubtful: isDoubtful, generation: generation, PassTemplate(reply))
    }

    // MARK: Answers

    /// Answers one that need not wait; false where only PostgreSQL can tell, and it waits.
    func answer(_ front: VerifyFront) -> Bool {
        guard !pass([front]).isEmpty else { return true }
        guard waiting.count < Self.waitingLimit else {
            front.refuse(ReadIndexFault.overloaded)
            return true
        }
        enqueue(front)
        return false
    }

    /// Answers what has waited long enough, each from the revocations as they are now; returns
    /// those of whom only PostgreSQL can tell.
    private func pass(
        _ batch: [VerifyFront],
        _ settled: Settled = Settled()
    ) -> [(front: VerifyFront, need: Need)] {
        let standing = verifier.standing
        let (roles, generation) = roleKeeper.current
        let findings = verifier.look { set in
            var findings: [Verifier.Finding] = []
            findings.reserveCapacity(batch.count)
            for front in batch {
                guard let question = front.question else {
                    findings.append(.flawed(.missing))
                    continue
                }
                let claims = question.token.claims
                findings.append(verifier.find(claims, standing, set, settled.sessions))
            }
            return findings
        }
        var open: [(front: VerifyFront, need: Need)] = []
        let time = makeTime(standing.wallTime)
        for (front, finding) in zip(batch, findings) {
            // Whoever went away meanwhile has no question any more.
            guard let question = front.question else { continue }
            let token = question.token
            let version: Int64
            switch finding {
            case .good(let found): version = found
            case .flawed(let flaw):
                front.refuse(flaw)
                continue
            case .open(let asked):
                open.append((front, .session(asked)))
                continue
            }
            if let need = settled.need(of: token, version, roles, generation, services, standing) {
                open.append((front, need))
                continue
            }
            if token.rolesGeneration != generation {
                render(token, roles, generation, front.dispatcher)
            }
            if token.isDoubtful {
                front.refuse(RoleDoubt())
                continue
            }
            if let requirements = question.requirements {
                let holding = Holding(
                    roles: token.held,
                    snapshot: roles,
                    narrowedTo: token.claims.narrowedTo
                )
                guard requirements.hold(for: token.claims, holding, named: token.roleNames) else {
                    front.refuse(GateRefusal.permissionDenied)
                    continue
                }
            }
            if let sample = question.sample {
                verifier.accepted(sample, token.claims, rightsVersion: version)
            }
            front.pass(token, makeAnswer(token, time, closes: front.closes))
        }
        counter.increment(by: batch.count - open.count)
        return open
    }

    private func makeTime(_ now: Timestamp) -> AnswerTime {
        if now.seconds != second {
            second = now.seconds
            date = Array(now.httpDate.utf8)
        }
        return AnswerTime(
            now: now,
            date: date,
            age: Array(String(verifier.ageInMilliseconds).utf8)
        )
    }

    private func makeAnswer(
        _ token: CheckedToken,
        _ time: AnswerTime,
        closes: Bool
    ) -> ByteBuffer {
        // Written in place where the last answer has left for the kernel already.
        scratch.clear(minimumCapacity: 1024)
        token.answer.write(time, nextID(time.now), closes: closes, to: &scratch)
        return scratch
    }

    /// A UUIDv7 by counter (RFC 9562 section 6.2, method 1): the random part is drawn anew now and
    /// then instead of for each, since every draw asks the kernel.
    private func nextID(_ now: Timestamp) -> RequestID {
        if idCount == 0 {
            idCount = 1024
            idLow = RequestID(at: now, entropy: entropy).low & ~0x3FF
        }
        idCount -= 1
        idLow += 1
        let milliseconds = UInt64(max(0, now.microseconds / 1000))
        return RequestID(high: milliseconds << 16 | 0x7000, low: idLow)
    }
}
