// Text to addresses: `host:port`, `[::1]:80`, literal IPv4 and IPv6, and the URLs of a configuration.
//
// Strict where systems differ: IPv4 is four decimal numbers without leading zeros (`010.0.0.1` is octal to
// some), IPv6 has no zone. Names are judged by their letters only; nothing is resolved here.

import Primitives

/// A literal IP address.
package enum IPLiteral {
    /// The 4 or 16 bytes of an address without brackets; nil if `text` is none.
    package static func bytes(of text: String) -> [UInt8]? {
        text.utf8.contains(UInt8(ascii: ":")) ? version6(text) : version4(text)
    }

    /// 127.0.0.0/8, ::1, and the former as IPv6 writes it.
    package static func isLoopback(_ text: String) -> Bool {
        guard let bytes = bytes(of: text) else { return false }
        if bytes.count == 4 { return bytes[0] == 127 }
        let mapped: [UInt8] = Array(repeating: 0, count: 10) + [255, 255, 127]
        return bytes == Array(repeating: 0, count: 15) + [1] || bytes.starts(with: mapped)
    }

    /// The one text of an address that is written in many ways: IPv6 as browsers have it (RFC 5952), in small
    /// letters and with the first of its longest gaps left out.
    package static func text(of bytes: [UInt8]) -> String {
        if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
        let groups = stride(from: 0, to: bytes.count, by: 2).map { Int(bytes[$0]) << 8 | Int(bytes[$0 + 1]) }
        var gap = 0..<0
        var start = 0
        for index in 0...groups.count where index == groups.count || groups[index] != 0 {
            if index - start > max(gap.count, 1) { gap = start..<index }
            start = index + 1
        }
        func joined(_ part: ArraySlice<Int>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        if gap.isEmpty { return joined(groups[...]) }
        return joined(groups[..<gap.lowerBound]) + "::" + joined(groups[gap.upperBound...])
    }

    private static func version4(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard part.utf8.allSatisfy({ ASCII.isDigit($0) }), part.count == 1 || part.first != "0",
                let byte = UInt8(part)
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    private static func version6(_ text: String) -> [UInt8]? {
        let hasLoneEdge =
            text.hasPrefix(":") && !text.hasPrefix("::") || text.hasSuffix(":") && !text.hasSuffix("::")
        guard text.utf8.count <= 45, !hasLoneEdge else { return nil }
        var halves: [[UInt8]] = [[]]
        var groups = text.split(separator: ":", omittingEmptySubsequences: false)[...]
        // `::` at an edge gives two empty parts there; one of them is the mark.
        if text.hasPrefix("::") { groups = groups.dropFirst() }
        if text.hasSuffix("::") { groups = groups.dropLast() }
        for (index, group) in groups.enumerated() {
            if group.isEmpty {
                if halves.count == 2 { return nil }
                halves.append([])
            } else if index == groups.count - 1, group.contains(".") {
                guard let tail = version4(String(group)) else { return nil }
                halves[halves.count - 1] += tail
            } else {
                guard group.utf8.count <= 4, group.utf8.allSatisfy({ ASCII.hexadecimalValue($0) != nil }),
                    let value = UInt16(group, radix: 16)
                else { return nil }
                halves[halves.count - 1] += [UInt8(value >> 8), UInt8(value & 0xFF)]
            }
        }
        let count = halves.reduce(0) { $0 + $1.count }
        if halves.count == 1 { return count == 16 ? halves[0] : nil }
        guard count <= 14 else { return nil }
        return halves[0] + Array(repeating: 0, count: 16 - count) + halves[1]
    }
}

/// `scheme://host[:port][path]` in its parts.
package struct URLParts: Equatable {
    package var scheme: String
    /// Without brackets, in lower case.
    package var host: String
    package var port: UInt16?
    /// Whatever follows the authority.
    package var rest: String

    package init(scheme: String, host: String, port: UInt16?, rest: String) {
        self.scheme = scheme
        self.host = host
        self.port = port
        self.rest = rest
    }

    /// The host as a URL writes it.
    package var bracketedHost: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host }

    package var isLoopback: Bool { host == "localhost" || IPLiteral.isLoopback(host) }
}

package enum AddressDecoding {
    /// A literal address and a port, or a socket: `0.0.0.0:8080`, `[::]:8080`, `unix:/run/http.sock`.
    package static func listenAddress(_ text: String) throws(ValueProblem) -> ListenAddress {
        if text.hasPrefix("unix:") { return .unix(path: try socketPath(text)) }
        let help = "a literal address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080"
        guard let (host, port) = hostAndPort(text), let port, IPLiteral.bytes(of: host) != nil else {
            throw ValueProblem(reason: "is not an address and port", help: help)
        }
        guard let number = UInt16(port) else {
            throw ValueProblem(reason: "has a port out of range", help: "a port is at most 65535")
        }
        return .ip(host: host, port: number)
    }

    /// `10.0.0.0/8`, `2001:db8::/32`, or one address alone.
    package static func addressRange(_ text: String) throws(ValueProblem) -> AddressRange {
        let problem = ValueProblem(
            reason: "is not an address or a range of them",
            help: "such as 10.0.0.0/8, 192.0.2.1 or fd00::/8; unix stands for peers on unix sockets")
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard var bytes = IPLiteral.bytes(of: String(parts[0])) else { throw problem }
        var bits = bytes.count * 8
        if parts.count == 2 {
            do throws(ValueProblem) {
                bits = try ValueDecoding.number(String(parts[1]), in: 0...bits)
            } catch {
                throw ValueProblem(reason: "has no such number of bits", help: "behind the '/' " + error.help)
            }
        }
        let network = bytes.enumerated().map { index, byte in
            let kept = min(max(bits - index * 8, 0), 8)
            return byte & ~UInt8(truncatingIfNeeded: 0xFF >> kept)
        }
        if network != bytes {
            throw ValueProblem(
                reason: "has bits set behind the first \(bits)",
                help: "the network is \(IPLiteral.text(of: network))/\(bits); one address has no '/'")
        }
        // RFC 4291 §2.5.5.2: `::ffff:10.0.0.0/104` is 10.0.0.0/8, and peers are compared in that form.
        if bits >= 96, bytes.starts(with: Array(repeating: 0, count: 10) + [255, 255]) {
            bytes.removeFirst(12)
            bits -= 96
        }
        return AddressRange(bytes: bytes, prefixBits: bits)
    }

    /// `unix:/run/api.sock`: the path of a socket.
    package static func socketPath(_ text: String) throws(ValueProblem) -> String {
        let path = text.dropFirst("unix:".count)
        let help = "such as unix:/run/auth-gateway/http.sock"
        // `unix://…` looks like a URL with a host; it was perhaps meant as one.
        guard text.hasPrefix("unix:"), !path.isEmpty, !path.hasPrefix("//"), !path.hasSuffix("/"),
            path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { throw ValueProblem(reason: "is not the path of a socket", help: help) }
        guard path.utf8.count <= socketPathBytesMax else {
            throw ValueProblem(
                reason: "is too long for a socket",
                help: "the system takes at most \(socketPathBytesMax) bytes of path")
        }
        return String(path)
    }

    /// `sockaddr_un.sun_path` on Linux, with its zero at the end.
    private static let socketPathBytesMax = 107

    /// An http or https URL, in its parts.
    package static func url(_ text: String, example: String) throws(ValueProblem) -> URLParts {
        let problem = ValueProblem(reason: "is not a URL", help: "such as \(example)")
        guard let schemeEnd = text.utf8.firstIndex(of: UInt8(ascii: ":")), text[schemeEnd...].hasPrefix("://")
        else {
            throw problem
        }
        let scheme = text[..<schemeEnd].lowercased()
        guard scheme == "http" || scheme == "https" else { throw problem }
        let remainder = text[text.utf8.index(schemeEnd, offsetBy: 3)...]
        let authority = remainder.prefix { !"/?#".contains($0) }
        if authority.utf8.contains(UInt8(ascii: "@")) {
            throw ValueProblem(reason: "holds a user name", help: "such as \(example)")
        }
        guard let (host, portText) = hostAndPort(String(authority)),
            IPLiteral.bytes(of: host) != nil || isHostName(host)
        else { throw problem }
        var port: UInt16?
        if let portText {
            port = UInt16(portText)
            guard let port, port > 0 else {
                throw ValueProblem(reason: "has a port out of range", help: "a port is 1 to 65535")
            }
        }
        let rest = remainder[authority.endIndex...]
        guard rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw problem }
        return URLParts(scheme: scheme, host: host.lowercased(), port: port, rest: String(rest))
    }

    /// Letters, digits, hyphens and underscores between dots; what ends in a number is an address or nothing.
    package static func isHostName(_ text: String) -> Bool {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= 253, let last = labels.last, !last.utf8.allSatisfy({ ASCII.isDigit($0) })
        else {
            return false
        }
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { ASCII.isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F }
        }
    }

    /// Splits off the port; brackets around an IPv6 address are needed and removed. nil if the shape is
    /// wrong.
    private static func hostAndPort(_ text: String) -> (host: String, port: String?)? {
        var host = Substring(text)
        var rest = Substring()
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<close]
            rest = text[text.index(after: close)...]
            guard host.utf8.contains(UInt8(ascii: ":")) else { return nil }
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            rest = text[colon...]
        }
        if host.isEmpty { return nil }
        if rest.isEmpty { return (String(host), nil) }
        let port = rest.dropFirst()
        guard rest.first == ":", (1...5).contains(port.utf8.count),
            port.utf8.allSatisfy({ ASCII.isDigit($0) })
        else {
            return nil
        }
        return (String(host), String(port))
    }
}

extension URLText {
    /// The URL in a document that came over the network; nil for what could not stand in a request as it is.
    package init?(text: String) {
        guard text.utf8.count <= Self.bytesMax, let parts = try? AddressDecoding.url(text, example: ""),
            !parts.rest.utf8.contains(UInt8(ascii: "#"))
        else { return nil }
        let isTLS = parts.scheme == "https"
        self.init(
            isTLS: isTLS, host: parts.host, port: parts.port ?? (isTLS ? 443 : 80),
            path: parts.rest.hasPrefix("/") ? parts.rest : "/" + parts.rest)
    }

    private static let bytesMax = 2048
}
