// The payload of the gateway's own access tokens (RFC 9068 §2.2), written as bytes for `TokenSigner`, and the
// check of what a session may add to it.
//
// Invariant: no claim that the gateway writes can be written a second time by a session's claims, since those
// names are reserved and refused when the session begins.

package import Primitives

/// The claims of one access token.
package struct AccessTokenClaims: Sendable {
    /// Who issues it.
    package var issuer: String
    /// Whom it is about.
    package var subject: String
    /// Whom it is for; one is written as a string, several as an array (RFC 7519 §4.1.3).
    package var audiences: [String]
    /// `iat`, in seconds since 1970.
    package var issuedAt: Int64
    /// `exp`, in seconds since 1970.
    package var expiresAt: Int64
    /// `jti`: names this token alone.
    package var tokenID: String
    /// `sid`.
    package var sessionID: SessionID
    /// `gen`: the refresh generation at which it is issued.
    package var generation: UInt32
    /// `epoch`: the subject's revocation epoch at which it is issued.
    package var epoch: Int64
    /// Claims of a token that is more than an access token, written as they are given: when it ends to be
    /// one, and the refresh token in it.
    package var useExpiry: (claim: String, at: Int64)?
    package var refreshToken: (claim: String, text: String)?
    /// The session's own claims: the text that `validateSessionClaims` gave, or nothing.
    package var sessionClaims: [UInt8]

    /// The claims of one token.
    package init(
        issuer: String, subject: String, audiences: [String], issuedAt: Int64, expiresAt: Int64,
        tokenID: String,
        sessionID: SessionID, generation: UInt32, epoch: Int64 = 0, sessionClaims: [UInt8] = []
    ) {
        self.issuer = issuer
        self.subject = subject
        self.audiences = audiences
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.tokenID = tokenID
        self.sessionID = sessionID
        self.generation = generation
        self.epoch = epoch
        self.sessionClaims = sessionClaims
    }

    /// The token's payload.
    package func payload() -> [UInt8] {
        var writer = JSONWriter(reserving: 384 + sessionClaims.count)
        writer.beginObject()
        writer.string("iss", issuer)
        writer.string("sub", subject)
        if audiences.count == 1 {
            writer.string("aud", audiences[0])
        } else {
            writer.beginArray("aud")
            for audience in audiences { writer.string(nil, audience) }
            writer.endArray()
        }
        writer.string("client_id", Self.clientID)
        writer.number("iat", issuedAt)
        writer.number("exp", expiresAt)
        writer.string("jti", tokenID)
        writer.string("sid", sessionID.text)
        writer.number("gen", Int64(generation))
        writer.number("epoch", epoch)
        if let useExpiry { writer.number(useExpiry.claim, useExpiry.at) }
        if let refreshToken { writer.string(refreshToken.claim, refreshToken.text) }
        let members = Self.members(of: sessionClaims)
        if !members.isEmpty { writer.json(nil, members) }
        writer.endObject()
        return writer.bytes
    }

    /// RFC 9068 §2.2 requires a `client_id`; the gateway is the one client of its own issuer.
    package static let clientID = "auth-gateway"

    /// What stands between the braces of an object.
    private static func members(of object: [UInt8]) -> ArraySlice<UInt8> {
        func isBlank(_ byte: UInt8) -> Bool { JSONText.isWhitespace(byte) }
        let trimmed = object.drop(while: isBlank)
        guard let end = trimmed.lastIndex(where: { !isBlank($0) }) else { return [] }
        precondition(
            trimmed[trimmed.startIndex] == UInt8(ascii: "{") && trimmed[end] == UInt8(ascii: "}"),
            "a session's claims are a checked JSON object")
        let inner = trimmed[(trimmed.startIndex + 1)..<end]
        return inner.contains { !isBlank($0) } ? inner : []
    }
}

// MARK: - What a session may add

extension AccessTokenClaims {
    /// The most bytes, without white space, that a session's claims may have: a token must fit into a
    /// cookie's and a header's usual limits with them.
    package static let sessionClaimsBytesMax = 3072

    /// Checks the claims that a session wants in its tokens.
    ///
    /// - Parameter reserved: a name that the gateway writes by its configuration.
    /// - Returns: their text without white space, as the session's row should keep it.
    @discardableResult
    package static func validateSessionClaims(
        _ claims: JSONDocument, reserved: String? = nil
    ) throws(JOSEError) -> [UInt8] {
        guard claims.root.kind == .object else { throw .unfitSessionClaims(.notAnObject) }
        for (name, value) in claims.root.members {
            if reservedNames.contains(name) || name == reserved {
                throw .unfitSessionClaims(.reservedName(name))
            }
            if name == "scope" {
                guard let scope = value.string, HeaderText.hasNoControls(scope) else {
                    throw .unfitSessionClaims(.unfitScope)
                }
            }
        }
        let text = JSONText.compact(claims.bytes)
        guard text.count <= sessionClaimsBytesMax else {
            throw .unfitSessionClaims(.tooLarge(bytesMax: sessionClaimsBytesMax))
        }
        return text
    }

    private static let reservedNames: Set<String> = [
        "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "gen", "epoch", "client_id", "typ", "rt",
    ]
}

/// JSON as text.
private enum JSONText {
    /// RFC 8259 §2: `ws = *( %x20 / %x09 / %x0A / %x0D )`.
    static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }

    /// A checked text without the white space between its tokens.
    static func compact(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var isInString = false
        var isEscaped = false
        for byte in text {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
            } else if isWhitespace(byte) {
                continue
            } else if byte == UInt8(ascii: "\"") {
                isInString = true
            }
            output.append(byte)
        }
        return output
    }
}
