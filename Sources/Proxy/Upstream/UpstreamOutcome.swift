// What came of a request: what it says of the server that got it, and whether another server, or another
// connection, is tried instead of answering with a failure.
//
// A request is never sent twice unless nothing of it can have been acted upon, or doing it again does no
// harm.

import Configuration
import HTTP
import Network
import Observability

extension UpstreamConnection {
    /// The exchange fails; a request that may be sent again is.
    func fail(_ error: ProxyError) {
        guard let downstream else {
            close()
            return
        }
        // Most likely it was closed while it idled: that says nothing of the server.
        let isStale = error == .upstreamClosed && isReused && !hasReceived
        let wasConnecting = !isEstablished
        if isFault(error) && !isStale { pool.failed(server) }
        detach()
        close()
        if wasConnecting {
            pool.metrics.failed(error)
            if pool.mayTryAnother(downstream, after: error, of: server) {
                pool.assignAgain(downstream)
                return
            }
        } else if isStale && mayRepeat(downstream) {
            downstream.exchange.wasRetried = true
            pool.assignAgain(downstream)
            return
        }
        downstream.upstreamFailed(error)
    }

    /// Whether the failure speaks against the server: no connection, no answer, or none that can be read.
    private func isFault(_ error: ProxyError) -> Bool {
        switch error {
        case .upstreamConnect, .upstreamConnectTimeout, .upstreamTLS, .upstreamViolation: true
        case .upstreamTimeout, .upstreamClosed: phase == .awaitingHead
        default: false
        }
    }

    /// RFC 9110 §9.2.2: only a request that can be repeated without harm, and only when the upstream has most
    /// likely closed an idle connection before it saw the request.
    private func mayRepeat(_ downstream: DownstreamConnection) -> Bool {
        !downstream.exchange.wasRetried && downstream.head.method.isIdempotent
            && downstream.head.framing == .none
    }
}

extension UpstreamPool {
    /// Takes note that nothing of a request has reached a server; whether another one may be tried.
    func mayTryAnother(
        _ downstream: DownstreamConnection, after error: ProxyError, of server: PooledServer
    ) -> Bool {
        downstream.exchange.triedServers.append(server.id)
        downstream.exchange.connectFailure = error
        return downstream.exchange.triedServers.count < target.configuration.triesMax
    }

    /// Sends a request another way; its body, of which nothing was taken yet, follows.
    func assignAgain(_ downstream: DownstreamConnection) {
        downstream.exchange.upstream = nil
        assign(to: downstream)
        downstream.pump()
    }

    /// A server has answered, whatever its answer says.
    func answered(by server: PooledServer) {
        guard let place = server.place, choice.candidates[place].health.isOut else { return }
        if choice.candidates[place].health.succeeded(shard.loop.now) == .back, server.shared.endEjection() {
            shard.runtime.services.log.info("\(target.text(of: server.shared)): back")
        }
    }

    /// A request has failed by the server's fault. A lone server is asked all the same.
    func failed(_ server: PooledServer) {
        guard let place = server.place, servers.count > 1 else { return }
        if choice.candidates[place].health.failed(shard.loop.now, policy) == .out,
            server.shared.beginEjection()
        {
            let window = policy.windowMilliseconds
            let time = window % 1000 == 0 ? "\(window / 1000) s" : "\(window) ms"
            shard.runtime.services.log.warning(
                "\(target.text(of: server.shared)): out (\(policy.failuresMax) failures in \(time))")
        }
    }

    /// Connecting has failed.
    func warn(_ server: PooledServer, _ error: SystemError) {
        shard.runtime.services.log.warning(
            "upstream \(target.configuration.name) at \(server.shared.address): \(error.reason)")
    }
}
