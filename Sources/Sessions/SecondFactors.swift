// The second factor of an account: an authenticator of time-based codes, and the recovery codes
// that stand in for it. It is in use from the moment a code of it was shown; from then on a
// password alone opens nothing (row 55). Changing it is for a session that it has opened (row 56).
import Audit
import FoundationEssentials
package import Postgres
package import Primitives
package import Revocation
package import Tokens

/// Why a second factor is not changed, or does not open anything.
package enum SecondFactorRefusal: Refusal, Equatable {
    /// The session was opened without it.
    case notShown
    /// The code is of no use: wrong, used, too old.
    case wrongCode
    /// There is one already.
    case present
    /// There is none.
    case notFound
    /// None was begun in this session lately, or too many codes of it were wrong.
    case notBegun
    /// The session has ended meanwhile.
    case outdated

    package var code: ProblemCode {
        switch self {
        case .notShown: .secondFactorRequired
        case .wrongCode: .secondFactorIncorrect
        case .present: .secondFactorPresent
        case .notFound, .notBegun: .notFound
        case .outdated: .tokenRevoked
        }
    }

    package var detail: String? {
        switch self {
        case .notShown: "This session was opened without the second factor."
        case .notFound: "There is no second factor."
        case .notBegun:
            "None was begun in this session within \(SecondFactorStore.enrolmentMinutes) minutes,"
                + " or too many codes were wrong. Begin anew."
        case .wrongCode, .present, .outdated: nil
        }
    }
}

/// What opened a session; the raw value is what the journals say.
enum SignInFactors: String, Sendable {
    case password
    case passwordAndTimeCode = "password+time-code"
    case passwordAndRecoveryCode = "password+recovery-code"
}

/// What its owner sees of a second factor.
package struct SecondFactorView: Sendable {
    /// Since when it is in use.
    package let confirmedAt: Timestamp
    /// When it last opened something.
    package let lastUsedAt: Timestamp?
    /// How many recovery codes were not used.
    package let recoveryCodesLeft: Int

    /// A second factor.
    package init(confirmedAt: Timestamp, lastUsedAt: Timestamp?, recoveryCodesLeft: Int) {
        self.confirmedAt = confirmedAt
        self.lastUsedAt = lastUsedAt
        self.recoveryCodesLeft = recoveryCodesLeft
    }
}

/// What is typed or scanned into an authenticator, shown once.
package struct Enrolment: Sendable {
    /// The seed, in Base32.
    package let secret: Secret
    /// The same as a link that authenticators read from a picture.
    package let link: Secret
    /// How long there is to confirm it.
    package let lifetime: Duration

    /// An enrolment.
    package init(secret: Secret, link: Secret, lifetime: Duration) {
        self.secret = secret
        self.link = link
        self.lifetime = lifetime
    }
}

/// The seed of somebody's authenticator does not open with the master key of this node.
struct SealedSeedFault: Fault {
    let account: AccountID
    let version: Int
    /// Another node may have that version of the key.
    var isTransient: Bool { true }
    var description: String {
        "the seed of the authenticator of \(account), sealed with version \(version) of the master"
            + " key, does not open with what is configured here"
    }
}

