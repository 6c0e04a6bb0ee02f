// The running gateway: builds the shards, opens the listeners, and ends in order. Which listeners there are
// is decided on the main queue; the shards take connections from them, and are reached by messages.

package import Configuration
import Dispatch
package import JOSE
package import Network
import Observability
import Primitives
package import Sessions
package import TLS

/// A gateway that serves. Owned by: the main queue.
package final class Server {
    /// A listening socket with the line of the configuration that it stands for.
    private struct OpenListener {
        let configured: ListenAddress
        let role: ListenerRole
        let listener: Listener
    }

    private var runtime: GatewayRuntime
    /// What connections are given from now on; those that stand keep what they were given.
    private var serverTLS: ServerTLS?
    private var shards: [Mailbox<ShardMessage>] = []
    private var listeners: [OpenListener] = []
    /// Whether connections are taken in; otherwise they wait in the sockets.
    private var accepts = true
    /// Sockets that were open before this process was, and that no line of the configuration has claimed.
    private var inherited: [Listener]
    /// Why an issuer's files could not be read, by its name.
    private var issuerProblems: [String: String] = [:]

    /// - Parameter inherited: sockets that listen already; a line of the configuration with the address of
    ///   one goes on with it.
    package init(_ runtime: GatewayRuntime, tls: ServerTLS?, inherited: [Listener] = []) {
        self.runtime = runtime
        serverTLS = tls
        self.inherited = inherited
    }

    /// Has new connections be shown other certificates, or other keys of tickets.
    package func change(tls: ServerTLS?) {
        serverTLS = tls
        for opened in listeners { start(opened) }
    }

    /// Starts `workers` shards and subscribes them to revocations.
    package func startShards(_ workers: Int, feed: RevocationFeed) throws {
        for index in 0..<workers {
            let queue = DispatchQueue(label: "shard-\(index)", qos: .default)
            let mailbox = try Shard.start(runtime, queue: queue)
            shards.append(mailbox)
            feed.subscribe { revocations, until, applied in
                mailbox.post(.revoke(revocations, until: until, applied: applied))
            }
        }
        let loads = ShardLoads(count: workers)
        for (index, shard) in shards.enumerated() {
            shard.post(.meet(ShardDoors(all: shards, index: index, loads: loads)))
        }
        publishServers(waits: true)
    }

    private func publishServers(waits: Bool) {
        for target in runtime.upstreams {
            target.directory.start { [shards] servers in
                for shard in shards { shard.post(.servers(servers, target)) }
            }
        }
        NameWatch.start(runtime.upstreams, log: runtime.services.log, waits: waits)
    }

    /// Opens every listener of the configuration; all of them, or an error that names the one.
    ///
    /// - Returns: the bound addresses, those of clients first, then that of the control listener.
    package func listen() throws(RuntimeError) -> [SocketAddress] {
        listeners = try openListeners(of: runtime)
        for opened in listeners { start(opened) }
        return listeners.map(\.listener.address)
    }

    /// Closes the sockets that were passed on and that no line of the configuration has claimed. Not before
    /// it is certain that who passed them on needs them no more.
    package func closeUnclaimed() {
        for unclaimed in inherited {
            unclaimed.shutDown()
            runtime.services.log.warning(
                "the socket on \(unclaimed.address) that was passed on is closed: no 'listen' names it"
            )
        }
        inherited = []
    }

    /// Those that are listening already are taken over.
    private func openListeners(of runtime: GatewayRuntime) throws(RuntimeError) -> [OpenListener] {
        var wanted = runtime.configuration.listeners.map { configured in
            (
                configured.address,
                ListenerRole(
                    expectsProxyHeader: configured.expectsProxyProtocol, hasTLS: configured.security == .tls,
                    redirectsToHTTPS: configured.security == .redirectsToHTTPS)
            )
        }
        if let control = runtime.configuration.control {
            wanted.append((control.address, ListenerRole(isControl: true)))
        }
        var opened: [OpenListener] = []
        for (address, role) in wanted {
            let known = listeners.first { $0.configured == address }?.listener
            let socket: Listener
            if let known { socket = known } else { socket = try listener(address) }
            opened.append(OpenListener(configured: address, role: role, listener: socket))
        }
        return opened
    }

    /// Has every shard take connections from a listener, or from now on as of another role.
    private func start(_ opened: OpenListener) {
        // New certificates or keys of tickets must not open again what another process goes on with.
        if !accepts { return }
        let tls = opened.role.hasTLS ? serverTLS : nil
        for shard in shards { shard.post(.listen(opened.listener, opened.role, tls)) }
    }

    private func stop(_ opened: OpenListener) {
        opened.listener.removeFile()
        for shard in shards { shard.post(.stopListening(opened.listener)) }
    }

    /// Changes over to a new configuration, whole or not at all: what has begun ends as it began.
    ///
    /// - Parameter inForce: called on the main queue when every shard works by it.
    /// - Throws: why it cannot be; then nothing has changed.
    package func change(
        to new: GatewayRuntime, tls: ServerTLS?, inForce: @escaping @Sendable () -> Void
    ) throws(RuntimeError) {
        let opened = try openListeners(of: new)
        let old = runtime
        runtime = new
        serverTLS = tls
        new.services.census.change(
            totalMax: new.configuration.limits.connections,
            perAddressMax: new.configuration.limits.connectionsPerAddress)
        // The first one checks the servers' health, and tells the others of what they must know by then.
        let group = DispatchGroup()
        for shard in shards.reversed() {
            group.enter()
            shard.post(.change(new) { group.leave() })
        }
        group.notify(queue: .main, execute: inForce)
        for target in old.upstreams { target.directory.stop() }
        publishServers(waits: false)
        let gone = listeners.filter { known in !opened.contains { $0.listener === known.listener } }
        for kept in opened { start(kept) }
        for removed in gone { stop(removed) }
        listeners = opened
    }

    /// Takes up what has changed in the files with foreign issuers' keys. What cannot be used is said, once,
    /// and what was in force stays.
    package func readIssuerFilesAgain() {
        let log = runtime.services.log
        for issuer in runtime.issuers {
            do throws(RuntimeError) {
                if try issuer.readFilesAgain() {
                    log.info("issuer \(issuer.configuration.issuer): its keys have been read anew")
                    for shard in shards { shard.post(.keys(issuer)) }
                }
                issuerProblems[issuer.configuration.issuer] = nil
            } catch {
                if issuerProblems.updateValue(error.reason, forKey: issuer.configuration.issuer)
                    != error.reason
                {
                    log.error("\(error.reason); the old keys stay")
                }
            }
        }
    }

    /// Has every shard verify our own tokens with these keys.
    ///
    /// - Parameter inForce: called on the main queue when every shard does.
    package func change(keys: KeySet, inForce: @escaping @Sendable () -> Void) {
        let new = GatewayRuntime(runtime, keys: keys)
        runtime = new
        let group = DispatchGroup()
        for shard in shards {
            group.enter()
            shard.post(.changeKeys(new) { group.leave() })
        }
        group.notify(queue: .main, execute: inForce)
    }

    /// What is in force.
    package var current: GatewayRuntime { runtime }

    // MARK: - Ending, and handing over

    /// Stops accepting, lets what has begun come to its end, and calls `done`; at the latest after
    /// `milliseconds`. Whoever asks whether the gateway is ready is told to the last that it is not.
    ///
    /// - Parameter isHandedOver: another process goes on with the listeners: their files stay.
    package func drain(
        milliseconds: Int, isHandedOver: Bool = false, done: @escaping @Sendable () -> Void
    ) {
        var control: [Listener] = []
        if isHandedOver {
            accept(false)
        } else {
            accepts = false
            for opened in listeners where !opened.role.isControl { stop(opened) }
            control = listeners.filter(\.role.isControl).map(\.listener)
        }
        let group = DispatchGroup()
        for shard in shards {
            group.enter()
            shard.post(.drain { group.leave() })
        }
        DispatchQueue.global().async { [control] in
            _ = group.wait(timeout: .now() + .milliseconds(milliseconds))
            DispatchQueue.main.async {
                for listener in control { listener.removeFile() }
                done()
            }
        }
    }

    /// Has /readyz tell that the end is near, so that clients are sent elsewhere.
    package func announceEnd() {
        for shard in shards { shard.post(.announceEnd) }
    }

    /// The sockets of all listeners: for another process that goes on with them.
    package var sockets: [Listener] { listeners.map(\.listener) }

    /// Has connections be kept between requests, or each end with its next answer.
    package func keepConnections(_ keeps: Bool) {
        for shard in shards { shard.post(.keepConnections(keeps)) }
    }

    /// Takes no more connections, though the sockets stay open and connections wait in them; or takes them
    /// again.
    package func accept(_ accepts: Bool) {
        self.accepts = accepts
        for opened in listeners {
            if accepts {
                start(opened)
            } else {
                for shard in shards { shard.post(.stopListening(opened.listener)) }
            }
        }
    }

    /// Shows that every shard and the refresh service move: `done` is called when they have.
    package func ping(done: @escaping @Sendable () -> Void) {
        let group = DispatchGroup()
        for shard in shards {
            group.enter()
            shard.post(.ping { group.leave() })
        }
        group.enter()
        runtime.sessions.ping { group.leave() }
        group.notify(queue: .main, execute: done)
    }

    /// Opens the listeners of a configuration before there is anybody to serve: for a process that may not do
    /// so later.
    ///
    /// - Parameter inherited: sockets that listen already; they are among the answer.
    package static func bind(
        _ configuration: GatewayConfiguration, inherited: [Listener]
    ) throws(RuntimeError) -> [Listener] {
        var addresses = configuration.listeners.map(\.address)
        if let control = configuration.control { addresses.append(control.address) }
        var listeners = inherited
        for address in addresses {
            let address = try socketAddress(address)
            if !listeners.contains(where: { $0.address == address }) { listeners.append(try bind(address)) }
        }
        return listeners
    }

    private func listener(_ configured: ListenAddress) throws(RuntimeError) -> Listener {
        let address = try Self.socketAddress(configured)
        guard let index = inherited.firstIndex(where: { $0.address == address }) else {
            return try Self.bind(address)
        }
        return inherited.remove(at: index)
    }

    private static func bind(_ address: SocketAddress) throws(RuntimeError) -> Listener {
        do throws(SystemError) {
            return try Listener(on: address)
        } catch {
            throw RuntimeError(reason: "cannot listen on \(address): \(error.reason)")
        }
    }

    private static func socketAddress(_ address: ListenAddress) throws(RuntimeError) -> SocketAddress {
        switch address {
        case .ip(let host, let port):
            guard let literal = SocketAddress(host: host, port: port) else {
                throw RuntimeError(reason: "listen: '\(host)' is no IP address")
            }
            return literal
        case .unix(let path):
            guard let file = SocketAddress(unixPath: path) else {
                throw RuntimeError(reason: "listen: unix:\(path): \(RuntimeError.pathProblem)")
            }
            return file
        }
    }
}
