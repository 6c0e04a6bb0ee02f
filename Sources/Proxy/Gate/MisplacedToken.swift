// A refresh token that stands anywhere in the head of a request but in its cookie: on no route does it go
// further, and nobody's log gets to see it. Bodies are not looked at, and neither is what an encoding hides
// (Basic's base64): this is a net for mistakes of clients, which repeat them with every request.

import HTTP
import Primitives
import Sessions

/// Looks for refresh tokens where none belongs.
enum MisplacedToken {
    /// Where one was found; the raw value is the audit log's.
    enum Place: String {
        case path, query, authorization, cookie
        case header
    }

    /// Where the head of a request holds a refresh token; nil almost always, after one pass over its bytes
    /// that allocates nothing.
    ///
    /// - Parameter normalPath: the path in its normal form, where that differs from the one that was sent.
    static func place(
        in head: borrowing RequestHead, normalPath: [UInt8], cookieNames: CookieNames
    ) -> Place? {
        if !normalPath.isEmpty, RefreshTokenMint.firstToken(in: normalPath.span) != nil { return .path }
        if Credentials.hasSignedRefreshToken(in: head) { return .authorization }
        return head.block.withBytes { bytes in
            var found = RefreshTokenMint.firstToken(in: bytes)
            while let token = found {
                if let place = place(of: token, head, bytes, cookieNames) { return place }
                found = RefreshTokenMint.firstToken(in: bytes, from: token.end)
            }
            return nil
        }
    }

    /// A part of a head up to the refresh token in it, for a log.
    static func cut(_ range: ByteRange, in bytes: Span<UInt8>) -> ByteRange {
        guard let token = RefreshTokenMint.firstToken(in: bytes.extracting(range.offsets)) else {
            return range
        }
        return ByteRange(range.start, range.start + token.start)
    }

    /// nil: it stands in the cookie that is made for it, which no upstream sees.
    private static func place(
        of token: ByteRange, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ names: CookieNames
    ) -> Place? {
        if token.start < head.target.end { return token.start < head.query.start ? .path : .query }
        guard let field = head.block.fields.first(where: { token.end <= $0.value.end }) else {
            return .header
        }
        switch field.known {
        case .authorization: return .authorization
        case .cookie:
            return CookieFields.isValue(token, of: names.refresh, field.value, bytes) ? nil : .cookie
        default: return .header
        }
    }
}
