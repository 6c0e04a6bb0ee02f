// How a listener speaks TLS: certificates by name, versions, client certificates, tickets, protocols.
//
// Immutable and shared by all shards: built whole from a description, on one thread, and swapped whole. Each
// session keeps it alive, which also keeps what OpenSSL's callbacks point to.

internal import COpenSSL
internal import Primitives

/// A certificate with its chain and its key, as PEM texts.
package struct CertificateMaterial: Sendable {
    /// The server's certificate first, then each one's issuer.
    package var chain: [UInt8]
    package var key: [UInt8]

    /// A certificate and its key.
    package init(chain: [UInt8], key: [UInt8]) {
        self.chain = chain
        self.key = key
    }
}

/// Whether clients show certificates, and whose are believed (PEM).
package enum ClientCertificates: Sendable, Equatable {
    case none
    /// A client may have none; one that it shows must hold.
    case optional(authorities: [UInt8])
    case required(authorities: [UInt8])

    var authorities: [UInt8]? {
        switch self {
        case .none: nil
        case .optional(let authorities), .required(let authorities): authorities
        }
    }

    var mode: CInt {
        switch self {
        case .none: SSL_VERIFY_NONE
        case .optional: SSL_VERIFY_PEER
        case .required: SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
        }
    }
}

/// What a listener shows to those who ask for one of some names.
package struct TLSSite: Sendable {
    /// Names, or patterns `*.` and a name. The first site is also that of all names that nobody has.
    package var names: [String]
    /// One for each kind of key.
    package var certificates: [CertificateMaterial]
    package var clientCertificates: ClientCertificates

    /// A site.
    package init(
        names: [String], certificates: [CertificateMaterial], clientCertificates: ClientCertificates = .none
    ) {
        self.names = names
        self.certificates = certificates
        self.clientCertificates = clientCertificates
    }
}

