// The PROXY protocol: both versions fed whole, cut at every byte and byte by byte; what is refused stands
// beside its nearest accepted neighbour. A header decides who somebody is, so nothing is guessed.

import Primitives
import Support
import Testing

@testable import Network

@Suite("PROXY protocol, version 1")
struct ProxyLineTests {
    @Test(
        "a line names the client, whatever follows it",
        arguments: [
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443", "192.0.2.1:56324"),
            ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535", "0.0.0.0:0"),
            ("PROXY TCP6 2001:DB8::1 2001:db8:0:0:0:0:0:2 65535 1", "[2001:db8::1]:65535"),
            ("PROXY TCP6 :: ::1 1 1", "[::]:1"),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 1", "192.0.2.1:1"),
            (
                "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                    + "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
            ),
        ])
    func accepted(_ line: String, _ source: String) {
        #expect(read(line + "\r\nGET / HTTP/1.1\r\n") == .complete(line.utf8.count + 2, source))
    }

    @Test(
        "an unknown client is the connection's own peer, whatever is said of it",
        arguments: [
            "PROXY UNKNOWN", "PROXY UNKNOWN ", "PROXY UNKNOWN 1.2.3.4 x y z",
            "PROXY UNKNOWN " + String(repeating: "f", count: 91),
        ])
    func unknown(_ line: String) {
        #expect(read(line + "\r\n") == .complete(line.utf8.count + 2, nil))
    }

    @Test(
        "a part that the specification does not spell so is refused",
        arguments: [
            // The neighbour: PROXY TCP4 192.0.2.1 198.51.100.2 56324 443
            ("PROXY TCP4 192.0.2.01 198.51.100.2 56324 443", ProxyProtocolFault.address),
            ("PROXY TCP4 192.0.2.256 198.51.100.2 56324 443", .address),
            ("PROXY TCP4 192.0.2 198.51.100.2 56324 443", .address),
            ("PROXY TCP4 192.0.2.1. 198.51.100.2 56324 443", .address),
            ("PROXY TCP4 0x7f.0.0.1 198.51.100.2 56324 443", .address),
            ("PROXY TCP4 192.0.2.1  198.51.100.2 56324 443", .address),
            ("PROXY TCP4  192.0.2.1 198.51.100.2 56324 443", .address),
            ("PROXY TCP4 192.0.2.1\t198.51.100.2 56324 443", .address),
            ("PROXY TCP4 192.0.2.1 198.51.100.999 56324 443", .address),
            ("PROXY TCP4 2001:db8::1 2001:db8::2 56324 443", .address),
            ("PROXY TCP4 192.0.2.1", .address),
            ("PROXY TCP4", .address),
            ("PROXY TCP6 192.0.2.1 198.51.100.2 56324 443", .address),
            ("PROXY TCP6 2001:db8::1::2 ::1 56324 443", .address),
            ("PROXY TCP6 [2001:db8::1] ::1 56324 443", .address),
            ("PROXY TCP6 fe80::1%eth0 ::1 56324 443", .address),
            ("PROXY TCP6 1:2:3:4:5:6:7 ::1 56324 443", .address),
            ("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 56324 443", .address),
            ("PROXY TCP6 ::00001 ::1 56324 443", .address),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 056324 443", .port),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 00 443", .port),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 65536 443", .port),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 +1 443", .port),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 -1 443", .port),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 4430000", .port),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 ", .port),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 x", .port),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 56324", .port),
            ("PROXY TCP4 192.0.2.1 198.51.100.2  443", .port),
            ("PROXY tcp4 192.0.2.1 198.51.100.2 56324 443", .family),
            ("PROXY UDP4 192.0.2.1 198.51.100.2 56324 443", .family),
            ("PROXY TCP44 192.0.2.1 198.51.100.2 56324 443", .family),
            ("PROXY UNKNOWNS", .family), ("PROXY ", .family),
        ])
    func refused(_ line: String, _ fault: ProxyProtocolFault) {
        #expect(read(line + "\r\n") == .refused(fault))
    }

    @Test(
        "a line ends with CRLF and nothing less, within 107 bytes",
        arguments: [
            ("PROXY UNKNOWN\n", ProxyProtocolFault.lineEnd), ("PROXY UNKNOWN\rx", .lineEnd),
            ("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\nGET / HTTP/1.1\r\n\r\n", .lineEnd),
            ("PROXY UNKNOWN " + String(repeating: "f", count: 92) + "\r\n", .lineTooLong),
            ("PROXY UNKNOWN " + String(repeating: "f", count: 4096), .lineTooLong),
        ])
    func lineEnds(_ bytes: String, _ fault: ProxyProtocolFault) {
        #expect(read(bytes) == .refused(fault))
    }

    @Test(
        "what begins with neither signature is refused at its first wrong byte",
        arguments: ["G", "GET / HTTP/1.1\r\n", "proxy TCP4 ", "PROXYTCP4", "PRX", " PROXY", "\r\nPROXY"])
    func signature(_ bytes: String) {
        #expect(read(bytes) == .refused(.signature))
    }

    @Test("every beginning of a line waits for the rest")
    func beginnings() {
        let line = Array("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n".utf8)
        for count in line.indices { #expect(read(Array(line[..<count])) == .incomplete) }
    }
}

