// Operations: decoding and describing by the same lines, binding, and the generated documents.
import HTTPTypes
import Primitives
import Testing
import Web

@Suite struct CatalogueTests {
    private func decode(_ text: String) throws -> Colours {
        guard case .object(let members) = try JSONReader.read(Array(text.utf8)) else {
            throw RawError(text: "no object")
        }
        return try MemberReader.decode(Colours.self, json: members)
    }

    private func complaints(_ text: String) throws -> [String] {
        do {
            _ = try decode(text)
            return []
        } catch let refusal as ValidationRefusal {
            return refusal.memberErrors.map { "\($0.member) \($0.code)" }
        }
    }

    @Test func `a body is decoded with its defaults`() throws {
        let input = try decode(
            #"{"login":"ada","password":"pass word","profile":{"name":"Ada","age":36}}"#
        )
        #expect(input.login == "ada")
        #expect(input.password.exposed == Array("pass word".utf8))
        #expect(input.transport == .body)
        #expect(input.profile?.age == 36)
        #expect(input.tags.isEmpty)
    }

    @Test func `every complaint is told at once`() throws {
        #expect(
            try complaints(
                #"{"login":7,"password":"short","transport":"pigeon","profile":{"age":200,"x":1},"#
                    + #""tags":["a","toolong",null],"role":"admin"}"#
            ) == [
                "login wrong-type", "password too-short", "transport unknown-choice",
                "profile.name missing", "profile.age out-of-range", "profile.x unknown",
                "tags.1 too-long", "tags.2 wrong-type", "role unknown",
            ]
        )
    }

    @Test(arguments: [
        #"{"$ne":null}"#, "0", "true", "null", "[]", "1.5",
    ])
    func `a string is asked for and nothing else is taken (row 253)`(value: String) throws {
        #expect(
            try complaints(#"{"login":"a","password":\#(value)}"#) == ["password wrong-type"]
        )
    }

    @Test func `control characters are refused in text and allowed in secrets`() throws {
        #expect(
            try complaints(#"{"login":"a\u001bb","password":"tab\tin it"}"#)
                == ["login control-character"]
        )
        #expect(try complaints(#"{"login":"a\u0085b","password":"12345678"}"#).count == 1)
    }

    @Test func `length is counted in Unicode scalars`() throws {
        let twenty = String(repeating: "\u{1F600}", count: 20)
        #expect(try complaints(#"{"login":"\#(twenty)","password":"12345678"}"#).isEmpty)
        #expect(
            try complaints(#"{"login":"\#(twenty)e","password":"12345678"}"#) == ["login too-long"]
        )
    }

    @Test func `no complaint repeats what was sent`() throws {
        do {
            _ = try decode(#"{"login":"","password":"hunter2","transport":"hunter2"}"#)
            Issue.record("decoded")
        } catch let refusal as ValidationRefusal {
            for error in refusal.memberErrors { #expect(!error.detail.contains("hunter2")) }
        }
    }

    @Test func `a query is read strictly and refuses a name given twice (row 254)`() throws {
        func read(_ query: String) throws -> Listing {
            try MemberReader.decode(Listing.self, form: try #require(FormText.parse(query)))
        }
        let listing = try read("limit=7&cursor=AQI&state=open&state=to+do")
        #expect(listing.page == PageRequest(limit: 7, cursor: Cursor([1, 2])))
        #expect(listing.states == ["open", "to do"])
        #expect(try read("").page.limit == 50)
        for bad in [
            "limit=1&limit=2", "limit=0", "limit=201", "limit=07", "limit=x", "x=1",
            "cursor=!", "cursor=", "state=a%00b",
        ] {
            #expect(throws: ValidationRefusal.self, "\(bad)") { try read(bad) }
        }
        for broken in ["a=%", "a=%4", "a=%zz", "a=%ff", "=1"] {
            #expect(FormText.parse(broken) == nil, "\(broken)")
        }
    }

    @Test func `the description has what the decoder asks for`() {
        guard case .object(let schema) = MemberReader.describe(Colours.self) else { return }
        #expect(
            schema.members.map(\.name) == ["login", "password", "transport", "profile", "tags"]
        )
        #expect(schema.members.filter(\.isRequired).map(\.name) == ["login", "password"])
        #expect(schema.members[1].schema == .secret(8...128))
    }

    @Test func `a reply has fixed members and null for what is not there`() {
        #expect(
            String(decoding: MemberWriter.encode(Echo.example), as: UTF8.self)
                == #"{"login":"ada","note":null,"at":"2026-11-21T06:07:08.000000Z"}"#
        )
        #expect(
            String(decoding: MemberWriter.encode(Echoes.example), as: UTF8.self)
                .hasSuffix(#""next_cursor":"AQI"}"#)
        )
    }

    @Test func `problems follow from the shape`() {
        #expect(SampleAPI.echo.info.problems.contains(.unsupportedMediaType))
        #expect(SampleAPI.echo.info.problems.contains(.tooManyAttempts))
        #expect(!SampleAPI.echo.info.problems.contains(.csrfFailed))
        #expect(SampleAPI.delete.info.problems.contains(.csrfFailed))
        #expect(SampleAPI.delete.info.problems.contains(.notFound))
        #expect(!SampleAPI.list.info.problems.contains(.originRefused))
    }

    @Test func `an operation without a handler stops the start`() async throws {
        let result = await #expect(
            processExitsWith: .failure,
            observing: [\.standardErrorContent]
        ) {
            _ = Bindings(SampleAPI.catalogue) { _, _, _ in nil }.finish()
        }
        #expect(try said("samples.echo has no handler", result))
    }

    private func said(_ text: String, _ result: ExitTest.Result?) throws -> Bool {
        String(decoding: try #require(result).standardErrorContent, as: UTF8.self).contains(text)
    }

    @Test func `an operation with two handlers stops the start`() async throws {
        let result = await #expect(
            processExitsWith: .failure,
            observing: [\.standardErrorContent]
        ) {
            var bindings = SampleAPI.bindings()
            bindings.bind(SampleAPI.broken) { _, _ in .done }
        }
        #expect(try said("samples.broken has two handlers", result))
    }

    @Test func `an undeclared refusal traps in debug builds`() async throws {
        let result = await #expect(
            processExitsWith: .failure,
            observing: [\.standardErrorContent]
        ) {
            let routes = SampleAPI.bindings(fails: WebRefusal(.emailTaken)).finish()
            try await withServer(routes: routes) { server in
                _ = try await server.exchange(
                    "GET /v1/broken HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                )
            }
        }
        #expect(try said("email-taken, which it does not declare", result))
    }

    @Test func `the documents are deterministic and complete`() {
        let document = OpenAPI.document(SampleAPI.catalogue)
        #expect(document == OpenAPI.document(SampleAPI.catalogue))
        #expect(document.contains("\"additionalProperties\": false"))
        let table = AccessTable.markdown(SampleAPI.catalogue)
        #expect(table.contains("| `samples.delete` | `DELETE /v1/echoes/{id}` | permission"))
        let manual = ProblemManual.markdown(SampleAPI.catalogue)
        for code in ProblemCode.allCases { #expect(manual.contains("## \(code.rawValue)\n")) }
    }
}
