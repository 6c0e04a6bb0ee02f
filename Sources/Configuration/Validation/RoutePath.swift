// The path of a route: its normal form, and what lies under what.
//
// Requests are matched after their paths are normalised, so a route written in any other form could never
// match and is refused with the form that would. Percent-encodings are in capitals and stand only for what
// must be encoded.

import Primitives

/// What a `route` directive names.
package struct RouteTarget: Equatable {
    /// In lower case, without a port; nil for any host.
    package var host: String?
    package var path: String

    package init(host: String?, path: String) {
        self.host = host
        self.path = path
    }
}

package enum RoutePath {
    /// `/path` or `host/path`.
    package static func target(_ text: String) throws(ValueProblem) -> RouteTarget {
        guard let slash = text.firstIndex(of: "/") else {
            throw ValueProblem(
                reason: "is no path: it has no '/'",
                help: "a route is /path or host/path, such as /login or files.example.com/")
        }
        let path = String(text[slash...])
        if slash == text.startIndex { return RouteTarget(host: nil, path: try normalPath(path)) }
        let host = text[..<slash].lowercased()
        guard isHost(host) else {
            throw ValueProblem(
                reason: "does not begin with a path or a host name",
                help: "a route is /path or host/path, such as files.example.com/; a host has no port")
        }
        return RouteTarget(host: host, path: try normalPath(path))
    }

    /// The beginning of paths.
    package static func prefix(_ text: String) throws(ValueProblem) -> String {
        guard text.hasPrefix("/") else {
            throw ValueProblem(reason: "is no path: it does not begin with '/'", help: "such as /api")
        }
        return try normalPath(text)
    }

    /// The path of the refresh service: a prefix without a trailing slash, fit for a cookie's Path.
    package static func refreshPath(_ text: String) throws(ValueProblem) -> String {
        let isPlain = text.utf8.allSatisfy { ASCII.unreserved.contains($0) || $0 == UInt8(ascii: "/") }
        guard text.hasPrefix("/"), isPlain, text != "/", !text.hasSuffix("/") else {
            throw ValueProblem(
                reason: "is not a path for refresh tokens",
                help: "letters, digits and - . _ ~ between slashes, none at the end, such as /refresh")
        }
        return try normalPath(text)
    }

    /// A path of this site, maybe with a query, to send a browser to.
    package static func localTarget(_ text: String) throws(ValueProblem) -> String {
        // `//host` and, to browsers, `/\host` lead to another site; the rules for paths refuse both.
        guard text.hasPrefix("/"), !text.contains("#") else {
            throw ValueProblem(
                reason: "is not a path of this site", help: "it begins with one '/', such as /login.html")
        }
        let path = text.prefix { $0 != "?" }
        _ = try normalPath(String(path))
        guard
            text.dropFirst(path.count).utf8.allSatisfy({ ASCII.path.contains($0) || $0 == 0x3F || $0 == 0x25 }
            )
        else {
            throw ValueProblem(
                reason: "has a character that no query should have", help: "percent-encode it: a space is %20"
            )
        }
        return text
    }

    /// RFC 9112 §3.2.1: the origin form of a target, which has no fragment.
    package static func requestTarget(_ text: String, example: String) throws(ValueProblem) -> String {
        let isTarget = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }
        guard text.hasPrefix("/"), isTarget else {
            throw ValueProblem(
                reason: "is not a path to ask for", help: "it begins with '/', such as \(example)")
        }
        return text
    }

    /// Whether `path` is `prefix` or lies below it, on whole segments. A trailing slash of either does not
    /// matter.
    package static func lies(_ path: String, under prefix: String) -> Bool {
        let prefix = prefix.hasSuffix("/") ? String(prefix.dropLast()) : prefix
        return path == prefix || path.hasPrefix(prefix + "/")
    }

    private static func normalPath(_ path: String) throws(ValueProblem) -> String {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        if segments.dropLast().contains("") {
            throw notNormal("has an empty segment", "write one '/' where there are several")
        }
        if segments.contains(where: { $0 == "." || $0 == ".." }) {
            throw notNormal("has a '.' or '..' segment", "write the path that it leads to")
        }
        if path.contains("?") || path.contains("#") {
            throw notNormal("has a query or a fragment", "routes are chosen by host and path alone")
        }
        let bytes = Array(path.utf8)
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%") {
                try checkEncoding(bytes, at: index)
                index += 3
            } else if ASCII.path.contains(bytes[index]) {
                index += 1
            } else {
                throw notNormal("has a character that no path can have", "percent-encode it: a space is %20")
            }
        }
        return path
    }

    private static func checkEncoding(_ bytes: [UInt8], at index: Int) throws(ValueProblem) {
        guard index + 2 < bytes.count, let high = ASCII.hexadecimalValue(bytes[index + 1]),
            let low = ASCII.hexadecimalValue(bytes[index + 2])
        else {
            throw notNormal("has a '%' without two hexadecimal digits", "a '%' itself is %25")
        }
        let byte = high << 4 | low
        // RFC 3986 §2.3: "percent-encoded octets … should be decoded to their corresponding unreserved
        // characters".
        if ASCII.unreserved.contains(byte) {
            throw notNormal("encodes a character needlessly", "write it as it is")
        }
        if byte == UInt8(ascii: "/") || byte == UInt8(ascii: "\\") || byte == 0 {
            throw notNormal(
                "encodes a slash, a backslash or NUL", "requests with one are refused before routing")
        }
        // RFC 3986 §6.2.2.1: "normalized to use uppercase letters".
        if bytes[(index + 1)...(index + 2)].contains(where: { (97...102).contains($0) }) {
            throw notNormal("has a percent-encoding in small letters", "write it in capitals, such as %C3%A9")
        }
    }

    private static func notNormal(_ reason: String, _ help: String) -> ValueProblem {
        ValueProblem(reason: reason, help: help)
    }

    private static func isHost(_ host: String) -> Bool {
        if host.hasPrefix("["), host.hasSuffix("]") {
            let address = String(host.dropFirst().dropLast())
            return address.contains(":") && IPLiteral.bytes(of: address) != nil
        }
        return AddressDecoding.isHostName(host) || IPLiteral.bytes(of: host)?.count == 4
    }
}
