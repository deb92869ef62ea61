// Keeps the node's key ring equal to the database's: loads it, makes keys where there are none,
// makes the next one in good time, retires the ones whose last token is gone. Any node does this
// work; of two that do it at once, the database lets one win.
package import Logging
package import Postgres
package import Primitives
package import Revocation
import ServiceLifecycle
import Synchronization

/// How keys are rotated.
package struct KeySettings: Sendable {
    /// How long a new key is public before it signs; longer than anybody caches the JWKS.
    package var publishAhead: Duration
    /// How long a key signs before the next one is made.
    package var rotateAfter: Duration
    /// How long a replaced key of each use is kept: until the last thing it signed is gone.
    package var keepReplaced: [KeyUse: Duration]

    /// Settings of rotation.
    package init(publishAhead: Duration, rotateAfter: Duration, keepReplaced: [KeyUse: Duration]) {
        self.publishAhead = publishAhead
        self.rotateAfter = rotateAfter
        self.keepReplaced = keepReplaced
    }
}

/// The key ring of one node.
package final class KeyKeeper: Service {
    /// The ring is read all at once.
    private enum Everything { case everything }
    private struct State {
        var ring = KeyRing([])
        /// Keys that do not open, also those that did before.
        var unopened: [KeyID: any Error] = [:]
    }
    let database: PostgresPool
    let revoker: Revoker
    let masterKey: MasterKey
    let settings: KeySettings
    private let clock: WallClock
    let entropy: Entropy
    let logger: Logger
    private let state = Mutex(State())
    private let reads = SharedRead<Everything>()
    private let strangers = StrangerKeys()
    private let readCount: Counter
    private let unopenedCount: Gauge

    /// How often the ring is read again.
    package static let reloadInterval: Duration = .seconds(30)
    /// How long after a reading for a key that is not in it the next may begin.
    package static let strangerPause = StrangerKeys.pause

    /// A keeper that has loaded nothing yet.
    package init(
        database: PostgresPool,
        revoker: Revoker,
        masterKey: MasterKey,
        settings: KeySettings,
        clock: WallClock,
        entropy: Entropy,
        logger: Logger,
        metrics: MetricsRegistry
    ) {
        readCount = metrics.counter(
            "watchword_key_ring_reads_total",
            help: "Statements that read the key ring."
        )
        unopenedCount = metrics.gauge(
            "watchword_keys_unopened",
            help: "Keys that do not open with the configured master key."
        )
        self.database = database
        self.revoker = revoker
        self.masterKey = masterKey
        self.settings = settings
        self.clock = clock
        self.entropy = entropy
        self.logger = logger
    }

    /// The ring as it is now.
    package var ring: KeyRing { state.withLock { $0.ring } }

    /// Why a key does not open with the configured master key; nil where all do.
    package var flaw: (any Error)? { state.withLock { $0.unopened.values.first } }

    /// Whether the key that signs access tokens now is here.
    package var canSign: Bool { ring.current(.accessToken, at: clock.now()) != nil }

    /// The live key of an id, looked for in the database where this node has not met it; one
    /// statement for all who look at the same time.
    ///
    /// Asked for keys that the database has just named, never for what a token says. Nil for one
    /// that does not open here: nothing is signed with another in its stead.
    package func key(_ id: KeyID) async throws -> RingKey? {
        // A reading that somebody else began may be older than the key.
        for _ in 0..<2 {
            let ring = ring
            if let known = ring.key(id) { return known }
            if ring.closed.contains(where: { $0.id == id }) { return nil }
            if try await reads.run(.everything, read) { break }
        }
        return ring.key(id)
    }

    /// Loads the ring; makes what is missing.
    ///
    /// - Throws: `MasterKeyError` where a key that is in use does not open.
    package func start() async throws {
        try await reload()
        for use in KeyUse.allCases {
            let ring = ring
            let now = clock.now()
            if ring.current(use, at: now) == nil, let closed = ring.currentClosed(use, at: now) {
                throw closed.flaw
            }
            guard ring.keys.allSatisfy({ $0.use != use }) else { continue }
            // Nobody can have met a token of this use, so the first key needs no announcement.
            try await add(use, unlessMadeAfter: Timestamp(seconds: 0), activeIn: .zero)
        }
        try await reload()
    }

    /// Reads the ring again, as it is now or later.
    package func reload() async throws {
        // Who has waited for a reading that was begun before takes part in the next.
        if try await !reads.run(.everything, read) { _ = try await reads.run(.everything, read) }
    }

    /// Reads the ring.
    ///
    /// A key that does not open is left out; one that did open before stays as it was, for its
    /// bytes never change: it was sealed anew with a version that this node has not been given.
    private func read() async throws {
        readCount.increment()
        let rows = try await database.rows(KeyStore.list())
        let known = self.ring
        var keys: [RingKey] = []
        var closed: [ClosedKey] = []
        var unopened: [KeyID: any Error] = [:]
        for row in rows where row.retiredAt == nil {
            do {
                keys.append(try open(row))
            } catch {
                unopened[row.id] = error
                if let same = known.key(row.id) {
                    keys.append(same)
                } else {
                    closed.append(
                        ClosedKey(
                            id: row.id,
                            use: KeyUse(rawValue: row.use),
                            activeFrom: row.activeFrom,
                            flaw: error
                        )
                    )
                }
            }
        }
        let retired = rows.filter {
            $0.retiredAt != nil && $0.use == KeyUse.accessToken.rawValue
        }
        let ring = KeyRing(keys, closed: closed, retired: retired.map(\.id))
        let flaws = unopened
        let before = state.withLock { state in
            state.ring = ring
            defer { state.unopened = flaws }
            return state.unopened
        }
        unopenedCount.set(flaws.count)
        for (id, flaw) in flaws where before[id] == nil {
            logger.error("a key does not open", metadata: ["kid": "\(id)", "error": "\(flaw)"])
        }
    }

    /// Reads the ring again because a token named a key that is not in it, unless that is known to
    /// be nowhere; at most once a second, and who comes sooner waits for the next reading.
    ///
    /// - Returns: false where too many wait already; then nobody has looked.
    package func reloadForUnknownKey(of token: [UInt8]) async throws -> Bool {
        guard let id = KeyRing.keyID(of: token), !strangers.isAbsent(id) else { return true }
        guard try await strangers.read(reload) else { return false }
        let ring = ring
        if ring.key(id) == nil, !ring.closed.contains(where: { $0.id == id }) {
            strangers.noteAbsence(of: id)
        }
        return true
    }

    /// Rotates and retires on time, until shutdown.
    package func run() async throws {
        await untilShutdown(every: Self.reloadInterval) {
            try await reload()
            try await rotateIfDue()
        } onFailure: {
            logger.warning("the key ring could not be read again", metadata: ["error": "\($0)"])
        }
    }

    /// Seals every key anew with the current version of the master key.
    ///
    /// - Returns: how many were sealed anew.
    package func rewrap() async throws -> Int {
        var count = 0
        for row in try await database.rows(KeyStore.list())
        where row.masterKeyVersion != masterKey.currentVersion {
            guard let use = KeyUse(rawValue: row.use) else { continue }
            let context = RingKey.sealContext(id: row.id, use: use)
            let bytes = try masterKey.open(
                row.sealed,
                version: row.masterKeyVersion,
                context: context
            )
            let sealed = try masterKey.seal(bytes, context: context)
            let changed = try await database.first(
                KeyStore.reseal(row.id, row.sealed, sealed, Int32(masterKey.currentVersion))
            )
            count += changed == nil ? 0 : 1
        }
        return count
    }

    /// Makes the next keys where it is time, and retires those that nothing hangs by any more.
    package func rotateIfDue() async throws {
        // Whoever cannot open them all leaves this to others: they might not open what he makes.
        guard flaw == nil else { return }
        let now = clock.now()
        for use in KeyUse.allCases {
            let keys = ring.keys.filter { $0.use == use }
            if let newest = keys.first, now - newest.activeFrom > settings.rotateAfter {
                try await add(
                    use,
                    unlessMadeAfter: newest.createdAt,
                    activeIn: settings.publishAhead
                )
            }
            guard let current = ring.current(use, at: now),
                now - current.activeFrom > settings.keepReplaced[use] ?? .days(90)
            else { continue }
            for old in keys where old.activeFrom < current.activeFrom {
                // Under the lock of those who remove keys by hand, so that one is always left.
                try await revoker.transaction { transaction in
                    _ = try await transaction.first(KeyStore.lock())
                    _ = try await transaction.first(KeyStore.retire(old.id, now))
                }
                logger.info("a replaced key was retired", metadata: ["kid": "\(old.id)"])
            }
        }
    }

    private func add(
        _ use: KeyUse,
        unlessMadeAfter newest: Timestamp,
        activeIn delay: Duration
    ) async throws {
        let now = clock.now()
        let (key, sealed) = try newKey(use, at: now, activeFrom: now + delay)
        try await database.transaction { transaction in
            _ = try await transaction.first(KeyStore.lock())
            _ = try await transaction.first(
                KeyStore.insert(
                    key.id,
                    use.rawValue,
                    use.algorithm,
                    key.publicPoint,
                    sealed,
                    Int32(masterKey.currentVersion),
                    now,
                    newest,
                    key.activeFrom
                )
            )
        }
    }

    /// A key that is in no ring yet, with its private part as it is stored.
    func newKey(
        _ use: KeyUse,
        at now: Timestamp,
        activeFrom: Timestamp
    ) throws -> (key: RingKey, sealed: [UInt8]) {
        let id = KeyID(at: now, entropy: entropy)
        let bytes = RingKey.newPrivateBytes(for: use, entropy: entropy)
        let key = try RingKey(
            id: id,
            use: use,
            createdAt: now,
            activeFrom: activeFrom,
            retiredAt: nil,
            privateBytes: bytes
        )
        return (key, try masterKey.seal(bytes, context: RingKey.sealContext(id: id, use: use)))
    }

    private func open(_ row: KeyRow) throws -> RingKey {
        guard let use = KeyUse(rawValue: row.use) else { throw MasterKeyError.cannotOpen }
        return try RingKey(
            id: row.id,
            use: use,
            createdAt: row.createdAt,
            activeFrom: row.activeFrom,
            retiredAt: row.retiredAt,
            privateBytes: masterKey.open(
                row.sealed,
                version: row.masterKeyVersion,
                context: RingKey.sealContext(id: row.id, use: use)
            )
        )
    }
}
