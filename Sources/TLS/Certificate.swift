// X.509 certificates and keys, read from PEM: what is to be shown, and what is to be trusted.
//
// A `Certificate` is one owner's OpenSSL object; what may be shared is the PEM text. Nothing here asks for a
// passphrase: a key that needs one is refused, as a service has no terminal.

internal import COpenSSL
package import Primitives

/// A certificate.
@safe
package final class Certificate {
    let handle: OpaquePointer

    /// Takes over a reference.
    init(adopting handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe X509_free(handle) }

    /// The certificates of a PEM text, in its order; what stands between them is ignored. Empty when there is
    /// none, nil when one cannot be read.
    static func read(pem: [UInt8]) -> [Certificate]? {
        guard pem.count <= pemBytesMax else { return nil }
        ERR_clear_error()
        defer { ERR_clear_error() }
        return unsafe pem.withUnsafeBytes { bytes -> [Certificate]? in
            guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count)) else { return [] }
            defer { unsafe BIO_free(bio) }
            var certificates: [Certificate] = []
            while let handle = unsafe PEM_read_bio_X509(bio, nil, { _, _, _, _ in -1 }, nil) {
                unsafe certificates.append(Certificate(adopting: handle))
                // One more than is sent is read, so that it is noticed.
            }
            // The end of the text is an error too: that no further block begins.
            let isEnd = gateway_error_reason(ERR_peek_last_error()) == PEM_R_NO_START_LINE
            return isEnd ? certificates : nil
        }
    }

    /// SHA-256 of the certificate in DER.
    package var fingerprint: [UInt8] {
        var count: UInt32 = 0
        return unsafe [UInt8](unsafeUninitializedCapacity: 32) { output, initialized in
            guard unsafe X509_digest(handle, EVP_sha256(), output.baseAddress, &count) == 1, count == 32
            else { crash("digesting a certificate") }
            initialized = 32
        }
    }

    /// The subject as RFC 2253 writes it, in ASCII; nil when it is too long or holds control bytes, which no
    /// log and no header may carry on.
    package var subject: String? {
        let name = unsafe X509_get_subject_name(handle)
        for index in unsafe 0..<X509_NAME_entry_count(name) {
            let entry = unsafe X509_NAME_get_entry(name, index)
            var text: UnsafeMutablePointer<UInt8>? = nil
            let count = unsafe ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry))
            defer { unsafe CRYPTO_free(text, nil, 0) }
            guard count >= 0, let text = unsafe text else {
                ERR_clear_error()
                return nil
            }
            for offset in 0..<Int(count) where unsafe text[offset] < 0x20 || text[offset] == 0x7F {
                return nil
            }
        }
        return unsafe printed(name)
    }

    /// The subject for a sentence: never nil, never longer than a line.
    var subjectForSentences: String { subject ?? "(a subject that cannot be printed)" }

    /// Whether the subject has issued itself.
    var isSelfIssued: Bool {
        unsafe X509_NAME_cmp(X509_get_subject_name(handle), X509_get_issuer_name(handle)) == 0
    }

    /// Whether `issuer` has signed this one.
    func isSigned(by issuer: Certificate) -> Bool {
        ERR_clear_error()
        defer { ERR_clear_error() }
        return unsafe X509_check_issued(issuer.handle, handle) == X509_V_OK
            && X509_verify(handle, X509_get0_pubkey(issuer.handle)) == 1
    }

    var notBefore: WallTime { unsafe time(X509_get0_notBefore(handle)) }
    package var notAfter: WallTime { unsafe time(X509_get0_notAfter(handle)) }

    /// `RSA`, `EC` or another word for the key's kind, and how many bits it has.
    var keyKind: (name: String, bits: Int) {
        guard let key = unsafe X509_get0_pubkey(handle) else { return ("unreadable", 0) }
        let bits = unsafe Int(EVP_PKEY_get_bits(key))
        for name in ["RSA", "RSA-PSS", "EC", "ED25519", "ED448"] where unsafe EVP_PKEY_is_a(key, name) == 1 {
            return (name, bits)
        }
        return ("unsupported", bits)
    }

    /// Whether its signature rests on SHA-1 or less.
    var hasWeakSignature: Bool {
        var digest: CInt = 0
        var strength: CInt = 0
        let known = unsafe X509_get_signature_info(handle, &digest, nil, &strength, nil) == 1
        return !known || digest == NID_sha1 || digest == NID_md5 || digest == NID_md5_sha1
    }

    /// Whether it may vouch for a server (RFC 5280 §4.2.1.12: without the extension it may).
    var isForServers: Bool { unsafe X509_check_purpose(handle, X509_PURPOSE_SSL_SERVER, 0) == 1 }

    /// The DNS names and addresses that it covers, as text. A name that holds anything but the bytes of a
    /// host name is not listed: no peer can ask for it.
    package var names: [String] {
        guard let list = unsafe gateway_x509_names(handle) else { return [] }
        defer { unsafe GENERAL_NAMES_free(list) }
        return unsafe (0..<gateway_names_count(list)).compactMap { index in
            var kind: CInt = 0
            var count: CInt = 0
            guard let bytes = unsafe gateway_names_at(list, index, &kind, &count) else { return nil }
            let name = unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: Int(count)))
            if kind == GEN_IPADD {
                return IPAddress(bytes: name.span).map { String(decoding: $0.text, as: UTF8.self) }
            }
            return HostName(pattern: name)?.text
        }
    }

    // MARK: - OpenSSL's shapes

    private func printed(_ name: OpaquePointer?) -> String? {
        guard let bio = unsafe BIO_new(BIO_s_mem()) else { crash("making a memory BIO") }
        defer { unsafe BIO_free(bio) }
        guard unsafe gateway_name_print(bio, name) >= 0 else {
            ERR_clear_error()
            return nil
        }
        var start: UnsafeMutablePointer<CChar>? = nil
        let count = unsafe gateway_bio_memory(bio, &start)
        guard count <= TLSLimits.subjectBytesMax else { return nil }
        let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
        return String(decoding: bytes, as: UTF8.self)
    }

    private func time(_ value: UnsafePointer<ASN1_TIME>?) -> WallTime {
        let start = unsafe ASN1_TIME_set(nil, 0)
        defer { unsafe ASN1_TIME_free(start) }
        var days: CInt = 0
        var seconds: CInt = 0
        // One that cannot be read has been over since ever.
        guard unsafe ASN1_TIME_diff(&days, &seconds, start, value) == 1 else { return WallTime(seconds: 0) }
        return WallTime(seconds: Int64(days) * 86400 + Int64(seconds))
    }
}