/// A listener's TLS.
@safe
package final class ServerTLS: Sendable {
    private struct Site {
        let settings: Settings
        let verification: CInt
        /// What binds tickets to the site: a digest of its names and of whom it believes.
        let binding: [UInt8]
    }

    private let sites: [Site]
    private let siteByName: [HostName: Int]
    private let tickets: TicketKeyRing
    /// As ALPN writes them: each behind its length.
    private let protocols: [UInt8]

    /// Builds everything.
    ///
    /// - Parameters:
    ///   - sites: at least one; the first is the default.
    ///   - ticketKeys: newest first; without any there are no tickets.
    ///   - protocols: by preference; with none, ALPN is left unanswered.
    package init(
        sites descriptions: [TLSSite], minimumVersion: TLSVersion = .v1_2, ticketKeys: [TicketKey] = [],
        protocols: [String] = ["http/1.1"]
    ) throws(TLSSettingsError) {
        guard !descriptions.isEmpty else { throw .init("a listener with TLS needs a certificate") }
        tickets = TicketKeyRing(ticketKeys)
        self.protocols = protocols.flatMap { [UInt8(clamping: $0.utf8.count)] + $0.utf8 }
        var sites: [Site] = []
        var siteByName: [HostName: Int] = [:]
        for (index, description) in descriptions.enumerated() {
            for name in description.names {
                guard let name = HostName(pattern: Array(name.utf8)) else {
                    throw .init("'\(name)' is no host name")
                }
                guard siteByName.updateValue(index, forKey: name) == nil else {
                    throw .init("'\(name.text)' is named twice")
                }
            }
            sites.append(try Self.site(description, minimumVersion))
        }
        self.sites = sites
        self.siteByName = siteByName
        for site in sites { installCallbacks(site.settings) }
    }

    /// A session with a client that has just connected.
    package func makeSession() -> TLSSession { TLSSession(server: self, settings: sites[0].settings) }

    private static func site(
        _ description: TLSSite, _ minimumVersion: TLSVersion
    ) throws(TLSSettingsError) -> Site {
        let settings = Settings(forServer: true, minimumVersion: minimumVersion)
        guard !description.certificates.isEmpty else { throw .init("a name without a certificate") }
        for material in description.certificates { try settings.use(material.pair()) }
        if let authorities = description.clientCertificates.authorities {
            // The names of those who are believed tell a browser which certificate to offer.
            for anchor in try settings.trust(pem: authorities) {
                unsafe SSL_CTX_add_client_CA(settings.handle, anchor.handle)
            }
        }
        let identity =
            description.names.joined(separator: " ").utf8 + [0, UInt8(description.clientCertificates.mode)]
            + (description.clientCertificates.authorities ?? [])
        return Site(
            settings: settings, verification: description.clientCertificates.mode, binding: digest(identity))
    }

    private func installCallbacks(_ settings: Settings) {
        install(tickets, in: settings)
        unsafe gateway_tls_acknowledge_names(settings.handle)
        let reference = unsafe Unmanaged.passUnretained(self).toOpaque()
        // Before anything of the hello is acted on: resumption, versions and client certificates then go by
        // the right site. (The older callback comes after resumption has been decided.)
        unsafe SSL_CTX_set_client_hello_cb(
            settings.handle,
            { session, alert, reference in
                guard let session = unsafe session, let alert = unsafe alert, let reference = unsafe reference
                else { return SSL_CLIENT_HELLO_ERROR }
                let server = unsafe Unmanaged<ServerTLS>.fromOpaque(reference).takeUnretainedValue()
                return unsafe server.chooseSite(session, alert)
            }, reference)
        guard !protocols.isEmpty else { return }
        unsafe SSL_CTX_set_alpn_select_cb(
            settings.handle,
            { _, choice, choiceCount, offer, offerCount, reference in
                guard let reference = unsafe reference, let choice = unsafe choice,
                    let choiceCount = unsafe choiceCount, let offer = unsafe offer
                else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                let server = unsafe Unmanaged<ServerTLS>.fromOpaque(reference).takeUnretainedValue()
                let bytes = unsafe Array(UnsafeBufferPointer(start: offer, count: Int(offerCount)))
                // RFC 7301 §3.2: "In the event that the server supports no protocols that the client
                // advertises, then the server SHALL respond with a fatal no_application_protocol alert."
                // It is also what keeps one protocol's words from being taken for another's.
                guard let found = server.chooseProtocol(bytes) else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                unsafe choice.pointee = offer + found.lowerBound
                unsafe choiceCount.pointee = UInt8(found.count)
                return SSL_TLSEXT_ERR_OK
            }, reference)
    }

    /// Switches a session to the site that its client asks for.
    private func chooseSite(_ handle: OpaquePointer, _ alert: UnsafeMutablePointer<CInt>) -> CInt {
        guard let session = unsafe TLSSession.owner(of: handle) else { return SSL_CLIENT_HELLO_ERROR }
        var start: UnsafePointer<UInt8>? = nil
        var count = 0
        var name: HostName?
        if unsafe SSL_client_hello_get0_ext(handle, UInt32(TLSEXT_TYPE_server_name), &start, &count) == 1 {
            let bytes = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
            // RFC 8446 §6.2: what cannot be decoded is a decode_error, an illegal_parameter what has been.
            guard let text = HostName.bytes(ofServerNameExtension: bytes) else {
                unsafe alert.pointee = SSL_AD_DECODE_ERROR
                return SSL_CLIENT_HELLO_ERROR
            }
            name = HostName(text)
            if name == nil {
                unsafe alert.pointee = SSL_AD_ILLEGAL_PARAMETER
                return SSL_CLIENT_HELLO_ERROR
            }
        }
        let index = name.flatMap(siteIndex) ?? 0
        let site = sites[index]
        session.noteName(name, isKnown: name.flatMap(siteIndex) != nil)
        // A ticket of one name must not open another (it would skip what that one asks of its clients), so
        // tickets are bound to both the name and the site. The mode is a session's own, the rest follows.
        let binding = digest(site.binding + (name?.bytes ?? []))
        guard unsafe SSL_set_SSL_CTX(handle, site.settings.handle) != nil,
            unsafe SSL_set_session_id_context(handle, binding, UInt32(binding.count)) == 1
        else {
            unsafe alert.pointee = SSL_AD_INTERNAL_ERROR
            return SSL_CLIENT_HELLO_ERROR
        }
        unsafe SSL_set_verify(handle, site.verification, nil)
        return SSL_CLIENT_HELLO_SUCCESS
    }

    private func siteIndex(of name: HostName) -> Int? {
        if let index = siteByName[name] { return index }
        return name.coveringPattern.flatMap { siteByName[$0] }
    }

    /// Where in the client's offer our most preferred protocol stands.
    private func chooseProtocol(_ offer: [UInt8]) -> Range<Int>? {
        var own = 0
        while own < protocols.count {
            let wanted = protocols[own + 1..<own + 1 + Int(protocols[own])]
            var position = 0
            while position < offer.count {
                let end = position + 1 + Int(offer[position])
                if end > offer.count { return nil }
                if offer[position + 1..<end] == wanted { return position + 1..<end }
                position = end
            }
            own += 1 + wanted.count
        }
        return nil
    }
}

/// SHA-256.
func digest(_ bytes: [UInt8]) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: 32) { output, initialized in
        guard unsafe gateway_sha256(bytes, bytes.count, output.baseAddress) == 1 else { crash("a digest") }
        initialized = 32
    }
}
