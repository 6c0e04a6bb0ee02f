// A loop with a listener that echoes, and clients on the same loop: what the tests of `EventLoop` play with.
//
// Everything but the semaphores and the mailbox belongs to the shard's queue; tests look at it through
// `onQueue`, and nothing here is Sendable.

import Dispatch
import Network
import Primitives
import TLS
import Testing

/// One loop on its queue, with an echoing listener.
final class Shard {
    let queue = DispatchQueue(label: "shard")
    let loop: EventLoop
    let mailbox: Mailbox<String>
    let listener: Listener
    private var acceptor: Acceptor?
    let arrived = DispatchSemaphore(value: 0)
    /// Once for each connection that is taken in.
    let taken = DispatchSemaphore(value: 0)
    private(set) var messages: [String] = []
    private var peers: [Peer] = []
    /// The server's ends of connections, in the order of their coming.
    private(set) var accepted: [Peer] = []
    private let tls: ServerTLS?

    /// How long a test waits for what takes milliseconds.
    static var patience: DispatchTime { .now() + .seconds(20) }

    var address: SocketAddress { listener.address }

    convenience init(tls: ServerTLS? = nil) throws {
        try self.init(on: #require(SocketAddress(host: "127.0.0.1", port: 0)), tls: tls)
    }

    init(on address: SocketAddress, tls: ServerTLS? = nil) throws {
        self.tls = tls
        let queue = queue
        loop = try queue.sync { try EventLoop(queue: queue) }
        mailbox = Mailbox(loop.wakeup)
        listener = try Listener(on: address)
        queue.sync {
            loop.start(
                onMessages: { [unowned self] in
                    for message in mailbox.takeAll() {
                        messages.append(message)
                        arrived.signal()
                    }
                },
                onBatchEnd: {}, onTurnEnd: {})
            acceptor = Acceptor(
                listener, loop: loop,
                deal: { [unowned self] accepted in
                    let transport = Transport(
                        FileDescriptor(accepted.descriptor), tls: self.tls?.makeSession())
                    let peer = Peer(self, transport, sending: nil)
                    try? adopt(peer)
                    self.accepted.append(peer)
                    taken.signal()
                }, pausing: { Issue.record($0) })
            do throws(SystemError) { try acceptor?.start() } catch { Issue.record(error) }
        }
    }

    /// Ends the loop and lets its sources go before their descriptors.
    func stop() {
        queue.sync {
            for peer in peers { loop.remove(peer) }
            acceptor?.stop()
            acceptor = nil
            loop.stop()
        }
        queue.sync {}
        queue.sync {
            peers = []
            accepted = []
        }
    }

    /// Does something on the queue that owns everything here.
    func onQueue<Result>(_ body: () throws -> Result) rethrows -> Result { try queue.sync(execute: body) }

    /// A client that sends some bytes and collects what comes back; with none to send it only stands there.
    func connect(
        sending bytes: [UInt8], to address: SocketAddress? = nil, tls: TLSSession? = nil
    ) throws -> Peer {
        try onQueue {
            let peer = Peer(self, try .connecting(to: address ?? self.address, tls: tls), sending: bytes)
            try adopt(peer)
            return peer
        }
    }

    /// A port that was free a moment ago.
    static func freePort() throws -> SocketAddress {
        let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        let listener = try Listener(on: address)
        return listener.address
    }

    private func adopt(_ peer: Peer) throws {
        try loop.add(peer, peer.transport)
        peers.append(peer)
    }
}

/// One end of a connection: a client, or the server's end that sends everything back.
final class Peer: EventTarget {
    private(set) var transport: Transport
    let finished = DispatchSemaphore(value: 0)
    let expired = DispatchSemaphore(value: 0)
    private(set) var received: [UInt8] = []
    private(set) var failure: SystemError?
    private(set) var expirations = 0
    private(set) var expiredAt = MonotonicInstant(milliseconds: 0)
    var due = MonotonicInstant.never
    private unowned let shard: Shard
    private let expectedCount: Int
    private let isClient: Bool
    private var output = ByteBuffer()

    init(_ shard: Shard, _ transport: consuming Transport, sending bytes: [UInt8]?) {
        self.shard = shard
        self.transport = transport
        output.append(bytes ?? [])
        isClient = bytes != nil
        expectedCount = bytes?.count ?? 0
    }

    override func becameReady(_ readiness: Readiness) {
        transport.note(readiness)
        if isClient && !readiness.isDisjoint(with: .broken), let error = transport.connectionError {
            end(error)
            return
        }
        // A change is told once, so both go on until they come up short.
        while isRegistered && transport.mayReceive { receive() }
        while isRegistered && transport.maySend && !output.isEmpty {
            guard case .bytes = transport.send(from: &output) else { return }
        }
    }

    override func deadlinePassed() {
        expirations += 1
        expiredAt = shard.loop.now
        expired.signal()
    }

    /// Tells the other end that nothing more comes.
    func finishSending() { transport.finishSending() }

    private func receive() {
        // What is left over from the last message must not hide that more waits.
        var buffer = ByteBuffer(capacity: 1024)
        buffer.append([0, 0])
        buffer.consume(1)
        switch transport.receive(into: &buffer) {
        case .bytes: break
        case .wouldBlock: return
        case .ended: return end(nil)
        case .failed(let code): return end(SystemError(code: code, call: "recv"))
        }
        buffer.consume(1)
        let bytes = buffer.withReadable { [UInt8](copying: $0) }
        if isClient {
            received += bytes
            if received.count == expectedCount { finished.signal() }
        } else {
            output.append(bytes)
        }
    }

    private func end(_ error: SystemError?) {
        failure = error
        shard.loop.remove(self)
        finished.signal()
    }
}
