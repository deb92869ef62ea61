// The check that every guarded request goes through, here and at the gateways: is this token ours,
// not over, and not revoked? The answer covers every revocation acknowledged before the request
// arrived (W1), or there is none.
package import Access
import Crypto
package import Primitives
package import Revocation
package import Tokens

/// Why a credential is refused; the cases are the codes of the wire contract (S3-5).
package enum CredentialFlaw: Refusal, Equatable {
    case missing
    case malformed
    case invalid
    case expired
    case revoked
    /// Nobody has looked: too many forged ones have come, from the same address or all at once.
    case unchecked(retryAfter: Duration)

    package var code: ProblemCode {
        switch self {
        case .missing: .tokenMissing
        case .malformed: .tokenMalformed
        case .invalid: .tokenInvalid
        case .expired: .tokenExpired
        case .revoked: .tokenRevoked
        case .unchecked: .tooManyAttempts
        }
    }
    package var retryAfter: Duration? {
        if case .unchecked(let wait) = self { wait } else { nil }
    }
}

/// What a check found.
package enum Verdict: Sendable {
    /// Good now.
    case accepted(AccessClaims)
    /// Not good. The claims are there where the token itself is genuine: a logout with a revoked
    /// token still knows whose it was.
    case refused(CredentialFlaw, AccessClaims?)
}

/// Checks access tokens.
package struct Verifier: Sendable {
    let checker: AccessTokenChecker
    let keys: KeyKeeper
    let cache: TokenCache
    let budget: SignatureBudget
    let readIndex: ReadIndex
    let sampler: RevocationSampler
    let resolver: SessionResolver
    let roles: RoleKeeper
    let rights: RightsResolver
    let apiKeys: KeyResolver
    let keyUses: KeyUses
    let clock: WallClock

    /// A verifier for the tokens that `checker` accepts.
    package init(
        checker: AccessTokenChecker,
        keys: KeyKeeper,
        cache: TokenCache,
        budget: SignatureBudget,
        readIndex: ReadIndex,
        sampler: RevocationSampler,
        resolver: SessionResolver,
        roles: RoleKeeper,
        rights: RightsResolver,
        apiKeys: KeyResolver,
        keyUses: KeyUses,
        clock: WallClock
    ) {
        self.checker = checker
        self.keys = keys
        self.cache = cache
        self.budget = budget
        self.readIndex = readIndex
        self.sampler = sampler
        self.resolver = resolver
        self.roles = roles
        self.rights = rights
        self.apiKeys = apiKeys
        self.keyUses = keyUses
        self.clock = clock
    }

    /// `iss` of the tokens that are accepted, which is the public URL.
    package var issuer: String { checker.issuer }

    /// Judges `token`.
    ///
    /// A share of one statement; a signature check the first time.
    ///
    /// - Parameters:
    ///   - payer: the address whose budget a failed check of its signature is taken from, or an
    ///     API key that opens nothing; nil for none.
    ///   - staleness: how long ago the last read of the log may have begun for this answer to come
    ///     from memory; nil asks the log each time.
    ///   - confirmation: a read that this request has waited for already.
    /// - Throws: a fault where the revocation log cannot be read. Then nothing is accepted (W10).
    package func judge(
        _ token: [UInt8],
        from payer: [UInt8]? = nil,
        staleness: Duration? = nil,
        after confirmation: Confirmation? = nil
    ) async throws -> Verdict {
        if APIKey.isMeant(by: token) {
            return try await judge(
                key: token,
                from: payer,
                staleness: staleness,
                after: confirmation
            )
        }
        let claims: AccessClaims
        do throws(AccessTokenFlaw) {
            claims = try recognise(token) { payer }
        } catch .unknownKey {
            if keys.ring.namesClosedKey(token) { throw KeyFault.closed }
            guard try await keys.reloadForUnknownKey(of: token) else {
                return .refused(.unchecked(retryAfter: KeyKeeper.strangerPause), nil)
            }
            do throws(AccessTokenFlaw) {
                claims = try recognise(token) { payer }
            } catch {
                if error == .unknownKey, keys.ring.namesClosedKey(token) { throw KeyFault.closed }
                return .refused(error.flaw, nil)
            }
        } catch {
            return .refused(error.flaw, nil)
        }
        if isOver(claims) { return .refused(.expired, claims) }
        // Before the confirmation: what was in force by now must be seen by it.
        let sample =
            if let confirmation { confirmation.sample } else { sampler.draw(staleness: staleness) }
        if confirmation == nil, !isFresh(within: staleness) { try await confirm() }
        var answered: Resolution = [:]
        for _ in 0..<Self.turns {
            // The wait may have outlived the token, so `find` looks at its end again.
            let standing = standing
            switch readIndex.look({ find(claims, standing, $0, answered) }) {
            case .good(let version):
                let now = standing.now
                guard let acting = try await acting(in: claims, of: version, at: now) else {
                    return .refused(.revoked, claims)
                }
                if let sample { accepted(sample, claims, rightsVersion: version, acting) }
                return .accepted(claims.asOf(version, at: standing.now))
            case .flawed(let flaw): return .refused(flaw, claims)
            case .open(let question): answered = try await resolver.resolve(question)
            }
        }
        throw ReadIndexFault.unconfirmed
    }

    /// Expiry is judged by the later of the node's clock and the database's, which is the one that
    /// revocations are pruned by (revocation.md H13).
    package func isOver(_ claims: AccessClaims) -> Bool {
        max(clock.now(), readIndex.databaseTime) >= claims.expiresAt
    }

    /// Whether any of the revocations that can cover a token does; the scopes are combined by
    /// "any", never by "the first that is set" (revocation.md 1.8).
    ///
    /// Without those that only PostgreSQL can tell: `open`.
    static func isRevoked(_ claims: AccessClaims, _ set: borrowing RevocationSet) -> Bool {
        if set.count == 0 { return false }
        #if DEBUG
        if Mutant.active == .revokedKeys, claims.isKey { return false }
        #endif
        if set.contains(RevocationSubject(.token, claims.tokenID)) { return true }
        if set.contains(RevocationSubject(.session, claims.sessionID)) { return true }
        if set.contains(RevocationSubject(.signingKey, claims.keyID)) { return true }
        if isBelow(claims.signatureGeneration, .init(.signature, claims.accountID), set)
            || isBelow(claims.signatureGeneration, .init(.accountState, claims.accountID), set)
        {
            return true
        }
        if let actor = claims.actor, isOutdated(actor, set) { return true }
        let issued = claims.issuedAt.microseconds / 1000
        if set.hasHeld(.client), isBelow(issued, .client(named: claims.clientID), set) {
            return true
        }
        return isBelow(issued, RevocationSubject(only: .global), set)
    }

    /// What must be asked of PostgreSQL about a token; nil for nothing, or nothing any more (H25).
    func open(
        _ claims: AccessClaims,
        _ set: borrowing RevocationSet
    ) -> OpenQuestion? {
        guard set.hasHeld(.sessions),
            let version = set.lowestVersion(of: .init(.sessions, claims.accountID))
        else { return nil }
        return OpenQuestion(session: claims.sessionID, version: version)
    }

    /// Whether a revocation with versions covers what a token carries.
    static func isBelow(
        _ version: Int64,
        _ subject: RevocationSubject,
        _ set: borrowing RevocationSet
    ) -> Bool {
        if let lowest = set.lowestVersion(of: subject) { version < lowest } else { false }
    }
}

