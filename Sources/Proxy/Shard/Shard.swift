// All state of one loop: connections, buffers, pools, the token cache and the revocations, the access-log
// buffer. Born on its queue and never seen from another; the mailbox is its one door.
//
// Owned by: its own serial queue.

import Configuration
package import Dispatch
import HTTP
import JOSE
package import Network
import Observability
import Primitives
import Sessions
import TLS

/// One of the workers.
package final class Shard {
    private(set) var runtime: GatewayRuntime
    let loop: EventLoop
    let gatekeeper: Gatekeeper
    var buffers = ByteBufferPool(blockBytes: 16 * 1024, blocksMax: 256)
    var requestIDs = RequestIDMint()
    let metrics: ShardMetrics
    /// Where exchanges are counted: those without a route in the first three places, and every route that
    /// there was since the start.
    private(set) var counted: [RouteMetrics]
    /// The place of each route, by its index.
    private(set) var routePlaces: [Int] = []
    private(set) var isDraining = false
    /// Whether clients had better be sent here.
    private(set) var isReady = true
    /// Whether connections are kept between requests.
    private(set) var keepsConnections = true
    /// The wall time of the current batch of events.
    private(set) var wallTime = Clock.wall
    /// The same as HTTP writes it, made anew when a second has passed and somebody asks.
    var date: [UInt8] {
        if dateSecond != wallTime.seconds {
            dateSecond = wallTime.seconds
            dateText = Array(CivilTime(wallTime).imfFixdate.utf8)
        }
        return dateText
    }
    private var dateSecond = Int64.min
    private var dateText: [UInt8] = []
    let mailbox: Mailbox<ShardMessage>
    private var pools: [UpstreamPool] = []
    /// The connections whose answers are tied to a session, by slot.
    var streams: [UInt64: DownstreamConnection] = [:]
    private var neighbours: [Mailbox<ShardMessage>] = []
    /// The first shard's.
    private var prober: HealthProber?
    private var keyWatch: KeyWatch?
    /// nil until the shards have met.
    private(set) var doors: ShardDoors?
    var posts: [ListeningPost] = []
    var pauseWarnedAt = MonotonicInstant(milliseconds: .min)
    /// Of which keys the gatekeeper has taken note: the version of each foreign issuer's.
    var keyVersions: [UInt64] = []
    /// The exchanges that wait for news of an issuer's keys.
    var keyWaiters: [(slot: UInt64, serial: UInt32, issuer: IssuerTarget)] = []
    /// How many requests wait for a connection, in all queues.
    var waitingRequests = 0
    private var accessLog: AccessLog
    private var connectionCount = 0
    private var drained: (@Sendable () -> Void)?

    var limits: LimitsConfiguration { runtime.configuration.limits }

    /// Makes a shard on its queue and starts it.
    ///
    /// - Returns: the door to it.
    package static func start(_ runtime: GatewayRuntime, queue: DispatchQueue) throws -> Mailbox<ShardMessage>
    {
        try queue.sync {
            let shard = try Shard(runtime, queue: queue)
            shard.run()
            return shard.mailbox
        }
    }

    private init(_ runtime: GatewayRuntime, queue: DispatchQueue) throws {
        self.runtime = runtime
        loop = try EventLoop(queue: queue)
        mailbox = Mailbox(loop.wakeup)
        metrics = runtime.services.metrics.addShard()
        counted = [metrics.unrouted, metrics.endpoints, metrics.control]
        let trusted = runtime.trustedIssuers()
        keyVersions = trusted.versions
        gatekeeper = try Gatekeeper(
            trusted.issuers,
            sessionLifetimeSeconds: runtime.configuration.refreshToken.maxLifetimeMilliseconds / 1000)
        accessLog = AccessLog(runtime.services.accessLog, format: runtime.accessFormat)
        pools = runtime.upstreams.map { UpstreamPool($0, shard: self) }
        placeRoutes()
    }

    private func placeRoutes() {
        routePlaces = runtime.policy.routes.all.map { route in
            let found = metrics.route(String(decoding: route.label, as: UTF8.self))
            if let place = counted.firstIndex(where: { $0 === found }) { return place }
            counted.append(found)
            return counted.count - 1
        }
    }

    /// The loop keeps the shard alive through its handlers, until the process ends.
    private func run() {
        loop.start(
            onMessages: { self.takeMessages() },
            onBatchBegin: { self.wallTime = Clock.wall },
            onBatchEnd: { self.endBatch() },
            onTurnEnd: {
                self.accessLog.flush()
                for pool in self.pools { pool.publish() }
            })
    }

    func pool(_ index: Int) -> UpstreamPool { pools[index] }

    /// nil: a message about an upstream of a configuration that has been replaced.
    private func pool(of target: UpstreamTarget) -> UpstreamPool? { pools.first { $0.target === target } }

    // MARK: - Messages

    private func takeMessages() {
        for message in mailbox.takeAll() {
            switch message {
            case .listen(let listener, let role, let tls): listen(on: listener, role, tls)
            case .stopListening(let listener): stopListening(on: listener)
            case .adopt(let accepted, let role, let tls): adopt(accepted, role, tls)
            case .reply(let slot, let serial, let reply):
                if let connection = loop.target(slot: slot) as? DownstreamConnection {
                    connection.take(reply, serial: serial)
                }
            case .revoke(let revocations, let until, let applied):
                let rest = until.milliseconds - wallTime.milliseconds
                gatekeeper.apply(
                    revocations, until: until, heldUntil: loop.now.advanced(byMilliseconds: rest))
                cutRevokedStreams()
                applied()
            case .meet(let doors):
                self.doors = doors
                neighbours = doors.others
                if doors.first == nil {
                    prober = HealthProber(self)
                    keyWatch = KeyWatch(self)
                }
            case .servers(let servers, let target):
                guard let pool = pool(of: target) else { break }
                pool.update(servers: servers)
                prober?.update(target, servers: servers)
            case .keys(let issuer): learnKeys(of: issuer)
            case .wantKeys(let issuer): keyWatch?.want(issuer)
            case .fetchPath(let path, let issuer, let serial):
                keyWatch?.take(path, for: issuer, serial: serial)
            case .judge(let address, let target, let isUp): pool(of: target)?.judge(address, isUp: isUp)
            case .lookAgain(let target): pool(of: target)?.lookAgain()
            case .change(let runtime, let inForce):
                change(to: runtime)
                inForce()
            case .changeKeys(let runtime, let inForce):
                changeKeys(to: runtime)
                inForce()
            case .announceEnd: isReady = false
            case .keepConnections(let keeps): keepConnections(keeps)
            case .ping(let awake): awake()
            case .drain(let drained):
                self.drained = drained
                drain()
            }
        }
    }

    /// Tells every other shard.
    func tellNeighbours(_ message: ShardMessage) {
        for neighbour in neighbours { neighbour.post(message) }
    }

    /// Has every shard know what health checks have found.
    func judge(_ address: SocketAddress, _ target: UpstreamTarget, isUp: Bool) {
        pool(of: target)?.judge(address, isUp: isUp)
        tellNeighbours(.judge(address, target, isUp: isUp))
    }

    /// Changes over to a new configuration. Exchanges under way hold their route and their pool, and end by
    /// them; an upstream that stays keeps its connections, one that has gone is drained.
    private func change(to new: GatewayRuntime) {
        do throws(JOSEError) {
            let trusted = new.trustedIssuers()
            try gatekeeper.change(
                trusted.issuers,
                sessionLifetimeSeconds: new.configuration.refreshToken.maxLifetimeMilliseconds / 1000)
            keyVersions = trusted.versions
        } catch {
            new.services.log.error("a shard keeps the old configuration: its keys cannot be used: \(error)")
            return
        }
        runtime = new
        accessLog.change(to: new.services.accessLog, format: new.accessFormat)
        placeRoutes()
        var old = pools
        pools = new.upstreams.map { target in
            let name = target.configuration.name
            guard let found = old.firstIndex(where: { $0.target.configuration.name == name }) else {
                return UpstreamPool(target, shard: self)
            }
            let pool = old.remove(at: found)
            pool.change(to: target)
            return pool
        }
        for pool in old { pool.retire() }
        prober?.change(to: new.upstreams)
        keyWatch?.change(to: new.issuers)
    }

    private func changeKeys(to new: GatewayRuntime) {
        do throws(JOSEError) {
            try gatekeeper.change(keys: new.publishedKeys.set, ofIssuer: 0)
        } catch {
            new.services.log.error("a shard keeps the old keys: the new ones cannot be used: \(error)")
            return
        }
        runtime = new
        cutRevokedStreams()
    }

    /// All of them are looked at: revocations are rare, and come in batches.
    private func cutRevokedStreams() {
        for stream in streams.values {
            if let token = stream.exchange.binding?.token, gatekeeper.isRevoked(token) {
                stream.cutStream(.streamRevoked)
            }
        }
    }

    /// Sends an order to the refresh service for a connection's exchange.
    func submit(_ order: SessionOrder, for connection: DownstreamConnection) {
        let (slot, serial, mailbox) = (connection.slot, connection.exchange.serial, mailbox)
        runtime.sessions.submit(order) { reply in
            mailbox.post(.reply(slot: slot, serial: serial, reply))
        }
    }

    private func endBatch() {
        if waitingRequests > 0 {
            for pool in pools { pool.serveQueue() }
        }
        let sightings = gatekeeper.takeSightings()
        if !sightings.isEmpty { runtime.sessions.noteSeen(sightings) }
        gatekeeper.sweep(wallTime, loop.now)
        gatekeeper.publish(to: metrics)
        metrics.connections.set(UInt64(connectionCount))
    }

    // MARK: - Connections

    /// More connections than buffers should lie about for.
    var isCrowded: Bool { connectionCount > Self.crowd }

    /// Whether lines are written at all.
    var logsAccess: Bool { accessLog.isOn }

    /// Writes the line of an exchange.
    func log(_ entry: AccessEntry, _ head: borrowing RequestHead) {
        head.block.withBytes { bytes in
            accessLog.append(entry, LoggedHead.ranges(of: head, bytes), of: bytes, now: wallTime)
        }
    }

    /// Serves a connection.
    func adopt(_ accepted: Accepted, _ role: ListenerRole, _ tls: ServerTLS?) {
        connectionCount += 1
        DownstreamConnection(accepted, role: role, tls: tls, shard: self).open()
    }

    func connectionClosed(_ connection: DownstreamConnection) {
        connectionCount -= 1
        if let doors { doors.loads.remove(from: doors.index) }
        if !connection.role.isControl { runtime.services.census.remove(connection.countedPeer) }
        tellWhenDrained()
    }

    /// Serves what has begun, and nothing more.
    private func drain() {
        isDraining = true
        isReady = false
        for pool in pools { pool.closeIdle() }
        keepConnections(false)
        tellWhenDrained()
    }

    /// Idle connections get a moment for one more request before they are closed: who sends them without a
    /// pause is told in the answer that the connection ends (RFC 9112 §9.6), and loses nothing.
    private func keepConnections(_ keeps: Bool) {
        keepsConnections = keeps
        if keeps { return }
        for target in loop.allTargets {
            if let connection = target as? DownstreamConnection { connection.endSoon() }
        }
    }

    private func tellWhenDrained() {
        guard isDraining, connectionCount == 0, let drained else { return }
        self.drained = nil
        accessLog.flush()
        drained()
    }

    private static let crowd = 256
    /// The places of requests to the gateway's own endpoints, and of those to the control listener.
    static let countedEndpoints = 1
    static let countedControl = 2
}
