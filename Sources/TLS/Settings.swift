// OpenSSL's settings object, and what it is given on both sides: versions, suites, groups and signatures.
//
// Built once, on one thread, and from then on only read: by every shard, whenever it makes a session.
// OpenSSL counts references to it atomically. The address is kept as a number, since the compiler takes no
// pointer for something that can be shared; nothing but this file turns it back into one.

internal import COpenSSL

/// The oldest version of TLS that is spoken.
package enum TLSVersion: Sendable {
    case v1_2, v1_3

    var number: CInt { self == .v1_2 ? TLS1_2_VERSION : TLS1_3_VERSION }
}

/// A refusal to build settings, as one sentence without key material.
package struct TLSSettingsError: Error, Sendable, Equatable {
    package let sentence: String

    init(_ sentence: String) { self.sentence = sentence }

    /// What was being done, and OpenSSL's words for why it cannot be.
    static func drain(_ operation: String) -> TLSSettingsError {
        TLSSettingsError("\(operation): \(TLSError.drain().reason)")
    }
}

/// The settings of one name, or of all upstreams.
@safe
final class Settings: Sendable {
    private let address: UInt

    var handle: OpaquePointer? { unsafe OpaquePointer(bitPattern: address) }

    init(forServer: Bool, minimumVersion: TLSVersion) {
        ERR_clear_error()
        guard let handle = unsafe SSL_CTX_new(forServer ? TLS_server_method() : TLS_client_method()),
            unsafe gateway_tls_prepare(
                handle, minimumVersion.number, TLSLimits.certificateBytesMax, TLSLimits.earlyBytesMax) == 1,
            unsafe SSL_CTX_set_cipher_list(handle, suitesOf12) == 1,
            unsafe SSL_CTX_set_ciphersuites(handle, suitesOf13) == 1,
            unsafe gateway_tls_set_groups(handle, groups) == 1,
            unsafe gateway_tls_set_signatures(handle, signatures) == 1
        else { crash("preparing TLS") }
        // RSA and DH of 2048 bits at least, no SHA-1 in a chain.
        unsafe SSL_CTX_set_security_level(handle, 2)
        unsafe SSL_CTX_set_verify_depth(handle, CInt(TLSLimits.chainDepthMax))
        address = UInt(bitPattern: handle)
    }

    deinit { unsafe SSL_CTX_free(handle) }

    /// A connection with these settings.
    func makeSession() -> OpaquePointer {
        ERR_clear_error()
        guard let session = unsafe SSL_new(handle) else { crash("making a TLS session") }
        return unsafe session
    }

    /// Has these certificates shown. One for each kind of key is kept; which is shown, the peer's offer says.
    func use(_ pair: CertificatePair) throws(TLSSettingsError) {
        ERR_clear_error()
        guard let stack = unsafe gateway_x509_stack() else { crash("making a list of certificates") }
        defer { unsafe gateway_x509_stack_free(stack) }
        for certificate in pair.issuers {
            guard unsafe gateway_x509_push(stack, certificate.handle) == 1 else { crash("listing a chain") }
        }
        guard unsafe SSL_CTX_use_cert_and_key(handle, pair.leaf.handle, pair.key.handle, stack, 1) == 1 else {
            throw .drain("the certificate of '\(pair.leaf.subjectForSentences)'")
        }
    }

    /// Believes those whom the certificates of a PEM text have signed, and these themselves.
    func trust(pem: [UInt8]) throws(TLSSettingsError) -> [Certificate] {
        guard let anchors = Certificate.read(pem: pem) else {
            throw .init("a trusted certificate is damaged")
        }
        if anchors.isEmpty { throw .init("there is no certificate among those to be trusted") }
        let store = unsafe SSL_CTX_get_cert_store(handle)
        for anchor in anchors {
            guard unsafe X509_STORE_add_cert(store, anchor.handle) == 1 else {
                throw .drain("trusting '\(anchor.subjectForSentences)'")
            }
        }
        // Who lists an authority in the middle of a chain trusts that one, and need not know the ones above.
        unsafe X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        return anchors
    }
}

/// A private key with its certificate and those that lead to an authority.
struct CertificatePair {
    let leaf: Certificate
    let issuers: [Certificate]
    let key: CertificateKey
}

/// Mozilla's intermediate recommendation, without the suites of finite-field DH: of TLS 1.2 only what has
/// forward secrecy and AEAD. The peer's order decides, as a phone without AES in hardware knows best.
private let suitesOf12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    + "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
private let suitesOf13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
private let groups = "X25519:P-256:P-384"
/// No SHA-1.
private let signatures =
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:"
    + "rsa_pss_rsae_sha512:rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"
    + "RSA+SHA256:RSA+SHA384:RSA+SHA512"
