// Whose budget a failed check of a signature is taken from, or an API key that opens nothing
// (decision 18), on every path: the client's, as far as its address is known. An address that
// stands for everybody behind a gateway has none: one forger must not have the good tokens of all
// others refused.
internal import Primitives
internal import Sessions

extension VerifySettings {
    /// The address of a client that has a budget; nil for one that may be everybody's.
    func payer(_ client: IPAddress, isTrusted: Bool, peer: IPAddress) -> [UInt8]? {
        // A proxy that forwards no address; and in development a peer is a gateway, told or not.
        if isTrusted || (believesEveryPeer && client == peer) { return nil }
        return client.bytes
    }
}

extension WebServices {
    /// Whose budget a request's failed check is taken from.
    func payer(_ context: RequestContext) -> [UInt8]? {
        verify.payer(
            context.clientAddress,
            isTrusted: context.isClientTrusted,
            peer: context.peerAddress
        )
    }
}

extension CredentialFlaw {
    /// Whether nobody has looked at the credential.
    var isUnchecked: Bool { if case .unchecked = self { true } else { false } }

    /// What `/verify` answers instead of 429, which it never does: nginx makes a 500 of that.
    ///
    /// Nor is it 503: gateways leave out a node that answers so, and a forger would decide for
    /// everybody. The detail and `Retry-After` tell a good token's owner that nobody has looked.
    var gatewayRefusal: any Refusal {
        guard case .unchecked(let wait) = self else { return self }
        return WebRefusal(
            .tokenInvalid,
            "It was not looked at: too many forged ones have come.",
            retryAfter: wait
        )
    }
}
