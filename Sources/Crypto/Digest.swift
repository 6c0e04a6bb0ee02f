// SHA-2: the digest of a token on every request (SHA-256), and of what a signature covers (SHA-256/384/512).
//
// `SHA256Hasher` keeps nothing. `MessageDigest` owns one context and one fetched implementation and reuses
// both, since an implicit fetch takes a lock; it belongs to one owner, is not Sendable and takes no lock.

internal import COpenSSL

/// The hash functions of RFC 7518.
package enum HashFunction: UInt8, Sendable, CaseIterable {
    case sha256, sha384, sha512

    /// How many bytes a digest has.
    package var byteCount: Int {
        switch self {
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// The name by which OpenSSL fetches it.
    var opensslName: String {
        switch self {
        case .sha256: "SHA2-256"
        case .sha384: "SHA2-384"
        case .sha512: "SHA2-512"
        }
    }
}

/// A SHA-256 digest, small enough to be passed in registers and used as a key of a table.
package struct SHA256Digest: Hashable, Sendable {
    // Four words in the order of memory, so that a digest is written and compared without a loop.
    fileprivate var words: SIMD4<UInt64> = .zero

    /// How many bytes a digest has.
    package static let byteCount = 32

    fileprivate init() {}

    /// The digest of these 32 bytes; nil for any other count.
    package init?(bytes: Span<UInt8>) {
        if bytes.count != Self.byteCount { return nil }
        for index in 0..<4 {
            var word: UInt64 = 0
            for offset in 0..<8 { word |= UInt64(bytes[index * 8 + offset]) << UInt64(offset * 8) }
            words[index] = word
        }
    }

    /// The digest's 32 bytes.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for index in 0..<4 {
            for offset in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: words[index] >> UInt64(offset * 8)))
            }
        }
        return bytes
    }

    /// Feeds one word: a digest is uniform already.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(words[0])
    }

    /// Lets a C function write the 32 bytes.
    static func filled(by body: (UnsafeMutablePointer<UInt8>) -> Bool) -> SHA256Digest? {
        var digest = SHA256Digest()
        let isFilled = unsafe withUnsafeMutableBytes(of: &digest.words) { block in
            unsafe body(block.assumingMemoryBound(to: UInt8.self).baseAddress.unsafelyUnwrapped)
        }
        return isFilled ? digest : nil
    }
}

/// SHA-256 of whole texts. Its state lives on the stack for the length of a call, so it may be shared.
package struct SHA256Hasher: Sendable {
    /// A hasher.
    package init() {}

    /// The digest of `bytes`. One call, no allocation.
    package func digest(_ bytes: Span<UInt8>) -> SHA256Digest {
        let result = unsafe SHA256Digest.filled { output in
            unsafe bytes.withUnsafeBufferPointer { input in
                unsafe gateway_sha256(input.baseAddress, input.count, output) == 1
            }
        }
        guard let result else { OpenSSLError.crash("a SHA-256 digest") }
        return result
    }
}

/// One context and one fetched implementation of a hash function.
@safe
final class MessageDigest {
    let function: HashFunction
    let implementation: OpaquePointer
    private let context: OpaquePointer

    init(_ function: HashFunction) {
        guard let implementation = unsafe EVP_MD_fetch(nil, function.opensslName, nil),
            let context = unsafe EVP_MD_CTX_new()
        else { OpenSSLError.crash("fetching SHA-2") }
        self.function = function
        unsafe self.implementation = implementation
        unsafe self.context = context
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
        unsafe EVP_MD_free(implementation)
    }

    /// Writes `function.byteCount` bytes to `output`.
    func write(_ bytes: Span<UInt8>, to output: UnsafeMutablePointer<UInt8>) -> Bool {
        unsafe bytes.withUnsafeBytes { input in
            unsafe EVP_DigestInit_ex2(context, implementation, nil) == 1
                && EVP_DigestUpdate(context, input.baseAddress, input.count) == 1
                && EVP_DigestFinal_ex(context, output, nil) == 1
        }
    }
}
