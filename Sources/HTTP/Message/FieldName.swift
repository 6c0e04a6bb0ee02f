// The field names that the gateway itself reads, writes or removes, as small integers; every other name is
// `.other` and stays bytes.
//
// A name is recognised by a hash over its folded bytes: lower case, and every byte that is neither letter nor
// digit as `-`. So one look-up tells both the name and what an upstream might take for it: CGI and its heirs
// turn `X-Auth-Subject`, `X_Auth_Subject` and `X.Auth.Subject` into the same variable (THREATS: identity).

import Primitives

/// A field name known to the gateway.
package enum FieldName: UInt8, CaseIterable, Sendable {
    case other = 0
    case host, connection, contentLength, transferEncoding, upgrade, expect, te, trailer, keepAlive
    case proxyConnection, proxyAuthenticate, proxyAuthorization, proxy
    case authorization, cookie, setCookie, origin, secFetchSite, secFetchMode, secFetchDest
    case secPurpose, purpose, maxForwards
    case contentType, contentEncoding, cacheControl, date, via, userAgent, referer, accept, location, vary
    case accessControlRequestMethod, accessControlRequestHeaders
    case accessControlAllowOrigin, accessControlAllowCredentials, accessControlAllowMethods
    case accessControlAllowHeaders, accessControlExposeHeaders, accessControlMaxAge
    case forwarded, xForwardedFor, xForwardedProto, xForwardedHost, xForwardedPort, xForwardedPrefix
    case xForwardedServer, xRealIP, xRequestID
    case xAuthSubject, xAuthSession, xAuthScope, xAuthIssuer, xAuthCertificateSubject,
        xAuthCertificateFingerprint
    case strictTransportSecurity
    case sessionStart, sessionClaims, sessionLabel, sessionEnd

    /// The name in lower case.
    package var lowercase: StaticString {
        switch self {
        case .other: ""
        case .host: "host"
        case .connection: "connection"
        case .contentLength: "content-length"
        case .transferEncoding: "transfer-encoding"
        case .upgrade: "upgrade"
        case .expect: "expect"
        case .te: "te"
        case .trailer: "trailer"
        case .keepAlive: "keep-alive"
        case .proxyConnection: "proxy-connection"
        case .proxyAuthenticate: "proxy-authenticate"
        case .proxyAuthorization: "proxy-authorization"
        case .proxy: "proxy"
        case .authorization: "authorization"
        case .cookie: "cookie"
        case .setCookie: "set-cookie"
        case .origin: "origin"
        case .secFetchSite: "sec-fetch-site"
        case .secFetchMode: "sec-fetch-mode"
        case .secFetchDest: "sec-fetch-dest"
        case .secPurpose: "sec-purpose"
        case .purpose: "purpose"
        case .maxForwards: "max-forwards"
        case .contentType: "content-type"
        case .contentEncoding: "content-encoding"
        case .cacheControl: "cache-control"
        case .date: "date"
        case .via: "via"
        case .userAgent: "user-agent"
        case .referer: "referer"
        case .accept: "accept"
        case .location: "location"
        case .vary: "vary"
        case .accessControlRequestMethod: "access-control-request-method"
        case .accessControlRequestHeaders: "access-control-request-headers"
        case .accessControlAllowOrigin: "access-control-allow-origin"
        case .accessControlAllowCredentials: "access-control-allow-credentials"
        case .accessControlAllowMethods: "access-control-allow-methods"
        case .accessControlAllowHeaders: "access-control-allow-headers"
        case .accessControlExposeHeaders: "access-control-expose-headers"
        case .accessControlMaxAge: "access-control-max-age"
        case .forwarded: "forwarded"
        case .xForwardedFor: "x-forwarded-for"
        case .xForwardedProto: "x-forwarded-proto"
        case .xForwardedHost: "x-forwarded-host"
        case .xForwardedPort: "x-forwarded-port"
        case .xForwardedPrefix: "x-forwarded-prefix"
        case .xForwardedServer: "x-forwarded-server"
        case .xRealIP: "x-real-ip"
        case .xRequestID: "x-request-id"
        case .xAuthSubject: "x-auth-subject"
        case .xAuthSession: "x-auth-session"
        case .xAuthScope: "x-auth-scope"
        case .xAuthIssuer: "x-auth-issuer"
        case .xAuthCertificateSubject: "x-auth-certificate-subject"
        case .xAuthCertificateFingerprint: "x-auth-certificate-fingerprint"
        case .strictTransportSecurity: "strict-transport-security"
        case .sessionStart: "session-start"
        case .sessionClaims: "session-claims"
        case .sessionLabel: "session-label"
        case .sessionEnd: "session-end"
        }
    }

    /// RFC 9110 §7.6.1: fields that concern this connection only and are never forwarded; with those of old
    /// that RFC 9110 lists for removal although `Connection` does not name them, and `Proxy`, which no
    /// standard knows and CGI turns into `HTTP_PROXY` (CVE-2016-5385).
    package var isHopByHop: Bool {
        switch self {
        case .connection, .keepAlive, .te, .trailer, .transferEncoding, .upgrade, .proxyConnection,
            .proxyAuthenticate, .proxyAuthorization, .proxy:
            true
        default: false
        }
    }
}

