// A token whose signature has been checked, with the answer that it would get now. Not a verdict:
// expiry and revocation are looked at for every request (revocation.md 1.9). The answer is rendered
// by the general path once, and only its time, age and request id are written anew.
internal import Access
internal import Glibc
internal import HTTPTypes
internal import NIOCore
internal import Primitives
internal import Sessions
internal import Tokens

/// A token and its answer; belongs to one event loop.
final class CheckedToken {
    /// What it says; lent, because a copy of it is half a dozen references counted up and down.
    var claims: AccessClaims { _read { yield lent.claims } }
    private var lent: Lent
    /// The text of an API key, to read it anew by; nil for a token.
    let key: [UInt8]?
    /// The roles that its account holds everywhere, as of `rightsVersion` and until `rightsEnd`.
    private(set) var held: [RoleID] = []
    private var rightsVersion: Int64 = .min
    private var rightsEnd: Timestamp?
    /// Whether it is an API key that opened nothing when it was read anew.
    private var isDead = false
    /// Their names, as of `rolesGeneration`.
    private(set) var roleNames: [String] = []
    private(set) var rolesGeneration = -1
    /// Whether it is not known what one of them permits.
    private(set) var isDoubtful = false
    private(set) var answer = PassTemplate()
    /// The same in organisations.
    private var organisations: [OrganisationID: OrganisationAnswer] = [:]

    private final class Lent {
        let claims: AccessClaims

        init(_ claims: AccessClaims) { self.claims = claims }
    }

    /// The most organisations of one token whose answers are remembered.
    private static let organisationLimit = 4

    init(_ claims: AccessClaims, key: [UInt8]? = nil) {
        lent = Lent(claims)
        self.key = key
        takeCarried()
    }

    /// The answer in an organisation, if it is one for these roles as they are now.
    func answer(
        in organisation: OrganisationID,
        _ held: [RoleID],
        _ generation: Int
    ) -> OrganisationAnswer? {
        guard let known = organisations[organisation], known.generation == generation,
            known.held == held
        else { return nil }
        return known
    }

    /// Remembers the answer in an organisation.
    func take(_ answer: OrganisationAnswer, in organisation: OrganisationID) {
        if organisations.count >= Self.organisationLimit, organisations[organisation] == nil {
            organisations = [:]
        }
        organisations[organisation] = answer
    }

    /// Takes the claims of an API key that was read anew.
    func renew(_ claims: AccessClaims) {
        lent = Lent(claims)
        isDead = false
        organisations = [:]
        rolesGeneration = -1
        held = []
        rightsVersion = .min
        rightsEnd = nil
        takeCarried()
    }

    /// Takes it that an API key which was read anew opens nothing: whoever shows it again has it
    /// looked for, and pays for that (decision 18).
    func die() { isDead = true }

    /// Whether it is an API key whose claims are over, which may go on with others.
    func isSpentKey(_ verifier: Verifier) -> Bool {
        key != nil && (isDead || verifier.isOver(claims))
    }

    private func takeCarried() {
        guard let carried = claims.roles else { return }
        held = carried
        rightsVersion = claims.rightsVersion
        rightsEnd = claims.rightsExpireAt
    }

    /// Whether what it holds is known as of `version`, now.
    func knowsRights(_ version: Int64, at now: Timestamp) -> Bool {
        rightsVersion >= version && rightsEnd.map { $0 > now } ?? true
    }

    /// Takes what its account holds; the answer has to be rendered anew.
    func take(_ rights: AccountRights) {
        held = rights.unscoped
        rightsVersion = rights.version
        rightsEnd = rights.expiresAt
        rolesGeneration = -1
    }

    /// Takes the roles as they are now.
    func take(_ names: [String], isDoubtful: Bool, generation: Int, _ answer: PassTemplate) {
        roleNames = names
        rolesGeneration = generation
        self.isDoubtful = isDoubtful
        self.answer = answer
    }
}

/// The bytes of a 200 with three gaps: the age, the date, the request id.
struct PassTemplate {
    private var bytes: [UInt8] = []
    private var ageAt = 0
    private var dateAt = 0
    private var idAt = 0

    /// How long `Timestamp.httpDate` is, and an id.
    static let dateBytes = 29
    static let idBytes = 36

    /// Of nothing.
    init() {}

    /// Takes apart an answer that was rendered in full.
    ///
    /// Its age must be `0`; the fields are searched by name, so that their order is the renderer's.
    init(_ reply: Reply) {
        var all = Array(reply.http1Bytes.readableBytesView)
        ageAt = Self.place(of: "\r\nWatchword-Age: ", in: all)
        precondition(all[ageAt] == UInt8(ascii: "0"), "the age of a template is 0")
        all.remove(at: ageAt)
        dateAt = Self.place(of: "\r\nDate: ", in: all)
        idAt = Self.place(of: "\r\nX-Request-Id: ", in: all)
        precondition(ageAt < dateAt && ageAt < idAt, "the age comes before date and id")
        all.removeLast(2)
        bytes = all
    }

    /// Where the value of a field begins; `name` is what is before it, from the last line's end on.
    ///
    /// Not `firstRange(of:)`, which takes longer than all else that a new token costs.
    private static func place(of name: StaticString, in bytes: [UInt8]) -> Int {
        let count = name.utf8CodeUnitCount
        let place = bytes.withUnsafeBytes { all in
            guard let start = all.baseAddress else { return nil as Int? }
            return (0..<max(0, all.count - count + 1)).first { at in
                all[at] == 0x0D && memcmp(start + at, name.utf8Start, count) == 0
            }
        }
        guard let place else { preconditionFailure("an answer without \(name)") }
        return place + count
    }

    /// Writes the answer.
    func write(_ now: AnswerTime, _ id: RequestID, closes: Bool, to out: inout ByteBuffer) {
        bytes.withUnsafeBytes { bytes in
            out.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[..<ageAt]))
            out.writeBytes(now.age)
            let shift = out.writerIndex - ageAt
            out.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[ageAt...]))
            out.setBytes(now.date, at: dateAt + shift)
            Self.set(id, at: idAt + shift, in: &out)
        }
        if closes {
            out.writeStaticString("Connection: close\r\n\r\n")
        } else {
            out.writeStaticString("\r\n")
        }
    }

    private static func set(_ id: RequestID, at place: Int, in out: inout ByteBuffer) {
        withUnsafeTemporaryAllocation(byteCount: idBytes, alignment: 1) { text in
            var at = 0
            for digit in 0..<32 {
                let word = digit < 16 ? id.high : id.low
                text[at] = Hex.digit(UInt8(truncatingIfNeeded: word >> (60 - digit % 16 * 4) & 15))
                at += 1
                if digit == 7 || digit == 11 || digit == 15 || digit == 19 {
                    text[at] = UInt8(ascii: "-")
                    at += 1
                }
            }
            out.setBytes(UnsafeRawBufferPointer(text), at: place)
        }
    }
}

/// What all answers of one batch share.
struct AnswerTime {
    let now: Timestamp
    /// `Date`, as text.
    let date: [UInt8]
    /// `Watchword-Age`, as text.
    let age: [UInt8]
}
