// The connections of one shard to one upstream: which server gets a request, the idle connections to each,
// last used first, and the making of new ones. What waits for a connection is in `UpstreamQueue`, what came
// of a request in `UpstreamOutcome`.
//
// Owned by: one shard. Invariant: `servers` and the candidates of `choice` are the same servers in the same
// order.

import Configuration
import Observability
import Network
import Primitives
import TLS

/// A server as one shard uses it.
final class PooledServer {
    /// Its candidate's; tells it from a server that takes its place.
    let id: Int
    fileprivate(set) var shared: UpstreamServer
    /// Its place in the pool; nil once it is no server of the upstream any more: what is under way there
    /// ends, and nothing is kept.
    fileprivate(set) var place: Int?
    fileprivate var idle: [UpstreamConnection] = []
    /// TLS sessions that the next connection may take up again.
    var resumptions = ResumptionCache()

    fileprivate init(_ shared: UpstreamServer, id: Int) {
        self.shared = shared
        self.id = id
    }

    fileprivate var hasRoom: Bool { !idle.isEmpty || (shared.quota?.hasRoom ?? true) }
}

/// Hands out connections to an upstream.
final class UpstreamPool {
    let shard: Shard
    let metrics: PoolMetrics
    private(set) var target: UpstreamTarget
    private(set) var policy: FailurePolicy
    var choice: ServerChoice
    private(set) var servers: [PooledServer] = []
    private var lastID = 0
    /// Connections have come, gone, or changed between idle and busy in this batch of events.
    private var hasNews = true
    /// The requests that wait for a connection, and the clock that looks after them.
    var waiting: BoundedDeque<WaitingRequest>
    var queueClock: QueueClock?
    var isServingQueue = false
    /// Turns of this queue in a row while requests of other shards wait as well.
    var turnsInRow = 0
    /// The others have their turn.
    var holdsBack = false
    /// The questions of the gateway's own that are under way, each with those who wait for its answer; and
    /// when it was last said that one failed.
    var questions: [[UInt8]: [(FetchOutcome) -> Void]] = [:]
    var questionWarnedAt = MonotonicInstant(milliseconds: .min)

    init(_ target: UpstreamTarget, shard: Shard) {
        self.target = target
        self.shard = shard
        metrics = shard.metrics.pool(target.configuration.name)
        policy = FailurePolicy(target.configuration)
        choice = ServerChoice(target.configuration.balance, policy)
        waiting = BoundedDeque(countMax: target.configuration.queueMax)
        update(servers: target.directory.servers)
    }

    // MARK: - Reload

    /// Changes over to a new configuration of the same upstream: what is known of servers that stay is kept,
    /// and who waits goes on waiting.
    func change(to new: UpstreamTarget) {
        target.waiting.add(-waiting.count)
        new.waiting.add(waiting.count)
        target = new
        policy = FailurePolicy(new.configuration)
        choice.change(to: new.configuration.balance, policy)
        var queue = BoundedDeque<WaitingRequest>(
            countMax: max(new.configuration.queueMax, waiting.count))
        while let request = waiting.popFirst() { _ = queue.append(request) }
        waiting = queue
        update(servers: new.directory.servers)
    }

    /// The upstream is no more: what is under way ends, and nobody is let in.
    func retire() {
        update(servers: [])
        failWaiting()
        if let queueClock { shard.loop.remove(queueClock) }
        queueClock = nil
    }

    // MARK: - Servers

    /// Changes over to a new list. Servers are told by their address: one that stays keeps its connections
    /// and what is known of it; one that has gone is drained.
    func update(servers list: [UpstreamServer]) {
        var gone = servers
        var candidates: [ServerChoice.Candidate] = []
        var kept: [PooledServer] = []
        for shared in list {
            if let found = gone.firstIndex(where: { $0.shared.address == shared.address }) {
                let server = gone.remove(at: found)
                candidates.append(candidate(of: server, from: shared))
                kept.append(server)
            } else {
                lastID += 1
                candidates.append(.init(id: lastID, weight: shared.weight))
                kept.append(PooledServer(shared, id: lastID))
            }
        }
        for server in gone { drain(server) }
        for (place, server) in kept.enumerated() { server.place = place }
        servers = kept
        choice.candidates = candidates
    }

    /// What is known of a server that stays.
    private func candidate(of server: PooledServer, from shared: UpstreamServer) -> ServerChoice.Candidate {
        var candidate = choice.candidates[server.place ?? 0]
        candidate.weight = shared.weight
        if server.shared !== shared && candidate.health.isOut {
            _ = server.shared.endEjection()
            _ = shared.beginEjection()
        }
        shared.note(isDown: candidate.health.isDown)
        // What was agreed on under other rules is not used under these.
        if server.shared !== shared && (server.shared.tls != nil || shared.tls != nil) { closeIdle(server) }
        server.shared = shared
        return candidate
    }

    private func drain(_ server: PooledServer) {
        if let place = server.place, choice.candidates[place].health.isOut {
            _ = server.shared.endEjection()
        }
        server.place = nil
        closeIdle(server)
    }

