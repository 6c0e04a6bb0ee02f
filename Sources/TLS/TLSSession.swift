// One TLS connection without its socket: ciphertext in and out on one side, content on the other.
//
// Owned by: the shard of its connection. Theory of operation: `fill` takes what has arrived, `handshake` or
// `read` looks at all of it, and whatever these and `write` have to say to the peer waits until `drain` has
// taken it. Nothing blocks and nothing is lost between calls, however the bytes were cut.
//
//     handshaking → established → ended (close_notify) or failed
//
// `failed` is final; `ended` is about reading only.
//
// Rules: no content is given out before the handshake is done and the peer verified; what waits is bounded;
// both buffers have memory only while bytes wait. After a failure, what `drain` has is an alert that is
// worth sending before the connection is closed.

internal import COpenSSL
package import Primitives

/// One TLS connection.
@safe
package final class TLSSession {
    /// Where a session stands.
    package enum Phase: Sendable, Equatable {
        case handshaking, established
        /// The peer has said that nothing more comes. It may still be written to.
        case ended
        case failed(TLSError)
    }

    /// What reading came to.
    package enum Reading: Sendable, Equatable {
        case bytes(Int)
        /// Everything that has arrived has been looked at.
        case needsInput
        /// The peer has sent close_notify: what it sent is complete.
        case ended
        case failed(TLSError)
    }

    package private(set) var phase = Phase.handshaking
    /// Whether the connection speaks TLS 1.3; otherwise it is 1.2.
    package var isVersion13: Bool { unsafe SSL_version(handle) == TLS1_3_VERSION }
    /// The name that the client has asked for, or that the server is asked by.
    package private(set) var serverName: HostName?
    /// Whether a site has been configured for that name.
    package private(set) var nameIsKnown = false
    /// The peer's certificate, once the handshake is done: verified, unless `insecure` says otherwise.
    package internal(set) var peer: PeerIdentity?
    /// No more ciphertext will come.
    package private(set) var inputHasEnded = false

    let handle: OpaquePointer
    /// What the settings, and OpenSSL's callbacks, live in.
    private let server: ServerTLS?
    let client: ClientTLS?
    /// Ciphertext that has arrived and has not been looked at.
    private var incoming = ByteBuffer()
    /// Ciphertext that is to be sent.
    private var outgoing = ByteBuffer()
    private var handshakeBytes = 0
    private var hasSentClose = false
    private var hasOverflowed = false
    private var hasRefusedRenegotiation = false
    /// The newest ticket of a client's session, until it is taken.
    var resumption: TLSResumption?

    init(server: ServerTLS, settings: Settings) {
        self.server = server
        client = nil
        unsafe handle = settings.makeSession()
        attach()
        unsafe SSL_set_accept_state(handle)
    }

    init(client: ClientTLS, settings: Settings, name: HostName?) {
        server = nil
        self.client = client
        serverName = name
        unsafe handle = settings.makeSession()
        attach()
        unsafe SSL_set_connect_state(handle)
    }

    deinit {
        // OpenSSL takes a connection without a goodbye for one that was broken, and its tickets for spent. A
        // pooled connection that is simply closed is neither.
        if phase == .established || phase == .ended {
            unsafe SSL_set_shutdown(handle, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        }
        unsafe SSL_free(handle)
    }

    private func attach() {
        let pipe = unsafe CiphertextPipe.make(for: self)
        unsafe SSL_set_bio(handle, pipe, pipe)
        // Unretained: the object ends in this session's `deinit`, and calls back only from within its calls.
        unsafe SSL_set_ex_data(handle, 0, Unmanaged.passUnretained(self).toOpaque())
        unsafe SSL_set_info_callback(handle) { session, event, value in
            // A hello after the handshake is answered with a warning by OpenSSL, and with the end by us.
            let refusal = SSL3_AL_WARNING << 8 | SSL_AD_NO_RENEGOTIATION
            guard event == SSL_CB_WRITE_ALERT, value == refusal, let session = unsafe session else { return }
            unsafe TLSSession.owner(of: session)?.hasRefusedRenegotiation = true
        }
    }

    /// The session that an OpenSSL object belongs to.
    static func owner(of handle: OpaquePointer) -> TLSSession? {
        guard let pointer = unsafe SSL_get_ex_data(handle, 0) else { return nil }
        return unsafe Unmanaged<TLSSession>.fromOpaque(pointer).takeUnretainedValue()
    }

    func noteName(_ name: HostName?, isKnown: Bool) {
        serverName = name
        nameIsKnown = isKnown
    }

    // MARK: - Ciphertext

    /// Has `body` put ciphertext that has arrived into a buffer with room for `count` bytes. Whatever arrived
    /// before must have been looked at.
    package func fill<Result>(_ count: Int, _ body: (inout ByteBuffer) -> Result) -> Result {
        precondition(incoming.isEmpty, "ciphertext is read once the last has been looked at")
        if incoming.capacity < count { incoming = ByteBuffer(capacity: count) }
        let result = body(&incoming)
        if phase == .handshaking { handshakeBytes += incoming.count }
        if incoming.isEmpty { incoming = ByteBuffer() }
        return result
    }

    /// No more ciphertext will come.
    package func endInput() { inputHasEnded = true }

    /// Ciphertext, or content, that has arrived still waits to be looked at: to read may bring something
    /// though nothing more arrives.
    package var holdsInput: Bool { unsafe !incoming.isEmpty || SSL_pending(handle) > 0 }

    /// Whether there is ciphertext to be sent.
    package var hasOutput: Bool { !outgoing.isEmpty }

    /// Has `body` send ciphertext and take what has gone out of the buffer.
    package func drain<Result>(_ body: (inout ByteBuffer) -> Result) -> Result {
        let result = body(&outgoing)
        if outgoing.isEmpty { outgoing = ByteBuffer() }
        return result
    }

    /// Gives OpenSSL what has arrived. 0: nothing is left.
    func supply(_ room: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(room.count, incoming.count)
        if count == 0 { return 0 }
        incoming.withReadable { bytes in
            unsafe bytes.withUnsafeBytes { source in
                unsafe room.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
            }
        }
        incoming.consume(count)
        if incoming.isEmpty { incoming = ByteBuffer() }
        return count
    }

    /// Takes what OpenSSL sends; false past the limit.
    func collect(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if outgoing.count + bytes.count > TLSLimits.outputBytesMax {
            hasOverflowed = true
            return false
        }
        if !outgoing.hasBlock { outgoing = ByteBuffer(capacity: bytes.count) }
        unsafe outgoing.append(Span<UInt8>(_unsafeBytes: bytes))
        return true
    }

    // MARK: - Handshake

    /// Goes on with the handshake, as far as what has arrived leads.
    package func handshake() -> Phase {
        guard phase == .handshaking else { return phase }
        ERR_clear_error()
        let result = unsafe SSL_do_handshake(handle)
        if result == 1 {
            phase = .established
            if let failure = identifyPeer() { fail(failure) }
            return phase
        }
        switch unsafe SSL_get_error(handle, result) {
        case SSL_ERROR_WANT_READ:
            if handshakeBytes > TLSLimits.handshakeBytesMax { fail(.handshakeTooLarge) }
        // RFC 8446 §6.1: whoever sends close_notify sends nothing more.
        case SSL_ERROR_ZERO_RETURN: fail(.alert(UInt8(SSL_AD_CLOSE_NOTIFY)))
        default: fail(failureOfHandshake())
        }
        return phase
    }

    /// Ends the session for a reason that the caller has found.
    package func fail(_ error: TLSError) {
        if case .failed = phase { return }
        phase = .failed(error)
        resumption = nil
        incoming = ByteBuffer()
    }

    private func failureOfHandshake() -> TLSError {
        let error = TLSError.drain()
        if hasOverflowed { return .outputTooLarge }
        let verdict = unsafe SSL_get_verify_result(handle)
        // Verification has its own number; the queue says only that it has failed.
        if error == .violation(reason: SSL_R_CERTIFICATE_VERIFY_FAILED) {
            return .certificateRefused(code: verdict)
        }
        if case .library = error, inputHasEnded { return .truncated }
        return error
    }

    // MARK: - Content

    /// Decrypts into the buffer's free room, which must not be empty: as much as has arrived and fits.
    package func read(into buffer: inout ByteBuffer) -> Reading {
        switch phase {
        case .handshaking: return .needsInput
        case .ended: return .ended
        case .failed(let error): return .failed(error)
        case .established: break
        }
        var total = 0
        while buffer.freeCount > 0 {
            ERR_clear_error()
            let count = buffer.fill { room in
                unsafe room.withUnsafeMutableBytes { bytes in
                    unsafe Int(SSL_read(handle, bytes.baseAddress, CInt(clamping: bytes.count)))
                }
            }
            if hasRefusedRenegotiation { fail(.renegotiation) }
            if count <= 0 {
                if phase == .established { noteEnd(of: CInt(count)) }
                break
            }
            total += count
            if phase != .established { break }
        }
        // What came before the end is given out before the end.
        if total > 0 { return .bytes(total) }
        switch phase {
        case .ended: return .ended
        case .failed(let error): return .failed(error)
        case .established, .handshaking: return .needsInput
        }
    }

    private func noteEnd(of result: CInt) {
        switch unsafe SSL_get_error(handle, result) {
        case SSL_ERROR_WANT_READ: break
        case SSL_ERROR_ZERO_RETURN: phase = .ended
        default:
            let error = TLSError.drain()
            if hasOverflowed {
                fail(.outputTooLarge)
            } else if case .library = error, inputHasEnded {
                fail(.truncated)
            } else {
                fail(error)
            }
        }
    }

    /// Encrypts as much of `bytes` as makes one batch.
    ///
    /// - Returns: how many bytes that were; nil when the session has failed or is not established.
    package func write(_ bytes: Span<UInt8>) -> Int? {
        guard phase == .established || phase == .ended, !hasSentClose else { return nil }
        let batch = min(bytes.count, TLSLimits.batchBytesMax)
        if !outgoing.hasBlock, batch > TLSLimits.recordBytesMax {
            outgoing = ByteBuffer(capacity: batch + batch / TLSLimits.recordBytesMax * recordOverheadBytes)
        }
        var total = 0
        while total < batch {
            ERR_clear_error()
            let count = unsafe bytes.extracting(total..<batch).withUnsafeBytes { rest in
                unsafe Int(SSL_write(handle, rest.baseAddress, CInt(rest.count)))
            }
            if count <= 0 {
                let error = TLSError.drain()
                fail(hasOverflowed ? .outputTooLarge : error)
                return nil
            }
            total += count
        }
        return total
    }

    /// Tells the peer that nothing more comes; it is still read from.
    package func finishWriting() {
        guard phase == .established || phase == .ended, !hasSentClose else { return }
        hasSentClose = true
        ERR_clear_error()
        _ = unsafe SSL_shutdown(handle)
        ERR_clear_error()
    }
}

/// What a record adds to its content at most: header, nonce, type, tag, with some to spare.
private let recordOverheadBytes = 64
