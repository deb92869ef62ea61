// A small API that shows every shape of operation.
import Access
import HTTPTypes
import Primitives
import Synchronization
import Tokens
import Web

struct Colours: RequestBody {
    let login: String
    let password: Secret
    let transport: Transport
    let profile: Profile?
    let tags: [String]

    init(_ members: inout MemberReader) {
        login = members.text("login", 1...20, help: "The name.")
        password = members.secretText("password", 8...128, help: "The password.")
        transport = members.choice(
            "transport",
            Transport.self,
            default: .body,
            help: "How tokens travel."
        )
        profile = members.optionalObject("profile", Profile.self, help: "The profile.")
        tags = members.defaulted("tags", .list(.text(1...5), 0...3), default: [], help: "Tags.")
    }
}

enum Transport: String, CaseIterable { case body, cookie }

struct Profile: RequestBody {
    let name: String
    let age: Int64?

    init(_ members: inout MemberReader) {
        name = members.text("name", 1...10, help: "The display name.")
        age = members.optional("age", .integer(0...150), help: "Years.")
    }
}

struct Listing: QueryParameters {
    let page: PageRequest
    let states: [String]

    init(_ members: inout MemberReader) {
        page = members.page()
        states = members.defaulted("state", .list(.text(1...9), 0...4), default: [], help: "Only.")
    }
}

struct Echo: ReplyBody {
    let login: String
    let note: String?
    let at: Timestamp
    static let example = Echo(login: "ada", note: nil, at: Timestamp(seconds: 1_795_241_228))

    func write(_ members: inout MemberWriter) {
        members.text("login", login, help: "The name.")
        members.text("note", note, help: "A note.")
        members.timestamp("at", at, help: "When.")
    }
}

struct Echoes: ReplyBody {
    let page: Page<Echo>
    static let example = Echoes(page: Page([.example], nextCursor: Cursor([1, 2])))
    func write(_ members: inout MemberWriter) { members.page(page) }
}

struct Broken: Fault {
    let isTransient: Bool
    var description: String { "the store said: secret-table does not exist" }
}

enum SampleAPI {
    static let echo = Operation<Colours, Echo>(
        "samples.echo",
        .post,
        "/v1/echo",
        summary: "Says it back.",
        tag: "Samples",
        gate: .anyone,
        limits: [.perAddress],
        problems: [.signInFailed]
    )
    static let list = Operation<Listing, Echoes>(
        "samples.list",
        .get,
        "/v1/echoes",
        summary: "Lists.",
        tag: "Samples",
        gate: .credential
    )
    static let delete = Operation<NoInput, NoReply>(
        "samples.delete",
        .delete,
        "/v1/echoes/{id}",
        summary: "Deletes one.",
        tag: "Samples",
        gate: .permission(.rolesWrite),
        success: 204
    )
    static let broken = Operation<NoInput, NoReply>(
        "samples.broken",
        .get,
        "/v1/broken",
        summary: "Fails.",
        tag: "Samples",
        gate: .anyone,
        success: 204
    )
    static let make = Operation<Profile, Echo>(
        "samples.make",
        .post,
        "/v1/things",
        summary: "Makes one.",
        tag: "Samples",
        gate: .credential,
        success: 201,
        problems: [.nameTaken],
        traits: [
            .idempotent, .answersVersion, .answersLocation, .answersRightsVersion, .mayBeMinimal,
        ]
    )
    static let get = Operation<NoInput, Echo>(
        "samples.get",
        .get,
        "/v1/things/{id}",
        summary: "Shows one.",
        tag: "Samples",
        gate: .credential,
        traits: [.answersVersion]
    )
    static let change = Operation<Profile, Echo>(
        "samples.change",
        .patch,
        "/v1/things/{id}",
        summary: "Changes one.",
        tag: "Samples",
        gate: .credential,
        traits: [.needsVersion, .answersVersion, .mayBeMinimal]
    )
    static let verify = RawOperation(
        "samples.verify",
        .any,
        "/verify",
        isPrefix: true,
        summary: "Any method.",
        tag: "Gateway",
        gate: .anyone,
        contentType: nil
    )
    static let catalogue = Catalogue([
        echo.info, list.info, delete.info, broken.info, make.info, get.info, change.info,
        verify.info,
    ])

