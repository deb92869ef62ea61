// Bodies that are not what an operation asks for (checklist P): each is refused with a stable code,
// never with 5xx, and nothing is written.
import HTTPTypes
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct BadInputTests {
    /// A request that is wrong in one way.
    private struct Wrong {
        let what: String
        var fields: [(String, String)] = [("Content-Type", "application/json")]
        var bytes: [UInt8]?
        var statuses: [Int] = [400]
    }

    /// Values that fit the shape of an operation.
    private func sample(_ info: OperationInfo) -> [(name: String, json: String)] {
        guard case .object(let shape)? = info.input else { return [] }
        return shape.members.compactMap { member in
            switch member.schema {
            case .text, .secret: (member.name, "\"wrong input \(member.name)@example.test\"")
            case .object: (member.name, "{}")
            case .integer: (member.name, "1")
            case .boolean: (member.name, "true")
            case .choice(let names): (member.name, "\"\(names[0])\"")
            case .timestamp, .id, .list, .nullable, .anything: nil
            }
        }
    }

    /// The declared shape of a member.
    private func schema(_ info: OperationInfo, _ name: String) -> Schema? {
        guard case .object(let shape)? = info.input else { return nil }
        return shape.members.first { $0.name == name }?.schema
    }

    /// Whether one of the odd values is as declared, such as an empty description.
    private func fits(_ schema: Schema, _ value: String) -> Bool {
        switch schema {
        case .text(let length), .secret(let length): length.contains(0) && value == "\"\""
        case .integer(let range): range.contains(1) && value == "1"
        case .boolean: value == "true"
        case .choice, .timestamp, .id, .list, .object, .nullable, .anything: false
        }
    }

    private func object(_ members: [(name: String, json: String)]) -> String {
        "{" + members.map { "\"\($0.name)\":\($0.json)" }.joined(separator: ",") + "}"
    }

    private func wrongs(_ info: OperationInfo) -> [Wrong] {
        let good = sample(info)
        let text = object(good)
        func json(_ what: String, _ body: String, _ statuses: [Int] = [400]) -> Wrong {
            Wrong(what: what, bytes: Array(body.utf8), statuses: statuses)
        }
        var all = [
            json("empty", ""), json("not JSON", "hello"), json("half", String(text.dropLast())),
            json("array", "[\(text)]"), json("text", "\"x\""), json("number", "1"),
            json("null", "null"), json("two", text + text), json("rest", text + "x"),
            json("comment", "/**/" + text), json("byte order mark", "\u{FEFF}" + text),
            json("deep", String(repeating: "[", count: 60_000)),
            json("deep object", String(repeating: "{\"a\":", count: 5000)),
            json("unknown", object(good + [("surprise", "1")])),
            json("NUL", object(good + [("a", "\"\\u0000\"")])),
            json("lone surrogate", object(good + [("a", "\"\\ud800\"")])),
            json("huge number", object(good + [("a", "1e999")])),
            json("65 KiB", "{\"a\":\"" + String(repeating: "a", count: 65_537) + "\"}", [413]),
            Wrong(what: "NUL byte", bytes: Array(text.utf8) + [0]),
            Wrong(
                what: "not UTF-8",
                bytes: Array("{\"a\":\"".utf8) + [0xC0, 0x27] + Array("\"}".utf8)
            ),
            Wrong(what: "UTF-16", bytes: text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }),
        ]
        for name in [
            "role", "roles", "confirmed", "id", "is_admin", "email_verified", "created_at",
        ] where schema(info, name) == nil {
            all.append(json("privileged \(name)", object(good + [(name, "[\"admin\"]")])))
            all.append(json("privileged \(name)", object(good + [(name, "true")])))
        }
        for type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
        {
            all.append(
                Wrong(
                    what: type,
                    fields: [("Content-Type", type)],
                    bytes: Array(text.utf8),
                    statuses: [415]
                )
            )
        }
        all.append(Wrong(what: "no type", fields: [], bytes: Array(text.utf8), statuses: [415]))
        if !info.bodyIsOptional {
            all.append(Wrong(what: "no body", fields: [], statuses: [400, 415]))
        }
        for (index, member) in good.enumerated() {
            all.append(json("duplicate \(member.name)", object(good + [member])))
            for value in [
                "null", "1", "true", "[]", "{\"$ne\":null}", "\"\"", "\"a\\u0000b\"", "\"\\udc00\"",
                "\"\(String(repeating: "a", count: 5000))\"", "[\"a\"]",
            ] {
                var members = good
                members[index].json = value
                // Fits where the member is an object, such as a profile that is empty.
                let isFit =
                    member.json == "{}" && value == "{}"
                    || schema(info, member.name).map { fits($0, value) } ?? false
                if !isFit {
                    all.append(json("\(member.name) \(value.prefix(20))", object(members)))
                }
            }
        }
        return all
    }

    @Test
    func `wrong bodies are refused everywhere and write nothing (S3-T1, rows 4, 147, 245 to 254)`()
        async throws
    {
        let cluster = try await Cluster.start(
            {
                var plan = Cluster.Plan()
                plan.nodes = 1
                plan.variables["WATCHWORD_THROTTLE_SIGN_IN_PER_ACCOUNT"] = "100"
                return plan
            }()
        )
        let person = try await cluster.signIn(cluster.person())
        let administrator = try await cluster.signIn(cluster.administrator)
        let before = try await cluster.rowCounts()
        var tried = 0
        for info in PublicAPI.catalogue.operations where info.carrier == .body {
            guard case .only(let methods) = info.methods, let method = methods.first else {
                continue
            }
            let tokens =
                switch info.gate {
                case .permission, .delegated: administrator
                default: person
                }
            for wrong in wrongs(info) {
                let answer = try await cluster.node.send(
                    method.rawValue,
                    info.pattern.text,
                    tokens.bearer + wrong.fields,
                    bytes: wrong.bytes
                )
                let name = "\(info.name): \(wrong.what) → \(answer.status) \(answer.body)"
                // A body that is optional may be empty.
                if info.bodyIsOptional, wrong.what == "empty" { continue }
                #expect(wrong.statuses.contains(answer.status), "\(name)")
                #expect(
                    ProblemCode(rawValue: answer.code ?? "")?.status == answer.status,
                    "\(name)"
                )
                #expect(answer["Content-Type"] == "application/problem+json; charset=utf-8")
                #expect(
                    answer.json.names.isSubset(of: [
                        "type", "title", "status", "detail", "instance", "code", "errors",
                    ]),
                    "\(name)"
                )
                tried += 1
            }
        }
        // Every refusal had one of the stable codes, with its status, in one form (S4-19).
        #expect(tried > 100)
        #expect(try await cluster.rowCounts() == before)
        try await cluster.expectNoSecrets()
    }

    @Test
    func `all complaints come at once, each with its member (S0-22, S3-14)`() async throws {
        let cluster = try await Cluster.shared()
        let answer = try await cluster.node.send(
            "POST",
            "/v1/auth/register",
            json: #"{"email":"nobody","username":1,"extra":true}"#
        )
        #expect(answer.status == 400)
        #expect(answer.code == "validation-failed")
        let members = answer.json.at("errors")?.items.compactMap { $0.at("member")?.string } ?? []
        #expect(Set(members).isSuperset(of: ["username", "password", "extra"]))
    }

    @Test
    func `text that means something elsewhere is only text (rows 245, 247, 250, 251)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let mark = Hex.encode(Entropy.system.bytes(4))
        for (index, text) in [
            "Robert'); DROP TABLE accounts;--", "{{7*7}}", "${7*7}", "%n%s%x", "$1", "\\\\",
            "<svg onload=a()>",
            "=cmd()", "%27 OR 1=1", "a%0d%0aSet-Cookie: x", "session:admin *",
        ].enumerated() {
            let email = "t\(index).\(mark)@example.test"
            let password = "a pass phrase of \(mark) \(index)"
            cluster.secrets.add(password, "password")
            let made = try await cluster.node.send(
                "POST",
                "/v1/auth/register",
                json: """
                    {"email":"\(email)","password":"\(password)","profile":{"given_name":"\(text)"}}
                    """
            )
            #expect(made.status == 201, "\(text): \(made.body)")
            let tokens = try Tokens(await cluster.login(email, password))
            let me = try await cluster.node.send("GET", "/v1/me", tokens.bearer)
            let plain = text.replacing("\\\\", with: "\\")
            #expect(me.text("profile.given_name") == plain)
            let login = try await cluster.login(text, password)
            #expect(login.status == 401, "\(text): \(login.body)")
        }
    }
}