/// A private key.
@safe
final class CertificateKey {
    let handle: OpaquePointer

    private init(adopting handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe EVP_PKEY_free(handle) }

    /// What a PEM text holds instead of a key that can be used.
    enum Problem: Error { case encrypted, unreadable }

    /// The key of a PEM text.
    init(pem: [UInt8]) throws(Problem) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        var isEncrypted = false
        let key = unsafe pem.prefix(pemBytesMax).withUnsafeBytes { bytes -> OpaquePointer? in
            guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count)) else { return nil }
            defer { unsafe BIO_free(bio) }
            // Without a callback OpenSSL would ask for a passphrase on the terminal and hang the service.
            return unsafe withUnsafeMutablePointer(to: &isEncrypted) { flag in
                unsafe PEM_read_bio_PrivateKey(
                    bio, nil,
                    { _, _, _, flag in
                        unsafe flag?.assumingMemoryBound(to: Bool.self).pointee = true
                        return -1
                    }, flag)
            }
        }
        guard let key = unsafe key else { throw isEncrypted ? .encrypted : .unreadable }
        unsafe handle = key
    }

    /// Whether the certificate is of this key.
    func fits(_ certificate: Certificate) -> Bool {
        ERR_clear_error()
        defer { ERR_clear_error() }
        return unsafe X509_check_private_key(certificate.handle, handle) == 1
    }
}

/// Larger than any file of certificates, a whole system's store of trust included.
private let pemBytesMax = 4 << 20
