// How an upstream is spoken to by TLS: whom to believe, what to show, what name to insist on.
//
// Immutable and shared by all shards, like `ServerTLS`. What a shard keeps for itself are the sessions that
// it may take up again: `ResumptionCache`.

internal import COpenSSL
internal import Primitives

/// Whose word is taken for an upstream's certificate.
package enum UpstreamTrust: Sendable, Equatable {
    /// The authorities that the system trusts.
    case system
    /// Only these certificates, as PEM, and what they have signed.
    case authorities([UInt8])
    /// Anybody's: the connection is secret, but nobody knows with whom.
    case insecure
}

/// The TLS of an upstream's connections.
@safe
package final class ClientTLS: Sendable {
    private enum Peer {
        case name(HostName)
        case address(String)
    }

    private let settings: Settings
    private let peer: Peer
    private let isVerified: Bool

    /// Builds everything.
    ///
    /// - Parameters:
    ///   - host: the host name or address that the certificate must be for. A name is sent to the server
    ///     too, an address is not (RFC 6066 §3).
    ///   - certificate: what is shown to a server that asks.
    ///   - protocols: what is offered by ALPN; with none it is not used.
    package init(
        host: String, trust: UpstreamTrust = .system, certificate: CertificateMaterial? = nil,
        minimumVersion: TLSVersion = .v1_2, protocols: [String] = ["http/1.1"]
    ) throws(TLSSettingsError) {
        let bytes = Array(host.utf8)
        if let address = IPAddress(text: bytes.span) {
            peer = .address(String(decoding: address.text, as: UTF8.self))
        } else if let name = HostName(bytes) {
            peer = .name(name)
        } else {
            throw .init("'\(host)' is neither a host name nor an address")
        }
        settings = Settings(forServer: false, minimumVersion: minimumVersion)
        isVerified = trust != .insecure
        switch trust {
        case .insecure: break
        case .authorities(let pem): _ = try settings.trust(pem: pem)
        case .system:
            guard unsafe SSL_CTX_set_default_verify_paths(settings.handle) == 1 else {
                throw .drain("the system's trusted certificates")
            }
        }
        if let certificate { try settings.use(certificate.pair()) }
        let offer = protocols.flatMap { [UInt8(clamping: $0.utf8.count)] + $0.utf8 }
        if !offer.isEmpty {
            // Unlike its neighbours, this one answers 0 for done.
            guard unsafe SSL_CTX_set_alpn_protos(settings.handle, offer, UInt32(offer.count)) == 0 else {
                throw .drain("the protocols to be offered")
            }
        }
        unsafe SSL_CTX_set_verify(settings.handle, isVerified ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        unsafe gateway_tls_hand_out_sessions(settings.handle)
        unsafe SSL_CTX_sess_set_new_cb(settings.handle) { session, ticket in
            guard let session = unsafe session, let ticket = unsafe ticket,
                let owner = unsafe TLSSession.owner(of: session), let client = owner.client
            else { return 0 }
            // 1: the reference is ours.
            owner.resumption = unsafe TLSResumption(adopting: ticket, of: client)
            return 1
        }
    }

    /// A session with an upstream that has just been connected to.
    ///
    /// - Parameter resumption: what an earlier session with the same settings has left.
    package func makeSession(resuming resumption: TLSResumption? = nil) -> TLSSession {
        var name: HostName?
        if case .name(let host) = peer { name = host }
        let session = TLSSession(client: self, settings: settings, name: name)
        if isVerified { require(peer, of: session) }
        if let name, unsafe gateway_tls_send_name(session.handle, name.text) != 1 { crash("setting a name") }
        // A session that was begun under other settings has been verified by other rules.
        if let resumption, resumption.client === self {
            ERR_clear_error()
            // One that does not fit is no failure: the handshake is then a full one.
            _ = unsafe SSL_set_session(session.handle, resumption.handle)
            ERR_clear_error()
        }
        return session
    }

    private func require(_ peer: Peer, of session: TLSSession) {
        let parameters = unsafe SSL_get0_param(session.handle)
        switch peer {
        case .name(let name):
            // RFC 9525 §6.3: a wildcard is a whole label; §2: the common name is no host name. The length is
            // given, and a name with a NUL inside is compared whole.
            unsafe X509_VERIFY_PARAM_set_hostflags(
                parameters,
                UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT))
            guard unsafe X509_VERIFY_PARAM_set1_host(parameters, name.text, name.bytes.count) == 1 else {
                crash("requiring a host name")
            }
        case .address(let text):
            guard unsafe X509_VERIFY_PARAM_set1_ip_asc(parameters, text) == 1 else {
                crash("requiring an address")
            }
        }
    }
}

/// What a finished session leaves, so that the next one costs no certificates. Of use once (RFC 8446 §C.4),
/// and only to the settings that it came from.
@safe
package final class TLSResumption {
    let handle: OpaquePointer
    let client: ClientTLS

    init(adopting handle: OpaquePointer, of client: ClientTLS) {
        unsafe self.handle = handle
        self.client = client
    }

    deinit { unsafe SSL_SESSION_free(handle) }
}

extension TLSSession {
    /// Takes what the server has given for a next session; nil when it has given nothing, or nothing new.
    package func takeResumption() -> TLSResumption? {
        defer { resumption = nil }
        return resumption
    }
}

/// What a shard may resume with one upstream server: the newest few, each taken once.
package struct ResumptionCache {
    private var resumptions: [TLSResumption] = []

    /// An empty cache.
    package init() { resumptions.reserveCapacity(Self.resumptionsMax) }

    /// Keeps one, and forgets the oldest where there are too many.
    package mutating func keep(_ resumption: TLSResumption) {
        if resumptions.count == Self.resumptionsMax { resumptions.removeFirst() }
        resumptions.append(resumption)
    }

    /// Takes the newest that `client` can use; those of other settings are of no use any more.
    package mutating func take(for client: ClientTLS) -> TLSResumption? {
        resumptions.removeAll { $0.client !== client }
        return resumptions.popLast()
    }

    /// How many are kept.
    package var count: Int { resumptions.count }

    package static let resumptionsMax = 8
}
