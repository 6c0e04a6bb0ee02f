// The making of a token pair for a session whose new state is on disk: claims and signature, on a queue of
// its own beside the one that writes. It holds secrets, so it prints as nothing.

import Crypto
import JOSE
import Primitives

/// A pair that is to be signed once the transaction is on disk.
struct TokenIssue: Sendable, CustomStringConvertible, CustomReflectable {
    let session: Session
    /// The generation that the pair belongs to.
    let generation: UInt32
    let refreshToken: String
    /// The subject's epoch.
    let epoch: Int64
    /// The rules at the time of the issue, which is now.
    let policy: SessionPolicy
    let now: WallTime

    /// The pair.
    func signed(by signer: TokenSigner) -> IssuedTokens {
        // An access token outlives its session's final deadline by nothing.
        let tokenID = RandomBytes.make(Self.tokenIDBytes)
        var use = min(now.advanced(byMilliseconds: useLifetime(tokenID)), session.finalDeadline)
        var claims = AccessTokenClaims(
            issuer: policy.issuer, subject: session.subject, audiences: [policy.audience],
            issuedAt: now.seconds, expiresAt: use.seconds,
            tokenID: Base64URL.text(tokenID.span), sessionID: session.sid,
            generation: generation, epoch: epoch, sessionClaims: session.claims)
        var refreshDeadline = session.refreshDeadline
        var refreshToken = refreshToken
        switch policy.style {
        case .opaqueRefresh: break
        case .signedRefresh:
            let refresh = SignedRefreshToken(
                issuer: policy.issuer, subject: session.subject, sid: session.sid, issuedAt: now.seconds,
                expiresAt: refreshDeadline.seconds, token: refreshToken)
            let signed = signer.sign(payload: refresh.payload(), type: TokenStyle.refreshType)
            refreshToken = String(decoding: signed, as: UTF8.self)
        case .single(let claim, _):
            refreshDeadline = min(now.advanced(byMilliseconds: policy.accessLifetime), refreshDeadline)
            use = min(use, refreshDeadline)
            claims.useExpiry = (claim, use.seconds)
            claims.expiresAt = refreshDeadline.seconds
            claims.refreshToken = (TokenStyle.refreshClaim, refreshToken)
            refreshToken = ""
        }
        return IssuedTokens(
            sid: session.sid, subject: session.subject, accessToken: signer.sign(payload: claims.payload()),
            refreshToken: refreshToken,
            accessSeconds: max(0, use.seconds - now.seconds),
            refreshSeconds: max(0, refreshDeadline.seconds - now.seconds))
    }

    /// Never longer than the policy's, shorter by chance: clients that began together, after an outage for
    /// one, are not to refresh together for ever.
    private func useLifetime(_ chance: [UInt8]) -> Int64 {
        let most = policy.useLifetime * policy.jitterPercent / 100
        return policy.useLifetime - (most * (Int64(chance[0]) << 8 | Int64(chance[1]))) >> 16
    }

    var description: String { "a token pair to be signed" }
    var customMirror: Mirror { Mirror(self, children: [:]) }

    private static let tokenIDBytes = 16
}
