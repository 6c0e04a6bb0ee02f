// What a token must say to be let in, beside carrying a good signature: set by configuration, never by the
// token.

internal import Primitives

/// Which tokens of an issuer are accepted.
package struct ClaimsPolicy: Sendable {
    /// The exact `iss`.
    package let issuer: String
    /// Who we are: one of them must stand in `aud`.
    package let audiences: [String]
    /// How far the issuer's clock may be off. RFC 7519 §4.1.4: "usually no more than a few minutes".
    package let leewaySeconds: Int64
    /// The longest token that is looked at.
    package let tokenBytesMax: Int
    /// The media type that `typ` must name, in lower case: one kind of token must not pass for another (RFC
    /// 8725 §3.11).
    package let type: String
    /// Whether `sid`, `gen` and `epoch` are the gateway's own claims and must have their form. A foreign
    /// issuer's `sid` may look like anything (OpenID Connect defines it too) and is then only passed on.
    package let hasSessionClaims: Bool

    /// A policy. Issuer and audiences must not be empty; `TokenVerifier` refuses such a policy.
    package init(
        issuer: String, audiences: [String], leewaySeconds: Int64 = 30, tokenBytesMax: Int = 8192,
        type: String = "at+jwt", hasSessionClaims: Bool = true
    ) {
        self.issuer = issuer
        self.audiences = audiences
        self.leewaySeconds = leewaySeconds
        self.tokenBytesMax = tokenBytesMax
        self.type = type
        self.hasSessionClaims = hasSessionClaims
    }

    var isComplete: Bool {
        !issuer.isEmpty && !audiences.isEmpty && !audiences.contains("") && !type.isEmpty
            && leewaySeconds >= 0
    }

    /// What the claims of a token are refused for; nil when they are in order at `now`.
    func refusal(of token: VerifiedToken, now: WallTime) -> TokenRejection? {
        // RFC 9068 §4: the issuer "MUST exactly match the value of the "iss" claim". Bytes are compared:
        // String equality would take two canonically equivalent spellings for one.
        guard let issuer = token.claim("iss")?.string else { return .unfitClaims }
        guard issuer.utf8.elementsEqual(self.issuer.utf8) else { return .wrongIssuer }
        guard let audience = token.claim("aud") else { return .unfitClaims }
        if let refusal = refusal(ofAudience: audience) { return refusal }
        // RFC 7519 §4.1.6 leaves `iat` to the recipient. In the future it was not issued by this issuer's
        // clock.
        if let issuedAt = token.issuedAt, issuedAt > now.seconds.addingSaturated(leewaySeconds) {
            return .issuedInFuture
        }
        return token.refusal(now: now, leewaySeconds: leewaySeconds)
    }

    /// RFC 7519 §4.1.3: "If the principal processing the claim does not identify itself with a value in the
    /// "aud" claim when this claim is present, then the JWT MUST be rejected."
    private func refusal(ofAudience claim: JSONValue) -> TokenRejection? {
        let values = claim.kind == .array ? claim.elements : [claim]
        var isOurs = false
        for value in values {
            guard let name = value.string else { return .unfitClaims }
            isOurs = isOurs || audiences.contains { $0.utf8.elementsEqual(name.utf8) }
        }
        return isOurs ? nil : .wrongAudience
    }
}

extension Int64 {
    /// The sum, or the nearest number there is.
    func addingSaturated(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other > 0 ? .max : .min) : sum
    }
}
