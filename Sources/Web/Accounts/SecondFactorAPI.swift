// The operations on one's own second factor, and their handlers.
import HTTPTypes
import Primitives
import Sessions
import Tokens

/// The caller's second factor.
package enum SecondFactorAPI {
    private static let tag = "Second factor"
    private static let path = "/v1/me/second-factor"

    static let show = Operation<NoInput, SecondFactorReply>(
        "second_factor.show",
        .get,
        path,
        summary: "Whether a second factor is asked for when the caller signs in.",
        tag: tag,
        gate: .credential
    )
    static let begin = Operation<NoInput, EnrolmentReply>(
        "second_factor.begin",
        .post,
        path,
        summary: "Make the seed of an authenticator. It counts once a code of it is confirmed.",
        tag: tag,
        gate: .credential,
        proof: .recent(.credential),
        success: 201,
        problems: [.secondFactorPresent]
    )
    static let confirm = Operation<SecondFactorCodeRequest, RecoveryCodesReply>(
        "second_factor.confirm",
        .post,
        "\(path)/confirm",
        summary: "Show a code of the new authenticator: a password alone opens nothing any more.",
        tag: tag,
        gate: .credential,
        proof: .recent(.credential),
        problems: [.secondFactorIncorrect, .notFound]
    )
    static let renewCodes = Operation<NoInput, RecoveryCodesReply>(
        "second_factor.renew_recovery_codes",
        .post,
        "\(path)/recovery-codes",
        summary: "Make new recovery codes in place of the old ones.",
        tag: tag,
        gate: .credential,
        proof: .recent(.credential),
        problems: [.secondFactorRequired, .notFound]
    )
    static let remove = Operation<NoInput, NoReply>(
        "second_factor.remove",
        .delete,
        path,
        summary: "Remove the second factor, and end every session of the account.",
        tag: tag,
        gate: .credential,
        proof: .recent(.credential),
        success: 204,
        problems: [.secondFactorRequired, .notFound]
    )

    /// All of them.
    static let operations: [OperationInfo] = [
        show.info, begin.info, confirm.info, renewCodes.info, remove.info,
    ]
}

extension WebServices {
    func bindSecondFactor(_ bindings: inout Bindings) {
        bindings.bind(SecondFactorAPI.show) { _, context in
            let view = try await secondFactors.view(of: context.claims.accountID)
            return Answer(SecondFactorReply(view: view))
        }
        bindings.bind(SecondFactorAPI.begin) { _, context in
            Answer(EnrolmentReply(enrolment: try await secondFactors.begin(context.claims)))
        }
        bindings.bind(SecondFactorAPI.confirm) { request, context in
            let codes = try await secondFactors.confirm(
                request.code,
                context.claims,
                context.trace
            )
            return Answer(RecoveryCodesReply(codes: codes))
        }
        bindings.bind(SecondFactorAPI.renewCodes) { _, context in
            let codes = try await secondFactors.renewCodes(context.claims, context.trace)
            return Answer(RecoveryCodesReply(codes: codes))
        }
        bindings.bind(SecondFactorAPI.remove) { _, context in
            try await secondFactors.remove(context.claims, context.trace)
            return .ended(cookies)
        }
    }
}
