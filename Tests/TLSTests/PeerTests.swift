// Tests of who is believed: clients by their certificates, upstreams by theirs, and both by tickets.

import Primitives
import Support
import TLS
import Testing

@Suite("Client certificates")
struct ClientCertificateTests {
    let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared.get() }

    private func wire(_ certificate: ForgedCertificate?, required: Bool) throws -> Wire {
        let authorities = certificates.root.pem
        return try certificates.wire(
            certificates.client("two.test", certificate: certificate),
            certificates.server(
                clients: required ? .required(authorities: authorities) : .optional(authorities: authorities))
        )
    }

    @Test("a good one is accepted, with its subject and fingerprint", arguments: [true, false])
    func good(required: Bool) throws {
        let wire = try wire(certificates.client, required: required)
        #expect(wire.server.phase == .established)
        #expect(wire.server.peer?.subject == "CN=Alice,O=Example\\, Inc.")
        #expect(wire.server.peer?.fingerprint.count == 32)
        #expect(wire.server.peer?.fingerprint == wire.server.peerCertificate?.fingerprint)
    }

    @Test("none is refused where one is required, and nobody where it is optional")
    func missing() throws {
        #expect(try wire(nil, required: true).server.failure == .certificateMissing)
        let optional = try wire(nil, required: false)
        #expect(optional.server.phase == .established)
        #expect(optional.server.peer == nil)
    }

    @Test("one of a strange authority or that is over is refused, optional or not", arguments: [true, false])
    func bad(required: Bool) throws {
        for certificate in [certificates.strangerClient, certificates.expiredClient] {
            let server = try wire(certificate, required: required).server
            #expect(server.failure?.logWord == "tls_certificate_refused")
            #expect(server.peer == nil)
        }
    }

    @Test("a server's certificate is none of a client")
    func purpose() throws {
        let server = try wire(certificates.one, required: true).server
        #expect(server.failure?.logWord == "tls_certificate_refused")
    }

    @Test("a subject with control bytes is nobody's")
    func subject() throws {
        let forged = try certificates.forge.issue(
            "/CN=Ali\u{1}ce", extensions: ["extendedKeyUsage = clientAuth"], issuer: certificates.root)
        #expect(try wire(forged, required: true).server.failure == .subjectUnusable)
    }

    @Test("other names of the listener ask for none")
    func otherName() throws {
        let server = try certificates.server(clients: .required(authorities: certificates.root.pem))
        let wire = try certificates.wire(certificates.client("one.test"), server)
        #expect(wire.server.phase == .established)
    }
}

@Suite("An upstream's certificate")
struct UpstreamCertificateTests {
    let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared.get() }

    /// How a client of `host` finds a server with that certificate.
    private func failure(
        _ host: String, _ certificate: ForgedCertificate, trust: UpstreamTrust? = nil
    ) throws -> TLSError? {
        let server = try ServerTLS(sites: [TLSSite(names: [], certificates: [certificate.material()])])
        let client = try ClientTLS(host: host, trust: trust ?? .authorities(certificates.root.pem))
        let wire = certificates.wire(client, server)
        if wire.client.phase == .established { return nil }
        #expect(wire.client.write([1].span) == nil)
        return wire.client.failure
    }

    private func refused(_ text: String) -> (TLSError?) -> Bool {
        { $0?.logWord == "tls_certificate_refused" && $0?.reason.contains(text) == true }
    }

    @Test("the right name by a trusted authority is accepted, and another name is not")
    func hostName() throws {
        #expect(try failure("one.test", certificates.one) == nil)
        #expect(try refused("hostname mismatch")(failure("two.test", certificates.one)))
        // The common name is not looked at: RFC 9525 §2.
        #expect(try refused("hostname mismatch")(failure("one", certificates.one)))
    }

    @Test("a wildcard stands for one label")
    func wildcard() throws {
        #expect(try failure("a.wild.test", certificates.wild) == nil)
        #expect(try refused("hostname mismatch")(failure("a.b.wild.test", certificates.wild)))
        #expect(try refused("hostname mismatch")(failure("wild.test", certificates.wild)))
    }

    @Test("an address is looked for among the addresses")
    func address() throws {
        let trust = UpstreamTrust.authorities(certificates.intermediate.pem)
        #expect(try failure("127.0.0.1", certificates.two, trust: trust) == nil)
        #expect(try refused("IP address mismatch")(failure("127.0.0.2", certificates.two, trust: trust)))
    }

    @Test("one that is over, of itself, or of nobody known is refused")
    func untrusted() throws {
        #expect(try refused("expired")(failure("one.test", certificates.expired)))
        #expect(try refused("self-signed")(failure("one.test", certificates.selfSigned)))
        #expect(try refused("issuer")(failure("two.test", certificates.two)))
        #expect(try refused("issuer")(failure("one.test", certificates.one, trust: .system)))
        let itself = UpstreamTrust.authorities(certificates.selfSigned.pem)
        #expect(try failure("one.test", certificates.selfSigned, trust: itself) == nil)
    }

    @Test("a name ends at its end and not at a NUL")
    func nul() throws {
        #expect(try refused("hostname mismatch")(failure("one.test", certificates.withNUL)))
        let report = certificates.withNUL.material().report(at: WallTime(seconds: 1_700_000_000))
        #expect(report.names == [])
    }

    @Test("a client's certificate is none of a server")
    func purpose() throws {
        #expect(try refused("purpose")(failure("one.test", certificates.client)))
    }

    @Test("where anybody is believed, everybody is")
    func insecure() throws {
        #expect(try failure("two.test", certificates.selfSigned, trust: .insecure) == nil)
    }

    @Test("a name that is none, and trust in nothing, are refused")
    func unusable() {
        #expect(throws: TLSSettingsError.self) { try ClientTLS(host: "one\0.test", trust: .insecure) }
        #expect(throws: TLSSettingsError.self) { try ClientTLS(host: "one.test", trust: .authorities([])) }
    }
}

