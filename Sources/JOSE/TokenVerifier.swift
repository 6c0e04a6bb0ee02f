// A token from the wire to a verdict: the signature by `JWSVerifier`, then the claims by the policy. What is
// refused may be refused on the cheapest evidence; what is accepted has passed everything.
//
// Belongs to one owner (a shard). Remembers nothing: that is `VerifiedTokenCache`.

package import Primitives

/// What became of a token.
package enum TokenVerdict {
    /// Everything was in order.
    case accepted(VerifiedToken)
    /// Refused, and why.
    case refused(TokenRejection)
    /// Its key is not among those that we have of its issuer, who may have made a new one since.
    case undecided(issuer: Int)
}

/// Verifies the tokens of one issuer.
package final class TokenVerifier {
    /// What the tokens have to say.
    package let policy: ClaimsPolicy
    private let issuer: Int
    private let signatures: JWSVerifier

    /// A verifier for one owner. Throws when the policy would let in what it should not.
    ///
    /// - Parameter issuer: the issuer's place among those that are trusted.
    package init(keys: KeySet, policy: ClaimsPolicy, issuer: Int = 0) throws(JOSEError) {
        guard policy.isComplete else { throw .incompletePolicy }
        self.policy = policy
        self.issuer = issuer
        signatures = try JWSVerifier(keys: keys)
    }

    /// The verdict on a token at `now`.
    package func verify(_ token: Span<UInt8>, now: WallTime) -> TokenVerdict {
        do throws(TokenRejection) {
            return try verify(UnverifiedToken(token, bytesMax: policy.tokenBytesMax), of: token, now: now)
        } catch {
            return .refused(error)
        }
    }

    /// The same for a token that has been taken apart.
    func verify(
        _ unverified: UnverifiedToken, of token: Span<UInt8>, now: WallTime
    ) throws(TokenRejection) -> TokenVerdict {
        if token.count > policy.tokenBytesMax { throw .tooLarge }
        if !policy.algorithms.isEmpty, !policy.algorithms.contains(unverified.header.algorithm) {
            throw .wrongAlgorithm
        }
        let proof = try signatures.verify(token, unverified.parts, unverified.header, types: policy.types)
        let claims: JSONDocument
        if let known = unverified.claims {
            claims = known
        } else {
            claims = try UnverifiedToken.claims(proof.payload)
        }
        let verified = try VerifiedToken(claims: claims, policy: policy, issuer: issuer, key: proof.key)
        if let refusal = policy.refusal(of: verified, now: now) { throw refusal }
        return .accepted(verified)
    }
}

/// A token that has been taken apart and is not believed yet.
struct UnverifiedToken {
    let parts: CompactToken
    let header: JOSEHeader
    /// What it claims, where that has been looked at.
    private(set) var claims: JSONDocument?

    init(_ token: Span<UInt8>, bytesMax: Int) throws(TokenRejection) {
        if token.count > bytesMax { throw .tooLarge }
        parts = try CompactToken(token)
        header = try JOSEHeader(parsing: CompactToken.decode(parts.header, of: token))
    }

    /// Whom it claims to be issued by: good for choosing whose keys it must be signed with.
    mutating func claimedIssuer(of token: Span<UInt8>) throws(TokenRejection) -> String {
        let claims = try Self.claims(CompactToken.decode(parts.payload, of: token))
        self.claims = claims
        guard let issuer = claims.root["iss"]?.string else { throw .unfitClaims }
        return issuer
    }

    static func claims(_ payload: [UInt8]) throws(TokenRejection) -> JSONDocument {
        // RFC 7519 §4: "The Claim Names within a JWT Claims Set MUST be unique", which the scanner sees to.
        guard let document = try? JSONDocument(parsing: payload), document.root.kind == .object else {
            throw .malformed
        }
        return document
    }
}
