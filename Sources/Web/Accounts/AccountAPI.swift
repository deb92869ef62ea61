// The operations on accounts, and their handlers.
import Accounts
import HTTPTypes
import Primitives
import Sessions
import Tokens

/// Signing up and one's own account.
package enum AccountAPI {
    static let register = Operation<RegisterRequest, NewAccountReply>(
        "accounts.register",
        .post,
        "/v1/auth/register",
        summary: "Make an account. The answer has no tokens.",
        tag: "Accounts",
        gate: .anyone,
        success: 201,
        limits: [.perAddress],
        problems: [.registrationDisabled, .emailTaken, .usernameTaken, .tooManyAttempts],
        alternatives: [AlternativeReply(202, ConfirmationSentReply.self)]
    )
    static let me = Operation<NoInput, MeReply>(
        "accounts.me",
        .get,
        "/v1/me",
        summary: "The caller's account.",
        tag: "Accounts",
        gate: .credential
    )
    static let changePassword = Operation<ChangePasswordRequest, TokenReply>(
        "accounts.change_password",
        .post,
        "/v1/me/password",
        summary: "Change the password. Every other session ends; this one gets a new pair.",
        tag: "Accounts",
        gate: .credential,
        limits: [.perAccount, .perAddress],
        problems: [
            .passwordIncorrect, .secondFactorRequired, .secondFactorIncorrect, .permissionDenied,
            .tooManyAttempts,
        ]
    )

    /// All of them.
    static let operations: [OperationInfo] = [register.info, me.info, changePassword.info]
}

extension WebServices {
    func bindAccounts(_ bindings: inout Bindings) {
        bindings.bind(AccountAPI.register) { request, context in
            switch try await register(request.registration, context.trace) {
            case .account(let view): Answer(NewAccountReply(view: view))
            case .confirmationSent: .alternative(202, ConfirmationSentReply())
            }
        }
        bindings.bind(AccountAPI.me) { _, context in
            guard let view = try await accounts.view(context.claims.accountID) else {
                throw CredentialFlaw.revoked
            }
            return Answer(MeReply(view: view))
        }
        bindings.bind(AccountAPI.changePassword) { request, context in
            let pair = try await changePassword(
                current: request.current,
                code: request.code,
                new: request.new,
                context.claims,
                context.trace
            )
            return answer(pair, context.caller?.source == .cookie ? .cookie : .body)
        }
    }
}
