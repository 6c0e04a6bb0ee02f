// The half of `Transport` that goes through TLS: ciphertext between the socket and the session, and what the
// readiness of a socket means for content.
//
// Theory of operation. `note` is where the handshake goes on and where ciphertext that the socket had no room
// for is sent: it is called at every event, whoever is above. Content is taken from the caller when it is
// encrypted, since from then on it cannot be taken back; but its last byte stays with him until the socket
// has all of the ciphertext. So whoever has nothing left to send may close, and whoever waits to get rid of
// something is told when the socket has room. And content may wait decrypted where the socket has no more:
//
//     mayReceive = established and (the socket may have more, or the session holds something), or failed
//     maySend    = established and the socket may take more and no ciphertext waits, or failed
//
// A failed session says so at the next call, as a broken socket does. Ciphertext has memory only while it
// waits: between two calls there is none, but for what a full socket or a full buffer of the caller leaves.

internal import Glibc
package import Primitives
package import TLS

extension Transport {
    /// Whether content can pass: at once for a plain connection, after the handshake with TLS.
    package var isEstablished: Bool {
        switch tls?.phase {
        case nil, .established, .ended: true
        case .handshaking, .failed: false
        }
    }

    /// Why TLS has failed; nil when it has not.
    package var tlsError: TLSError? {
        if case .failed(let error) = tls?.phase { error } else { nil }
    }

    /// Has everything from here on go through TLS, on a connection that was plain so far.
    ///
    /// - Parameter received: what was read already and belongs to TLS; taken.
    package mutating func startTLS(_ session: TLSSession, received: inout ByteBuffer) {
        socket.mayReceive = mayReceive
        socket.maySend = maySend
        tls = session
        if !received.isEmpty {
            session.fill(received.count) { buffer in received.withReadable { buffer.append($0) } }
            received.removeAll()
        }
        note([], session)
    }

    // MARK: - Events

    mutating func note(_ readiness: Readiness, _ tls: TLSSession) {
        if readiness.contains(.writable) { socket.maySend = true }
        if readiness.contains(.readable) { socket.mayReceive = true }
        if !readiness.isDisjoint(with: [.ending, .broken]) {
            socket.mayReceive = true
            isEnding = true
        }
        // Touching a broken socket would use up the error that `connectionError` is to tell.
        if readiness.isDisjoint(with: .broken) {
            if tls.phase == .handshaking { shakeHands(tls) } else { flush(tls) }
        }
        settle(tls)
    }

    /// Goes on with the handshake as far as the socket has bytes for it.
    private mutating func shakeHands(_ tls: TLSSession) {
        while true {
            let phase = tls.handshake()
            flush(tls)
            guard phase == .handshaking, socket.mayReceive, !tls.inputHasEnded else { return }
            if case .failed(let code) = fetch(tls, room: TLSLimits.recordBytesMax) {
                socket.failure = code
                tls.fail(.truncated)
            }
        }
    }

    /// What the caller may do now.
    private mutating func settle(_ tls: TLSSession) {
        switch tls.phase {
        case .handshaking:
            // Of a broken socket, whose error the next read is told.
            mayReceive = socket.mayReceive
            maySend = false
        case .failed:
            mayReceive = true
            maySend = true
        case .established:
            mayReceive = socket.mayReceive || tls.holdsInput
            maySend = socket.maySend && !tls.hasOutput
        case .ended:
            maySend = socket.maySend && !tls.hasOutput
        }
    }

    // MARK: - Receiving

    mutating func receive(into buffer: inout ByteBuffer, _ tls: TLSSession) -> Transfer {
        if tls.phase == .handshaking { shakeHands(tls) }
        var fruitless = 0
        while true {
            switch tls.read(into: &buffer) {
            case .bytes(let count):
                // It may have had to answer: an update of keys asks for ours.
                flush(tls)
                settle(tls)
                // The end that came with it is told by the next read.
                if !tls.isOpen { mayReceive = true }
                return .bytes(count)
            case .ended:
                settle(tls)
                mayReceive = false
                return .ended
            case .failed(let error):
                flush(tls)
                settle(tls)
                mayReceive = false
                return .failed(socket.failure ?? (error == .truncated ? ECONNRESET : EPROTO))
            case .needsInput: break
            }
            flush(tls)
            guard socket.mayReceive, !tls.inputHasEnded else {
                settle(tls)
                return .wouldBlock
            }
            fruitless += 1
            if fruitless > TLSLimits.fruitlessReadsMax { tls.fail(.flooded) }
            // A large buffer is filled by one read of the socket, a small one leaves little behind.
            if case .failed(let code) = fetch(tls, room: max(buffer.freeCount, TLSLimits.recordBytesMax)) {
                socket.failure = code
                tls.fail(.truncated)
            }
        }
    }