// The steps of `judge`, for a caller that waits in its own way: the fast path of `/verify`.
extension Verifier {
    /// What tokens are measured by, after a read.
    package struct Standing: Sendable {
        /// The node's clock.
        package let wallTime: Timestamp
        /// The later of the node's clock and the database's.
        package let now: Timestamp
        /// The longest life a token may have.
        let horizon: Duration
    }

    /// What they are measured by now.
    package var standing: Standing {
        let known = readIndex.known
        let wallTime = clock.now()
        return Standing(
            wallTime: wallTime,
            now: max(wallTime, known.databaseTime),
            horizon: known.horizon
        )
    }

    /// Looks into the revocations; confirm first.
    package func look<R: Sendable>(_ body: (borrowing RevocationSet) -> R) -> R {
        readIndex.look(body)
    }

    /// What a look at the revocations finds.
    package enum Finding: Sendable {
        /// Not revoked.
        ///
        /// What its account may do must be told as of this version or a later one.
        case good(rightsVersion: Int64)
        case flawed(CredentialFlaw)
        /// Only PostgreSQL can tell; `resolve` asks.
        case open(OpenQuestion)
    }

    /// Asks PostgreSQL what the revocations leave open; a statement for all (H25).
    package func resolve(_ questions: [OpenQuestion]) async throws -> Resolution {
        try await resolver.resolve(questions)
    }

    /// Judges a genuine token.
    ///
    /// - Parameter answered: what was asked after the request came.
    package func find(
        _ claims: AccessClaims,
        _ standing: Standing,
        _ set: borrowing RevocationSet,
        _ answered: Resolution = [:]
    ) -> Finding {
        if let flaw = flaw(claims, standing, set) { return .flawed(flaw) }
        let version = Self.rightsVersion(claims, set)
        // An API key has no session that could have ended.
        guard !claims.isKey, let question = open(claims, set) else {
            return .good(rightsVersion: version)
        }
        switch answered[claims.sessionID]?.settles(question) ?? resolver.known(question) {
        case true?: return .good(rightsVersion: version)
        case false?: return .flawed(.revoked)
        case nil: return .open(question)
        }
    }

    /// The version of its account's rights that an answer must have seen; a change of rights does
    /// not end tokens, it makes them be resolved anew (H28).
    static func rightsVersion(
        _ claims: AccessClaims,
        _ set: borrowing RevocationSet
    ) -> Int64 {
        #if DEBUG
        if Mutant.active == .staleRights { return claims.rightsVersion }
        #endif
        guard set.hasHeld(.rights),
            let lowest = set.lowestVersion(of: .init(.rights, claims.accountID))
        else { return claims.rightsVersion }
        return max(claims.rightsVersion, lowest)
    }

