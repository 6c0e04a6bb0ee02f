// A token whose signature has been verified, read into the form that each request needs: the texts that go
// into an upstream's header, the times, the session.
//
// Immutable, so it may be remembered and shared. What changes with time (expiry, revocation) is asked on each
// use. Invariant: subject, session text and scope text can stand in a header field as they are.

package import Primitives

/// The claims of a verified token.
package final class VerifiedToken: Sendable {
    /// Whom the token is about: `sub`.
    package let subject: String
    /// `sub` as bytes.
    package let subjectBytes: [UInt8]
    /// The session that the token belongs to, where `sid` is the gateway's own.
    package let sessionID: SessionID?
    /// `sid` as it stands in the token; empty when there is none.
    package let sessionText: [UInt8]
    /// The refresh generation at which the token was issued: `gen`.
    package let generation: UInt32
    /// The subject's revocation epoch at which the token was issued: `epoch`.
    package let epoch: Int64
    /// What the token grants: the words of `scope`.
    package let scopes: [String]
    /// The words of `scope`, with one blank between two.
    package let scopeText: [UInt8]
    /// When requests can use it no longer: `exp`, or the claim that ends its use before that; in whole
    /// seconds since 1970.
    package let expiresAt: Int64
    /// `nbf`, in whole seconds since 1970.
    package let notBefore: Int64?
    /// `iat`, in whole seconds since 1970.
    package let issuedAt: Int64?
    /// Every claim.
    package let claims: JSONDocument
    /// The key that verified the token.
    package let key: KeyIdentity
    /// The issuer's place among those that are trusted; 0 is the gateway itself.
    package let issuer: Int
    private let leewaySeconds: Int64
    private let expiredSecondsMax: Int64

    /// Whether the gateway itself has issued it.
    package var isOurs: Bool { issuer == 0 }

    /// Reads a payload. Only for payloads whose signature has been verified.
    init(
        claims document: JSONDocument, policy: ClaimsPolicy, issuer: Int, key: KeyIdentity
    ) throws(TokenRejection) {
        let root = document.root
        claims = document
        self.key = key
        self.issuer = issuer
        leewaySeconds = policy.leewaySeconds
        expiredSecondsMax = policy.expiredSecondsMax
        // RFC 9068 §2.2 requires `sub`; an upstream that is told nobody might take that for somebody.
        let claim = root.value(at: policy.subjectPath)
        let number = policy.takesNumericSubject ? claim?.integer.map(String.init) : nil
        guard let subject = claim?.string ?? number, HeaderText.isFit(subject) else { throw .unfitClaims }
        self.subject = subject
        subjectBytes = Array(subject.utf8)
        issuedAt = try NumericDate.read(root["iat"])
        expiresAt = try Self.useEnd(root, issuedAt: issuedAt, policy)
        notBefore = try NumericDate.read(root["nbf"])
        scopes = try Self.scopes(root.value(at: policy.scopePath))
        scopeText = Array(scopes.joined(separator: " ").utf8)
        let session = try SessionClaims(root, areOurs: policy.hasSessionClaims)
        sessionID = session.id
        sessionText = session.text
        generation = session.generation
        epoch = session.epoch
    }

    private static func useEnd(
        _ root: JSONValue, issuedAt: Int64?, _ policy: ClaimsPolicy
    ) throws(TokenRejection) -> Int64 {
        guard var end = try NumericDate.read(root["exp"]) else { throw .unfitClaims }
        if let most = policy.useSecondsMax, let issuedAt { end = min(end, issuedAt.addingSaturated(most)) }
        if let claim = policy.twofoldClaim, root[claim] == nil { return end }
        let use = try policy.useExpiryClaim.flatMap { (name) throws(TokenRejection) in
            try NumericDate.read(root[name])
        }
        if let use { return min(end, use) }
        // To be exchanged, and to say so to its client: it counts as one that has expired.
        if policy.twofoldClaim != nil { return 0 }
        if policy.useExpiryClaim != nil { throw .unfitClaims }
        return end
    }

    /// What the token is refused for at `now`; to be asked on each use, since a remembered token grows old.
    package func refusal(now: WallTime) -> TokenRejection? {
        // RFC 7519 §4.1.4: "the expiration time on or after which the JWT MUST NOT be accepted for
        // processing".
        let end = expiresAt.addingSaturated(leewaySeconds).addingSaturated(expiredSecondsMax)
        if now.seconds >= end { return .expired }
        // RFC 7519 §4.1.5: "the time before which the JWT MUST NOT be accepted for processing".
        if let notBefore, now.seconds.addingSaturated(leewaySeconds) < notBefore { return .notYetValid }
        return nil
    }

    /// A claim by its name.
    package func claim(_ name: String) -> JSONValue? { claims.root[name] }

    /// A claim by the names that lead to it, from the outermost inwards.
    package func claim(at names: [String]) -> JSONValue? { claims.root.value(at: names) }

    /// `scope` is a string of words with blanks between (RFC 8693 §4.2, RFC 9068 §2.2.3); some issuers send
    /// an array, of roles too. A name there with a blank in it is no scope (RFC 6749 §3.3), and left out:
    /// taken apart, the role "not admin" would grant what "admin" does.
    private static func scopes(_ claim: JSONValue?) throws(TokenRejection) -> [String] {
        guard let claim else { return [] }
        let isArray = claim.kind == .array
        var words: [String] = []
        for value in isArray ? claim.elements : [claim] {
            guard let text = value.string, HeaderText.hasNoControls(text) else { throw .unfitClaims }
            let parts = text.split(separator: " ", omittingEmptySubsequences: !isArray)
            if isArray && (parts.count > 1 || text.isEmpty) { continue }
            words += parts.map(String.init)
        }
        return words
    }
}