@Suite("Session tickets")
struct TicketTests {
    let certificates: TestCertificates

    init() throws { certificates = try TestCertificates.shared.get() }

    private func key(_ byte: UInt8) throws -> TicketKey {
        try #require(TicketKey(bytes: [UInt8](repeating: byte, count: TicketKey.byteCount)))
    }

    /// Shakes hands and has the client read its ticket.
    private func ticket(_ client: ClientTLS, _ server: ServerTLS) throws -> TLSResumption {
        let wire = certificates.wire(client, server)
        #expect(!wire.client.isResumed)
        return try #require(wire.client.takeResumption())
    }

    @Test("a ticket resumes at another server with the same keys, and brings the next")
    func shared() throws {
        let client = try certificates.client("two.test")
        let ticket = try ticket(client, certificates.server(ticketKeys: [key(1)]))
        let wire = try certificates.wire(
            client, certificates.server(ticketKeys: [key(1)]), resuming: ticket)
        #expect(wire.client.isResumed && wire.server.isResumed)
        #expect(wire.client.takeResumption() != nil)
    }

    @Test("an older key still opens; one that is gone means a full handshake")
    func rotation() throws {
        let client = try certificates.client("two.test")
        let old = try certificates.server(ticketKeys: [key(1)])
        let rotated = try certificates.server(ticketKeys: [key(2), key(1)])
        let wire = try certificates.wire(client, rotated, resuming: ticket(client, old))
        #expect(wire.server.isResumed)
        let renewed = try #require(wire.client.takeResumption())
        let newest = try certificates.server(ticketKeys: [key(2)])
        #expect(certificates.wire(client, newest, resuming: renewed).server.isResumed)
        let late = try certificates.wire(client, newest, resuming: ticket(client, old))
        #expect(late.server.phase == .established && !late.server.isResumed)
    }

    @Test("a client's certificate is known after resumption too")
    func identity() throws {
        let client = try certificates.client("two.test", certificate: certificates.client)
        let server = try certificates.server(
            clients: .required(authorities: certificates.root.pem), ticketKeys: [key(1)])
        let wire = try certificates.wire(client, server, resuming: ticket(client, server))
        #expect(wire.server.isResumed)
        #expect(wire.server.peer?.subject == "CN=Alice,O=Example\\, Inc.")
    }

    @Test("a ticket of one name does not open another, nor one of other authorities")
    func otherName() throws {
        let keys = [try key(1)]
        // One client's settings for both, so that only the server stands between.
        let client = try ClientTLS(host: "two.test", trust: .insecure)
        let lax = try certificates.server(ticketKeys: keys)
        let strict = try certificates.server(
            clients: .required(authorities: certificates.root.pem), ticketKeys: keys)
        let wire = try certificates.wire(client, strict, resuming: ticket(client, lax))
        #expect(!wire.server.isResumed)
        #expect(wire.server.failure == .certificateMissing)

        let names = try [["two.test"], ["one.test"]].map { names in
            try ServerTLS(
                sites: [
                    TLSSite(names: ["default.test"], certificates: [certificates.one.material()]),
                    TLSSite(names: names, certificates: [certificates.one.material()]),
                ], ticketKeys: keys)
        }
        let other = try certificates.wire(client, names[1], resuming: ticket(client, names[0]))
        #expect(other.server.phase == .established && !other.server.isResumed)
    }

    @Test("without keys there are no tickets, and a key has its length")
    func none() throws {
        let wire = try certificates.wire(certificates.client("two.test"), certificates.server())
        #expect(wire.client.takeResumption() == nil)
        #expect(TicketKey(bytes: []) == nil)
        #expect("\(try key(1))" == "TicketKey")
    }

    @Test("a cache keeps the newest few of its client, and gives each once")
    func cache() throws {
        let client = try certificates.client("two.test")
        let server = try certificates.server(ticketKeys: [key(1)])
        var cache = ResumptionCache()
        for _ in 0...ResumptionCache.resumptionsMax { cache.keep(try ticket(client, server)) }
        #expect(cache.count == ResumptionCache.resumptionsMax)
        #expect(cache.take(for: client) != nil)
        #expect(cache.count == ResumptionCache.resumptionsMax - 1)
        let other = try certificates.client("two.test")
        #expect(cache.take(for: other) == nil)
        #expect(cache.count == 0)
        // A session is of no use to other settings, even where it is handed to them.
        let wire = try certificates.wire(other, server, resuming: ticket(client, server))
        #expect(wire.client.phase == .established && !wire.client.isResumed)
    }
}