    /// What is held by an account that is asked about without a token of its own: the question that
    /// an answer of now must have seen; confirm first.
    package func question(about account: AccountID) -> RightsQuestion {
        readIndex.look { set in
            let ends = [
                set.lowestVersion(of: .init(.signature, account)),
                set.lowestVersion(of: .init(.accountState, account)),
            ]
            return RightsQuestion(
                account,
                version: set.lowestVersion(of: .init(.rights, account)) ?? .min,
                generation: ends.compactMap(\.self).max() ?? .min
            )
        }
    }

    /// Why a genuine token is refused, as far as the revocations tell; nil for nothing.
    private func flaw(
        _ claims: AccessClaims,
        _ standing: Standing,
        _ set: borrowing RevocationSet
    ) -> CredentialFlaw? {
        if standing.now >= claims.expiresAt { return .expired }
        // A token that lives longer than any may might outlive the revocations that cover it. The
        // horizon is as fresh as the read: another node may have raised it a moment ago.
        guard
            claims.expiresAt - Timestamp(seconds: claims.issuedAt.seconds) <= standing.horizon
        else { return .invalid }
        return Self.isRevoked(claims, set) ? .revoked : nil
    }
}

// What the sampler is told (revocation.md 7.4).
extension Verifier {
    /// A draw for one event loop.
    package func makeDraw() -> SampleDraw { sampler.makeDraw() }

    /// Begins a sample; before `confirm`.
    package func beginSample(staleness: Duration?) -> SampleStart {
        sampler.begin(staleness: staleness)
    }

    /// Begins a sample where the draw that all share says so; before `confirm`.
    package func drawSample(staleness: Duration?) -> SampleStart? {
        sampler.draw(staleness: staleness)
    }

    /// The check of a sample was accepted with what is held in an organisation, as of a generation.
    package func accepted(
        _ sample: SampleStart,
        in organisation: OrganisationID,
        of generation: Int64
    ) {
        sampler.accept(
            sample,
            coveredBy: [CoveredBy(.init(.tenant, organisation), above: generation)]
        )
    }

    /// The check of a sample was accepted.
    ///
    /// - Parameter acting: what would end that somebody acts in it.
    package func accepted(
        _ sample: SampleStart,
        _ claims: AccessClaims,
        rightsVersion: Int64,
        _ acting: [CoveredBy] = []
    ) {
        sampler.accept(sample, coveredBy: claims.coveredBy(rightsVersion) + acting)
    }
}

extension AccessClaims {
    /// All that revokes a token; written down apart from `isRevoked`, which it is there to check.
    ///
    /// Rights count as of the version that the answer rests on.
    fileprivate func coveredBy(_ rightsVersion: Int64) -> [CoveredBy] {
        [
            CoveredBy(RevocationSubject(.token, tokenID)),
            CoveredBy(RevocationSubject(.session, sessionID)),
            CoveredBy(RevocationSubject(.signingKey, keyID)),
            CoveredBy(RevocationSubject(.signature, accountID), above: signatureGeneration),
            CoveredBy(RevocationSubject(.accountState, accountID), above: signatureGeneration),
            CoveredBy(RevocationSubject(.rights, accountID), above: rightsVersion),
            CoveredBy(
                RevocationSubject.client(named: clientID),
                above: issuedAt.microseconds / 1000
            ),
            CoveredBy(
                RevocationSubject(only: .global),
                above: issuedAt.microseconds / 1000
            ),
        ]
    }
}

extension AccessClaims {
    /// The claims as far as they can be trusted: without the roles that the token carries where
    /// these are older than `version`, or one of them is over.
    package func asOf(_ version: Int64, at now: Timestamp) -> AccessClaims {
        let isOver = rightsExpireAt.map { $0 <= now } ?? false
        guard version > rightsVersion || isOver else { return self }
        var claims = self
        claims.roles = nil
        claims.rightsVersion = version
        return claims
    }

    /// Whether they say what is held as of `version`, now.
    package func carriesRights(of version: Int64, at now: Timestamp) -> Bool {
        roles != nil && version <= rightsVersion && rightsExpireAt.map { $0 > now } ?? true
    }
}

extension RevocationSubject {
    /// A client, by `client_id`: its id, or where that is no UUID the first half of its SHA-256.
    package static func client(named name: String) -> RevocationSubject {
        if let id = ID<Named.Entry>(name) { return RevocationSubject(.client, id) }
        let digest = Array(SHA256.hash(data: Array(name.utf8)).prefix(16))
        guard let id = ID<Named.Entry>(bytes: digest) else {
            preconditionFailure("sixteen bytes are an id")
        }
        return RevocationSubject(.client, id)
    }
}

extension Verifier {
    /// How long ago the latest read of the revocation log was begun, for `Watchword-Age`.
    package var ageInMilliseconds: Int64 {
        guard let readAt = readIndex.readAt else { return 0 }
        return max(0, (MonotonicInstant.now - readAt).wholeMicroseconds / 1000)
    }
}
