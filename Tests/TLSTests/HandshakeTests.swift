// Tests of handshakes and content: names, protocols, client certificates, and bytes that are cut anywhere or
// are no TLS at all.

import Primitives
import Support
import TLS
import Testing

@Suite("A TLS session")
struct SessionTests {
    let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared.get() }

    @Test("content crosses however the wire cuts it", arguments: [1, 2, 3, 5, 7, 64, 1000, 16384, .max])
    func pieces(pieceBytes: Int) throws {
        let client = try certificates.client("two.test").makeSession()
        let server = try certificates.server().makeSession()
        let wire = Wire(client, server, pieceBytes: pieceBytes)
        wire.shakeHands()
        #expect(client.phase == .established)
        #expect(server.phase == .established)
        let content = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(wire.send(content, from: client, to: server) == content)
        #expect(wire.send(content, from: server, to: client) == content)
        #expect(!client.hasOutput && !server.hasOutput && !client.holdsInput && !server.holdsInput)
    }

    @Test("a hello cut at each boundary comes to the same")
    func everyBoundary() throws {
        let client = try certificates.client("two.test").makeSession()
        _ = client.handshake()
        let hello = client.takeOutput()
        let server = try certificates.server()
        let verdict = EverySplit.verdict(of: hello) { pieces in
            let session = server.makeSession()
            for piece in pieces { session.feed(Array(piece)) }
            return "\(session.phase) \(session.serverName?.text ?? "-") \(session.hasOutput)"
        }
        #expect(verdict.outcome == "handshaking two.test true")
        #expect(verdict.disagreements == [])
    }

    @Test("nothing is read or written before the handshake is done")
    func notBefore() throws {
        let session = try certificates.server().makeSession()
        var buffer = ByteBuffer(capacity: 100)
        #expect(session.read(into: &buffer) == .needsInput)
        #expect(session.write([1].span) == nil)
    }

    @Test("close_notify ends reading, and the other direction goes on")
    func closeNotify() throws {
        let wire = try certificates.wire(certificates.client("one.test"), certificates.server())
        wire.client.finishWriting()
        _ = wire.carry()
        #expect(wire.server.phase == .ended)
        #expect(wire.send([1, 2, 3], from: wire.server, to: wire.client) == [1, 2, 3])
        #expect(wire.client.write([1].span) == nil)
    }

    @Test("an end without close_notify is a cut")
    func truncated() throws {
        let wire = try certificates.wire(certificates.client("one.test"), certificates.server())
        #expect(wire.server.write([1, 2, 3].span) == 3)
        wire.client.feed(wire.server.takeOutput())
        wire.client.endInput()
        var buffer = ByteBuffer(capacity: 100)
        #expect(wire.client.read(into: &buffer) == .failed(.truncated))
        #expect(wire.client.failure?.logWord == "tls_truncated")
    }

    @Test("an end in the middle of a handshake is a cut")
    func truncatedHandshake() throws {
        let client = try certificates.client("one.test").makeSession()
        _ = client.handshake()
        let server = try certificates.server().makeSession()
        server.feed(Array(client.takeOutput().dropLast()))
        #expect(server.phase == .handshaking)
        server.endInput()
        #expect(server.handshake() == .failed(.truncated))
    }

    @Test("close_notify in the middle of a handshake ends it")
    func closedHandshake() throws {
        let client = try certificates.client("one.test").makeSession()
        _ = client.handshake()
        let server = try certificates.server().makeSession()
        server.feed(client.takeOutput())
        #expect(server.phase == .handshaking)
        // Not encrypted, as from a client that has not read the server's hello.
        server.feed([21, 3, 3, 0, 2, 1, 0])
        #expect(server.failure == .alert(0))
    }

    @Test(
        "what is no TLS is refused",
        arguments: [
            "GET / HTTP/1.1\r\nHost: one.test\r\n\r\n", "SSH-2.0-Client\r\n", "\0\0\0\0\0\0\0\0\0\0\0",
            "\u{16}\u{3}\u{1}\u{0}\u{5}xxxxxyyyy",
        ])
    func garbage(text: String) throws {
        let server = try certificates.server().makeSession()
        server.feed(Array(text.utf8))
        let failure = try #require(server.failure)
        #expect(failure == .notTLS || failure.logWord == "tls_violation")
    }

    @Test("a handshake that never comes to an end is cut off at its limit")
    func oversized() throws {
        let server = try certificates.server().makeSession()
        // A hello that says it has 16 MB, in records of 16 kB.
        var bytes: [UInt8] = [0x16, 3, 1, 0x40, 0, 1, 0xFF, 0xFF, 0xFF]
        bytes += [UInt8](repeating: 0, count: 0x4000 - 4)
        server.feed(bytes)
        #expect(server.failure == .handshakeTooLarge)

        // Warnings, each of them allowed in its place.
        let patient = try certificates.server().makeSession()
        let client = try certificates.client("one.test").makeSession()
        _ = client.handshake()
        let hello = client.takeOutput()
        patient.feed(Array(hello.dropLast()))
        #expect(patient.phase == .handshaking)
        let changes = [[UInt8]](repeating: [0x14, 3, 3, 0, 1, 1], count: 30_000).flatMap(\.self)
        patient.feed(changes, 4096)
        #expect(patient.failure != nil)
    }

    @Test("what a peer does not take is bounded")
    func output() throws {
        let wire = try certificates.wire(certificates.client("one.test"), certificates.server())
        let content = [UInt8](repeating: 1, count: TLSLimits.batchBytesMax)
        for _ in 1..<TLSLimits.outputBytesMax / TLSLimits.batchBytesMax {
            #expect(wire.server.write(content.span) == content.count)
        }
        #expect(wire.server.write(content.span) == nil)
        #expect(wire.server.failure == .outputTooLarge)
    }

    @Test("a session that has failed stays so, and gives nothing out")
    func failed() throws {
        let wire = try certificates.wire(certificates.client("one.test"), certificates.server())
        #expect(wire.client.write([1, 2, 3].span) == 3)
        wire.server.fail(.flooded)
        wire.server.fail(.truncated)
        #expect(wire.server.failure == .flooded)
        var buffer = ByteBuffer(capacity: 100)
        #expect(wire.server.read(into: &buffer) == .failed(.flooded))
        #expect(wire.server.write([1].span) == nil)
        wire.server.finishWriting()
        #expect(!wire.server.hasOutput)
    }

    @Test("a changed bit in content ends the session")
    func tampered() throws {
        let wire = try certificates.wire(certificates.client("one.test"), certificates.server())
        #expect(wire.client.write([1, 2, 3].span) == 3)
        var bytes = wire.client.takeOutput()
        bytes[bytes.count - 1] ^= 1
        #expect(wire.server.feed(bytes) == [])
        #expect(wire.server.failure?.logWord == "tls_violation")
        #expect(wire.server.hasOutput, "the alert")
    }
}

