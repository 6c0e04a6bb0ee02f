// What tokens look like to clients that came before the gateway: a refresh token that is a signed JWT, or one
// token for everything, with two expiries. The ratchet is the same in all of them: the signed text carries
// the opaque refresh token in a claim, so that every rule of rotation holds unchanged, and the signature is
// looked at first.

import Primitives

/// How a session's tokens are made.
package enum TokenStyle: Sendable, Equatable {
    /// An access token beside an opaque refresh token.
    case opaqueRefresh
    /// An access token beside a refresh token that is a JWT.
    case signedRefresh
    /// One token: good for requests until the time that `claim` says, and at the refresh endpoint until
    /// `exp`.
    case single(claim: String, useLifetime: Int64)

    /// The claim that carries the opaque refresh token.
    package static let refreshClaim = "rt"
    /// `typ` of a refresh token, which is good for nothing else (RFC 8725 §3.11).
    package static let refreshType = "rt+jwt"
}

/// The payload of a refresh token that is a JWT.
struct SignedRefreshToken {
    let issuer: String
    let subject: String
    let sid: SessionID
    let issuedAt: Int64
    let expiresAt: Int64
    let token: String

    /// Its audience is its issuer: it is for nobody but the gateway itself.
    func payload() -> [UInt8] {
        var writer = JSONWriter(reserving: 512)
        writer.beginObject()
        writer.string("iss", issuer)
        writer.string("sub", subject)
        writer.string("aud", issuer)
        writer.number("iat", issuedAt)
        writer.number("exp", expiresAt)
        writer.string("sid", sid.text)
        writer.string(TokenStyle.refreshClaim, token)
        writer.endObject()
        return writer.bytes
    }
}
