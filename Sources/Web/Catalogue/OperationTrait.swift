// What an operation takes and answers in header fields, besides what all have in common. Declared
// with the operation; `Bindings` carries it out and openapi.json shows it.
internal import HTTPTypes
internal import Primitives

/// A header field that an operation takes or answers.
package enum OperationTrait: String, Hashable, Sendable, CaseIterable {
    /// Takes `Idempotency-Key`: sent again with the same key it is done once.
    case idempotent
    /// Must say in `If-Match` which version it changes; the handler finds it in
    /// `RequestContext.expectedVersion`.
    case needsVersion
    /// May say so in `If-Match`; where it does not, any version is changed.
    case takesVersion
    /// Answers the version as `ETag`; a GET then takes `If-None-Match`, unless it outgrows that.
    case answersVersion
    /// Answers more than the version covers: a copy may be outdated though the version is still the
    /// same, so the GET is always answered in full. The version stays good for `If-Match`.
    case outgrowsVersion
    /// Answers where the new resource is, as `Location`.
    case answersLocation
    /// Changes rights, and answers the version that `at_least` takes to know of it; `Bindings` adds
    /// it.
    case answersRightsVersion
    /// Takes `Prefer: return=minimal` (RFC 7240). Not for answers with a secret, which come once.
    case mayBeMinimal

    var problems: [ProblemCode] {
        switch self {
        case .idempotent: [.idempotencyKeyReused]
        case .needsVersion: [.versionRequired, .versionMismatch]
        case .takesVersion: [.versionMismatch]
        case .answersVersion, .outgrowsVersion, .answersLocation, .answersRightsVersion,
            .mayBeMinimal:
            []
        }
    }

    /// The field that a successful answer has; nil where it has none, or not always.
    var answered: HTTPField.Name? {
        switch self {
        case .answersVersion: .eTag
        case .answersLocation: .location
        case .answersRightsVersion: .rightsVersion
        case .idempotent, .needsVersion, .takesVersion, .outgrowsVersion, .mayBeMinimal: nil
        }
    }
}

extension OperationInfo {
    /// Whether it reads and answers a version that covers all of it, so that a copy can be asked
    /// about.
    var answersNotModified: Bool {
        !isUnsafe && traits.contains(.answersVersion) && !traits.contains(.outgrowsVersion)
    }

    /// Stops the start where the traits make no sense together.
    func checkTraits() {
        let isJSON = if case .json = output { true } else { false }
        precondition(
            !traits.contains(.idempotent) || methods == .only([.post]) && gate.hasCaller,
            "\(name): idempotency keys are for POST, and belong to a caller"
        )
        precondition(
            !traits.contains(.mayBeMinimal) || isUnsafe && isJSON,
            "\(name): there is nothing to leave out"
        )
        precondition(
            !traits.contains(.outgrowsVersion) || !isUnsafe && traits.contains(.answersVersion),
            "\(name): there is no copy that could be outdated"
        )
        precondition(
            traits.isDisjoint(with: [.needsVersion, .takesVersion]) || isUnsafe,
            "\(name): a version is needed to change something"
        )
        precondition(
            proof == .none || isUnsafe && gate.hasCaller,
            "\(name): a recent proof is for somebody who changes something"
        )
    }

    /// In debug builds traps when the answer lacks a declared field, or has one that is not.
    func checkFields(_ headers: HTTPFields) {
        for trait in OperationTrait.allCases {
            guard let field = trait.answered else { continue }
            assert(
                headers.contains(field) == traits.contains(trait),
                "\(name) declares and answers \(field) differently"
            )
        }
    }
}

extension Gate {
    /// Whether passing it says who calls.
    var hasCaller: Bool {
        switch self {
        case .credential, .endedCredential, .principal, .permission, .delegated: true
        case .anyone, .refreshCredential, .listener: false
        }
    }
}
