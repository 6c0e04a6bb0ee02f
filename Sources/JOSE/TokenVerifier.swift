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
}

/// Verifies the tokens of one issuer.
package final class TokenVerifier {
    /// What the tokens have to say.
    package let policy: ClaimsPolicy
    private let keyGeneration: UInt64
    private let signatures: JWSVerifier

    /// A verifier for one owner. Throws when the policy would let in what it should not.
    package init(keys: KeySet, policy: ClaimsPolicy) throws(JOSEError) {
        guard policy.isComplete else { throw .incompletePolicy }
        self.policy = policy
        keyGeneration = keys.generation
        signatures = try JWSVerifier(keys: keys)
    }

    /// The verdict on a token at `now`.
    package func verify(_ token: Span<UInt8>, now: WallTime) -> TokenVerdict {
        do throws(TokenRejection) {
            let payload = try signatures.payload(
                of: token, requiredType: policy.type, bytesMax: policy.tokenBytesMax)
            let verified = try VerifiedToken(
                payload: payload, hasSessionClaims: policy.hasSessionClaims, keyGeneration: keyGeneration)
            if let refusal = policy.refusal(of: verified, now: now) { return .refused(refusal) }
            return .accepted(verified)
        } catch {
            return .refused(error)
        }
    }
}
