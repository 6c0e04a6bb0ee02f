// Who the client is, and how it came, where a trusted proxy stands between: X-Forwarded-For, -Proto and
// -Host, or `Forwarded` (RFC 7239) where there is no X-Forwarded-For.
//
// Each proxy adds its own peer at the right of the list, so the list is believed from the right and as far as
// trusted proxies have written it: the last member names whom the peer has seen; when that one is a trusted
// proxy too, the member before it is its word; and so on. What stands left of the first stranger is that
// stranger's own invention. Members are read from the right as well: a quote that a client has left open
// swallows nothing of what a proxy has put behind it.
//
// Of an untrusted peer nothing is read, and nothing is forwarded but its address.

import Configuration
import HTTP
import Network
import Primitives

/// What trusted proxies say of a request. Ranges point into the bytes of its head.
struct ForwardedFields {
    /// The client where it is not the peer; nil where it is.
    private(set) var client: IPAddress?
    /// The client's address as logs, limits and the upstream see it; empty where the peer is the client.
    private(set) var clientText: [UInt8] = []
    /// How the client came to the first proxy; nil where nobody says.
    private(set) var scheme: PublicURL.Scheme?
    /// The authority that the client asked for; empty where nobody says.
    private(set) var host = ByteRange.empty
    /// Whether the received X-Forwarded-For is passed on.
    private(set) var keepsChain = false

    /// Whether anything was said.
    var isTold: Bool { keepsChain || scheme != nil || !host.isEmpty }

    /// The peer is the client: its connection tells all there is.
    static let none = ForwardedFields()

    private init() {}

    /// Reads the fields of a request. Lines that have been removed from the head for the upstream count too:
    /// `Connection: X-Forwarded-For` does not hide anybody (CVE-2022-31813).
    ///
    /// - Parameter peerIsTrusted: what `TrustedProxies.contains` said when the connection was opened.
    init(_ block: borrowing HeaderBlock, peerIsTrusted: Bool, trusted: TrustedProxies) {
        guard peerIsTrusted else { return }
        keepsChain = block.count(of: .xForwardedFor) > 0
        if !keepsChain && block.count(of: .forwarded) > 0 {
            // The one family or the other: who writes `Forwarded` lets a client's X-Forwarded-Host pass.
            readForwarded(block, trusted)
        } else {
            readForwardedFor(block, trusted)
            scheme = block.withBytes { Self.scheme($0, Self.last(.xForwardedProto, block, $0)) }
            host = block.withBytes { Self.host($0, Self.last(.xForwardedHost, block, $0)) }
        }
        if let client { clientText = client.text }
    }

    /// Writes what the upstream is told. The whole family of these names has been removed from the head
    /// before.
    ///
    /// - Parameters:
    ///   - peer: the address of the connection's peer.
    ///   - connectionScheme: how the peer came to us.
    ///   - authority: of the request itself.
    func write(
        _ block: borrowing HeaderBlock, peer: [UInt8], connectionScheme: PublicURL.Scheme,
        authority: ByteRange, to output: inout ByteBuffer
    ) {
        output.append("X-Forwarded-For: ")
        if keepsChain {
            block.withBytes { bytes in
                for field in block.fields where field.known == .xForwardedFor && !field.value.isEmpty {
                    output.append(bytes, field.value)
                    output.append(", ")
                }
            }
        } else if client != nil {
            // `Forwarded` named it.
            output.append(clientText)
            output.append(", ")
        }
        output.append(peer)
        switch scheme ?? connectionScheme {
        case .http: output.append("\r\nX-Forwarded-Proto: http\r\n")
        case .https: output.append("\r\nX-Forwarded-Proto: https\r\n")
        }
        let host = host.isEmpty ? authority : host
        if host.isEmpty { return }
        output.append("X-Forwarded-Host: ")
        block.withBytes { bytes in output.append(bytes, host) }
        output.append("\r\n")
    }
}

// MARK: - X-Forwarded

extension ForwardedFields {
    /// From the right: the first stranger is the client; the leftmost where all are trusted. What is no
    /// address stops the walk at the last one that was.
    private mutating func readForwardedFor(_ block: borrowing HeaderBlock, _ trusted: TrustedProxies) {
        var members = MembersFromRight(.xForwardedFor, hasQuotes: false)
        client = block.withBytes { bytes in
            var found: IPAddress?
            while let member = members.next(block, bytes) {
                guard let address = Self.node(bytes.extracting(member.offsets)) else { break }
                found = address
                if !trusted.contains(address) { break }
            }
            return found
        }
    }

