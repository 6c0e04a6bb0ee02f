// What tokens look like to clients that came before the gateway: a refresh token that is a signed JWT, or one
// token for everything, with two expiries. The ratchet is the same in all of them: the signed text carries
// the opaque refresh token in a claim, so that every rule of rotation holds unchanged, and the signature is
// looked at first.

import JOSE
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
package struct SignedRefreshToken {
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

    /// Whether a text has the look of such a token, whatever key has signed it: enough to keep it from being
    /// forwarded. Of its header, `{"alg":"…","typ":"rt+jwt",…`, the letters are compared that neither the
    /// algorithm, whose name has five of them, nor the key has a part in.
    package static func looksLikeToken(_ text: Span<UInt8>) -> Bool {
        text.count > shape.count
            && text.extracting(algorithmStart).equals(shape.span.extracting(algorithmStart))
            && text.extracting(typeRange).equals(shape.span.extracting(typeRange))
    }

    private static let shape = Array(
        TokenSigner.head(algorithm: .es256, kid: "", type: TokenStyle.refreshType).prefix(
            typeRange.upperBound))
    /// `{"alg":"` is 8 bytes, and so 10 letters and a part of the next.
    private static let algorithmStart = 0..<10
    /// `","typ":"rt+jwt` is the bytes from the 14th on; 18 letters hold 13 bytes and a half.
    private static let typeRange = 18..<38
}
