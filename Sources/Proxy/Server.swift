// The running gateway: builds the shards, opens the listeners, deals connections out, and ends in order.
// Listeners and their sources live on the main queue; everything else is reached by messages.

import Configuration
import Dispatch
package import Network
import Observability
import Primitives
package import Sessions

/// A gateway that serves. Owned by: the main queue.
package final class Server {
    private let runtime: GatewayRuntime
    private var shards: [Mailbox<ShardMessage>] = []
    private var listeners: [Listener] = []
    private var nextShard = 0
    private var lastPauseWarning = MonotonicInstant(milliseconds: .min)

    package init(_ runtime: GatewayRuntime) { self.runtime = runtime }

    /// Starts `workers` shards and subscribes them to revocations.
    package func startShards(_ workers: Int, feed: RevocationFeed) throws {
        for index in 0..<workers {
            let queue = DispatchQueue(label: "shard-\(index)", qos: .userInteractive)
            let mailbox = try Shard.start(runtime, queue: queue)
            shards.append(mailbox)
            feed.subscribe { revocations, until, applied in
                mailbox.post(.revoke(revocations, until: until, applied: applied))
            }
        }
        for (index, shard) in shards.enumerated() {
            let others = shards.indices.filter { $0 != index }.map { shards[$0] }
            shard.post(.meet(others, probes: index == 0))
        }
        for target in runtime.upstreams {
            target.directory.start { [shards, index = target.index] servers in
                for shard in shards { shard.post(.servers(servers, upstream: index)) }
            }
        }
        NameWatch.start(runtime.upstreams, log: runtime.services.log)
    }

    /// Opens every listener of the configuration; all of them, or an error that names the one.
    ///
    /// - Returns: the bound addresses, those of clients first, then that of the control listener.
    package func listen() throws(RuntimeError) -> [SocketAddress] {
        var opened: [(Listener, ListenerRole)] = []
        for configured in runtime.configuration.listeners {
            let role = configured.expectsProxyProtocol ? ListenerRole.proxiedClient : .client
            opened.append((try listener(configured.address), role))
        }
        if let control = runtime.configuration.control {
            opened.append((try listener(control.address), .control))
        }
        for (listener, role) in opened {
            listener.start(
                deal: { [unowned self] in deal($0, role) }, pausing: { [unowned self] in warnOfPause($0) })
            listeners.append(listener)
        }
        return opened.map(\.0.address)
    }

    /// Stops accepting, lets what has begun come to its end, and calls `done`; at the latest after
    /// `milliseconds`.
    package func drain(milliseconds: Int, done: @escaping @Sendable () -> Void) {
        for listener in listeners { listener.stop() }
        listeners = []
        let group = DispatchGroup()
        for shard in shards {
            group.enter()
            shard.post(.drain { group.leave() })
        }
        DispatchQueue.global().async {
            _ = group.wait(timeout: .now() + .milliseconds(milliseconds))
            DispatchQueue.main.async { done() }
        }
    }

    private func listener(_ address: ListenAddress) throws(RuntimeError) -> Listener {
        let socketAddress: SocketAddress
        switch address {
        case .ip(let host, let port):
            guard let literal = SocketAddress(host: host, port: port) else {
                throw RuntimeError(reason: "listen: '\(host)' is no IP address")
            }
            socketAddress = literal
        case .unix(let path):
            guard let file = SocketAddress(unixPath: path) else {
                throw RuntimeError(reason: "listen: unix:\(path): \(RuntimeError.pathProblem)")
            }
            socketAddress = file
        }
        do throws(SystemError) {
            return try Listener(on: socketAddress, queue: .main)
        } catch {
            throw RuntimeError(reason: "cannot listen on \(socketAddress): \(error.reason)")
        }
    }

    /// Connections go round: each shard gets as many.
    private func deal(_ accepted: Accepted, _ role: ListenerRole) {
        // Who a proxied client is, its first bytes say: until then it counts for no address.
        if role != .control && !runtime.services.census.admit(role == .client ? accepted.peer : nil) {
            _ = FileDescriptor(accepted.descriptor)
            return
        }
        shards[nextShard].post(.adopt(accepted, role))
        nextShard = (nextShard + 1) % shards.count
    }

    private func warnOfPause(_ error: SystemError) {
        let now = Clock.monotonic
        if now < lastPauseWarning.advanced(byMilliseconds: 10_000) { return }
        lastPauseWarning = now
        runtime.services.log.error("accepting pauses: \(error)")
    }
}
