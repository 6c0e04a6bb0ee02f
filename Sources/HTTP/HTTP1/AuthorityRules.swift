// What a request may name as its host and port: RFC 9110 §7.2, `Host = uri-host [ ":" port ]`, of which RFC
// 9112 §3.2 says that a server "MUST respond with a 400 ... to any request message that contains ... a Host
// header field with an invalid field value".
//
// Routes are chosen by host. `a:80:80`, `a..` and `a%2eb` are no route's host to us and `a` or `a.b` to
// whoever cuts, trims or decodes: such names are refused, and not taken for somebody else's.

import Primitives

/// The form of an authority.
enum AuthorityRules {
    /// Whether `text` is a host, with or without a port.
    static func isWellFormed(_ text: Span<UInt8>) -> Bool {
        guard let first = text.isEmpty ? nil : text[0],
            let end = first == UInt8(ascii: "[") ? addressEnd(text) : nameEnd(text)
        else { return false }
        return end == text.count || isPort(text, from: end)
    }

    /// RFC 3986 §3.2.2: "a sequence of domain labels separated by `.`", the last of which "may be followed by
    /// a single `.`". IPv4 addresses read the same. The underscore is in no domain name and in many names of
    /// services; percent-encoding and sub-delimiters, which the grammar has for other registries than DNS,
    /// are in none.
    private static func nameEnd(_ text: Span<UInt8>) -> Int? {
        var index = 0
        var labelStart = 0
        while index < text.count {
            let byte = text[index]
            if byte == UInt8(ascii: ".") {
                if index == labelStart { return nil }
                labelStart = index + 1
            } else if !ASCII.isAlphanumeric(byte) && byte != UInt8(ascii: "-") && byte != UInt8(ascii: "_") {
                break
            }
            index += 1
        }
        return index == 0 ? nil : index
    }

    /// RFC 3986 §3.2.2: `IP-literal = "[" ( IPv6address / IPvFuture ) "]"`, of which nobody speaks the
    /// latter. Which digits make an address is not judged: nothing is ever opened to it.
    private static func addressEnd(_ text: Span<UInt8>) -> Int? {
        var colons = 0
        var index = 1
        while index < text.count {
            let byte = text[index]
            if byte == UInt8(ascii: "]") { return colons >= 2 ? index + 1 : nil }
            if byte == UInt8(ascii: ":") {
                colons += 1
            } else if ASCII.hexadecimalValue(byte) == nil && byte != UInt8(ascii: ".") {
                return nil
            }
            index += 1
        }
        return nil
    }

    /// RFC 3986 §3.2.3: `port = *DIGIT`; 65616 is port 80 to whoever keeps sixteen bits.
    private static func isPort(_ text: Span<UInt8>, from start: Int) -> Bool {
        guard text[start] == UInt8(ascii: ":"), text.count - start <= portDigitsMax + 1 else { return false }
        var port = 0
        for index in (start + 1)..<text.count {
            if !ASCII.isDigit(text[index]) { return false }
            port = port * 10 + Int(text[index] - 48)
        }
        return port <= Int(UInt16.max)
    }

    private static let portDigitsMax = 5
}
