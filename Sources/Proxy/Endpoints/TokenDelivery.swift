// How a token pair reaches its client: as the JSON of RFC 6749 §5.1, or in two cookies that no script can
// read.
//
// The access cookie lives as long as the session can, longer than the token in it, so that it tells an
// expired session from a visitor. The refresh cookie has the refresh path, so browsers send it nowhere else.

import Configuration
import HTTP
import Primitives
import Sessions

/// Turns issued tokens into answers.
struct TokenDelivery {
    let names: CookieNames
    let refreshPath: String
    /// Whether one token is made for both uses.
    private let isSingle: Bool

    init(_ runtime: GatewayRuntime) {
        names = runtime.cookieNames
        refreshPath = String(decoding: runtime.refreshPath, as: UTF8.self)
        isSingle = runtime.configuration.accessToken.useExpiry != nil
    }

    /// How a login's tokens travel: cookies where the request carries `Sec-Fetch-Site`, which every current
    /// browser sends and no script can forge, unless the configuration says otherwise.
    static func choice(
        for head: borrowing RequestHead, configured: RefreshTokenConfiguration.Delivery
    ) -> Delivery {
        switch configured {
        case .cookie: .cookie
        case .body: .body
        case .auto: head.block.first(.secFetchSite) != nil ? .cookie : .body
        }
    }

    /// RFC 6749 §5.1: the tokens in the body.
    func bodyResponse(_ tokens: IssuedTokens) -> LocalResponse {
        var body = JSONWriter(reserving: 1024)
        body.beginObject()
        body.string("access_token", bytes: tokens.accessToken.span)
        body.string("token_type", "Bearer")
        body.number("expires_in", tokens.accessSeconds)
        // One token for both: clients that know of refresh tokens find it where they look.
        if tokens.refreshToken.isEmpty {
            body.string("refresh_token", bytes: tokens.accessToken.span)
        } else {
            body.string("refresh_token", tokens.refreshToken)
        }
        body.number("refresh_expires_in", tokens.refreshSeconds)
        body.endObject()
        var response = LocalResponse.json(200, body.bytes)
        response.fields += Self.noStore
        return response
    }

    /// The tokens in cookies; the body says only how long they last.
    ///
    /// - Parameter stale: values that expire cookies which stand beside ours.
    func cookieResponse(_ tokens: IssuedTokens, stale: [String]) -> LocalResponse {
        var body = JSONWriter()
        body.beginObject()
        body.string("token_type", "Bearer")
        body.number("expires_in", tokens.accessSeconds)
        body.number("refresh_expires_in", tokens.refreshSeconds)
        body.endObject()
        var response = LocalResponse.json(200, body.bytes)
        response.fields += Self.noStore
        for cookie in stale + cookies(tokens) { response.fields.append(("Set-Cookie", cookie)) }
        return response
    }

    /// The two cookies of a pair, or the one of a single token.
    func cookies(_ tokens: IssuedTokens) -> [String] {
        let access = String(decoding: tokens.accessToken, as: UTF8.self)
        let first = cookie(names.access, access, path: "/", seconds: tokens.refreshSeconds)
        if tokens.refreshToken.isEmpty { return [first] }
        return [
            first,
            cookie(names.refresh, tokens.refreshToken, path: refreshPath, seconds: tokens.refreshSeconds),
        ]
    }

    /// The two cookies that clear ours: same name, path and attributes (RFC 6265 §5.3).
    /// With them goes the mark of a browser that has just come back, where the request has it.
    func clearing(for head: borrowing RequestHead) -> [String] {
        let hasMark = head.block.withBytes {
            !CookieFields.values(of: names.returned, in: head.block, $0).isEmpty
        }
        return [
            cookie(names.access, "", path: "/", seconds: 0),
            cookie(names.refresh, "", path: refreshPath, seconds: 0),
        ] + (hasMark ? [cookie(names.returned, "", path: "/", seconds: 0)] : [])
    }

    /// Marks a browser that is sent back: shorter-lived than any access token, so that it can only be seen
    /// beside an expired one when something is wrong.
    var returnMark: String { cookie(names.returned, "1", path: "/", seconds: 5) }

    /// Values that expire whatever stands beside our cookies under the same names. Which path and domain such
    /// a cookie was set for, no request tells: so every one that this request could have been sent it for.
    /// They go before ours, since a browser may take one of them for the same cookie.
    func expiringDuplicates(in head: borrowing RequestHead) -> [String] {
        var values: [String] = []
        for (name, ownPath) in [(names.access, "/"), (names.refresh, refreshPath)] {
            let count = head.block.withBytes { CookieFields.values(of: name, in: head.block, $0).count }
            // One of before there were single tokens would be taken for the newest, and so for theft.
            if isSingle && name == names.refresh && count > 0 {
                values.append(cookie(name, "", path: refreshPath, seconds: 0))
            }
            if count < 2 { continue }
            for path in ["/", refreshPath, refreshPath + "/"] {
                if path != ownPath { values.append(cookie(name, "", path: path, seconds: 0)) }
                for domain in domains(of: head) {
                    values.append(cookie(name, "", path: path, seconds: 0) + "; Domain=\(domain)")
                }
            }
        }
        return values
    }

    /// Values that clear a cookie of another system, whose credential has been exchanged.
    func clearing(spent name: [UInt8], for head: borrowing RequestHead) -> [String] {
        if name.isEmpty { return [] }
        // RFC 6265bis §4.1.3: under `__Host-` and `__Secure-` nothing is taken that is not Secure.
        let secure = names.isSecure ? "; Secure" : ""
        let value = "\(String(decoding: name, as: UTF8.self))=; Path=/; Max-Age=0\(secure)"
        return [value] + domains(of: head).map { "\(value); Domain=\($0)" }
    }

    /// The host of a request and the names above it, as far as a cookie's domain may reach (RFC 6265 §5.3);
    /// none for an address.
    private func domains(of head: borrowing RequestHead) -> [String] {
        let authority = head.block.withBytes { String(lossy: $0.extracting(head.authority.offsets)) }
        let host = authority.prefix { $0 != ":" }.lowercased()
        guard !authority.hasPrefix("["), host.contains(where: { $0.isLetter }) else { return [] }
        let labels = host.split(separator: ".")
        return (0..<max(0, labels.count - 1)).prefix(4).map { labels[$0...].joined(separator: ".") }
    }

    private func cookie(_ name: [UInt8], _ value: String, path: String, seconds: Int64) -> String {
        let secure = names.isSecure ? "; Secure" : ""
        return "\(String(decoding: name, as: UTF8.self))=\(value); Path=\(path); Max-Age=\(seconds)"
            + "; HttpOnly\(secure); SameSite=Lax"
    }

    /// RFC 6749 §5.1: token answers MUST NOT be stored.
    static let noStore: [(name: StaticString, value: String)] = [
        ("Cache-Control", "no-store"), ("Pragma", "no-cache"),
    ]
}