    /// The last member of the last line; empty where there is none. Of several, the last is the one that the
    /// peer is known to have written: proxies that do not overwrite these fields append to them, and the
    /// first may be a client's own. (For the host Rack does so too; for the scheme it takes the first, and
    /// Envoy none of a list.)
    private static func last(
        _ name: FieldName, _ block: borrowing HeaderBlock, _ bytes: Span<UInt8>
    ) -> ByteRange {
        if block.count(of: name) == 0 { return .empty }
        var members = MembersFromRight(name, hasQuotes: false)
        return members.next(block, bytes) ?? .empty
    }

    /// RFC 3986 §3.1: schemes are case-insensitive. Another word than these two is no word.
    private static func scheme(_ bytes: Span<UInt8>, _ range: ByteRange) -> PublicURL.Scheme? {
        let value = bytes.extracting(range.offsets)
        if value.equalsIgnoringCase("https") { return .https }
        return value.equalsIgnoringCase("http") ? .http : nil
    }

    /// The range where it holds a host, maybe with a port; else an empty one. It will stand in links that an
    /// upstream makes, so it is held to more than the characters of a Host field.
    private static func host(_ bytes: Span<UInt8>, _ range: ByteRange) -> ByteRange {
        var end = range.end
        while end > range.start, ASCII.isDigit(bytes[end - 1]) { end -= 1 }
        let digits = range.end - end
        if end > range.start, bytes[end - 1] == UInt8(ascii: ":") {
            if !(1...5).contains(digits) { return .empty }
            end -= 1
        } else {
            end = range.end
        }
        let name = bytes.extracting(range.start..<end)
        guard name.count > 0, name.count <= hostBytesMax else { return .empty }
        if name[0] == UInt8(ascii: "[") {
            let isAddress =
                name[name.count - 1] == UInt8(ascii: "]") && name.count > 2
                && IPAddress(v6Text: name.extracting(1..<name.count - 1)) != nil
            return isAddress ? range : .empty
        }
        for index in name.indices where !hostName.contains(name[index]) { return .empty }
        return range
    }

    /// An address, maybe with a port: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`, and `2001:db8::1`,
    /// where no port can be told from the address.
    private static func node(_ text: Span<UInt8>) -> IPAddress? {
        if text.isEmpty { return nil }
        if text[0] == UInt8(ascii: "[") {
            guard let close = text.firstOffset(of: UInt8(ascii: "]")),
                isPort(text.extracting(close + 1..<text.count))
            else { return nil }
            return IPAddress(v6Text: text.extracting(1..<close))
        }
        guard let colon = text.firstOffset(of: UInt8(ascii: ":")) else { return IPAddress(v4Text: text) }
        if let address = IPAddress(v4Text: text.extracting(0..<colon)) {
            return isPort(text.extracting(colon..<text.count)) ? address : nil
        }
        return IPAddress(v6Text: text)
    }

    /// Nothing, or a colon and RFC 7239 §6: `node-port = port / obfport`, `port = 1*5DIGIT`,
    /// `obfport = "_" 1*(ALPHA / DIGIT / "." / "_" / "-")`.
    private static func isPort(_ text: Span<UInt8>) -> Bool {
        if text.isEmpty { return true }
        if text.count < 2 || text[0] != UInt8(ascii: ":") { return false }
        if text[1] == UInt8(ascii: "_") {
            for index in 2..<text.count where !hostName.contains(text[index]) { return false }
            return text.count > 2
        }
        for index in 1..<text.count where !ASCII.isDigit(text[index]) { return false }
        return text.count <= 6
    }

    private static let hostName = ASCII.Class(
        "-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    /// RFC 1035 §3.1: names are 255 octets or less, 253 as text.
    private static let hostBytesMax = 253
}

// MARK: - Forwarded

extension ForwardedFields {
    /// The same walk over RFC 7239's elements. `unknown` and `_obfuscated` nodes (§6.2, §6.3) are no
    /// addresses and stop it; what the element says of scheme and host counts all the same, for a trusted
    /// proxy has written it.
    private mutating func readForwarded(_ block: borrowing HeaderBlock, _ trusted: TrustedProxies) {
        var members = MembersFromRight(.forwarded, hasQuotes: true)
        self = block.withBytes { bytes in
            var found = ForwardedFields()
            while let member = members.next(block, bytes) {
                guard let element = ForwardedElement(bytes, member) else { break }
                found.scheme = Self.scheme(bytes, element.scheme) ?? found.scheme
                let host = Self.host(bytes, element.host)
                if !host.isEmpty { found.host = host }
                guard let address = Self.node(bytes.extracting(element.node.offsets)) else { break }
                found.client = address
                if !trusted.contains(address) { break }
            }
            return found
        }
    }
}

extension Span where Element == UInt8 {
    fileprivate func firstOffset(of byte: UInt8) -> Int? {
        for index in indices where self[index] == byte { return index }
        return nil
    }
}
