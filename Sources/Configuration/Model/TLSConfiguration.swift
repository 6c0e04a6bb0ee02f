// What the TLS of both sides means: the `tls` block of the listeners, and that of an upstream.
//
// Files are named here and not opened, so that `check` works on a machine without keys. Each name keeps the
// place that it was given at: whoever opens the file can say where the mistake is.

/// A file that a directive names.
package struct FileReference: Sendable, Equatable {
    /// Relative to the directory of the configuration file that names it.
    package var path: String
    /// Where it is named: `gateway.conf:12`.
    package var place: String

    package init(path: String, place: String) {
        self.path = path
        self.place = place
    }
}

/// A `certificate` with its `private_key`, PEM files both.
package struct CertificateConfiguration: Sendable, Equatable {
    /// The certificate, and behind it those that lead to an authority.
    package var chain: FileReference
    package var privateKey: FileReference

    package init(chain: FileReference, privateKey: FileReference) {
        self.chain = chain
        self.privateKey = privateKey
    }
}

/// The `tls` block, which holds for every listener with `tls`.
package struct TLSConfiguration: Sendable, Equatable {
    package enum Version: String, Sendable {
        case v1_2 = "1.2"
        case v1_3 = "1.3"
    }

    /// Whose word is taken for the certificates of clients: `client_ca`.
    package struct ClientAuthorities: Sendable, Equatable {
        package var file: FileReference
        /// A client without a certificate is refused; otherwise only one whose certificate does not hold.
        package var areRequired: Bool

        package init(file: FileReference, areRequired: Bool = true) {
            self.file = file
            self.areRequired = areRequired
        }
    }

    /// At least one, for every name that has none of its own; several are of different kinds of key.
    package var certificates: [CertificateConfiguration]
    /// No name is in two of them.
    package var serverNames: [ServerNameConfiguration] = []
    package var minimumVersion = Version.v1_2
    /// nil: clients are not asked for certificates.
    package var clientAuthorities: ClientAuthorities?
    /// Whether clients may take up an earlier session; the keys for it are the gateway's own.
    package var hasTickets = true
    /// nil: answers do not say it. They only do on listeners with TLS (RFC 6797 §7.2).
    package var hsts: HSTSConfiguration? = HSTSConfiguration()
    package var handshakeTimeoutMilliseconds: Int64 = 10_000

    package init(certificates: [CertificateConfiguration]) { self.certificates = certificates }
}

/// A `server_name` block: the certificates for the names that clients ask for.
package struct ServerNameConfiguration: Sendable, Equatable {
    /// In lower case: `api.example.com`, or `*.example.com`.
    package var names: [String]
    /// At least one.
    package var certificates: [CertificateConfiguration]

    package init(names: [String], certificates: [CertificateConfiguration]) {
        self.names = names
        self.certificates = certificates
    }
}

/// `hsts`: how long browsers keep to https (RFC 6797).
package struct HSTSConfiguration: Sendable, Equatable {
    /// 0 takes back what was said before.
    package var maxAgeSeconds: Int64 = 365 * 86_400
    package var includesSubdomains = false
    package var isPreloaded = false

    package init() {}
}

/// How the `https://` servers of an upstream are spoken to. The name that their certificates must bear is
/// each server's: `ServerConfiguration.certificateName`.
package struct UpstreamTLSConfiguration: Sendable, Equatable {
    /// Whose word is taken for the servers' certificates; nil: the system's authorities.
    package var authorities: FileReference?
    /// What is shown to a server that asks for a certificate.
    package var clientCertificate: CertificateConfiguration?
    package var minimumVersion = TLSConfiguration.Version.v1_2
    /// `insecure` is false: any certificate will do.
    package var verifiesServers = true

    package init() {}
}
