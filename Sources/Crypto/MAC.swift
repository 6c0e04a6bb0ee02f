// HMAC (RFC 2104) with a key that is set once: of refresh-token tags, the ratchet, and HS256/384/512.
//
// The key is scheduled when the object is made; each use is then init, update, final on the same context
// (0.7 µs where `HMAC()` takes 3). Owned by one thread; not Sendable, no lock.

internal import COpenSSL

/// HMAC-SHA-256 under one key.
package final class HMACSHA256 {
    private let mac: KeyedMAC

    /// An authenticator under `key`.
    package init(key: borrowing SecretBytes) {
        mac = key.withBytes { bytes in KeyedMAC(key: bytes, function: .sha256) }
    }

    /// An authenticator under the bytes of `key`.
    package init(key: Span<UInt8>) {
        mac = KeyedMAC(key: key, function: .sha256)
    }

    /// The tag of `bytes`.
    package func authenticate(_ bytes: Span<UInt8>) -> SHA256Digest {
        mac.begin()
        mac.update(bytes)
        return finish()
    }

    /// The tag of the parts one after the other. Nothing separates them: their lengths must be fixed or
    /// written in.
    package func authenticate(_ parts: [UInt8]...) -> SHA256Digest {
        mac.begin()
        for part in parts { mac.update(part.span) }
        return finish()
    }

    private func finish() -> SHA256Digest {
        let result = unsafe SHA256Digest.filled { output in unsafe mac.finish(to: output) }
        guard let result else { OpenSSLError.crash("an HMAC") }
        return result
    }
}

/// One keyed context for any hash function of `HashFunction`.
@safe
final class KeyedMAC {
    let function: HashFunction
    private let context: OpaquePointer

    init(key: Span<UInt8>, function: HashFunction) {
        self.function = function
        guard let implementation = unsafe EVP_MAC_fetch(nil, "HMAC", nil) else {
            OpenSSLError.crash("fetching HMAC")
        }
        defer { unsafe EVP_MAC_free(implementation) }
        guard let context = unsafe EVP_MAC_CTX_new(implementation) else {
            OpenSSLError.crash("making an HMAC context")
        }
        unsafe self.context = context
        let isKeyed = unsafe key.withUnsafeBufferPointer { bytes in
            unsafe gateway_mac_key(context, function.opensslName, bytes.baseAddress, bytes.count) == 1
        }
        guard isKeyed else { OpenSSLError.crash("keying an HMAC") }
    }

    deinit {
        unsafe EVP_MAC_CTX_free(context)
    }

    func begin() {
        guard unsafe EVP_MAC_init(context, nil, 0, nil) == 1 else { OpenSSLError.crash("restarting an HMAC") }
    }

    func update(_ bytes: Span<UInt8>) {
        let isDone = unsafe bytes.withUnsafeBufferPointer { input in
            unsafe EVP_MAC_update(context, input.baseAddress, input.count) == 1
        }
        guard isDone else { OpenSSLError.crash("feeding an HMAC") }
    }

    /// Writes `function.byteCount` bytes to `output`.
    func finish(to output: UnsafeMutablePointer<UInt8>) -> Bool {
        var written = 0
        return unsafe EVP_MAC_final(context, output, &written, function.byteCount) == 1
            && written == function.byteCount
    }
}
