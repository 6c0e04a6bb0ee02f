// TLS over real sockets: our client with our server, and OpenSSL's own client with our server for what ours
// cannot be made to do.

import Dispatch
import Glibc
import Network
import Primitives
import Support
import TLS
import Testing

@Suite("Transport by TLS")
struct TransportTLSTests {
    let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared.get() }

    private func server(minimumVersion: TLSVersion = .v1_2) throws -> ServerTLS {
        let (one, oneRSA) = (certificates.one, certificates.oneRSA)
        return try ServerTLS(
            sites: [
                TLSSite(
                    names: ["one.test"],
                    certificates: [
                        CertificateMaterial(chain: one.pem, key: one.key),
                        CertificateMaterial(chain: oneRSA.pem, key: oneRSA.key),
                    ])
            ], minimumVersion: minimumVersion,
            ticketKeys: [#require(TicketKey(bytes: [UInt8](repeating: 7, count: TicketKey.byteCount)))])
    }

    private func client(_ host: String = "one.test") throws -> TLSSession {
        try ClientTLS(host: host, trust: .authorities(certificates.root.pem)).makeSession()
    }

    /// Waits for the end of the last connection, and gives it.
    private func lastEnd(_ shard: Shard) throws -> Peer {
        let peer = try #require(shard.onQueue { shard.accepted.last })
        #expect(peer.finished.wait(timeout: Shard.patience) == .success)
        return peer
    }

    /// What OpenSSL's client says of the server; nil when it is not let in.
    private func examine(_ shard: Shard, _ arguments: [String], input: String = "") throws -> String? {
        // Reading the system's trusted certificates would take longer than all the rest.
        let target =
            ["s_client", "-connect", "127.0.0.1:\(shard.address.port)", "-servername", "one.test"]
            + ["-no-CAfile", "-no-CApath", "-no-CAstore"]
        do {
            return try CertificateForge.run(target + arguments, input: input)
        } catch let failure as CertificateForge.Failure {
            #expect(failure.output.contains("CONNECTED"), "\(failure.output)")
            return nil
        }
    }

    @Test("bytes come back, few and many", arguments: [1, 2, 1000, 16384, 16385, 65536, 65537, 3_000_000])
    func echo(count: Int) throws {
        let shard = try Shard(tls: server())
        defer { shard.stop() }
        let message = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let client = try shard.connect(sending: message, tls: client())
        #expect(client.finished.wait(timeout: Shard.patience) == .success)
        let isEqual = shard.onQueue { client.received == message }
        #expect(isEqual)
        let isEstablished = shard.onQueue { client.transport.isEstablished }
        #expect(isEstablished)
    }

    @Test("close_notify is an end, and an end without it is a broken connection", arguments: [true, false])
    func end(isPolite: Bool) throws {
        let shard = try Shard(tls: server())
        defer { shard.stop() }
        // A client without TLS sends the first byte of a handshake, and closes its side.
        let client = try shard.connect(sending: [0x16], tls: isPolite ? client() : nil)
        if isPolite { #expect(client.finished.wait(timeout: Shard.patience) == .success) }
        let peer = try #require(try awaitAccepted(shard))
        shard.onQueue { client.finishSending() }
        #expect(peer.finished.wait(timeout: Shard.patience) == .success)
        shard.onQueue {
            #expect(peer.failure?.code == (isPolite ? nil : ECONNRESET))
            #expect(peer.transport.tlsError == (isPolite ? nil : .truncated))
        }
    }

    @Test("a server of another name is not spoken to, and learns why")
    func otherName() throws {
        let shard = try Shard(tls: server())
        defer { shard.stop() }
        let client = try shard.connect(sending: [1, 2, 3], tls: client("two.test"))
        #expect(client.finished.wait(timeout: Shard.patience) == .success)
        let peer = try lastEnd(shard)
        shard.onQueue {
            #expect(client.failure?.code == EPROTO)
            #expect(client.transport.tlsError?.logWord == "tls_certificate_refused")
            #expect(client.transport.connectionError?.code == EPROTO)
            // bad_certificate(42)
            #expect(peer.transport.tlsError == .alert(42))
        }
    }

    @Test("a client that speaks plain HTTP is let go")
    func plain() throws {
        let shard = try Shard(tls: server())
        defer { shard.stop() }
        let client = try shard.connect(sending: Array("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n".utf8))
        let peer = try #require(try awaitAccepted(shard))
        #expect(peer.finished.wait(timeout: Shard.patience) == .success)
        shard.onQueue {
            #expect(peer.transport.tlsError == .notTLS)
            let isEstablished = peer.transport.isEstablished
            #expect(!isEstablished)
            #expect(client.failure == nil)
        }
    }

    @Test("a port that refuses says so, and TLS does not swallow it")
    func refused() throws {
        let shard = try Shard(tls: server())
        defer { shard.stop() }
        let client = try shard.connect(sending: [1], to: Shard.freePort(), tls: client())
        #expect(client.finished.wait(timeout: Shard.patience) == .success)
        shard.onQueue { #expect(client.failure?.code == ECONNREFUSED) }
    }

    @Test(
        "old versions and weak suites are refused, the nearest good ones are not",
        arguments: [
            (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], nil), (["-tls1_2"], "TLSv1.2"),
            (["-tls1_3"], "TLSv1.3"), (["-tls1_2", "-cipher", "AES128-GCM-SHA256"], nil),
            (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256"], nil),
            (["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"], nil),
            (["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"], "ECDHE-RSA-CHACHA20-POLY1305"),
            (["-groups", "P-521"], nil), (["-groups", "P-384"], "secp384r1"),
            (["-groups", "X25519"], "X25519"),
            (["-tls1_2", "-sigalgs", "RSA+SHA1:ECDSA+SHA1", "-cipher", "ALL:@SECLEVEL=0"], nil),
        ] as [([String], String?)])
    func floors(arguments: [String], expected: String?) throws {
        let shard = try Shard(tls: server())
        defer { shard.stop() }
        let output = try examine(shard, arguments)
        guard let expected else {
            #expect(output == nil, "\(output ?? "")")
            return
        }
        #expect(output?.contains(expected) == true, "\(output ?? "refused")")
    }

    @Test("where 1.3 is the least, 1.2 is refused")
    func minimum() throws {
        let shard = try Shard(tls: server(minimumVersion: .v1_3))
        defer { shard.stop() }
        #expect(try examine(shard, ["-tls1_2"]) == nil)
        #expect(try examine(shard, []) != nil)
    }

    @Test(
        "the client's offer chooses between RSA and elliptic certificates",
        arguments: [
            (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "one by RSA"),
            (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "one"),
            (["-sigalgs", "rsa_pss_rsae_sha256"], "one by RSA"), (["-sigalgs", "ECDSA+SHA256"], "one"),
        ])
    func kinds(arguments: [String], subject: String) throws {
        let shard = try Shard(tls: server())
        defer { shard.stop() }
        let output = try #require(try examine(shard, arguments))
        #expect(output.contains("subject=CN = \(subject)\n"), "\(output)")
    }

    @Test("a client that renegotiates is let go, one that only speaks is served")
    func renegotiation() throws {
        let shard = try Shard(tls: server())
        defer { shard.stop() }
        _ = try examine(shard, ["-tls1_2"], input: "R\n")
        let peer = try lastEnd(shard)
        shard.onQueue { #expect(peer.transport.tlsError == .renegotiation) }
        _ = try examine(shard, ["-tls1_2"], input: "S\n")
        let other = try lastEnd(shard)
        shard.onQueue { #expect(other.transport.tlsError == nil) }
    }

    @Test("keys may be updated in the middle")
    func keyUpdate() throws {
        let shard = try Shard(tls: server())
        defer { shard.stop() }
        // K: update ours and ask for the other side's.
        let output = try #require(try examine(shard, ["-tls1_3"], input: "K\nhello\n"))
        #expect(output.contains("KEYUPDATE"))
        let peer = try lastEnd(shard)
        shard.onQueue { #expect(peer.transport.tlsError == nil) }
    }

    private func awaitAccepted(_ shard: Shard) throws -> Peer? {
        shard.taken.wait(timeout: Shard.patience) == .success ? shard.onQueue { shard.accepted.last } : nil
    }
}
