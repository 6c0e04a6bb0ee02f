// The one loop of the demo: its queue, what all its connections share, and the door by which they come in.
//
// The listener lives on the main queue and hands each connection to the loop by its mailbox, so that the
// loop's deadlines are always set from within a turn, when its clock is fresh.

import Dispatch
import HTTP
import Network
import Primitives

/// What all connections share. Owned by: the loop's serial queue, on which it is born and dies.
final class Service {
    let loop: EventLoop
    let api = DemoAPI()
    let messageLimits = MessageLimits()
    var buffers = ByteBufferPool(blockBytes: 16 * 1024, blocksMax: 64)
    private let mailbox: Mailbox<Accepted>
    private var dateSecond: Int64 = -1
    private var dateText = ""

    /// Makes the service on its queue and starts it.
    ///
    /// - Returns: the door that connections come in by.
    static func start(on queue: DispatchQueue) throws(SystemError) -> Mailbox<Accepted> {
        let result = queue.sync {
            Result<Mailbox<Accepted>, SystemError> { () throws(SystemError) in
                let service = try Service(queue: queue)
                service.run()
                return service.mailbox
            }
        }
        return try result.get()
    }

    private init(queue: DispatchQueue) throws(SystemError) {
        loop = try EventLoop(queue: queue)
        mailbox = Mailbox(loop.wakeup)
    }

    /// The loop's handlers keep the service alive until the process ends.
    private func run() {
        loop.start(onMessages: { self.takeConnections() }, onBatchEnd: {}, onTurnEnd: {})
    }

    private func takeConnections() {
        for accepted in mailbox.takeAll() { Connection(accepted, service: self).open() }
    }

    /// The `Date` of an answer (RFC 9110 §6.6.1), rendered once a second.
    var date: String {
        let now = Clock.wall
        let second = now.milliseconds / 1000
        if second != dateSecond {
            dateSecond = second
            dateText = CivilTime(now).imfFixdate
        }
        return dateText
    }
}

/// Takes connections in and passes them to the loop. Owned by: the main queue.
final class Entrance {
    private let listener: Listener
    private let connections: Mailbox<Accepted>

    /// The address that is really bound: the port when 0 was asked for.
    var address: SocketAddress { listener.address }

    init(on address: SocketAddress) throws(SystemError) {
        listener = try Listener(on: address, queue: .main)
        connections = try Service.start(on: DispatchQueue(label: "demo-api", qos: .userInitiated))
    }

    /// Starts taking connections in.
    func open() {
        listener.start(
            deal: { [connections] in connections.post($0) },
            pausing: { Console.error("demo-api: accepting pauses: \($0)") })
    }
}
