// docs/openapi.json, from the catalogue. Deterministic: the same catalogue gives the same bytes.
internal import HTTPTypes
internal import Primitives

/// Writes OpenAPI 3.1.
package enum OpenAPI {
    /// The document that describes `catalogue`.
    package static func document(_ catalogue: Catalogue, version: String = "1") -> String {
        var components = SchemaComponents()
        var paths: [(String, [(String, OrderedJSON)])] = []
        for info in catalogue.operations {
            guard case .only(let methods) = info.methods, info.gate != .listener else { continue }
            for method in methods {
                let entry = (
                    method.rawValue.lowercased(),
                    operation(info, isOnly: methods.count == 1, method, &components)
                )
                if let at = paths.firstIndex(where: { $0.0 == info.pattern.text }) {
                    paths[at].1.append(entry)
                } else {
                    paths.append((info.pattern.text, [entry]))
                }
            }
        }
        let schemas = components.finish() + [("Problem", problemSchema)]
        return OrderedJSON.object([
            ("openapi", .text("3.1.0")),
            (
                "info",
                .object([
                    ("title", .text("Watchword")), ("version", .text(version)),
                    ("summary", .text("Accounts, sessions and permissions.")),
                ])
            ),
            ("paths", .object(paths.map { ($0.0, .object($0.1)) })),
            (
                "components",
                .object([
                    ("schemas", .object(schemas.sorted { $0.0 < $1.0 })),
                    ("securitySchemes", securitySchemes),
                ])
            ),
        ]).pretty
    }

    private static func operation(
        _ info: OperationInfo,
        isOnly: Bool,
        _ method: HTTPRequest.Method,
        _ components: inout SchemaComponents
    ) -> OrderedJSON {
        let suffix = isOnly ? "" : "_\(method.rawValue.lowercased())"
        var out: [(String, OrderedJSON)] = [
            ("operationId", .text(info.name.replacing(".", with: "_") + suffix)),
            ("summary", .text(info.summary)),
        ]
        out += proof(info)
        out += [("tags", .texts([info.tag])), ("security", security(info))]
        let parameters = parameters(info, &components)
        if !parameters.isEmpty { out.append(("parameters", .list(parameters))) }
        if let input = info.input, info.carrier == .body || info.carrier == .form {
            let type =
                info.carrier == .body ? "application/json" : "application/x-www-form-urlencoded"
            out.append(
                (
                    "requestBody",
                    .object([
                        ("required", .flag(!info.bodyIsOptional)),
                        (
                            "content",
                            .object([(type, .object([("schema", components.json(input))]))])
                        ),
                    ])
                )
            )
        }
        out.append(("responses", .object(responses(info, &components))))
        return .object(out)
    }

    /// That an operation needs a recent sign-in, and why.
    private static func proof(_ info: OperationInfo) -> [(String, OrderedJSON)] {
        switch info.proof {
        case .none: []
        case .recent(let stake):
            [
                (
                    "description",
                    .text(
                        (info.gate.isAdministration
                            ? "Needs a recent sign-in (`administration.recent_sign_in`), or an API"
                                + " key. "
                            : "Needs a sign-in within the last 15 minutes. ") + stake.sentence
                    )
                ), ("x-recent-sign-in", .text(stake.rawValue)),
            ]
        }
    }

    private static func security(_ info: OperationInfo) -> OrderedJSON {
        let csrf: [(String, OrderedJSON)] = info.needsCSRFToken ? [("csrf", .list([]))] : []
        return switch info.gate {
        case .anyone, .listener: .list([])
        case .credential, .endedCredential, .principal, .permission, .delegated:
            .list([
                .object([("bearer", .list([]))]), .object([("cookie", .list([]))] + csrf),
            ])
        case .refreshCredential:
            .list([.object([]), .object([("refreshCookie", .list([]))] + csrf)])
        }
    }

    private static func parameters(
        _ info: OperationInfo,
        _ components: inout SchemaComponents
    ) -> [OrderedJSON] {
        var out = info.pattern.parameters.map { name in
            OrderedJSON.object([
                ("name", .text(name)), ("in", .text("path")), ("required", .flag(true)),
                ("schema", segment(name, &components)),
            ])
        }
        if info.carrier == .query, case .object(let query)? = info.input {
            for member in query.members {
                out.append(
                    .object([
                        ("name", .text(member.name)), ("in", .text("query")),
                        ("required", .flag(member.isRequired)),
                        ("description", .text(member.help)),
                        ("schema", components.json(member.schema)),
                    ])
                )
            }
        }
        return out + headerParameters(info)
    }

    /// What a path parameter takes: what is called a name is a permission's, as `PermissionNames`
    /// reads it; all others are ids.
    private static func segment(
        _ name: String,
        _ components: inout SchemaComponents
    ) -> OrderedJSON {
        guard name == "name" else { return components.json(.id) }
        let part = "[a-z][a-z0-9._-]{0,62}"
        return .object([
            ("type", .text("string")), ("pattern", .text("^\(part):\(part)$")),
        ])
    }

    private static func responses(
        _ info: OperationInfo,
        _ components: inout SchemaComponents
    ) -> [(String, OrderedJSON)] {
        var out: [Int: OrderedJSON] = [:]
        switch info.output {
        case .nothing: out[info.success] = .object([("description", .text("Done."))])
        case .raw(let type):
            out[info.success] = .object([
                ("description", .text("Done.")),
                ("content", .object([(type, .object([]))])),
            ])
        case .json(let schemas, let examples):
            out[info.success] = success(schemas, examples, &components)
        }
        addHeaders(info, to: &out)
        for other in info.alternatives {
            out[other.status] = success(other.schemas, other.examples, &components)
        }
        addHeadersOfAlternatives(info, to: &out)
        for (status, codes) in Dictionary(grouping: info.problems, by: \.status) {
            let names = codes.map { "`\($0.rawValue)`" }.joined(separator: ", ")
            let reference = OrderedJSON.object([("$ref", .text("#/components/schemas/Problem"))])
            let content = OrderedJSON.object([
                ("application/problem+json", .object([("schema", reference)]))
            ])
            out[status] = .object(
                [("description", .text(names)), ("content", content)]
                    + headersOfRefusal(info, codes)
            )
        }
        return out.sorted { $0.key < $1.key }.map { (String($0.key), $0.value) }
    }

    private static func success(
        _ schemas: [Schema],
        _ examples: [[UInt8]],
        _ components: inout SchemaComponents
    ) -> OrderedJSON {
        var forms: [OrderedJSON] = []
        for schema in schemas { forms.append(components.json(schema)) }
        let shown = examples.enumerated().map { index, bytes -> (String, OrderedJSON) in
            do throws(JSONRefusal) {
                let value = OrderedJSON(try JSONReader.read(bytes))
                return ("sample\(index + 1)", .object([("value", value)]))
            } catch {
                preconditionFailure("an example is not JSON: \(error)")
            }
        }
        let schema = forms.count == 1 ? forms[0] : .object([("oneOf", .list(forms))])
        return .object([
            ("description", .text("Done.")),
            (
                "content",
                .object([
                    (
                        "application/json",
                        .object([("schema", schema), ("examples", .object(shown))])
                    )
                ])
            ),
        ])
    }

    private static var problemSchema: OrderedJSON {
        let text = OrderedJSON.object([("type", .text("string"))])
        let error = OrderedJSON.object([
            ("type", .text("object")), ("required", .texts(["member", "code", "detail"])),
            ("properties", .object([("member", text), ("code", text), ("detail", text)])),
        ])
        let codes = OrderedJSON.texts(ProblemCode.allCases.map(\.rawValue))
        return .object([
            ("type", .text("object")),
            ("required", .texts(["type", "title", "status", "detail", "code", "instance"])),
            (
                "properties",
                .object([
                    ("type", .object([("type", .text("string")), ("format", .text("uri"))])),
                    ("title", text), ("status", .object([("type", .text("integer"))])),
                    ("detail", text),
                    ("code", .object([("type", .text("string")), ("enum", codes)])),
                    ("instance", .object([("type", .text("string")), ("format", .text("uri"))])),
                    (
                        "approval_id",
                        .object([("type", .text("string")), ("format", .text("uuid"))])
                    ),
                    ("errors", .object([("type", .text("array")), ("items", error)])),
                ])
            ),
        ])
    }

    private static var securitySchemes: OrderedJSON {
        func key(_ place: String, _ name: String) -> OrderedJSON {
            .object([
                ("type", .text("apiKey")), ("in", .text(place)), ("name", .text(name)),
            ])
        }
        return .object([
            (
                "bearer",
                .object([
                    ("type", .text("http")), ("scheme", .text("bearer")),
                    ("bearerFormat", .text("JWT")),
                ])
            ),
            ("cookie", key("cookie", "__Host-ww_access")),
            ("csrf", key("header", "X-CSRF-Token")),
            ("refreshCookie", key("cookie", "__Secure-ww_refresh")),
        ])
    }
}
