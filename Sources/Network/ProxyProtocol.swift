// The PROXY protocol (HAProxy's proxy-protocol.txt, versions 1 and 2), inward: the header that a proxy puts
// in front of everything else on a connection, to say who the client is.
//
// No I/O and no state: the caller shows all bytes from the connection's first on, until the answer is not
// `needsMore`. A header is judged as early as its bytes allow ("It is recommended to abort the connection as
// soon as possible", §2.1), and to the same fault however it is cut.
//
// Only for listeners that are set up for it. §2: the receiver "MUST not try to guess whether the protocol
// header is present or not", for else whoever reaches the port chooses his own address.

import Primitives

/// What the bytes of a connection come to, so far.
package enum ProxyProtocolResult: Sendable, Equatable {
    case needsMore
    /// The header has that many bytes. `source` is the client; nil where the header names none, and the
    /// connection's own peer is it: LOCAL, UNKNOWN, a family or a protocol other than TCP over IP.
    case complete(consumed: Int, source: SocketAddress?)
}

/// §2.1: "Any sequence which does not exactly match the protocol must be discarded and cause the receiver to
/// abort the connection." The raw value is the word in logs.
package enum ProxyProtocolFault: String, Error, Sendable, CaseIterable {
    /// The connection begins with neither version's signature.
    case signature
    case lineTooLong = "line_too_long"
    /// A lone CR or LF.
    case lineEnd = "line_end"
    case family
    case address
    case port
    case version
    case command
    case transport
    case headerTooLong = "header_too_long"
    /// The announced length has no room for the addresses of its family.
    case addressBlock = "address_block"
    case typeLengthValue = "tlv"
    case checksum

    /// The word in logs and metrics.
    package var word: String { "proxy_\(rawValue)" }
}

/// The parser of both versions.
package enum ProxyProtocol {
    /// §2.1: "a 108-byte buffer is always enough to store all the line and a trailing zero".
    package static let lineBytesMax = 107
    /// Of version 2, with everything behind the addresses. §2 asks senders to stay within 536 bytes; those
    /// that pass certificates on do not.
    package static let headerBytesMax = 4096

    /// Reads the header at the front of `bytes`, the first of their connection.
    package static func parse(_ bytes: Span<UInt8>) throws(ProxyProtocolFault) -> ProxyProtocolResult {
        // §2.2: "Identifying the protocol version is easy", and no byte of the one begins the other.
        guard bytes.count > 0 else { return .needsMore }
        if bytes[0] == ProxyLine.opening[0] { return try ProxyLine.parse(bytes) }
        return try ProxyBinary.parse(bytes)
    }

    /// Whether `bytes` begin with `opening`, as far as they have arrived; nil when not all of it has.
    fileprivate static func begins(
        _ bytes: Span<UInt8>, with opening: [UInt8]
    ) throws(ProxyProtocolFault) -> Bool {
        let present = min(bytes.count, opening.count)
        if !bytes.extracting(0..<present).equals(opening.span.extracting(0..<present)) { throw .signature }
        return present == opening.count
    }
}

/// §2.1: `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 CRLF`, each part behind "exactly one space".
private enum ProxyLine {
    static let opening = Array("PROXY ".utf8)

    static func parse(_ bytes: Span<UInt8>) throws(ProxyProtocolFault) -> ProxyProtocolResult {
        guard try ProxyProtocol.begins(bytes, with: opening), let end = try lineEnd(bytes) else {
            return .needsMore
        }
        // "The receiver must wait for the CRLF sequence before starting to decode the addresses".
        var index = opening.count
        let family = nextPart(bytes, &index, end)
        let isV4 = bytes.extracting(family).equals("TCP4")
        if bytes.extracting(family).equals("UNKNOWN") {
            // "the receiver must ignore anything presented before the CRLF".
            return .complete(consumed: end + 2, source: nil)
        }
        if !isV4 && !bytes.extracting(family).equals("TCP6") { throw .family }
        let source = address(bytes.extracting(nextPart(bytes, &index, end)), isV4)
        let destination = address(bytes.extracting(nextPart(bytes, &index, end)), isV4)
        guard let source, destination != nil else { throw .address }
        let sourcePort = port(bytes.extracting(nextPart(bytes, &index, end)))
        guard let sourcePort, port(bytes.extracting(index..<end)) != nil else { throw .port }
        return .complete(consumed: end + 2, source: SocketAddress(source, port: sourcePort))
    }

    /// Where the CR of the CRLF stands; nil when it has not arrived.
    private static func lineEnd(_ bytes: Span<UInt8>) throws(ProxyProtocolFault) -> Int? {
        // "If the CRLF sequence is not found in the first 107 characters, the receiver should declare the
        // line invalid"; it "must not tolerate a single CR or LF character to end the line".
        for index in opening.count..<max(opening.count, min(bytes.count, ProxyProtocol.lineBytesMax)) {
            if bytes[index] == 0x0A { throw .lineEnd }
            if bytes[index] != 0x0D { continue }
            if index + 1 == ProxyProtocol.lineBytesMax { throw .lineTooLong }
            if index + 1 == bytes.count { return nil }
            if bytes[index + 1] != 0x0A { throw .lineEnd }
            return index
        }
        if bytes.count >= ProxyProtocol.lineBytesMax { throw .lineTooLong }
        return nil
    }

    /// Passes over what stands in front of the next space, and the space. Two spaces make an empty part,
    /// which is neither address nor port.
    private static func nextPart(_ bytes: Span<UInt8>, _ index: inout Int, _ end: Int) -> Range<Int> {
        let start = index
        while index < end && bytes[index] != 0x20 { index += 1 }
        let part = start..<index
        index = min(index + 1, end)
        return part
    }

