// What a token must say to be let in, beside carrying a good signature: set by configuration, never by the
// token.

internal import Primitives

/// Which tokens of an issuer are accepted, and where they say what.
package struct ClaimsPolicy: Sendable {
    /// A claim that must have one of these values.
    package struct Requirement: Sendable, Equatable {
        package let path: [String]
        package let values: [String]

        package init(path: [String], values: [String]) {
            self.path = path
            self.values = values
        }
    }

    /// The exact `iss`.
    package var issuer: String
    /// Whether `iss` may say anything, or nothing: of tokens that are known by their key alone.
    package var takesAnyIssuer = false
    /// Who we are: one of them must stand in `aud`. Empty takes tokens for anybody, and only where
    /// `takesAnyAudience` says so.
    package var audiences: [String]
    package var takesAnyAudience = false
    /// How far the issuer's clock may be off. RFC 7519 §4.1.4: "usually no more than a few minutes".
    package var leewaySeconds: Int64 = 30
    /// The longest token that is looked at.
    package var tokenBytesMax = 8192
    /// The media types that `typ` may name, in lower case, an empty text for a token without one: one kind of
    /// token must not pass for another (RFC 8725 §3.11).
    package var types = ["at+jwt"]
    /// Whether `sid`, `gen` and `epoch` are the gateway's own claims and must have their form. A foreign
    /// issuer's `sid` may look like anything (OpenID Connect defines it too) and is then only passed on.
    package var hasSessionClaims = true
    /// The algorithms that are taken, of those that the keys have; empty for all of them.
    package var algorithms: [SignatureAlgorithm] = []
    /// Where the token says whom it is about.
    package var subjectPath = ["sub"]
    /// Where it says what it grants.
    package var scopePath = ["scope"]
    /// The claim that says whom it is for. Amazon Cognito's access tokens name their client, and have no
    /// `aud`.
    package var audienceClaim = "aud"
    package var requirements: [Requirement] = []
    /// How far apart `iat` and `exp` may be; nil is any distance.
    package var lifetimeSecondsMax: Int64?
    /// How long after its expiry a token is still taken, beside the leeway.
    package var expiredSecondsMax: Int64 = 0
    /// Whether the subject may be a whole number: older systems have such.
    package var takesNumericSubject = false
    /// A claim that ends the token's use in requests earlier than `exp` does; nil where there is none.
    package var useExpiryClaim: String?
    /// A claim that those tokens alone have which need the one before; nil where all of them do. A token that
    /// has it and not the other was made under another configuration, and is good for no request.
    package var twofoldClaim: String?
    /// How long after its issue a token may be used, whatever it says itself: how far back revocations are
    /// remembered depends on it. nil is as long as it says.
    package var useSecondsMax: Int64?

    /// A policy. Issuer and audiences must not be empty; `TokenVerifier` refuses such a policy.
    package init(issuer: String, audiences: [String]) {
        self.issuer = issuer
        self.audiences = audiences
    }

    var isComplete: Bool {
        (takesAnyIssuer || !issuer.isEmpty) && (takesAnyAudience || !audiences.isEmpty)
            && !audiences.contains("")
            && !types.isEmpty && !subjectPath.isEmpty && leewaySeconds >= 0
    }

    /// What the claims of a token are refused for; nil when they are in order at `now`.
    func refusal(of token: VerifiedToken, now: WallTime) -> TokenRejection? {
        // RFC 9068 §4: the issuer "MUST exactly match the value of the "iss" claim". Bytes are compared:
        // String equality would take two canonically equivalent spellings for one.
        if !takesAnyIssuer {
            guard let issuer = token.claim("iss")?.string else { return .unfitClaims }
            guard issuer.utf8.elementsEqual(self.issuer.utf8) else { return .wrongIssuer }
        }
        if let refusal = refusal(ofAudience: token.claim(audienceClaim)) { return refusal }
        // RFC 7519 §4.1.6 leaves `iat` to the recipient. In the future it was not issued by this issuer's
        // clock.
        if let issuedAt = token.issuedAt, issuedAt > now.seconds.addingSaturated(leewaySeconds) {
            return .issuedInFuture
        }
        if let lifetimeSecondsMax {
            guard let issuedAt = token.issuedAt else { return .unfitClaims }
            if token.expiresAt > issuedAt.addingSaturated(lifetimeSecondsMax) { return .livesTooLong }
        }
        for requirement in requirements {
            guard let claim = token.claim(at: requirement.path),
                claim.isOne(of: requirement.values)
            else { return .unfitClaims }
        }
        return token.refusal(now: now)
    }

    /// RFC 7519 §4.1.3: "If the principal processing the claim does not identify itself with a value in the
    /// "aud" claim when this claim is present, then the JWT MUST be rejected."
    private func refusal(ofAudience claim: JSONValue?) -> TokenRejection? {
        guard let claim else { return takesAnyAudience ? nil : .unfitClaims }
        let values = claim.kind == .array ? claim.elements : [claim]
        var isOurs = takesAnyAudience
        for value in values {
            guard let name = value.string else { return .unfitClaims }
            isOurs = isOurs || audiences.contains { $0.utf8.elementsEqual(name.utf8) }
        }
        return isOurs ? nil : .wrongAudience
    }
}

extension JSONValue {
    /// Whether a claim is one of the values, or an array that holds one of them.
    package func isOne(of values: [String]) -> Bool {
        switch kind {
        case .array: elements.contains { $0.kind != .array && $0.isOne(of: values) }
        case .string: string.map { text in values.contains { $0.utf8.elementsEqual(text.utf8) } } ?? false
        case .number, .true, .false: values.contains(String(decoding: raw, as: UTF8.self))
        case .object, .null: false
        }
    }
}

extension Int64 {
    /// The sum, or the nearest number there is.
    func addingSaturated(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other > 0 ? .max : .min) : sum
    }
}