/// The folding that upstreams may apply to a name, and the hash over it.
package enum FieldFolding {
    /// `byte` as CGI-like upstreams see it in a name: letters in one case, anything but letters and digits
    /// alike.
    @inline(__always)
    static func fold(_ byte: UInt8) -> UInt8 {
        let letter = byte | 0x20
        if letter &- 97 < 26 { return letter }
        return byte &- 48 < 10 ? byte : UInt8(ascii: "-")
    }

    /// The folded form of a whole name.
    package static func folded(_ name: String) -> [UInt8] { name.utf8.map(fold) }

    /// Whether `name` folds to `folded`.
    package static func folds(_ name: Span<UInt8>, to folded: [UInt8]) -> Bool {
        if name.count != folded.count { return false }
        for index in 0..<name.count where fold(name[index]) != folded[index] { return false }
        return true
    }

    @inline(__always)
    static func mix(_ hash: UInt32, _ folded: UInt8) -> UInt32 { (hash ^ UInt32(folded)) &* 16_777_619 }

    static let seed: UInt32 = 2_166_136_261
}

/// The look-up table over all known names: open addressing, half empty, built once. A class, so that a parser
/// that borrows it counts one reference and not three.
final class FieldNameTable: Sendable {
    private let slots: [UInt8]
    private let text: [UInt8]
    private let offsets: [Int]

    static let shared = FieldNameTable()

    private init() {
        var slots = [UInt8](repeating: 0, count: 256)
        var text: [UInt8] = []
        var offsets = [0]
        for name in FieldName.allCases {
            let bytes = Array(name.lowercase.description.utf8)
            text += bytes
            offsets.append(text.count)
            if name == .other { continue }
            var slot =
                Int(bytes.reduce(FieldFolding.seed) { FieldFolding.mix($0, FieldFolding.fold($1)) } >> 8)
                & 255
            while slots[slot] != 0 { slot = (slot + 1) & 255 }
            slots[slot] = name.rawValue
        }
        self.slots = slots
        self.text = text
        self.offsets = offsets
    }

    /// What a name folds to, given the hash over its folded bytes, and whether it is spelled with that name's
    /// own punctuation; `.other` when it folds to no known name.
    func name(
        foldedHash hash: UInt32, _ bytes: Span<UInt8>, _ start: Int, _ end: Int
    ) -> (name: FieldName, isExact: Bool) {
        var slot = Int(hash >> 8) & 255
        while slots[slot] != 0 {
            let candidate = Int(slots[slot])
            if let isExact = matches(candidate, bytes, start, end) {
                return (FieldName(rawValue: slots[slot]) ?? .other, isExact)
            }
            slot = (slot + 1) & 255
        }
        return (.other, false)
    }

    /// nil: another name. Otherwise whether the spelling is exact.
    @inline(__always)
    private func matches(_ candidate: Int, _ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Bool? {
        let offset = offsets[candidate]
        if offsets[candidate + 1] - offset != end - start { return nil }
        var isExact = true
        var index = start
        while index < end {
            let byte = bytes[index]
            let expected = text[offset + index - start]
            if ASCII.lowercased(byte) != expected {
                if FieldFolding.fold(byte) != expected { return nil }
                isExact = false
            }
            index += 1
        }
        return isExact
    }
}
