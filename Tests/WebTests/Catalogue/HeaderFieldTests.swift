// What operations take and answer in header fields: idempotency keys, versions, preferences.
import HTTPTypes
import Primitives
import Synchronization
import Testing

@testable import Web

@Suite struct HeaderFieldTests {
    private static let name = #"{"name":"one"}"#

    /// Sends requests over one connection, one after the other.
    private func ask(
        _ requests: [(line: String, fields: [String], json: String?)]
    ) async throws -> [RawAnswer] {
        let answers = Answers()
        try await withServer(routes: SampleAPI.routes) { server in
            try await server.connect { client in
                for request in requests {
                    let body = request.json ?? ""
                    var head =
                        ["\(request.line) HTTP/1.1", "Host: a", "Authorization: Bearer good"]
                        + request.fields
                    if request.json != nil {
                        head += [
                            "Content-Type: application/json",
                            "Content-Length: \(body.utf8.count)",
                        ]
                    }
                    try await client.send(head.joined(separator: "\r\n") + "\r\n\r\n" + body)
                    answers.append(try await client.readAnswer())
                }
            }
        }
        return answers.all
    }

    private func make(_ json: String, _ fields: String...) -> (String, [String], String?) {
        ("POST /v1/things", fields, json)
    }

    private func change(_ fields: String...) -> (String, [String], String?) {
        ("PATCH /v1/things/1", fields, Self.name)
    }

    private func get(_ fields: String...) -> (String, [String], String?) {
        ("GET /v1/things/1", fields, nil)
    }

    @Test func `the same key and request bring the same answer, and one thing is made`()
        async throws
    {
        let out = try await ask([
            make(Self.name, "Idempotency-Key: k1"), make(Self.name, "Idempotency-Key: k1"),
            make(Self.name, "Idempotency-Key: k2"), make(Self.name),
        ])
        #expect(out.map(\.status) == [201, 201, 201, 201])
        #expect(out.map { $0["Location"] } == ["1", "1", "2", "3"].map { "/v1/things/\($0)" })
        #expect(out.map { $0["Idempotent-Replayed"] } == [nil, "true", nil, nil])
        #expect(out[0].body == out[1].body)
        for field in ["ETag", "Content-Type", "Watchword-Rights-Version"] {
            #expect(out[0][field] != nil && out[0][field] == out[1][field], "\(field)")
        }
        #expect(out[0]["Watchword-Rights-Version"] == "42")
        // Each answer says itself which request it answers.
        #expect(out[0]["X-Request-Id"] != out[1]["X-Request-Id"])
    }

    @Test func `a key is not taken for another request`() async throws {
        let out = try await ask([
            make(Self.name, "Idempotency-Key: k"), make(#"{"name":"two"}"#, "Idempotency-Key: k"),
            ("POST /v1/things?x=1", ["Idempotency-Key: k"], Self.name),
        ])
        #expect(out.map(\.status) == [201, 409, 409])
        #expect(out[1].body.contains("idempotency-key-reused"))
    }

    @Test func `what is refused or fails is not kept`() async throws {
        for (name, status) in [("taken", 409), ("broken", 503)] {
            let json = #"{"name":"\#(name)"}"#
            let out = try await ask([
                make(json, "Idempotency-Key: k"), make(json, "Idempotency-Key: k"),
                make(Self.name, "Idempotency-Key: k"),
            ])
            #expect(out.map(\.status) == [status, status, 201], "\(name)")
            #expect(out[1]["Idempotent-Replayed"] == nil)
            // All three ran.
            #expect(out[2]["Location"] == "/v1/things/3")
        }
    }

    @Test func `a key is 1 to 255 visible characters, once`() async throws {
        let long = String(repeating: "k", count: 255)
        let out = try await ask([
            make(Self.name, "Idempotency-Key: \(long)"),
            make(Self.name, "Idempotency-Key: \(long)k"),
            make(Self.name, "Idempotency-Key:"), make(Self.name, "Idempotency-Key: a b"),
            make(Self.name, "Idempotency-Key: a", "Idempotency-Key: a"),
            // A body that is wrong is told of first, and uses up no key.
            make("{}", "Idempotency-Key: new"), make(Self.name, "Idempotency-Key: new"),
        ])
        #expect(out.map(\.status) == [201, 400, 400, 400, 400, 400, 201])
        #expect(out[6]["Location"] == "/v1/things/2")
    }

    @Test func `a change names the version it is made to (RFC 9110 section 13.1.1)`()
        async throws
    {
        let out = try await ask([
            change(), change("If-Match: \"v7\""), change("If-Match: *"),
            change("If-Match: \"v6\" , \"v7\""), change("If-Match: \"v6\"", "If-Match: \"v7\""),
            change("If-Match: \"v6\""), change("If-Match: W/\"v7\""), change("If-Match: \"7\""),
            change("If-Match: \"v07\""), change("If-Match: \"a,b\""), change("If-Match: v7"),
            change("If-Match: \"v7"), change("If-Match: *, \"v7\""), change("If-Match: ,"),
        ])
        #expect(
            out.map(\.status) == [
                428, 200, 200, 200, 200, 412, 412, 412, 412, 412, 400, 400, 400, 400,
            ]
        )
        #expect(out[0].body.contains("version-required"))
        #expect(out[1]["ETag"] == "\"v8\"")
        #expect(out[5].body.contains("version-mismatch"))
    }

