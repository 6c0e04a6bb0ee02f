// Who the upstream is told the request is from. First everything that a client could have sent under those
// names is removed, in any spelling, on every route; then what the token vouches for is added (THREATS:
// identity; RFC 9700 §4.13: "a reverse proxy MUST sanitize").

import HTTP
import JOSE
import Primitives
import TLS

/// Strips forged identity and adds verified identity.
enum IdentityFields {
    /// Removes what only the gateway may say.
    static func strip(_ block: inout HeaderBlock, policy: RequestPolicy) {
        block.removeImitations()
        block.removeAliases(ours)
        block.removeAliases(RequestID.fields)
        for folded in policy.identityNames { block.removeFolded(folded) }
    }

    /// Removes our credentials: our own token is for the gateway, and our cookies are nobody else's.
    ///
    /// - Returns: the values of Cookie fields that had ours in them, without ours.
    static func stripCredentials(
        _ block: inout HeaderBlock, _ passage: TokenPassage, names: CookieNames
    ) -> [[UInt8]] {
        if case .withheld = passage { block.remove(FieldNameSet([.authorization])) }
        if block.first(.cookie) == nil { return [] }
        var keptCookies: [[UInt8]] = []
        for index in block.fields.indices where block.fields[index].known == .cookie {
            let range = block.fields[index].value
            guard let kept = block.withBytes({ CookieFields.withoutOurs($0, range, names) }) else { continue }
            block.remove(at: index)
            if !kept.isEmpty { keptCookies.append(kept) }
        }
        return keptCookies
    }

    /// Writes the identity of a verified token. Its values are known to hold no control byte.
    static func write(_ token: VerifiedToken, route: Route, to output: inout ByteBuffer) {
        output.append("X-Auth-Subject: ")
        output.append(token.subjectBytes)
        // Two issuers may each have a subject of one name (RFC 8725 §3.8); without this field it is ours.
        if !token.isOurs, let issuer = token.claim("iss")?.string {
            output.append("\r\nX-Auth-Issuer: ")
            output.append(text: issuer)
        }
        if !token.sessionText.isEmpty {
            output.append("\r\nX-Auth-Session: ")
            output.append(token.sessionText)
        }
        if !token.scopeText.isEmpty {
            output.append("\r\nX-Auth-Scope: ")
            output.append(token.scopeText)
        }
        output.append("\r\n")
        for field in route.identityFields {
            guard let value = token.claim(at: field.claim).flatMap(fieldValue) else { continue }
            output.append(field.opening)
            output.append(value)
            output.append("\r\n")
        }
    }

    /// Writes who has shown a certificate. The subject is known to hold no control byte.
    static func write(_ certificate: PeerIdentity, to output: inout ByteBuffer) {
        output.append("X-Auth-Certificate-Subject: ")
        output.append(text: certificate.subject)
        output.append("\r\nX-Auth-Certificate-Fingerprint: ")
        for byte in certificate.fingerprint {
            output.append(byte: ASCII.hexadecimalDigit(byte >> 4))
            output.append(byte: ASCII.hexadecimalDigit(byte & 15))
        }
        output.append("\r\n")
    }

    /// A claim as a field value: text as it is, an array of them joined by commas, anything else as JSON. nil
    /// where that is no field value: a claim with a line end in it must not become a field line of its own.
    private static func fieldValue(_ claim: JSONValue) -> [UInt8]? {
        let text: String
        switch claim.kind {
        case .string: text = claim.string ?? ""
        case .array:
            let members = claim.elements.map { $0.string ?? String(decoding: $0.text, as: UTF8.self) }
            // A comma inside of a member would make two of it.
            if members.contains(where: { $0.contains(",") }) { return nil }
            text = members.joined(separator: ",")
        default: text = String(decoding: claim.text, as: UTF8.self)
        }
        let bytes = Array(text.utf8)
        return bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F } ? bytes : nil
    }

    /// The identity that we vouch for, and what proxies say about the client: nobody's word but ours, as long
    /// as no proxy in front of us is trusted. The whole family goes (CVE-2026-35051).
    private static let ours = FieldNameSet([
        .xAuthSubject, .xAuthSession, .xAuthScope, .xAuthIssuer, .xAuthCertificateSubject,
        .xAuthCertificateFingerprint,
        .forwarded, .xForwardedFor, .xForwardedProto,
        .xForwardedHost,
        .xForwardedPort, .xForwardedPrefix, .xForwardedServer, .xRealIP,
    ])
}
