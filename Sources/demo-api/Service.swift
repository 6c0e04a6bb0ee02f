// The one loop of the demo: its queue, what all its connections share, and the listener they come in by.

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
    private var acceptor: Acceptor?
    private var dateSecond: Int64 = -1
    private var dateText = ""

    /// Makes the service on its queue, and starts it.
    static func start(on listener: Listener, queue: DispatchQueue) throws(SystemError) {
        let result = queue.sync {
            Result<Void, SystemError> { () throws(SystemError) in
                try Service(queue: queue).run(on: listener)
            }
        }
        try result.get()
    }

    private init(queue: DispatchQueue) throws(SystemError) { loop = try EventLoop(queue: queue) }

    /// The loop's handlers keep the service alive until the process ends.
    private func run(on listener: Listener) throws(SystemError) {
        let acceptor = Acceptor(
            listener, loop: loop, deal: { [unowned self] in Connection($0, service: self).open() },
            pausing: { Console.error("demo-api: accepting pauses: \($0)") })
        try acceptor.start()
        self.acceptor = acceptor
        loop.start(onMessages: {}, onBatchEnd: { withExtendedLifetime(self) {} })
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