    /// "The advertised protocol family dictates what format to use." An IPv6 address may end as IPv4: so
    /// `inet_ntop` writes a mapped one, and senders write what it writes.
    private static func address(_ text: Span<UInt8>, _ isV4: Bool) -> IPAddress? {
        isV4 ? IPAddress(v4Text: text) : IPAddress(v6Text: text)
    }

    /// "a decimal integer in the range [0..65535] inclusive. Heading zeroes are not permitted".
    private static func port(_ text: Span<UInt8>) -> UInt16? {
        guard (1...5).contains(text.count), text.count == 1 || text[0] != UInt8(ascii: "0") else {
            return nil
        }
        var value = 0
        for index in text.indices {
            if !ASCII.isDigit(text[index]) { return nil }
            value = value * 10 + Int(text[index] - 48)
        }
        return UInt16(exactly: value)
    }
}

/// §2.2: the signature, version and command, family and protocol, the length of the rest; then the addresses,
/// and whatever the sender adds to them.
private enum ProxyBinary {
    static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]
    private static let fixedBytes = 16

    static func parse(_ bytes: Span<UInt8>) throws(ProxyProtocolFault) -> ProxyProtocolResult {
        guard try ProxyProtocol.begins(bytes, with: signature), bytes.count > 12 else { return .needsMore }
        // "The highest four bits contains the version ... the receiver must only accept this value".
        if bytes[12] >> 4 != 2 { throw .version }
        let command = bytes[12] & 15
        // "Receivers must drop connections presenting unexpected values here."
        if command > 1 { throw .command }
        guard bytes.count > 13 else { return .needsMore }
        let (family, transport) = (bytes[13] >> 4, bytes[13] & 15)
        let isLocal = command == 0
        // "other values are unspecified ... and must be rejected as invalid by receivers"; but of LOCAL "the
        // family ... is ignored".
        if !isLocal && (family > 3 || transport > 2) { throw .transport }
        guard bytes.count >= fixedBytes else { return .needsMore }
        let count = fixedBytes + Int(bytes[14]) << 8 + Int(bytes[15])
        if count > ProxyProtocol.headerBytesMax { throw .headerTooLong }
        // UNSPEC of either kind: "The receiver should ignore address information."
        let addressBytes = isLocal || transport == 0 ? 0 : addressBlockBytes(family)
        if count < fixedBytes + addressBytes { throw .addressBlock }
        guard bytes.count >= count else { return .needsMore }
        if addressBytes == 0 { return .complete(consumed: count, source: nil) }

        let header = bytes.extracting(0..<count)
        try checkAdditions(header, from: fixedBytes + addressBytes)
        // "falls back to the UNSPEC mode for the valid combinations above that it does not support".
        let isTCP = transport == 1 && family != 3
        return .complete(consumed: count, source: isTCP ? source(header, isV4: family == 1) : nil)
    }

    /// "Address length is 2*4 + 2*2 = 12 bytes"; 36 of IPv6, 216 of unix sockets.
    private static func addressBlockBytes(_ family: UInt8) -> Int {
        switch family {
        case 1: 12
        case 2: 36
        case 3: 216
        default: 0
        }
    }

    /// Source address, destination address, source port, destination port.
    private static func source(_ header: Span<UInt8>, isV4: Bool) -> SocketAddress? {
        let length = isV4 ? 4 : 16
        let portStart = fixedBytes + 2 * length
        let port = UInt16(header[portStart]) << 8 | UInt16(header[portStart + 1])
        return IPAddress(bytes: header.extracting(fixedBytes..<fixedBytes + length))
            .map { SocketAddress($0, port: port) }
    }

    /// Passes over the Type-Length-Value vectors, which must fill the header to its end, and checks the one
    /// that is a checksum (§2.2.3).
    private static func checkAdditions(
        _ header: Span<UInt8>, from start: Int
    ) throws(ProxyProtocolFault) {
        var index = start
        var checksum: Int?
        while index < header.count {
            guard index + 3 <= header.count else { throw .typeLengthValue }
            let value = index + 3
            let end = value + Int(header[index + 1]) << 8 + Int(header[index + 2])
            if end > header.count { throw .typeLengthValue }
            if header[index] == checksumType {
                if checksum != nil || end - value != 4 { throw .typeLengthValue }
                checksum = value
            }
            index = end
        }
        guard let checksum else { return }
        var received: UInt32 = 0
        for offset in checksum..<checksum + 4 { received = received << 8 | UInt32(header[offset]) }
        // "If it is not [the same], the receiver MUST treat the TCP connection ... as invalid."
        if CRC32C.checksum(header, zeroing: checksum..<checksum + 4) != received { throw .checksum }
    }

    private static let checksumType: UInt8 = 0x03
}

/// The checksum of RFC 4960 appendix B. Bit by bit: it is taken of some hundred bytes, once per connection.
enum CRC32C {
    /// - Parameter zeroing: the bytes that count as zeros, the checksum's own.
    static func checksum(_ bytes: Span<UInt8>, zeroing hole: Range<Int>) -> UInt32 {
        var sum = UInt32.max
        for index in bytes.indices {
            sum ^= hole.contains(index) ? 0 : UInt32(bytes[index])
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0x82F6_3B78 : sum >> 1 }
        }
        return ~sum
    }
}

extension SocketAddress {
    /// The address with a port.
    fileprivate init(_ address: IPAddress, port: UInt16) {
        if address.isV4 {
            self.init(v4: address.bytes, port: port)
        } else {
            self.init(v6: address.bytes, port: port)
        }
    }
}