    /// The prober has made up its mind about a server.
    func judge(_ address: SocketAddress, isUp: Bool) {
        guard let place = servers.firstIndex(where: { $0.shared.address == address }) else { return }
        choice.candidates[place].health.judge(isUp: isUp, shard.loop.now)
        servers[place].shared.note(isDown: !isUp)
        if !isUp { closeIdle(servers[place]) }
    }

    // MARK: - Handing out

    /// Gives the exchange of a client's connection a way upstream and sends its request head; where no
    /// connection is to be had now, it waits for one.
    func assign(to downstream: DownstreamConnection) {
        // First come, first served.
        if waiting.isEmpty && place(downstream) { return }
        enqueue(downstream)
    }

    /// false: no server has room, and nothing has been done.
    func place(_ downstream: DownstreamConnection) -> Bool {
        let exchange = downstream.exchange
        while true {
            let outcome = choice.next(shard.loop.now, excluding: exchange.triedServers) { index in
                servers[index].hasRoom
            }
            switch outcome {
            case .server(let index):
                let server = servers[index]
                // The second try after a stale connection is on one that has not idled.
                if !exchange.wasRetried, let connection = quietConnection(server) {
                    begin(connection, downstream)
                    return true
                }
                if let quota = server.shared.quota {
                    if !quota.hasRoom { server.idle.popLast()?.close() }
                    // Another shard was faster.
                    if !quota.take() { continue }
                }
                if connect(to: server, downstream) { return true }
            case .full: return false
            case .none:
                downstream.upstreamFailed(exchange.connectFailure)
                return true
            }
        }
    }

    /// An idle connection on which nothing has happened, as far as this batch of events knows: what an
    /// upstream sends unasked must not become the answer to the next request, and one that has closed is no
    /// way to go.
    private func quietConnection(_ server: PooledServer) -> UpstreamConnection? {
        while let connection = server.idle.popLast() {
            shard.loop.tellNews(to: connection)
            if connection.phase == .idle { return connection }
        }
        return nil
    }

    /// Starts a connection, for which a place has been taken; false when it has failed at once and another
    /// server may be tried.
    private func connect(to server: PooledServer, _ downstream: DownstreamConnection) -> Bool {
        do throws(SystemError) {
            let security = server.shared.tls.map { tls in
                tls.makeSession(resuming: server.resumptions.take(for: tls))
            }
            let transport = try Transport.connecting(to: server.shared.address, tls: security)
            let connection = UpstreamConnection(transport, pool: self, server: server)
            try connection.open()
            begin(connection, downstream)
            return true
        } catch {
            server.shared.quota?.giveBack()
            warn(server, error)
            metrics.failed(.upstreamConnect)
            if error.isExhaustion {
                // Ours, and no other server would help.
                downstream.upstreamFailed(.upstreamConnect)
                return true
            }
            failed(server)
            if mayTryAnother(downstream, after: .upstreamConnect, of: server) { return false }
            downstream.upstreamFailed(.upstreamConnect)
            return true
        }
    }

    private func begin(_ connection: UpstreamConnection, _ downstream: DownstreamConnection) {
        hasNews = true
        if let place = connection.server.place {
            choice.candidates[place].active += 1
            connection.isTrial = choice.candidates[place].health.begin(shard.loop.now)
        }
        connection.begin(downstream)
    }

    /// A connection's exchange is over, whatever came of it.
    func exchangeEnded(on connection: UpstreamConnection) {
        hasNews = true
        guard let place = connection.server.place else { return }
        choice.candidates[place].active -= 1
        if connection.isTrial { choice.candidates[place].health.endTrial() }
    }

    // MARK: - Idle connections

    /// Takes a connection back that can serve again; false when enough are kept, or others need its place.
    func keep(_ connection: UpstreamConnection) -> Bool {
        let server = connection.server
        if server.place == nil || shard.isDraining || connection.tls !== server.shared.tls
            || server.idle.count >= target.configuration.keepaliveConnections
            || server.shared.quota != nil && mustGiveWay
        {
            return false
        }
        server.idle.append(connection)
        return true
    }

    /// Forgets an idle connection that has closed.
    func forget(_ connection: UpstreamConnection) {
        hasNews = true
        connection.server.idle.removeAll { $0 === connection }
    }

    /// Has others see how many connections there are, if that has changed.
    func publish() {
        if !hasNews { return }
        hasNews = false
        metrics.idle.set(UInt64(servers.reduce(0) { $0 + $1.idle.count }))
        metrics.active.set(UInt64(choice.candidates.reduce(0) { $0 + $1.active }))
    }

    /// Closes every idle connection.
    func closeIdle() {
        for server in servers { closeIdle(server) }
    }

    private func closeIdle(_ server: PooledServer) {
        hasNews = true
        let connections = server.idle
        server.idle = []
        for connection in connections { connection.close() }
    }

    /// Closes up to `count` idle connections to servers with a limit.
    func closeIdleWithLimit(_ count: Int) {
        hasNews = true
        var left = count
        for server in servers where server.shared.quota != nil {
            while left > 0, let connection = server.idle.popLast() {
                connection.close()
                left -= 1
            }
        }
    }

    /// After this long without a request a connection gives its buffers back, in milliseconds.
    static let restMilliseconds: Int64 = 1_000
}