    static func bindings(fails: any Error = Broken(isTransient: true)) -> Bindings {
        var bindings = Bindings(catalogue, answers: RememberedAnswers()) { gate, _, context in
            guard gate != .anyone else { return nil }
            guard context.headers[.authorization] == "Bearer good" else {
                throw WebRefusal(
                    context.headers.contains(.authorization) ? .tokenInvalid : .tokenMissing
                )
            }
            return Caller(
                claims: AccessClaims(
                    tokenID: ID(high: 1, low: 3),
                    accountID: ID(high: 1, low: 1),
                    sessionID: ID(high: 1, low: 2),
                    clientID: "watchword",
                    audience: "samples",
                    signatureGeneration: 1,
                    rightsVersion: 0,
                    roles: [],
                    scope: "",
                    authenticatedAt: context.now,
                    issuedAt: context.now,
                    expiresAt: context.now + .minutes(1),
                    keyID: ID(high: 1, low: 4)
                ),
                source: .bearer
            )
        }
        bindings.bind(echo) { input, context in
            if input.login == "nobody" { throw WebRefusal(.signInFailed) }
            if input.login == "often" {
                throw WebRefusal(.tooManyAttempts, retryAfter: .milliseconds(1500))
            }
            return Answer(
                Echo(login: input.login, note: context.clientAddress.description, at: context.now),
                cookies: [
                    SetCookie(.host, "ww_access", value: "v", sameSite: .lax, lifetime: nil)
                ]
            )
        }
        bindings.bind(list) { _, context in
            Answer(Echoes(page: Page([.example], nextCursor: nil)))
        }
        bindings.bind(delete) { _, context in
            let _: SessionID = try context.id("id")
            return .done
        }
        bindings.bind(broken) { _, _ in throw fails }
        bindThings(&bindings)
        bindings.bind(verify) { context, _ in
            Reply(200, headers: [.known("X-Method"): context.method.rawValue])
        }
        return bindings
    }

    /// Things of version 7, each with the number of the call that made it as its note.
    private static func bindThings(_ bindings: inout Bindings) {
        let counter = Counter()
        bindings.bind(make) { input, context in
            let number = counter.next()
            if input.name == "taken" { throw WebRefusal(.nameTaken) }
            if input.name == "broken" { throw Broken(isTransient: true) }
            return Answer(Echo(login: input.name, note: "\(number)", at: context.now))
                .with(location: get.info, "\(number)").with(version: 7).with(rightsVersion: 42)
        }
        bindings.bind(get) { _, context in Answer(.example).with(version: 7) }
        bindings.bind(change) { input, context in
            guard context.expectedVersion.matches(7) else { throw VersionMismatch() }
            return Answer(Echo(login: input.name, note: nil, at: context.now)).with(version: 8)
        }
    }

    static var routes: [Route] { bindings().finish() }
}

/// Numbers, each once.
final class Counter: Sendable {
    private let last = Atomic<Int>(0)

    func next() -> Int { last.wrappingAdd(1, ordering: .relaxed).newValue }
}

/// Keeps answers in memory; that of the database has tests of its own, with real nodes.
final class RememberedAnswers: IdempotentAnswers {
    private struct Entry {
        let request: [UInt8]
        var answer: [UInt8]?
    }
    private let entries = Mutex<[[UInt8]: Entry]>([:])

    func once(
        _ request: IdempotentRequest,
        _ run: () async throws -> [UInt8]
    ) async throws -> (answer: [UInt8], isReplay: Bool) {
        let earlier = try entries.withLock { entries -> [UInt8]? in
            guard let entry = entries[request.keyDigest] else {
                entries[request.keyDigest] = Entry(request: request.requestDigest)
                return nil
            }
            guard entry.request == request.requestDigest else {
                throw IdempotencyRefusal.otherRequest
            }
            guard let answer = entry.answer else { throw IdempotencyRefusal.underWay }
            return answer
        }
        if let earlier { return (earlier, true) }
        do {
            let answer = try await run()
            entries.withLock { $0[request.keyDigest]?.answer = answer }
            return (answer, false)
        } catch {
            entries.withLock { $0[request.keyDigest] = nil }
            throw error
        }
    }
}
