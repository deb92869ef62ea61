// The header fields of openapi.json, from the traits of operations: what a call may or must send,
// and what its successful answers carry.
internal import HTTPTypes
internal import Primitives

extension OpenAPI {
    /// What a call sends in header fields.
    static func headerParameters(_ info: OperationInfo) -> [OrderedJSON] {
        var out: [OrderedJSON] = []
        for trait in OperationTrait.allCases where info.traits.contains(trait) {
            switch trait {
            case .idempotent:
                out.append(
                    parameter(
                        .idempotencyKey,
                        "Sent again with the same key within a day, the call is done once and "
                            + "answered alike.",
                        [
                            ("minLength", .integer(1)), ("maxLength", .integer(255)),
                            ("pattern", .text("^[!-~]+$")),
                        ]
                    )
                )
            case .needsVersion, .takesVersion:
                out.append(
                    parameter(
                        .ifMatch,
                        "The `ETag` of the version that is changed, or `*`.",
                        isRequired: trait == .needsVersion,
                        [("examples", .texts(["\"v1\"", "*"]))]
                    )
                )
            case .answersVersion where info.answersNotModified:
                out.append(
                    parameter(
                        .ifNoneMatch,
                        "The `ETag` of a copy; 304 while that is still good.",
                        [("examples", .texts(["\"v1\""]))]
                    )
                )
            case .mayBeMinimal:
                out.append(
                    parameter(
                        .prefer,
                        "`return=minimal` for an answer without a body (RFC 7240).",
                        [("examples", .texts(["return=minimal"]))]
                    )
                )
            case .answersVersion, .outgrowsVersion, .answersLocation, .answersRightsVersion:
                continue
            }
        }
        return out
    }

    /// Adds the fields of successful answers, and the answers that fields bring about.
    static func addHeaders(_ info: OperationInfo, to responses: inout [Int: OrderedJSON]) {
        let fields = OperationTrait.allCases.filter(info.traits.contains).compactMap(answered)
        guard !fields.isEmpty, case .object(let members)? = responses[info.success] else { return }
        responses[info.success] = .object(members + [("headers", .object(fields))])
        if info.traits.contains(.mayBeMinimal), info.success == 200 {
            responses[204] = minimal(fields)
        }
        if info.answersNotModified {
            responses[304] = .object([
                ("description", .text("The copy that `If-None-Match` names is still good.")),
                ("headers", .object(fields)),
            ])
        }
    }

    /// Adds what other successful answers carry besides: they are of what was there already, so
    /// neither a place nor a version of their own.
    static func addHeadersOfAlternatives(
        _ info: OperationInfo,
        to responses: inout [Int: OrderedJSON]
    ) {
        let traits: [OperationTrait] = [.idempotent, .answersRightsVersion, .mayBeMinimal]
        let fields = traits.filter(info.traits.contains).compactMap(answered)
        guard !fields.isEmpty else { return }
        for other in info.alternatives {
            guard case .object(let members)? = responses[other.status] else { continue }
            responses[other.status] = .object(members + [("headers", .object(fields))])
            if info.traits.contains(.mayBeMinimal), other.status == 200 {
                responses[204] = minimal(fields)
            }
        }
    }

    /// What a refusal tells in header fields that its body does not.
    static func headersOfRefusal(
        _ info: OperationInfo,
        _ codes: [ProblemCode]
    ) -> [(String, OrderedJSON)] {
        guard codes.contains(.recentSignInRequired) else { return [] }
        let challenge = header(
            .wwwAuthenticate,
            "With `recent-sign-in-required` the error `insufficient_user_authentication`, and as"
                + " `max_age` how recent the sign-in must be, in seconds (RFC 9470)."
        )
        return [("headers", .object([challenge]))]
    }

    private static func minimal(_ fields: [(String, OrderedJSON)]) -> OrderedJSON {
        .object([
            ("description", .text("Done; `Prefer: return=minimal` left out the body.")),
            ("headers", .object(fields)),
        ])
    }

    private static func answered(_ trait: OperationTrait) -> (String, OrderedJSON)? {
        switch trait {
        case .idempotent:
            header(.idempotentReplayed, "`true` where the answer is that of an earlier call.")
        case .answersVersion: header(.eTag, "The version, for `If-Match`.", isRequired: true)
        case .answersLocation: header(.location, "Where the new one is.", isRequired: true)
        case .answersRightsVersion:
            header(
                .rightsVersion,
                "The version that `at_least` takes: who asks for it knows of the change.",
                isRequired: true
            )
        case .mayBeMinimal: header(.preferenceApplied, "`return=minimal` where it was done.")
        case .needsVersion, .takesVersion, .outgrowsVersion: nil
        }
    }

    private static func header(
        _ name: HTTPField.Name,
        _ help: String,
        isRequired: Bool = false
    ) -> (String, OrderedJSON) {
        let text = OrderedJSON.object([("type", .text("string"))])
        return (
            name.rawName,
            .object([
                ("description", .text(help)), ("required", .flag(isRequired)), ("schema", text),
            ])
        )
    }

    private static func parameter(
        _ name: HTTPField.Name,
        _ help: String,
        isRequired: Bool = false,
        _ schema: [(String, OrderedJSON)]
    ) -> OrderedJSON {
        .object([
            ("name", .text(name.rawName)), ("in", .text("header")),
            ("required", .flag(isRequired)), ("description", .text(help)),
            ("schema", .object([("type", .text("string"))] + schema)),
        ])
    }
}