@Suite("PROXY protocol, version 2")
struct ProxyBinaryTests {
    private let v4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0xDC, 0x04, 0x01, 0xBB]
    private let v6: [UInt8] =
        [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
        + [UInt8](repeating: 0, count: 15) + [1, 0x00, 0x50, 0x01, 0xBB]

    @Test("TCP over IPv4 and IPv6 names the client, whatever follows")
    func accepted() {
        #expect(read(header(0x21, 0x11, v4) + [71, 69, 84]) == .complete(28, "192.0.2.1:56324"))
        #expect(read(header(0x21, 0x21, v6) + [71, 69, 84]) == .complete(52, "[2001:db8::1]:80"))
    }

    @Test("what is no TCP over IP, or no client's connection at all, is the connection's own peer")
    func own() {
        let unix = [UInt8](repeating: 65, count: 216)
        for (fixed, rest) in [
            (0x20, []), (0x20, v4), (0x21, []), (0x21, [1, 2, 3]),
        ] as [(UInt8, [UInt8])] {
            #expect(read(header(fixed, 0x00, rest)) == .complete(16 + rest.count, nil))
        }
        #expect(read(header(0x20, 0xFF, v4)) == .complete(28, nil), "LOCAL: the family is ignored")
        #expect(read(header(0x21, 0x31, unix)) == .complete(232, nil))
        #expect(read(header(0x21, 0x32, unix)) == .complete(232, nil))
        #expect(read(header(0x21, 0x12, v4)) == .complete(28, nil))
        #expect(read(header(0x21, 0x22, v6)) == .complete(52, nil))
        #expect(read(header(0x21, 0x10, [])) == .complete(16, nil))
        #expect(read(header(0x21, 0x01, [])) == .complete(16, nil))
    }

    @Test("another version, command, family or protocol is refused")
    func refused() {
        for version in [0x11, 0x31, 0x01, 0xF1] as [UInt8] {
            #expect(read(header(version, 0x11, v4)) == .refused(.version))
        }
        for command in [0x22, 0x2F] as [UInt8] {
            #expect(read(header(command, 0x11, v4)) == .refused(.command))
        }
        for transport in [0x41, 0xF1, 0x13, 0x1F, 0x03] as [UInt8] {
            #expect(read(header(0x21, transport, v4)) == .refused(.transport))
        }
    }

    @Test("a length with no room for the addresses is refused, one byte more is not")
    func short() {
        let unix = [UInt8](repeating: 0, count: 216)
        for (transport, block) in [(0x11, v4), (0x12, v4), (0x21, v6), (0x31, unix)] as [(UInt8, [UInt8])] {
            #expect(read(header(0x21, transport, Array(block.dropLast()))) == .refused(.addressBlock))
            guard case .complete = read(header(0x21, transport, block)) else {
                Issue.record("\(transport) is refused")
                continue
            }
        }
    }

    @Test("a header is as long as the limit at most, and refused before it has arrived")
    func long() {
        let room = ProxyProtocol.headerBytesMax - 16 - v4.count
        let longest = header(0x21, 0x11, v4 + addition(4, [UInt8](repeating: 0, count: room - 3)))
        let whole: [ArraySlice<UInt8>] = [longest[...]]
        #expect(read(pieces: whole) == .complete(ProxyProtocol.headerBytesMax, "192.0.2.1:56324"))
        let longer = header(0x21, 0x11, v4 + addition(4, [UInt8](repeating: 0, count: room - 2)))
        #expect(read(Array(longer.prefix(16))) == .refused(.headerTooLong))
        #expect(read(Array(longest.prefix(16))) == .incomplete)
    }

    @Test("additions are passed over, and fill the header to its end")
    func additions() {
        let some = addition(1, Array("h2".utf8)) + addition(0xEE, []) + addition(5, [UInt8](0..<128))
        let count = 16 + v4.count + some.count
        #expect(read(header(0x21, 0x11, v4 + some)) == .complete(count, "192.0.2.1:56324"))
        for cut in [[1], [1, 0], [1, 0, 1], [1, 0xFF, 0xFF, 0], addition(4, []) + [0]] as [[UInt8]] {
            #expect(read(header(0x21, 0x11, v4 + cut)) == .refused(.typeLengthValue))
        }
    }

    @Test("a checksum that is there has to be right")
    func checksum() {
        let digits = Array("123456789".utf8)
        #expect(CRC32C.checksum(digits.span, zeroing: 0..<0) == 0xE306_9283)
        var sealed = header(0x21, 0x11, v4 + addition(4, [1]) + addition(3, [0, 0, 0, 0]) + addition(1, [2]))
        let place = 16 + v4.count + 4 + 3
        let sum = CRC32C.checksum(sealed.span, zeroing: 0..<0)
        for (index, shift) in [24, 16, 8, 0].enumerated() {
            sealed[place + index] = UInt8(truncatingIfNeeded: sum >> UInt32(shift))
        }
        #expect(read(sealed) == .complete(sealed.count, "192.0.2.1:56324"))
        // Another type in its place, and it is no checksum any more.
        for index in 16..<sealed.count where index != place - 3 {
            var changed = sealed
            changed[index] ^= 1
            guard case .refused = read(changed) else {
                Issue.record("a changed byte \(index) passes")
                continue
            }
        }
        let twice = v4 + addition(3, [0, 0, 0, 0]) + addition(3, [0, 0, 0, 0])
        #expect(read(header(0x21, 0x11, twice)) == .refused(.typeLengthValue))
        #expect(read(header(0x21, 0x11, v4 + addition(3, [0, 0, 0]))) == .refused(.typeLengthValue))
    }

    @Test("a wrong byte in the signature is refused, and every beginning waits for the rest")
    func signature() {
        let whole = header(0x21, 0x11, v4)
        for count in whole.indices { #expect(read(Array(whole[..<count])) == .incomplete) }
        for index in 0..<12 {
            var changed = whole
            changed[index] ^= 0x20
            #expect(read(Array(changed[...index])) == .refused(.signature))
        }
    }

    @Test("no bytes at all end the process, or claim more than there are")
    func mutations() {
        var random = SeededGenerator(seed: 11)
        let seeds = [
            header(0x21, 0x11, v4 + addition(3, [1, 2, 3, 4])), header(0x21, 0x21, v6),
            Array("PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 56324 443\r\n".utf8),
        ]
        for round in 0..<3000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0...random.below(3) {
                bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next())
            }
            bytes.removeLast(random.below(3))
            if case .complete(let consumed, _) = read(pieces: [bytes[...]]) {
                #expect(consumed <= bytes.count)
            }
        }
    }

    private func header(_ command: UInt8, _ transport: UInt8, _ rest: [UInt8]) -> [UInt8] {
        [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, command, transport]
            + [UInt8(rest.count >> 8), UInt8(rest.count & 0xFF)] + rest
    }

    private func addition(_ type: UInt8, _ value: [UInt8]) -> [UInt8] {
        [type, UInt8(value.count >> 8), UInt8(value.count & 0xFF)] + value
    }
}

// MARK: - Feeding

/// What the bytes of a connection came to.
private enum Outcome: Equatable, Sendable {
    case incomplete
    case complete(Int, String?)
    case refused(ProxyProtocolFault)
}

private func read(_ text: String) -> Outcome { read(Array(text.utf8)) }

private func read(_ bytes: [UInt8]) -> Outcome {
    let verdict = EverySplit.verdict(of: bytes, read(pieces:))
    #expect(verdict.disagreements == [])
    return verdict.outcome
}

private func read(pieces: [ArraySlice<UInt8>]) -> Outcome {
    var input: [UInt8] = []
    for piece in pieces {
        input += piece
        do throws(ProxyProtocolFault) {
            if case .complete(let consumed, let source) = try ProxyProtocol.parse(input.span) {
                return .complete(consumed, source?.description)
            }
        } catch {
            return .refused(error)
        }
    }
    return .incomplete
}
