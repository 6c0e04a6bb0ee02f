// Why a token is refused: a closed list, with a code for logs and metrics and a sentence for the client.
//
// Neither ever contains anything of the token: what an attacker sends must not come back in a header or a
// log.

/// Why a token is refused.
package enum TokenRejection: String, Error, Sendable, CaseIterable {
    /// Longer than the policy allows.
    case tooLarge = "token_too_large"
    /// Not three canonical base64url parts, or a part is not the JSON it has to be.
    case malformed = "token_malformed"
    /// `crit`, `b64` or `zip`: an extension that changes what the token means.
    case extensionUnknown = "token_extension"
    /// `typ` names another kind of token.
    case wrongType = "token_type"
    /// `alg` is not the algorithm of the key.
    case wrongAlgorithm = "token_algorithm"
    /// No key of that name.
    case unknownKey = "token_key_unknown"
    /// The signature is not the key's.
    case wrongSignature = "token_signature"
    /// A claim is missing or has the wrong form.
    case unfitClaims = "token_claims"
    /// Issued by somebody else.
    case wrongIssuer = "token_issuer"
    /// Meant for somebody else.
    case wrongAudience = "token_audience"
    /// At or after `exp`.
    case expired = "token_expired"
    /// Before `nbf`.
    case notYetValid = "token_not_yet_valid"
    /// `iat` lies in the future.
    case issuedInFuture = "token_issued_in_future"
    /// `exp` lies further behind `iat` than the policy allows.
    case livesTooLong = "token_lifetime"
    /// The session behind the token has ended.
    case sessionEnded = "session_ended"
    /// The token was revoked before it expired.
    case revoked = "token_revoked"

    /// A word that stays the same across releases, for logs and metrics.
    package var code: String { rawValue }

    /// A sentence for `error_description` in WWW-Authenticate (RFC 6750 §3): no quote, no backslash.
    package var explanation: StaticString {
        switch self {
        case .tooLarge: "The access token is too large"
        case .malformed: "The access token is malformed"
        case .extensionUnknown: "The access token needs an extension that is not supported"
        case .wrongType: "The token is not an access token"
        case .wrongAlgorithm: "The access token is signed with an algorithm that its key does not use"
        case .unknownKey: "The access token is signed with an unknown key"
        case .wrongSignature: "The signature of the access token is not valid"
        case .unfitClaims: "A claim of the access token is missing or malformed"
        case .wrongIssuer: "The access token has another issuer"
        case .wrongAudience: "The access token is meant for another audience"
        case .expired: "The access token has expired"
        case .notYetValid: "The access token is not valid yet"
        case .issuedInFuture: "The access token was issued in the future"
        case .livesTooLong: "The access token is good for longer than is accepted"
        case .sessionEnded: "The session has ended"
        case .revoked: "The access token has been revoked"
        }
    }
}