/// Second factors: enrolled, shown, replaced.
package struct SecondFactors: Sendable {
    let database: any PostgresExecutor
    let revoker: Revoker
    let masterKey: MasterKey
    /// Whose codes they are, as authenticators show it: the host of the public URL.
    let issuer: String
    let entropy: Entropy

    /// What is wrong with a code where there is no second factor.
    static let needlessCode = MemberError(
        "code",
        "not-required",
        "is only for an account that has a second factor"
    )

    /// The use case, for the service at `publicURL`.
    package init(
        database: any PostgresExecutor,
        revoker: Revoker,
        masterKey: MasterKey,
        publicURL: String,
        entropy: Entropy
    ) {
        self.database = database
        self.revoker = revoker
        self.masterKey = masterKey
        issuer = URL(string: publicURL)?.host() ?? publicURL
        self.entropy = entropy
    }

    /// What its owner sees, by one statement; nil where there is none.
    package func view(of account: AccountID) async throws -> SecondFactorView? {
        try await database.first(SecondFactorStore.find(account))
    }

    /// Makes a seed for the caller's authenticator, in place of one that was not confirmed.
    ///
    /// Changes nothing else: no code is asked for before `confirm`.
    ///
    /// - Throws: `SecondFactorRefusal.present`; or a fault.
    package func begin(_ caller: AccessClaims) async throws -> Enrolment {
        let seed = entropy.bytes(TimeCode.seedLength)
        let query = SecondFactorStore.begin(
            caller.accountID,
            try masterKey.seal(seed, context: Self.context(caller.accountID)),
            Int32(masterKey.currentVersion),
            caller.sessionID
        )
        guard let name = try await database.first(query) else {
            throw SecondFactorRefusal.present
        }
        let secret = Base32.encode(seed)
        return Enrolment(
            secret: Secret(secret),
            link: Secret(AuthenticatorLink.text(issuer: issuer, account: name, secret: secret)),
            lifetime: .minutes(SecondFactorStore.enrolmentMinutes)
        )
    }

    /// Takes the authenticator into use whose code the caller shows, and gives recovery codes.
    ///
    /// It is the session that has begun, so that nobody else's guesses count (row 58).
    ///
    /// - Throws: `SecondFactorRefusal.notBegun`, `.wrongCode`; or a fault.
    package func confirm(
        _ code: Secret,
        _ caller: AccessClaims,
        _ trace: RequestTrace
    ) async throws -> [Secret] {
        let query = SecondFactorStore.attempt(caller.accountID, caller.sessionID)
        guard let found = try await database.first(query) else {
            throw SecondFactorRefusal.notBegun
        }
        let seed = try await open(found.sealed, version: found.version, of: caller.accountID)
        let typed = TimeCode.digits(of: code)
        guard let step = TimeCode.step(of: typed, by: seed, at: found.now, after: found.lastStep)
        else { throw SecondFactorRefusal.wrongCode }
        let codes = makeCodes()
        let confirmed = try await database.first(
            SecondFactorStore.confirm(
                caller.accountID,
                codes.digests,
                caller.sessionID,
                found.createdAt,
                step,
                caller.signatureGeneration,
                AuditBinds(trace, entropy: entropy)
            )
        )
        guard confirmed != nil else { throw SecondFactorRefusal.notBegun }
        return codes.texts
    }

    /// Gives the caller new recovery codes in place of the old ones.
    ///
    /// - Throws: `SecondFactorRefusal`; or a fault.
    package func renewCodes(
        _ caller: AccessClaims,
        _ trace: RequestTrace
    ) async throws -> [Secret] {
        try await checkShown(caller)
        let codes = makeCodes()
        let renewed = try await database.first(
            SecondFactorStore.renewCodes(
                caller.accountID,
                codes.digests,
                caller.sessionID,
                caller.signatureGeneration,
                AuditBinds(trace, entropy: entropy)
            )
        )
        guard renewed != nil else { throw SecondFactorRefusal.outdated }
        return codes.texts
    }

    /// Removes the caller's second factor, and ends every session of the account with it, his own
    /// too: what one that is gone has opened must not pass for what the next one opens.
    ///
    /// - Throws: `SecondFactorRefusal`; or a fault.
    package func remove(_ caller: AccessClaims, _ trace: RequestTrace) async throws {
        try await checkShown(caller)
        let end = AuditBinds(trace, entropy: entropy)
        let removal = AuditBinds(trace, entropy: entropy)
        let account = caller.accountID
        try await revoker.transaction { transaction in
            let ended = try await transaction.first(
                SessionStore.endAll(account, caller.signatureGeneration, end)
            )
            guard ended != nil else { throw SecondFactorRefusal.outdated }
            let query = SecondFactorStore.remove(account, account, caller.sessionID, removal)
            // In here, so that nothing ends where there is nothing to remove.
            guard try await transaction.first(query) != nil else {
                throw SecondFactorRefusal.notFound
            }
        }
    }

    /// What `code` is of the account's second factor, which it is no more afterwards (W5); nil
    /// where it is nothing.
    ///
    /// Two statements, on whichever node. Who guesses is held up by the throttle of sign-ins, and
    /// the authenticator closes after 100 wrong codes in a row.
    func use(
        _ code: Secret,
        of account: AccountID,
        _ trace: RequestTrace
    ) async throws -> SignInFactors? {
        // Read to be digested.
        if let digest = RecoveryCode.digest(of: code.exposed) {
            let binds = AuditBinds(trace, entropy: entropy)
            let query = SecondFactorStore.spendRecoveryCode(account, digest, binds)
            return try await database.first(query) == nil ? nil : .passwordAndRecoveryCode
        }
        guard let found = try await database.first(SecondFactorStore.attempt(account, nil)) else {
            return nil
        }
        let seed = try await open(found.sealed, version: found.version, of: account)
        let typed = TimeCode.digits(of: code)
        guard let step = TimeCode.step(of: typed, by: seed, at: found.now, after: found.lastStep)
        else { return nil }
        let query = SecondFactorStore.acceptStep(account, found.createdAt, step)
        return try await database.first(query) == nil ? nil : .passwordAndTimeCode
    }

    /// Seals every seed anew with the current version of the master key.
    ///
    /// - Returns: how many were, and how many do not open and stay as they are.
    package func rewrap() async throws -> (sealed: Int, unopened: Int) {
        var counts = (sealed: 0, unopened: 0)
        var last = AccountID(high: 0, low: 0)
        let version = Int32(masterKey.currentVersion)
        while true {
            let query = SecondFactorStore.findSealedOtherwise(version, last)
            let rows = try await database.rows(query)
            guard let end = rows.last else { return counts }
            last = end.account
            for row in rows {
                let context = Self.context(row.account)
                let seed: [UInt8]
                do {
                    seed = try masterKey.open(row.sealed, version: row.version, context: context)
                } catch {
                    counts.unopened += 1
                    continue
                }
                let sealed = try masterKey.seal(seed, context: context)
                let query = SecondFactorStore.reseal(row.account, row.sealed, sealed, version)
                counts.sealed += try await database.first(query) == nil ? 0 : 1
            }
        }
    }

    /// Who has a second factor changes it with what it has opened, and nothing less.
    private func checkShown(_ caller: AccessClaims) async throws {
        guard !caller.hasSecondFactor else { return }
        guard try await view(of: caller.accountID) == nil else {
            throw SecondFactorRefusal.notShown
        }
        throw SecondFactorRefusal.notFound
    }

    private func makeCodes() -> (texts: [Secret], digests: [UInt8]) {
        let texts = (0..<RecoveryCode.count).map { _ in RecoveryCode.make(entropy) }
        return (
            texts,
            texts.flatMap { text in
                // Read to be digested; the text leaves for its owner, once.
                guard let digest = RecoveryCode.digest(of: text.exposed) else {
                    preconditionFailure("a recovery code without the form of one")
                }
                return digest
            }
        )
    }

    /// The seed; the guess that wanted it is not counted where it does not open.
    private func open(
        _ sealed: [UInt8],
        version: Int,
        of account: AccountID
    ) async throws -> [UInt8] {
        do {
            return try masterKey.open(sealed, version: version, context: Self.context(account))
        } catch {
            _ = try await database.execute(SecondFactorStore.takeBack(account))
            throw SealedSeedFault(account: account, version: version)
        }
    }

    /// A seed opens for the account it was made for (row 271).
    private static func context(_ account: AccountID) -> String { "second factor \(account)" }
}