    @Test func `a copy that is still good is not sent again (RFC 9110 section 13.1.2)`()
        async throws
    {
        let out = try await ask([
            get(), get("If-None-Match: \"v7\""), get("If-None-Match: W/\"v7\""),
            get("If-None-Match: *"), get("If-None-Match: \"v6\", \"v8\""), get("If-None-Match: 7"),
        ])
        #expect(out.map(\.status) == [200, 304, 304, 304, 200, 400])
        #expect(out.prefix(4).map { $0["ETag"] } == Array(repeating: "\"v7\"", count: 4))
        for answer in out[1...3] {
            #expect(answer.body.isEmpty)
            #expect(answer["Content-Type"] == nil)
            #expect(answer["Cache-Control"] == "no-store")
        }
    }

    @Test func `an answer may leave out its body (RFC 7240)`() async throws {
        let out = try await ask([
            change("If-Match: *", "Prefer: return=minimal"),
            make(Self.name, "Prefer: return=minimal"),
            make(Self.name, "Prefer: respond-async, RETURN=\"minimal\";x=1, return=representation"),
            make(Self.name, "Prefer: return=representation"), make(Self.name, "Prefer: return"),
            make(Self.name, "Prefer: x=\", return=minimal\""), get("Prefer: return=minimal"),
        ])
        #expect(out.map(\.status) == [204, 201, 201, 201, 201, 201, 200])
        #expect(out.map(\.body.isEmpty) == [true, true, true, false, false, false, false])
        #expect(out[1]["Location"] == "/v1/things/1")
        for (index, answer) in out.enumerated() {
            let applied = index < 3 ? "return=minimal" : nil
            #expect(answer["Preference-Applied"] == applied, "\(index)")
            #expect((answer["Content-Type"] == nil) == (index < 3), "\(index)")
        }
    }

    @Test func `a key brings the whole answer again to whoever wants it whole`() async throws {
        let out = try await ask([
            make(Self.name, "Idempotency-Key: k", "Prefer: return=minimal"),
            make(Self.name, "Idempotency-Key: k"),
        ])
        #expect(out.map(\.body.isEmpty) == [true, false])
        #expect(out[1]["Preference-Applied"] == nil)
    }

    @Test func `the API document has them`() throws {
        let text = OpenAPI.document(SampleAPI.catalogue)
        guard case .object(let root) = try JSONReader.read(Array(text.utf8)),
            case .object(let paths)? = root["paths"],
            case .object(let things)? = paths["/v1/things"],
            case .object(let one)? = paths["/v1/things/{id}"],
            case .object(let post)? = things["post"],
            case .object(let patch)? = one["patch"], case .object(let show)? = one["get"]
        else {
            Issue.record("not the document")
            return
        }
        #expect(parameters(post) == ["Idempotency-Key", "Prefer"])
        #expect(parameters(patch) == ["id", "If-Match", "Prefer"])
        #expect(parameters(show) == ["id", "If-None-Match"])
        #expect(statuses(post).isSuperset(of: ["201", "409"]))
        #expect(statuses(patch).isSuperset(of: ["200", "204", "412", "428"]))
        #expect(statuses(show).isSuperset(of: ["200", "304"]))
        #expect(
            fields(post, "201") == [
                "ETag", "Idempotent-Replayed", "Location", "Preference-Applied",
                "Watchword-Rights-Version",
            ]
        )
        #expect(fields(show, "304") == ["ETag"])
    }

    private func parameters(_ operation: [String: JSONValue]) -> [String] {
        guard case .list(let list)? = operation["parameters"] else { return [] }
        return list.compactMap { item in
            guard case .object(let members) = item, case .text(let name)? = members["name"] else {
                return nil
            }
            return name
        }
    }

    private func statuses(_ operation: [String: JSONValue]) -> Set<String> {
        guard case .object(let responses)? = operation["responses"] else { return [] }
        return Set(responses.keys)
    }

    private func fields(_ operation: [String: JSONValue], _ status: String) -> [String] {
        guard case .object(let responses)? = operation["responses"],
            case .object(let response)? = responses[status],
            case .object(let headers)? = response["headers"]
        else { return [] }
        return headers.keys.sorted()
    }

    @Test func `an answer without a declared field traps in debug builds`() async throws {
        let result = await #expect(
            processExitsWith: .failure,
            observing: [\.standardErrorContent]
        ) {
            _ = Answer<Echo>(.example).reply(SampleAPI.get.info)
        }
        let said = String(
            decoding: try #require(result).standardErrorContent,
            as: UTF8.self
        )
        #expect(said.contains("samples.get declares and answers"))
    }

    @Test func `a kept answer comes back as it was, and nothing else is taken for one`() throws {
        let reply = Reply(201, headers: [.location: "/x", .eTag: "\"v1\""], body: [0, 1, 255])
        let again = try #require(Reply(kept: reply.kept))
        #expect(again.status == reply.status)
        #expect(again.headers == reply.headers)
        #expect(again.body == reply.body)
        for count in 0..<(reply.kept.count - 3) {
            #expect(Reply(kept: Array(reply.kept.prefix(count))) == nil, "\(count)")
        }
    }
}

/// What came back, in order.
private final class Answers: Sendable {
    private let list = Mutex<[RawAnswer]>([])

    var all: [RawAnswer] { list.withLock { $0 } }

    func append(_ answer: RawAnswer) { list.withLock { $0.append(answer) } }
}
