// Which credential a request carries. A bearer header wins over cookies (PRODUCT 3); two Authorization fields
// are one too many.

import HTTP
import Primitives
import Sessions

/// Where a request's access token stands.
enum Credentials: Equatable {
    case none
    /// In `Authorization: Bearer` (RFC 6750 §2.1).
    case bearer(ByteRange)
    /// In our access cookie; several when a stale one lingers beside it.
    case cookies([ByteRange])
    /// RFC 6750 §3.1: `invalid_request`.
    case ambiguous

    /// Finds the credential of a request.
    static func find(in head: borrowing RequestHead, cookieNames: CookieNames) -> Credentials {
        if let index = head.block.first(.authorization) {
            if head.block.count(of: .authorization) > 1 { return .ambiguous }
            let value = head.block.fields[index].value
            let found = head.block.withBytes { bearer($0, value) }
            if found != .none { return found }
        }
        if head.block.first(.cookie) == nil { return .none }
        let cookies = head.block.withBytes { bytes in
            CookieFields.values(of: cookieNames.access, in: head.block, bytes)
        }
        return cookies.isEmpty ? .none : .cookies(cookies)
    }

    /// Whether one of the Authorization fields, of which there may be several, is such a bearer token.
    static func anyBearer(in head: borrowing RequestHead, where isSuch: (Credentials) -> Bool) -> Bool {
        head.block.withBytes { bytes in
            for field in head.block.fields where field.known == .authorization {
                if isSuch(bearer(bytes, field.value)) { return true }
            }
            return false
        }
    }

    /// `Bearer SP b64token`, the scheme in any case (RFC 9110 §11.1). Another scheme is no credential for us.
    private static func bearerRange(_ bytes: Span<UInt8>, _ value: ByteRange) -> ByteRange? {
        let schemeEnd = value.start + 7
        guard value.end >= schemeEnd,
            bytes.extracting(value.start..<schemeEnd).equalsIgnoringCase("bearer ")
        else { return nil }
        var start = schemeEnd
        while start < value.end && bytes[start] == 0x20 { start += 1 }
        return ByteRange(start, value.end)
    }

    private static func bearer(_ bytes: Span<UInt8>, _ value: ByteRange) -> Credentials {
        bearerRange(bytes, value).map { .bearer($0) } ?? .none
    }

    /// Whether a bearer token, of which there may be several, is a refresh token that is a JWT, whatever key
    /// has signed it.
    static func hasSignedRefreshToken(in head: borrowing RequestHead) -> Bool {
        if head.block.first(.authorization) == nil { return false }
        return anyBearer(in: head) { one in
            guard case .bearer(let range) = one else { return false }
            return head.block.withBytes { SignedRefreshToken.looksLikeToken($0.extracting(range.offsets)) }
        }
    }

    /// The one bearer token of a request, where every kind of token may stand: at the refresh endpoint.
    static func bearerOfAnyKind(in head: borrowing RequestHead) -> ByteRange? {
        guard let index = head.block.first(.authorization), head.block.count(of: .authorization) == 1
        else { return nil }
        let value = head.block.fields[index].value
        return head.block.withBytes { bearerRange($0, value) }
    }
}

/// The names of our cookies, and the attributes that belong to them.
struct CookieNames: Sendable {
    let access: [UInt8]
    let refresh: [UInt8]
    /// Says that the browser has just come back from the refresh endpoint.
    let returned: [UInt8]
    let isSecure: Bool

    /// Whether a cookie of this name is ours.
    func contains(_ name: Span<UInt8>) -> Bool {
        name.equals(access.span) || name.equals(refresh.span) || name.equals(returned.span)
    }

    init(isSecure: Bool) {
        self.isSecure = isSecure
        access = Array((isSecure ? "__Host-access" : "access").utf8)
        refresh = Array((isSecure ? "__Secure-refresh" : "refresh").utf8)
        returned = Array((isSecure ? "__Host-refreshed" : "refreshed").utf8)
    }
}

/// The Cookie field (RFC 6265 §5.4): `name=value; name=value`.
enum CookieFields {
    /// The values of every cookie of that name, in all Cookie fields.
    static func values(
        of name: [UInt8], in block: borrowing HeaderBlock, _ bytes: Span<UInt8>
    ) -> [ByteRange] {
        var found: [ByteRange] = []
        for field in block.fields where field.known == .cookie {
            forEachPair(bytes, field.value) { pairName, value, _ in
                if bytes.extracting(pairName.offsets).equals(name.span) { found.append(value) }
            }
        }
        return found
    }

    /// The Cookie value without our own cookies; nil when there are none of ours in it.
    static func withoutOurs(
        _ bytes: Span<UInt8>, _ value: ByteRange, _ names: CookieNames
    ) -> [UInt8]? {
        var kept: [UInt8] = []
        var hasOurs = false
        forEachPair(bytes, value) { name, _, pair in
            if names.contains(bytes.extracting(name.offsets)) {
                hasOurs = true
                return
            }
            if !kept.isEmpty { kept += [UInt8(ascii: ";"), 0x20] }
            kept += [UInt8](copying: bytes.extracting(pair.offsets))
        }
        return hasOurs ? kept : nil
    }

    /// Whether a range is the whole value of a cookie of that name.
    static func isValue(
        _ range: ByteRange, of name: [UInt8], _ field: ByteRange, _ bytes: Span<UInt8>
    ) -> Bool {
        var isFound = false
        forEachPair(bytes, field) { pairName, value, _ in
            if value == range, bytes.extracting(pairName.offsets).equals(name.span) { isFound = true }
        }
        return isFound
    }

    private static func forEachPair(
        _ bytes: Span<UInt8>, _ field: ByteRange,
        _ body: (_ name: ByteRange, _ value: ByteRange, _ pair: ByteRange) -> Void
    ) {
        var index = field.start
        while index < field.end {
            while index < field.end, bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 }
            let start = index
            var equals: Int?
            while index < field.end && bytes[index] != UInt8(ascii: ";") {
                if bytes[index] == UInt8(ascii: "="), equals == nil { equals = index }
                index += 1
            }
            var end = index
            while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
            index += 1
            if end == start { continue }
            // Some readers drop blanks before the `=`: then `access =` is our cookie to them.
            var nameEnd = min(equals ?? end, end)
            while nameEnd > start, bytes[nameEnd - 1] == 0x20 || bytes[nameEnd - 1] == 0x09 { nameEnd -= 1 }
            let valueStart = min(equals.map { $0 + 1 } ?? end, end)
            body(ByteRange(start, nameEnd), ByteRange(valueStart, end), ByteRange(start, end))
        }
    }
}
