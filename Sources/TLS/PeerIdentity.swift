// What a finished handshake has settled: who the peer is, and how both speak.

internal import COpenSSL

/// Who has shown a certificate that holds.
package struct PeerIdentity: Sendable, Equatable {
    /// The certificate's subject as RFC 2253 writes it: one line of printable ASCII.
    package let subject: String
    /// SHA-256 of the certificate.
    package let fingerprint: [UInt8]
}

extension TLSSession {
    /// The protocol that ALPN has chosen; nil when the client offered none.
    package var applicationProtocol: String? {
        var start: UnsafePointer<UInt8>? = nil
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(handle, &start, &count)
        guard count > 0 else { return nil }
        return unsafe String(
            decoding: UnsafeBufferPointer(start: start, count: Int(count)), as: UTF8.self)
    }

    /// The version as `TLSv1.3`, for the log.
    package var version: String { unsafe String(cString: SSL_get_version(handle)) }

    /// The suite by the name that RFCs give it, for the log.
    package var suite: String {
        guard let suite = unsafe SSL_get_current_cipher(handle) else { return "none" }
        return unsafe String(cString: SSL_CIPHER_standard_name(suite))
    }

    /// Whether an earlier handshake was taken up.
    package var isResumed: Bool { unsafe SSL_session_reused(handle) == 1 }

    /// The certificate that the peer has shown.
    package var peerCertificate: Certificate? {
        guard let handle = unsafe SSL_get1_peer_certificate(handle) else { return nil }
        return unsafe Certificate(adopting: handle)
    }

    /// Takes note of who the peer is, at the end of the handshake. nil: all is well.
    func identifyPeer() -> TLSError? {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let certificate = peerCertificate else { return nil }
        let mode = unsafe SSL_get_verify_mode(handle)
        let verdict = unsafe SSL_get_verify_result(handle)
        if mode & SSL_VERIFY_PEER != 0 {
            if verdict != X509_V_OK { return .certificateRefused(code: verdict) }
            // A resumed session has been verified when it began, and the certificate may have expired since.
            if isResumed, unsafe X509_cmp_current_time(X509_get0_notAfter(certificate.handle)) <= 0 {
                return .certificateRefused(code: Int(X509_V_ERR_CERT_HAS_EXPIRED))
            }
        }
        // An upstream is known by its host name, which has been checked; a client by its subject alone.
        guard let subject = certificate.subject else { return client == nil ? .subjectUnusable : nil }
        peer = PeerIdentity(subject: subject, fingerprint: certificate.fingerprint)
        return nil
    }
}