@Suite("A server's names and protocols")
struct ServerNameTests {
    let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared.get() }

    @Test(
        "the name that is asked for chooses the certificate",
        arguments: [
            ("one.test", "CN=one", true), ("a.wild.test", "CN=wild", true), ("TWO.test", "CN=two", true),
            ("unknown.test", "CN=one", false), ("a.b.wild.test", "CN=one", false),
            ("wild.test", "CN=one", false), ("127.0.0.1", "CN=one", false),
        ])
    func choice(host: String, subject: String, isKnown: Bool) throws {
        let client = try ClientTLS(host: host, trust: .insecure)
        let wire = try certificates.wire(client, certificates.server())
        #expect(wire.client.phase == .established)
        #expect(wire.client.peer?.subject == subject)
        #expect(wire.server.nameIsKnown == isKnown)
        // RFC 6066 §3: "Literal IPv4 and IPv6 addresses are not permitted in HostName."
        #expect(wire.server.serverName?.text == (host == "127.0.0.1" ? nil : host.lowercased()))
    }

    @Test("a protocol of both is chosen; none in common ends the handshake; none offered is none")
    func protocols() throws {
        let server = try certificates.server(protocols: ["h2", "http/1.1"])
        let both = try certificates.wire(
            certificates.client("one.test", protocols: ["http/1.1", "h2"]), server)
        #expect(both.server.applicationProtocol == "h2")
        #expect(both.client.applicationProtocol == "h2")
        let none = try certificates.wire(certificates.client("one.test", protocols: []), server)
        #expect(none.server.phase == .established)
        #expect(none.server.applicationProtocol == nil)
        let other = try certificates.wire(certificates.client("one.test", protocols: ["ftp"]), server)
        #expect(other.server.failure?.logWord == "tls_nothing_in_common")
        // RFC 7301 §3.2: no_application_protocol(120).
        #expect(other.client.failure == .alert(120))
    }

    @Test("the highest version is spoken, with forward secrecy and without a tag of its own")
    func version() throws {
        let wire = try certificates.wire(certificates.client("one.test"), certificates.server())
        #expect(wire.server.version == "TLSv1.3")
        #expect(wire.server.suite.hasPrefix("TLS_"))
    }

    @Test("a name twice, a name that is none, and no certificate are refused")
    func unusable() throws {
        func sentence(_ names: [[String]]) -> String? {
            let sites = names.map { TLSSite(names: $0, certificates: [certificates.one.material()]) }
            do throws(TLSSettingsError) { _ = try ServerTLS(sites: sites) } catch { return error.sentence }
            return nil
        }
        #expect(sentence([["one.test"], ["two.test"]]) == nil)
        #expect(sentence([["one.test"], ["ONE.test"]]) == "'one.test' is named twice")
        #expect(sentence([["one..test"]]) == "'one..test' is no host name")
        #expect(sentence([]) == "a listener with TLS needs a certificate")
    }

    @Test("one host name of DNS is read from the extension, and nothing else")
    func extensionSyntax() {
        func read(_ name: String, _ change: (inout [UInt8]) -> Void = { _ in }) -> String? {
            let count = UInt8(name.utf8.count)
            var bytes: [UInt8] = [0, count + 3, 0, 0, count] + Array(name.utf8)
            change(&bytes)
            return HostName(serverNameExtension: bytes)?.text
        }
        #expect(read("One.Test") == "one.test")
        for name in ["", ".", "one.test.", ".one", "a..b", "one\0.evil", "one test", "ünï", "*.test"] {
            #expect(read(name) == nil, "\(name)")
        }
        #expect(read(String(repeating: "a", count: 63) + ".test") != nil)
        #expect(read(String(repeating: "a", count: 64) + ".test") == nil)
        #expect(read("one.test") { $0[2] = 1 } == nil)
        #expect(read("one.test") { $0.append(0) } == nil)
        #expect(read("one.test") { $0[1] += 1 } == nil)
        #expect(read("one.test") { $0[4] -= 1 } == nil)
        #expect(HostName(serverNameExtension: []) == nil)
        #expect(HostName(serverNameExtension: [0, 3, 0, 0, 0]) == nil)
    }
}
