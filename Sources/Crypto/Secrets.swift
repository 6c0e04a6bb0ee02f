// Secret bytes, random bytes, and comparison in constant time: the three things that must not be done
// casually.
//
// Invariant: a `SecretBytes` is the only owner of its block, and the block is wiped before it is given back.

internal import COpenSSL

/// Bytes that are wiped when their owner goes. Cannot be copied, printed or compared by accident.
@safe
package struct SecretBytes: ~Copyable {
    private let block: UnsafeMutableRawBufferPointer

    /// A secret with the bytes of `bytes`; the caller's own copy is the caller's to forget.
    package init(copying bytes: Span<UInt8>) {
        unsafe block = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        unsafe bytes.withUnsafeBytes { source in unsafe block.copyMemory(from: source) }
    }

    /// A fresh random secret.
    package init(randomCount count: Int) {
        unsafe block = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        unsafe RandomBytes.fill(block)
    }

    deinit {
        unsafe OPENSSL_cleanse(block.baseAddress, block.count)
        unsafe block.deallocate()
    }

    /// How many bytes the secret has.
    package var count: Int { unsafe block.count }

    /// Lends the bytes for the length of a closure.
    package borrowing func withBytes<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe body(Span<UInt8>(_unsafeBytes: UnsafeRawBufferPointer(block)))
    }
}

/// Random bytes of OpenSSL's generator, which is seeded by the kernel and reseeds after a fork.
package enum RandomBytes {
    /// So many random bytes. A generator that fails ends the process: there is no safe way on.
    package static func make(_ count: Int) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            unsafe fill(UnsafeMutableRawBufferPointer(buffer.extracting(0..<count)))
            initialized = count
        }
    }

    fileprivate static func fill(_ block: UnsafeMutableRawBufferPointer) {
        guard block.count > 0 else { return }
        let bytes = unsafe block.assumingMemoryBound(to: UInt8.self)
        guard unsafe RAND_bytes(bytes.baseAddress, CInt(bytes.count)) == 1 else {
            OpenSSLError.crash("drawing random bytes")
        }
    }
}

/// Comparison whose time does not tell where two secrets differ.
package enum ConstantTime {
    /// Whether the two hold the same bytes. Their lengths are not secret.
    package static func equal(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        if left.count != right.count { return false }
        if left.count == 0 { return true }
        return unsafe left.withUnsafeBytes { leftBytes in
            unsafe right.withUnsafeBytes { rightBytes in
                unsafe CRYPTO_memcmp(leftBytes.baseAddress, rightBytes.baseAddress, leftBytes.count) == 0
            }
        }
    }
}
