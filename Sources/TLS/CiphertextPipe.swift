// OpenSSL's end of a session: a BIO that reads from the session's buffer of ciphertext and writes to the
// other one, so that bytes are copied once and the buffers are ours to bound and to give back. A memory BIO
// of OpenSSL's would keep the size of its largest moment for ever.

internal import COpenSSL
internal import Primitives

/// The kind of BIO that leads into a `TLSSession`.
@safe
enum CiphertextPipe {
    /// A BIO for one session, which keeps it and outlives it: the BIO is freed with the OpenSSL object that
    /// the session frees in its `deinit`.
    static func make(for session: TLSSession) -> OpaquePointer {
        guard let bio = unsafe BIO_new(OpaquePointer(bitPattern: method)) else { crash("making a BIO") }
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(session).toOpaque())
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    /// Made once and never freed; an address, as in `Settings`.
    private static let method: UInt = {
        let kind = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK
        guard let method = unsafe BIO_meth_new(kind, "ciphertext"),
            unsafe BIO_meth_set_read_ex(
                method,
                { bio, target, room, read in
                    guard let session = unsafe owner(bio), let target = unsafe target else { return 0 }
                    let count = unsafe session.supply(
                        UnsafeMutableRawBufferPointer(start: target, count: room))
                    unsafe read?.pointee = count
                    if count > 0 {
                        // The wish of an earlier call would turn an end into waiting.
                        unsafe gateway_bio_want_nothing(bio)
                        return 1
                    }
                    // Nothing for now, unless nothing will ever come.
                    if session.inputHasEnded {
                        unsafe gateway_bio_want_nothing(bio)
                    } else {
                        unsafe gateway_bio_want_read(bio)
                    }
                    return 0
                }) == 1,
            unsafe BIO_meth_set_write_ex(
                method,
                { bio, source, count, written in
                    guard let session = unsafe owner(bio), let source = unsafe source else { return 0 }
                    unsafe gateway_bio_want_nothing(bio)
                    let bytes = unsafe UnsafeRawBufferPointer(start: source, count: count)
                    guard unsafe session.collect(bytes) else { return 0 }
                    unsafe written?.pointee = count
                    return 1
                }) == 1,
            unsafe BIO_meth_set_ctrl(
                method,
                { bio, command, _, _ in
                    switch command {
                    // Everything has gone on once it is written.
                    case BIO_CTRL_FLUSH: 1
                    case BIO_CTRL_EOF: unsafe owner(bio)?.inputHasEnded == true ? 1 : 0
                    default: 0
                    }
                }) == 1
        else { crash("making a kind of BIO") }
        return UInt(bitPattern: method)
    }()
}

private func owner(_ bio: OpaquePointer?) -> TLSSession? {
    guard let pointer = unsafe BIO_get_data(bio) else { return nil }
    return unsafe Unmanaged<TLSSession>.fromOpaque(pointer).takeUnretainedValue()
}
