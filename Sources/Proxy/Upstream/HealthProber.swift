// Active health checks: one prober for the whole process, on the first shard's loop. It asks each watched
// server every so often, and tells every shard when its mind has changed.
//
// Owned by: the first shard. A server counts as up until checks have shown otherwise.

import Configuration
import HTTP
import Network
import Observability
import Primitives
import TLS

/// What a check has come to.
enum ProbeOutcome: Equatable {
    case passed
    case failed(String)

    init(_ outcome: FetchOutcome) {
        switch outcome {
        case .answered(let answer) where (200..<400).contains(answer.status): self = .passed
        case .answered(let answer): self = .failed("status \(answer.status)")
        case .failed(let reason), .unreachable(let reason): self = .failed(reason)
        }
    }
}

/// Passes and failures in a row, and what they come to. A value.
struct ProbeRecord: Equatable {
    private(set) var isUp = true
    private var contraryInRow = 0

    /// Takes note of a check; true when the server's standing has changed by it.
    mutating func note(hasPassed: Bool, _ check: HealthCheckConfiguration) -> Bool {
        if hasPassed == isUp {
            contraryInRow = 0
            return false
        }
        contraryInRow += 1
        if contraryInRow < (isUp ? check.failuresMax : check.passesMin) { return false }
        contraryInRow = 0
        isUp.toggle()
        return true
    }
}

/// Watches the servers of all upstreams that have a health check.
final class HealthProber {
    private unowned let shard: Shard
    private var watched: [[WatchedServer]]

    init(_ shard: Shard) {
        self.shard = shard
        watched = shard.runtime.upstreams.map { _ in [] }
        for target in shard.runtime.upstreams { update(target, servers: target.directory.servers) }
    }

    /// Changes over to a new configuration. Where the check is another one, or there is none any more,
    /// servers count as up until the new one has shown otherwise.
    func change(to targets: [UpstreamTarget]) {
        let old = watched.joined()
        watched = targets.map { target in
            old.filter { server in
                let known = server.target.configuration
                return known.name == target.configuration.name
                    && known.healthCheck == target.configuration.healthCheck
            }
        }
        for server in old where !watched.joined().contains(where: { $0 === server }) {
            server.stop()
            let name = server.target.configuration.name
            let target = targets.first { $0.configuration.name == name }
            if server.isOut, let target { shard.judge(server.server.address, target, isUp: true) }
        }
        for target in targets {
            for server in watched[target.index] { server.change(to: target) }
            update(target, servers: target.directory.servers)
        }
    }

    /// Changes over to a new list; what is known of a server that stays is kept.
    func update(_ target: UpstreamTarget, servers: [UpstreamServer]) {
        guard let check = target.configuration.healthCheck else { return }
        var gone = watched[target.index]
        watched[target.index] = servers.map { server in
            if let found = gone.firstIndex(where: { $0.server.address == server.address }) {
                return gone.remove(at: found)
            }
            let new = WatchedServer(server, of: target, check: check, shard: shard)
            shard.loop.add(timer: new)
            // Not all at once, and soon.
            shard.loop.setDeadline(new, milliseconds: Int64.random(in: 0...(check.intervalMilliseconds / 10)))
            return new
        }
        for server in gone { server.stop() }
    }
}

/// One server under watch: its deadline is the next check.
final class WatchedServer: EventTarget {
    let server: UpstreamServer
    private unowned let shard: Shard
    private(set) var target: UpstreamTarget
    private let check: HealthCheckConfiguration
    private var record = ProbeRecord()
    private var probe: Fetch?

    init(
        _ server: UpstreamServer, of target: UpstreamTarget, check: HealthCheckConfiguration, shard: Shard
    ) {
        self.server = server
        self.target = target
        self.check = check
        self.shard = shard
    }

    override func deadlinePassed() {
        do throws(SystemError) {
            let transport = try Transport.connecting(
                to: server.address, tls: server.tls?.makeSession())
            let probe = Fetch(
                transport,
                request: Fetch.request(
                    "GET", check.path, authority: server.authority, agent: "auth-gateway-health"),
                part: .head, timeoutMilliseconds: check.timeoutMilliseconds, loop: shard.loop
            ) { [unowned self] in probed(ProbeOutcome($0)) }
            try probe.start()
            self.probe = probe
        } catch {
            // Out of descriptors: that says nothing of the server.
            error.isExhaustion ? scheduleNext() : probed(.failed(error.reason))
        }
    }

    /// The same server under a new configuration with the same check.
    func change(to target: UpstreamTarget) { self.target = target }

    /// Whether the checks have taken it out.
    var isOut: Bool { !record.isUp }

    /// It is not watched any more.
    func stop() {
        probe?.stop()
        probe = nil
        shard.loop.remove(self)
    }

    private func probed(_ outcome: ProbeOutcome) {
        probe = nil
        scheduleNext()
        if !record.note(hasPassed: outcome == .passed, check) { return }
        if case .failed(let reason) = outcome {
            shard.runtime.services.log.warning(
                "\(target.text(of: server)): out (\(check.failuresMax) health checks failed: \(reason))")
        } else {
            shard.runtime.services.log.info("\(target.text(of: server)): back")
        }
        shard.judge(server.address, target, isUp: record.isUp)
    }

    /// A tenth more or less, so that gateways which were started together do not ask together.
    private func scheduleNext() {
        let interval = check.intervalMilliseconds
        let jitter = Int64.random(in: -(interval / 10)...(interval / 10))
        shard.loop.setDeadline(self, milliseconds: interval + jitter)
    }
}