    /// Reads ciphertext that has arrived.
    private mutating func fetch(_ tls: TLSSession, room: Int) -> Transfer {
        if !tls.isOpen { return .wouldBlock }
        let room = min(room, TLSLimits.batchBytesMax) + recordOverheadBytes
        let result = tls.fill(room) { Syscalls.receive(descriptor.raw, into: &$0) }
        switch result {
        // As for a plain connection: what gave less than was asked for is drained.
        case .bytes(let count): socket.mayReceive = isEnding || count >= room
        case .ended:
            socket.mayReceive = false
            tls.endInput()
        case .wouldBlock, .failed: socket.mayReceive = false
        }
        return result
    }

    // MARK: - Sending

    mutating func send(_ bytes: Span<UInt8>, _ tls: TLSSession) -> Transfer {
        var sent = 0
        while sent < bytes.count || sent == 0 {
            let isFree = flush(tls)
            if case .failed = tls.phase { break }
            guard isFree, tls.phase != .handshaking else { break }
            if socket.owesByte {
                socket.owesByte = false
                sent += 1
                continue
            }
            if bytes.isEmpty { break }
            guard let count = tls.write(bytes.extracting(sent...)) else {
                // Failed just now, or `finishSending` has been called: a shut socket says the same.
                socket.failure = tls.isOpen ? EPIPE : EPROTO
                break
            }
            // Taken but for its last byte, which stays with the caller until all of it has left.
            socket.owesByte = true
            sent += count - 1
        }
        settle(tls)
        if let failure = socket.failure ?? (tlsError == nil ? nil : EPROTO) {
            maySend = false
            return .failed(failure)
        }
        return sent > 0 || bytes.isEmpty ? .bytes(sent) : .wouldBlock
    }

    /// Sends ciphertext that waits; false while some is left.
    @discardableResult
    private mutating func flush(_ tls: TLSSession) -> Bool {
        while tls.hasOutput && socket.maySend {
            let waiting = tls.drain { buffer -> Int in
                let result = buffer.withReadable { Syscalls.send(descriptor.raw, $0) }
                switch result {
                case .bytes(let count):
                    socket.maySend = count >= buffer.count
                    buffer.consume(count)
                case .failed(let code):
                    socket.maySend = false
                    socket.failure = code
                case .wouldBlock, .ended: socket.maySend = false
                }
                return buffer.count
            }
            if waiting > 0 { break }
        }
        if tls.hasOutput { return false }
        if socket.mustFinish {
            socket.mustFinish = false
            Syscalls.shutdownWrite(descriptor.raw)
        }
        return true
    }

    /// Tells a peer by TLS that nothing more comes, where closing the socket would look like a cut; a plain
    /// connection says it by closing.
    ///
    /// - Returns: whether that has left: the socket may be full.
    @discardableResult
    package mutating func sayGoodbye() -> Bool {
        guard let tls else { return true }
        tls.finishWriting()
        return flush(tls)
    }

    /// Says goodbye, and closes the socket's side once that has been sent.
    mutating func finishSending(_ tls: TLSSession) {
        tls.finishWriting()
        socket.mustFinish = true
        flush(tls)
        settle(tls)
    }
}

extension TLSSession {
    /// More ciphertext can be of use.
    fileprivate var isOpen: Bool { phase == .handshaking || phase == .established }
}

/// What is known of the socket under TLS.
struct SocketState {
    var mayReceive = false
    var maySend = false
    /// The socket's side is to be closed when all ciphertext has been sent.
    var mustFinish = false
    /// A call on it has failed with this errno.
    var failure: Int32?
    /// The caller still holds a byte that is encrypted, as its ciphertext has not been sent whole.
    var owesByte = false
}

/// What a record adds to its content, several times over: a batch of records is then one read.
private let recordOverheadBytes = 512