/// The claims that tie a token to a session of the gateway.
private struct SessionClaims {
    var id: SessionID? = nil
    var text: [UInt8] = []
    var generation: UInt32 = 0
    var epoch: Int64 = 0

    init(_ root: JSONValue, areOurs: Bool) throws(TokenRejection) {
        if let claim = root["sid"] {
            guard let sid = claim.string, HeaderText.isFit(sid) else { throw .unfitClaims }
            text = Array(sid.utf8)
        }
        guard areOurs else { return }
        if !text.isEmpty {
            guard let id = SessionID(text: text.span) else { throw .unfitClaims }
            self.id = id
        }
        if let claim = root["gen"] {
            guard let number = claim.integer, let generation = UInt32(exactly: number) else {
                throw .unfitClaims
            }
            self.generation = generation
        }
        if let claim = root["epoch"] {
            guard let epoch = claim.integer else { throw .unfitClaims }
            self.epoch = epoch
        }
    }
}

/// RFC 7519 §2: seconds since 1970, "non-integer values can be represented".
private enum NumericDate {
    /// The seconds, a fraction cut off; nil when the claim is absent. Strings, and numbers outside of the
    /// years 1970 to 9999, are refused: they are mistakes or attacks, and nothing computed with them may
    /// wrap.
    static func read(_ claim: JSONValue?) throws(TokenRejection) -> Int64? {
        guard let claim else { return nil }
        guard let seconds = claim.wholeNumber, (0...secondsMax).contains(seconds) else { throw .unfitClaims }
        return seconds
    }

    private static let secondsMax: Int64 = 253_402_300_799
}

/// What may go into a field value of an upstream's request (RFC 9110 §5.5).
package enum HeaderText {
    /// Whether a text names somebody: 1 to 255 bytes, no control character, no blank at either end, which an
    /// upstream would strip and so take one subject for another.
    package static func isFit(_ text: String) -> Bool {
        let bytes = text.utf8
        guard let first = bytes.first, let last = bytes.last, bytes.count <= bytesMax else { return false }
        return first != UInt8(ascii: " ") && last != UInt8(ascii: " ") && hasNoControls(text)
    }

    /// Whether a text has no control character.
    static func hasNoControls(_ text: String) -> Bool { !text.unicodeScalars.contains(where: \.isControl) }

    private static let bytesMax = 255
}
