// Everybody whose tokens are believed. The claim `iss` says whose keys and whose rules a token is judged by,
// and nobody else's are tried: a key belongs to its issuer and to no other (RFC 8725 §3.8).
//
// Belongs to one owner (a shard).

package import Primitives

/// An issuer, and how its tokens are judged.
package struct TrustedIssuer: Sendable {
    package var policy: ClaimsPolicy
    package var keys: KeySet
    /// Whether its keys are fetched: then one that we do not have may be a new one.
    package var isRemote: Bool

    package init(policy: ClaimsPolicy, keys: KeySet, isRemote: Bool = false) {
        self.policy = policy
        self.keys = keys
        self.isRemote = isRemote
    }
}

/// Verifies the tokens of several issuers.
package final class TrustedIssuers {
    private var issuers: [TrustedIssuer]
    private var verifiers: [TokenVerifier]
    private let indices: [[UInt8]: Int]
    private let tokenBytesMax: Int

    /// For one owner; the gateway itself is the first. Throws when a policy would let in what it should not.
    package init(_ issuers: [TrustedIssuer]) throws(JOSEError) {
        var verifiers: [TokenVerifier] = []
        var indices: [[UInt8]: Int] = [:]
        for (index, issuer) in issuers.enumerated() {
            verifiers.append(try TokenVerifier(keys: issuer.keys, policy: issuer.policy, issuer: index))
            guard indices.updateValue(index, forKey: Array(issuer.policy.issuer.utf8)) == nil else {
                throw .incompletePolicy
            }
        }
        self.issuers = issuers
        self.verifiers = verifiers
        self.indices = indices
        tokenBytesMax = issuers.map(\.policy.tokenBytesMax).max() ?? 0
    }

    /// The gateway itself.
    package var own: TrustedIssuer { issuers[0] }

    /// Has an issuer's tokens be verified by other keys from now on.
    package func change(keys: KeySet, ofIssuer index: Int) throws(JOSEError) {
        verifiers[index] = try TokenVerifier(keys: keys, policy: issuers[index].policy, issuer: index)
        issuers[index].keys = keys
    }

    /// Whether a token that was accepted is signed with a key that is still one of its issuer's.
    package func hasKey(of token: VerifiedToken) -> Bool {
        issuers[token.issuer].keys.keys.contains { $0.identity == token.key }
    }

    /// Whether a token says that the gateway itself has issued it, by a key that may be gone: good enough to
    /// look for the session behind it, and for nothing else.
    package func claimsToBeOwn(_ token: Span<UInt8>) -> Bool {
        if verifiers.count == 1 { return true }
        do throws(TokenRejection) {
            var unverified = try UnverifiedToken(token, bytesMax: tokenBytesMax)
            return indices[Array(try unverified.claimedIssuer(of: token).utf8)] == 0
        } catch {
            return false
        }
    }

    /// The verdict on a token at `now`.
    package func verify(_ token: Span<UInt8>, now: WallTime) -> TokenVerdict {
        do throws(TokenRejection) {
            var unverified = try UnverifiedToken(token, bytesMax: tokenBytesMax)
            var index = 0
            if verifiers.count > 1 {
                let issuer = try unverified.claimedIssuer(of: token)
                guard let known = indices[Array(issuer.utf8)] else { return .refused(.wrongIssuer) }
                index = known
            }
            do throws(TokenRejection) {
                return try verifiers[index].verify(unverified, of: token, now: now)
            } catch {
                if mayHaveNewKey(unverified.header, issuers[index], error) {
                    return .undecided(issuer: index)
                }
                return .refused(error)
            }
        } catch {
            return .refused(error)
        }
    }

    /// Whether a token may be signed with a key that its issuer has made since its keys were fetched. A key
    /// that the token has not named has only been tried: a failure says that it is another one.
    private func mayHaveNewKey(
        _ header: JOSEHeader, _ issuer: TrustedIssuer, _ rejection: TokenRejection
    ) -> Bool {
        switch rejection {
        case .unknownKey: issuer.isRemote
        case .wrongSignature: issuer.isRemote && !issuer.keys.hasKey(named: header.kid)
        default: false
        }
    }
}
