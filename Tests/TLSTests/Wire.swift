// A client's and a server's session with a wire between them that cuts what it carries, and the certificates
// as TLS takes them: what every test of this target plays with.

import Primitives
import Support
import TLS
import Testing

/// Two sessions and what one has sent the other.
final class Wire {
    let client: TLSSession
    let server: TLSSession
    /// How many bytes arrive at once.
    private let pieceBytes: Int
    /// What the client and the server have been sent, as it came.
    private(set) var toClient: [UInt8] = []
    private(set) var toServer: [UInt8] = []

    init(_ client: TLSSession, _ server: TLSSession, pieceBytes: Int = .max) {
        self.client = client
        self.server = server
        self.pieceBytes = pieceBytes
    }

    /// Carries until both are silent, and reads nothing that would be content.
    func shakeHands() {
        repeat {
            _ = client.handshake()
            _ = server.handshake()
        } while carry()
    }

    /// Carries what both have said; false when nobody had said anything.
    func carry() -> Bool {
        let said = (client.takeOutput(), server.takeOutput())
        toServer += said.0
        toClient += said.1
        server.feed(said.0, pieceBytes)
        client.feed(said.1, pieceBytes)
        return !said.0.isEmpty || !said.1.isEmpty
    }

    /// Sends content one way and gives what came out.
    func send(_ content: [UInt8], from sender: TLSSession, to receiver: TLSSession) -> [UInt8] {
        var sent = 0
        var received: [UInt8] = []
        while sent < content.count {
            guard let count = sender.write(content.span.extracting(sent...)) else { break }
            sent += count
            received += receiver.feed(sender.takeOutput(), pieceBytes)
        }
        return received
    }
}

extension TLSSession {
    /// Everything that is to be sent.
    func takeOutput() -> [UInt8] {
        drain { buffer in
            let bytes = buffer.withReadable { [UInt8](copying: $0) }
            buffer.removeAll()
            return bytes
        }
    }

    /// Feeds ciphertext in pieces, goes on with the handshake after each, and gives the content.
    @discardableResult
    func feed(_ bytes: [UInt8], _ pieceBytes: Int = .max) -> [UInt8] {
        var content: [UInt8] = []
        var position = 0
        while position < bytes.count {
            if case .failed = phase { break }
            let end = position + min(pieceBytes, bytes.count - position)
            fill(end - position) { $0.append(bytes.span.extracting(position..<end)) }
            position = end
            _ = handshake()
            content += readAll()
            // What a session does not look at, because its handshake has failed or it has ended, is gone.
            if holdsInput { break }
        }
        return content
    }

    /// All content that has arrived.
    func readAll() -> [UInt8] {
        var content: [UInt8] = []
        while true {
            var buffer = ByteBuffer(capacity: 1000)
            guard case .bytes = read(into: &buffer) else { return content }
            content += buffer.withReadable { [UInt8](copying: $0) }
        }
    }

    var failure: TLSError? {
        guard case .failed(let error) = phase else { return nil }
        return error
    }
}

extension ForgedCertificate {
    func material(with chain: ForgedCertificate...) -> CertificateMaterial {
        CertificateMaterial(chain: chain.reduce(pem) { $0 + $1.pem }, key: key)
    }
}

extension TestCertificates {
    /// A server of `one.test` (the default), `*.wild.test` and `two.test`.
    func server(
        clients: ClientCertificates = .none, minimumVersion: TLSVersion = .v1_2, ticketKeys: [TicketKey] = [],
        protocols: [String] = ["http/1.1"]
    ) throws -> ServerTLS {
        try ServerTLS(
            sites: [
                TLSSite(names: ["one.test"], certificates: [one.material(), oneRSA.material()]),
                TLSSite(names: ["*.wild.test"], certificates: [wild.material()]),
                TLSSite(
                    names: ["two.test"], certificates: [two.material(with: intermediate)],
                    clientCertificates: clients),
            ], minimumVersion: minimumVersion, ticketKeys: ticketKeys, protocols: protocols)
    }

    func client(
        _ host: String, certificate: ForgedCertificate? = nil, minimumVersion: TLSVersion = .v1_2,
        protocols: [String] = ["http/1.1"]
    ) throws -> ClientTLS {
        try ClientTLS(
            host: host, trust: .authorities(root.pem), certificate: certificate?.material(),
            minimumVersion: minimumVersion, protocols: protocols)
    }

    func wire(_ client: ClientTLS, _ server: ServerTLS, resuming: TLSResumption? = nil) -> Wire {
        let wire = Wire(client.makeSession(resuming: resuming), server.makeSession())
        wire.shakeHands()
        return wire
    }
}
