// Public keys from PEM text, as `openssl pkey -pubout` writes them, or out of a certificate: to the same
// numbers that a JWK has. What is fit, `PublicKey` decides.

internal import COpenSSL

extension PublicKeyParameters {
    /// The first public key of a PEM text, or that of the first certificate.
    package init(pem: [UInt8]) throws(KeyError) {
        guard pem.count <= pemBytesMax else { throw .wrongLength }
        guard let key = unsafe Self.read(pem) else {
            throw .unreadable(OpenSSLError.drain("reading a public key"))
        }
        defer { unsafe EVP_PKEY_free(key) }
        OpenSSLError.forget()
        guard let parameters = unsafe Self.of(key) else { throw .unsupported }
        self = parameters
    }

    private static func read(_ pem: [UInt8]) -> OpaquePointer? {
        unsafe pem.withUnsafeBytes { bytes -> OpaquePointer? in
            guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count)) else { return nil }
            defer { unsafe BIO_free(bio) }
            // Without a callback OpenSSL would ask for a passphrase on the terminal and hang the service.
            if let key = unsafe PEM_read_bio_PUBKEY(bio, nil, { _, _, _, _ in -1 }, nil) { return unsafe key }
            guard let second = unsafe BIO_new_mem_buf(bytes.baseAddress, CInt(bytes.count)) else {
                return nil
            }
            defer { unsafe BIO_free(second) }
            guard let certificate = unsafe PEM_read_bio_X509(second, nil, { _, _, _, _ in -1 }, nil) else {
                return nil
            }
            defer { unsafe X509_free(certificate) }
            return unsafe X509_get_pubkey(certificate)
        }
    }

    /// The numbers of a key, private or public; nil for a kind of key, or a curve, that is not used here.
    static func of(_ key: OpaquePointer) -> PublicKeyParameters? {
        if unsafe EVP_PKEY_is_a(key, "RSA") == 1 {
            return unsafe .rsa(
                modulus: number("n", of: key, count: nil), exponent: number("e", of: key, count: nil))
        }
        if unsafe EVP_PKEY_is_a(key, "ED25519") == 1 {
            var count = 32
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
                guard unsafe EVP_PKEY_get_raw_public_key(key, output.baseAddress, &count) == 1 else {
                    OpenSSLError.crash("reading a public key")
                }
                initialized = count
            }
            return .ed25519(bytes)
        }
        var name = [CChar](repeating: 0, count: 64)
        var count = 0
        guard unsafe EVP_PKEY_is_a(key, "EC") == 1,
            unsafe EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1
        else { return nil }
        let group = String(decoding: name.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let curve = EllipticCurve.allCases.first(where: { $0.groupName == group }) else { return nil }
        return unsafe .ellipticCurve(
            curve, x: number("qx", of: key, count: curve.coordinateBytes),
            y: number("qy", of: key, count: curve.coordinateBytes))
    }

    /// A number of a key, big-endian.
    ///
    /// - Parameter count: how many bytes it is to have; nil as few as it needs.
    private static func number(_ name: String, of key: OpaquePointer, count: Int?) -> [UInt8] {
        var number: OpaquePointer? = nil
        guard unsafe EVP_PKEY_get_bn_param(key, name, &number) == 1, let number = unsafe number else {
            OpenSSLError.crash("reading a public key")
        }
        defer { unsafe BN_free(number) }
        let count = unsafe count ?? Int(BN_num_bits(number) + 7) / 8
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { output, initialized in
            guard unsafe BN_bn2binpad(number, output.baseAddress, CInt(count)) == CInt(count) else {
                OpenSSLError.crash("writing a number")
            }
            initialized = count
        }
    }
}

extension EllipticCurve {
    /// The name by which OpenSSL's keys call their group.
    var groupName: String {
        switch self {
        case .p256: "prime256v1"
        case .p384: "secp384r1"
        case .p521: "secp521r1"
        }
    }
}

private let pemBytesMax = 65536
